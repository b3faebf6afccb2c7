package fsm

import (
	"bytes"
	"hash/maphash"

	"github.com/cockroachdb/pebble/v2"

	"dapple/catalogue"
)

const (
	// unflushedKeys is how many keys a generation takes: those of several memtables, so that its own flush is one among many.
	unflushedKeys = 1 << 20
	// keysPerWord makes the filters so large that few keys are found that were not written.
	keysPerWord = 4
)

// unflushed remembers which DIDs have been written since they were last known to be on disk. Of the others it is known without a
// look into memtables that they are not there, and looking costs much: a new name is nowhere, so the way to its place in a tree
// of many megabytes is in no processor cache (docs/performance.md). It belongs to the only writer of the store.
//
// The keys are in two Bloom filters of one word a key. When the newer is full the store is flushed; when that is over what both
// held at the time is on disk, and the older begins anew. The seed is this process's own: what is read is the same whatever the filters say.
type unflushed struct {
	db           *pebble.DB
	seed         maphash.Seed
	newer, older []uint64
	room         int             // for more keys in newer
	flushed      <-chan struct{} // closed when what older holds is on disk; nil where it is
	disk         *pebble.Iterator
}

// newUnflushed is for a store in whose memtables nothing is; a generation takes so many keys.
func newUnflushed(db *pebble.DB, keys int) *unflushed {
	words := keys / keysPerWord
	return &unflushed{db: db, seed: maphash.MakeSeed(), newer: make([]uint64, words), older: make([]uint64, words), room: keys}
}

// place returns the word of a key and its four bits there.
func (u *unflushed) place(key []byte) (word int, bits uint64) {
	h := maphash.Bytes(u.seed, key)
	bits = 1<<(h&63) | 1<<(h>>6&63) | 1<<(h>>12&63) | 1<<(h>>18&63)
	return int((h >> 32) % uint64(len(u.newer))), bits
}

// add takes note of a key that is about to be written or deleted.
func (u *unflushed) add(key []byte) {
	if !catalogue.IsDID(key) {
		return
	}
	word, bits := u.place(key)
	if u.newer[word]&bits != bits {
		u.newer[word] |= bits
		u.room--
	}
}

// holds reports whether a key may be in a memtable.
func (u *unflushed) holds(key []byte) bool {
	if !catalogue.IsDID(key) {
		return true
	}
	word, bits := u.place(key)
	return u.newer[word]&bits == bits || u.older[word]&bits == bits
}

// get reads a key of which holds said no. The value is valid until the next get or done.
func (u *unflushed) get(key []byte) (value []byte, found bool, err error) {
	if u.disk == nil {
		if u.disk, err = u.db.NewIter(&pebble.IterOptions{OnlyReadGuaranteedDurable: true}); err != nil {
			return nil, false, err
		}
	}
	if !u.disk.SeekPrefixGE(key) || !bytes.Equal(u.disk.Key(), key) {
		return nil, false, u.disk.Error()
	}
	value, err = u.disk.ValueAndErr()
	return value, err == nil, err
}

// done lets go of what reads hold: what has been flushed since is not seen before.
func (u *unflushed) done() error {
	if u == nil || u.disk == nil {
		return nil
	}
	disk := u.disk
	u.disk = nil
	return disk.Close()
}

// turn forgets what is on disk by now and ends a generation that is full, unless the one before it is still being flushed. It is
// called between done and the next get.
func (u *unflushed) turn() (err error) {
	select {
	case <-u.flushed:
		clear(u.older)
		u.flushed = nil
	default:
	}
	if u.room > 0 || u.flushed != nil {
		return nil
	}
	u.newer, u.older, u.room = u.older, u.newer, keysPerWord*len(u.newer)
	u.flushed, err = u.db.AsyncFlush()
	return err
}
