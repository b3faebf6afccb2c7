package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// uniqueKeys returns an error if an object of a JSON text has one key twice. Most parsers keep the last value in silence.
func uniqueKeys(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	for decoder.More() {
		if err := uniqueKeysOf(decoder); err != nil {
			return err
		}
	}
	return nil
}

// uniqueKeysOf reads one value.
func uniqueKeysOf(decoder *json.Decoder) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('['):
		for decoder.More() {
			if err := uniqueKeysOf(decoder); err != nil {
				return err
			}
		}
	case json.Delim('{'):
		seen := map[string]bool{}
		for decoder.More() {
			token, err := decoder.Token()
			if err != nil {
				return err
			}
			key := token.(string)
			if seen[key] {
				return fmt.Errorf("the key %q comes twice", key)
			}
			seen[key] = true
			if err := uniqueKeysOf(decoder); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err = decoder.Token()
	return err
}
