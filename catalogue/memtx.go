package catalogue

import (
	"bytes"
	"slices"
	"strings"
)

// MemTx is a Tx over a map, for tests of commands and as the naive model beside the real store. The zero value is not
// ready; use NewMemTx.
type MemTx struct {
	values map[string][]byte
	// Writes counts the calls of Put and Delete: a refused command must not have changed it.
	Writes int
}

// NewMemTx returns an empty store.
func NewMemTx() *MemTx { return &MemTx{values: map[string][]byte{}} }

// Get implements View.
func (t *MemTx) Get(key []byte) ([]byte, bool, error) {
	v, ok := t.values[string(key)]
	return v, ok, nil
}

// Put implements Tx.
func (t *MemTx) Put(key, value []byte) {
	t.Writes++
	t.values[string(key)] = bytes.Clone(value)
}

// Delete implements Tx.
func (t *MemTx) Delete(key []byte) {
	t.Writes++
	delete(t.values, string(key))
}

// Scan implements View; it visits the keys as they were when it began.
func (t *MemTx) Scan(low, high []byte, visit func(key, value []byte) (bool, error)) error {
	for _, key := range t.keys(string(low), string(high)) {
		value, ok := t.values[key]
		if !ok {
			continue
		}
		if more, err := visit([]byte(key), value); err != nil || !more {
			return err
		}
	}
	return nil
}

func (t *MemTx) keys(low, high string) []string {
	var keys []string
	for key := range t.values {
		if key >= low && (high == "" || key < high) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, strings.Compare)
	return keys
}
