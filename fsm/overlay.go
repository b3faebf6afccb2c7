package fsm

import (
	"bytes"
	"slices"
	"unsafe"

	"github.com/cockroachdb/pebble/v2"

	"dapple/catalogue"
)

// overlay is the catalogue.Tx of a batch of entries: what they have written so far, over the store. It is kept in memory
// until the batch is committed, so that later commands see earlier ones and a refused one can be undone.
type overlay struct {
	base    catalogue.View
	places  map[string]int // key -> place in changes
	changes []change
	memory  arena

	order keyOrders

	journal []undo              // of the running command
	noted   catalogue.ChangeLog // by the running command
	writes  int                 // since the overlay was made; a running Scan notices a change by it
	settled bool                // a settled record was written since the last reset
}

type changeKind byte

const (
	changeNone   changeKind = iota // undone: the base decides
	changePut                      // value
	changeDelete                   // no value
)

type change struct {
	key, value []byte
	kind       changeKind
}

// undo is what a change was before the running command.
type undo struct {
	place int
	value []byte
	kind  changeKind
}

// placesKept is the size up to which the map is used again for the next batch.
const placesKept = 1 << 14

func newOverlay(base catalogue.View) *overlay {
	return &overlay{base: base, places: map[string]int{}}
}

// begin starts a command: what it writes is undone by rollback until the next begin.
func (o *overlay) begin() {
	o.journal = o.journal[:0]
	o.noted.Begin()
}

// wrote reports whether the running command has written.
func (o *overlay) wrote() bool { return len(o.journal) > 0 || o.noted.Count() > 0 }

// rollback undoes what the running command has written.
func (o *overlay) rollback() {
	for _, u := range slices.Backward(o.journal) {
		o.changes[u.place].value, o.changes[u.place].kind = u.value, u.kind
	}
	o.begin()
}

// reset forgets everything.
func (o *overlay) reset() {
	if len(o.places) > placesKept {
		o.places = map[string]int{} // clearing costs as much as the map has ever held
	}
	clear(o.places)
	clear(o.changes)
	o.changes, o.journal = o.changes[:0], o.journal[:0]
	o.order.reset()
	o.memory.reset()
	o.settled = false
}

// size returns about how many bytes the overlay holds.
func (o *overlay) size() int { return o.memory.used }

// Memo returns what fits the settled records as commands see them: that of the base as long as none has been written.
func (o *overlay) Memo() *catalogue.Memo {
	if o.settled {
		return nil
	}
	return catalogue.MemoOf(o.base)
}

// Get implements catalogue.View.
func (o *overlay) Get(key []byte) ([]byte, bool, error) {
	if place, ok := o.places[string(key)]; ok {
		switch c := &o.changes[place]; c.kind {
		case changePut:
			return c.value, true, nil
		case changeDelete:
			return nil, false, nil
		}
	}
	return o.base.Get(key)
}

// Put implements catalogue.Tx.
func (o *overlay) Put(key, value []byte) { o.write(key, o.memory.copy(value), changePut) }

// Delete implements catalogue.Tx.
func (o *overlay) Delete(key []byte) { o.write(key, nil, changeDelete) }

// Note implements catalogue.Tx.
func (o *overlay) Note(at catalogue.Stamp, c catalogue.Change) uint64 { return o.noted.Note(o, at, &c) }

func (o *overlay) write(key, value []byte, kind changeKind) {
	o.writes++
	o.settled = o.settled || catalogue.IsSettled(key)
	place, known := o.places[string(key)]
	if !known {
		place = len(o.changes)
		key = o.memory.copy(key)
		o.changes = append(o.changes, change{key: key})
		o.places[unsafe.String(unsafe.SliceData(key), len(key))] = place // the map is cleared before the memory is used again
		o.order.add(o.changes, place)
	}
	c := &o.changes[place]
	o.journal = append(o.journal, undo{place, c.value, c.kind})
	c.value, c.kind = value, kind
}

// Scan implements catalogue.View. It visits the keys that exist when it begins, with the values that they have when they
// are visited; keys deleted in between are left out.
func (o *overlay) Scan(low, high []byte, visit func(key, value []byte) (bool, error)) error {
	m := &merge{o: o, writes: o.writes, changes: o.between(low, high), visit: visit}
	if err := o.base.Scan(low, high, m.base); err != nil || m.stopped {
		return err
	}
	return m.upTo(nil)
}

// between returns the changes with keys in [low, high) as they stand now, in order.
func (o *overlay) between(low, high []byte) []scanned {
	places := o.order.between(o.changes, low, high)
	if len(places) == 0 {
		return nil
	}
	all := make([]scanned, len(places))
	for i, place := range places {
		c := &o.changes[place]
		all[i] = scanned{c.key, place, c.kind}
	}
	return all
}

// writeTo puts every change into a batch in the order of the keys, tells noted of it and returns how many they are.
func (o *overlay) writeTo(batch *pebble.Batch, noted func(*change)) (keys int, err error) {
	err = o.order.each(o.changes, func(place int) (err error) {
		c := &o.changes[place]
		switch c.kind {
		case changePut:
			err = batch.Set(c.key, c.value, nil)
		case changeDelete:
			err = batch.Delete(c.key, nil)
		default:
			return nil
		}
		if err == nil {
			noted(c)
			keys++
		}
		return err
	})
	return keys, err
}

// scanned is a change as it stood when a Scan began.
type scanned struct {
	key   []byte
	place int
	kind  changeKind
}

// merge is a running Scan over the changes and the base.
type merge struct {
	o       *overlay
	writes  int
	changes []scanned
	visit   func(key, value []byte) (bool, error)
	stopped bool
}

// base takes the next key of the base.
func (m *merge) base(key, value []byte) (bool, error) {
	if err := m.upTo(key); err != nil || m.stopped {
		return false, err
	}
	if len(m.changes) > 0 && bytes.Equal(m.changes[0].key, key) {
		c := m.changes[0]
		m.changes = m.changes[1:]
		if c.kind != changeNone {
			return m.change(c)
		}
	}
	if m.writes != m.o.writes { // a visit has written
		if place, ok := m.o.places[string(key)]; ok {
			switch c := &m.o.changes[place]; c.kind {
			case changePut:
				value = c.value
			case changeDelete:
				return true, nil
			}
		}
	}
	return m.call(key, value)
}

// upTo visits the changes before key, all where key is nil.
func (m *merge) upTo(key []byte) error {
	for len(m.changes) > 0 && !m.stopped && (key == nil || bytes.Compare(m.changes[0].key, key) < 0) {
		c := m.changes[0]
		m.changes = m.changes[1:]
		if _, err := m.change(c); err != nil {
			return err
		}
	}
	return nil
}

// change visits a key that the overlay held when the scan began.
func (m *merge) change(c scanned) (bool, error) {
	now := &m.o.changes[c.place]
	if c.kind != changePut || now.kind != changePut {
		return true, nil
	}
	return m.call(now.key, now.value)
}

func (m *merge) call(key, value []byte) (bool, error) {
	more, err := m.visit(key, value)
	m.stopped = m.stopped || !more || err != nil
	return more, err
}

// arena hands out copies of bytes that live until reset.
type arena struct {
	chunk []byte
	used  int
}

const arenaChunk = 1 << 20

func (a *arena) copy(b []byte) []byte {
	if len(b) > cap(a.chunk)-len(a.chunk) {
		a.chunk = make([]byte, 0, max(arenaChunk, len(b)))
	}
	start := len(a.chunk)
	a.chunk = append(a.chunk, b...)
	a.used += len(b)
	return a.chunk[start:len(a.chunk):len(a.chunk)]
}

// reset allows the memory to be used again; the last chunk is kept.
func (a *arena) reset() { a.chunk, a.used = a.chunk[:0], 0 }
