package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"dapple/catalogue"
	"dapple/command"
)

// object is a JSON object whose values are still to be decoded. Its methods return refusals that name the key: KeyError for a
// missing one, InvalidObject for a value of the wrong type. A key with null counts as missing where the value is optional.
type object map[string]json.RawMessage

// parseObject splits an object into its fields; of a key that is there twice the last counts.
func parseObject(raw []byte) (object, error) {
	var fields object
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, catalogue.Errorf(command.CodeInvalidObject, "not an object: %s", abridge(raw))
	}
	return fields, nil
}

// has reports whether the key is there with a value other than null.
func (o object) has(key string) bool {
	raw, found := o[key]
	return found && !bytes.Equal(raw, []byte("null"))
}

// required returns the raw value of a key that must be there; it may be null.
func (o object) required(key string) (json.RawMessage, error) {
	raw, found := o[key]
	if !found {
		return nil, catalogue.Errorf(command.CodeMissingKey, "'%s' not defined", key)
	}
	return raw, nil
}

// requiredString returns a string that must be there.
func (o object) requiredString(key string) (string, error) {
	raw, err := o.required(key)
	if err != nil {
		return "", err
	}
	return decodeText(raw, key)
}

// optionalString returns a string, "" where the key is missing or null.
func (o object) optionalString(key string) (string, error) {
	if !o.has(key) {
		return "", nil
	}
	return decodeText(o[key], key)
}

// decodeText is decodeField for strings: nearly all are plain, and lists have thousands.
func decodeText(raw json.RawMessage, key string) (string, error) {
	if scanner := (jsonScanner{b: raw}); scanner.kind() == '"' {
		if text, err := scanner.bytes(); err == nil && scanner.end() == nil {
			return string(text), nil
		}
	}
	return decodeField[string](raw, key, "a string")
}

// optionalBool returns a boolean, or absent where the key is missing or null.
func (o object) optionalBool(key string, absent bool) (bool, error) {
	return optionalField(o, key, "a boolean", absent)
}

// requiredBool returns a boolean that must be there.
func (o object) requiredBool(key string) (bool, error) {
	raw, err := o.required(key)
	if err != nil {
		return false, err
	}
	return decodeField[bool](raw, key, "a boolean")
}

// optionalUint returns an integer from 0 to limit, or absent where the key is missing or null. Fractions, exponents, strings and
// booleans are refused.
func (o object) optionalUint(key string, limit, absent uint64) (uint64, error) {
	value, err := optionalField(o, key, "an integer from 0 to "+strconv.FormatUint(limit, 10), absent)
	if err == nil && value > limit {
		err = catalogue.Errorf(command.CodeInvalidObject, "'%s' is over %d", key, limit)
	}
	return value, err
}

// optionalInt returns an integer, or absent where the key is missing or null.
func (o object) optionalInt(key string, absent int64) (int64, error) {
	return optionalField(o, key, "an integer", absent)
}

// optionalStrings returns a list of strings, nil where the key is missing or null, of at most limit items.
func (o object) optionalStrings(key string, limit int) ([]string, error) {
	if !o.has(key) {
		return nil, nil
	}
	return decodeStrings(o[key], key, limit)
}

// decodeStrings decodes a list of strings, of which none may be null. See decodeItems.
func decodeStrings(raw json.RawMessage, what string, limit int) ([]string, error) {
	items, err := decodeItems[*string](raw, what, limit)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(items))
	for i, item := range items {
		if item == nil {
			return nil, catalogue.Errorf(command.CodeInvalidObject, "'%s[%d]' must be a string, not null", what, i)
		}
		texts[i] = *item
	}
	return texts, nil
}

// optionalObject returns an object, nil where the key is missing or null.
func (o object) optionalObject(key string) (object, error) {
	if o.has(key) {
		scanner := jsonScanner{b: o[key]}
		if fields, err := scanner.fields(); err == nil && scanner.end() == nil {
			return fields, nil
		}
	}
	return optionalField[object](o, key, "an object", nil)
}

func optionalField[T any](o object, key, want string, absent T) (T, error) {
	if !o.has(key) {
		return absent, nil
	}
	return decodeField[T](o[key], key, want)
}

func decodeField[T any](raw json.RawMessage, key, want string) (T, error) {
	var value T
	// json leaves a value alone where it meets null.
	if bytes.Equal(raw, []byte("null")) || json.Unmarshal(raw, &value) != nil {
		var zero T
		return zero, catalogue.Errorf(command.CodeInvalidObject, "'%s' must be %s, not %s", key, want, abridge(raw))
	}
	return value, nil
}

// requiredItems decodes the list under a key that must be there. See decodeItems.
func requiredItems[T any](o object, key string, limit int) ([]T, error) {
	raw, err := o.required(key)
	if err != nil {
		return nil, err
	}
	return decodeItems[T](raw, key, limit)
}

// decodeItems decodes a list item by item into values of T, at most limit of them. A field of T that is a pointer tells what
// is missing from what is zero; unsigned fields refuse negative numbers and fractions. what names the list in errors.
func decodeItems[T any](raw json.RawMessage, what string, limit int) ([]T, error) {
	if len(raw) == 0 || raw[bytesBeforeValue(raw)] != '[' {
		return nil, catalogue.Errorf(command.CodeInvalidObject, "'%s' must be a list, not %s", what, abridge(raw))
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("list %s: %w", what, err)
	}
	var items []T
	for decoder.More() {
		if len(items) >= limit {
			return nil, catalogue.Errorf(command.CodeTooManyItems, "'%s' has more than %d items", what, limit)
		}
		var item T
		if err := decoder.Decode(&item); err != nil {
			return nil, itemError(err, what, len(items))
		}
		items = append(items, item)
	}
	return items, nil
}

func bytesBeforeValue(raw []byte) int {
	return min(len(raw)-len(bytes.TrimLeft(raw, " \t\r\n")), len(raw)-1)
}

func itemError(err error, what string, index int) error {
	var mismatch *json.UnmarshalTypeError
	if !errors.As(err, &mismatch) {
		return catalogue.Errorf(command.CodeInvalidObject, "%s[%d]: %v", what, index, err)
	}
	at := fmt.Sprintf("%s[%d]", what, index)
	if mismatch.Field != "" {
		at += "." + mismatch.Field
	}
	return catalogue.Errorf(command.CodeInvalidObject, "'%s' must be %s, not %s", at, kindName(mismatch.Type.Kind()), mismatch.Value)
}

// kindName says for people what values a Go type takes.
func kindName(kind reflect.Kind) string {
	switch kind {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "a boolean"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer that is not negative"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "an integer"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	default:
		return "an object"
	}
}

// abridge shortens a value for a message.
func abridge(raw []byte) string {
	const limit = 60
	if len(raw) > limit {
		return string(bytes.ToValidUTF8(raw[:limit], nil)) + "..."
	}
	return string(raw)
}
