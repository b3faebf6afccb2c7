package catalogue

import (
	"bytes"
	"maps"
	"slices"
	"strings"
)

// MemTx is a Tx over a map, for tests of commands and as the naive model beside the real store. The zero value is not
// ready; use NewMemTx.
type MemTx struct {
	values map[string][]byte
	// Writes counts the calls of Put, Delete and Note: a refused command must not have changed it.
	Writes int
	// changes are the events of the command with the stamp running; they are stored once somebody looks, or the next one notes.
	changes ChangeLog
	running Stamp
	before  uint64 // size of the feed before that command
	through uint64 // last revision that is gone
}

// NewMemTx returns an empty store.
func NewMemTx() *MemTx { return &MemTx{values: map[string][]byte{}} }

// Clone returns a store with the same content, which changes apart from this one.
func (t *MemTx) Clone() *MemTx {
	total := t.flush()
	return &MemTx{values: maps.Clone(t.values), Writes: t.Writes, running: t.running, before: total, through: t.through}
}

// Get implements View.
func (t *MemTx) Get(key []byte) ([]byte, bool, error) {
	if string(key) == string(SystemKey(systemFeed)) {
		t.flush()
	}
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

// Note implements Tx.
func (t *MemTx) Note(at Stamp, c Change) uint64 {
	t.Writes++
	if at != t.running {
		t.before = t.flush()
		t.changes.Begin()
		t.running = at
	}
	return t.changes.Note(t, at, &c)
}

// Revision returns the revision of the last event that was noted.
func (t *MemTx) Revision() uint64 { return t.running.Revision + max(t.changes.Count(), 1) - 1 }

// Trim takes away the events up to a revision, as the state machine does after TrimChanges.
func (t *MemTx) Trim(through uint64) {
	t.through = through
	low, high := ChangeRange(through)
	for _, key := range t.keys(string(low), string(high)) {
		delete(t.values, key)
	}
	t.flush()
}

// flush stores the events of the running command and returns the size of the feed.
func (t *MemTx) flush() uint64 {
	key, value, err := t.changes.Record(t.running, t.running.Revision, t.before)
	if err != nil || key == nil {
		return t.before
	}
	if last, _, _ := parseNumber(key[1:]); last > t.through {
		t.values[string(key)] = bytes.Clone(value)
	}
	feed := Feed{Through: t.through, Total: t.before + changeSize(key, value)}
	writes := t.Writes
	PutFeed(t, feed)
	t.Writes = writes // the feed is the machine's and not the command's
	return feed.Total
}

// Scan implements View; it visits the keys as they were when it began.
func (t *MemTx) Scan(low, high []byte, visit func(key, value []byte) (bool, error)) error {
	if len(low) > 0 && low[0] == tableChange {
		t.flush()
	}
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
