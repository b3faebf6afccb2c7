package fsm

import (
	"bytes"
	"sync"
	"sync/atomic"

	"dapple/catalogue"
)

// Almost every request and command reads the same few small records: the account, its identity and attributes, the scope, the
// RSE. They change seldom, so they are kept in memory as they stand in the store, in generations: a commit that changes one of
// them ends the generation, and the next one begins empty.

const (
	// settledBytes bounds the records and keys that a generation keeps. One that is full begins anew.
	settledBytes = 32 << 20
	// settledRecord is the largest record that is kept.
	settledRecord = 64 << 10
	// settledOverhead is about what a record takes beside its key and value.
	settledOverhead = 64
)

// generation is the settled records that were read since the last change of any of them, keys that do not exist included.
type generation struct {
	number uint64
	memo   catalogue.Memo
	mu     sync.RWMutex
	held   map[string]settledValue
	bytes  int
}

type settledValue struct {
	value []byte
	found bool
}

// get returns what is known of a key; known is false where it has not been read yet. The value is not to be written to.
func (g *generation) get(key []byte) (v settledValue, known bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	v, known = g.held[string(key)]
	return v, known
}

// keep remembers what a key has in this generation.
func (g *generation) keep(key, value []byte, found bool) {
	if len(value) > settledRecord {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bytes > settledBytes {
		clear(g.held)
		g.bytes = 0
	}
	g.held[string(key)] = settledValue{bytes.Clone(value), found}
	g.bytes += len(key) + len(value) + settledOverhead
}

// generations has the present generation, nil while a commit changes settled records: who reads meanwhile cannot know on which
// side of the change it is.
type generations struct {
	current atomic.Pointer[generation]
	last    uint64 // under the machine's mu
}

// end is called before a change becomes visible, begin after it.
func (g *generations) end() { g.current.Store(nil) }

func (g *generations) begin() {
	g.last++
	g.current.Store(&generation{number: g.last, held: map[string]settledValue{}})
}

// settledReader is the live store as the overlay reads it. Only commits change the store, so that the present generation, where
// there is one, is that of the reader.
type settledReader struct {
	*dbReader
	generations *generations
	counters    counters
}

// counters are those of RSEs as they were last committed: no batch of registrations does without them. Only the writer has them.
type counters map[string][]byte

func (c counters) note(written *change) {
	switch {
	case !catalogue.IsCounter(written.key):
	case written.kind == changePut:
		c[string(written.key)] = bytes.Clone(written.value)
	default:
		delete(c, string(written.key))
	}
}

// Get implements catalogue.View.
func (r settledReader) Get(key []byte) ([]byte, bool, error) {
	if catalogue.IsCounter(key) {
		if value, known := r.counters[string(key)]; known {
			return value, true, nil
		}
	}
	return readSettled(r.generations.current.Load(), r.dbReader, key)
}

// Memo returns what fits the present generation, nil where there is none.
func (r settledReader) Memo() *catalogue.Memo { return r.generations.current.Load().memoOf() }

func (g *generation) memoOf() *catalogue.Memo {
	if g == nil {
		return nil
	}
	return &g.memo
}

// readSettled reads a key through a generation of the same state, which may be nil.
func readSettled(g *generation, r *dbReader, key []byte) ([]byte, bool, error) {
	if g == nil || !catalogue.IsSettled(key) {
		return r.Get(key)
	}
	if v, known := g.get(key); known {
		return v.value, v.found, nil
	}
	value, found, err := r.Get(key)
	if err == nil {
		g.keep(key, value, found)
	}
	return value, found, err
}

// Generation numbers what settled records (accounts, identities, scopes, tokens, RSEs) hold: as long as it stays the same none of
// them has changed. 0 means that they are just changing.
func (m *Machine) Generation() uint64 {
	if g := m.generations.current.Load(); g != nil {
		return g.number
	}
	return 0
}
