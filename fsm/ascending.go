package fsm

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// ascendingGets is how many keys of a table, read in ascending order, begin a run.
	ascendingGets = 3
	// nearKeys is how many keys the iterator steps over before it rather looks for the next one from the top of the tree.
	nearKeys = 8
	// runCredit is how many more far keys than near ones end a run; restingGets are read by themselves after one that ended so.
	runCredit, restingGets = 8, 256
	// otherGets is how many keys of other tables in a row end a run.
	otherGets = 8
)

// ascending notices when keys of one table are read one by one in ascending order, as bulk commands and listings do, and serves such
// a run from an iterator: mostly the next key is a step away, and of keys that do not exist one look at what follows tells many.
// Keys that lie far from each other are better read by themselves, since such reads have bloom filters.
type ascending struct {
	last   []byte // key of the run
	count  int    // keys in ascending order up to last
	others int    // keys of other tables since
	iter   *pebble.Iterator
	credit int // of near keys against far ones
	rest   int // keys that are to be read by themselves
}

// get reads a key where it belongs to a run; served is false where it is to be read by itself.
func (a *ascending) get(db pebble.Reader, key []byte) (value []byte, found, served bool, err error) {
	if !a.follows(key) {
		return nil, false, false, a.closeIter()
	}
	if a.count < ascendingGets || a.others > 0 {
		return nil, false, false, nil
	}
	near, err := a.seek(db, key)
	if err != nil || !near {
		return nil, false, false, err
	}
	if !a.iter.Valid() || !bytes.Equal(a.iter.Key(), key) {
		return nil, false, true, a.iter.Error()
	}
	value, err = a.iter.ValueAndErr()
	return value, err == nil, true, err
}

// follows takes note of a key and reports whether the run goes on.
func (a *ascending) follows(key []byte) bool {
	if a.rest > 0 {
		a.rest--
		return false
	}
	if a.iter != nil && key[0] != a.last[0] && a.others < otherGets {
		a.others++
		return true
	}
	goes := len(a.last) > 0 && a.last[0] == key[0] && bytes.Compare(a.last, key) <= 0
	a.last, a.others = append(a.last[:0], key...), 0
	if !goes {
		a.count = 0
		return false
	}
	a.count++
	return true
}

// seek brings the iterator to the first key that is not below key, or ends the run where keys lie too far from each other.
func (a *ascending) seek(db pebble.Reader, key []byte) (near bool, err error) {
	switch {
	case a.iter == nil:
		a.iter, err = db.NewIter(&pebble.IterOptions{LowerBound: bytes.Clone(key), UpperBound: []byte{key[0] + 1}})
		if err != nil {
			return false, err
		}
		a.credit = runCredit
		a.iter.SeekGE(key)
	case a.step(key):
		a.credit = min(a.credit+1, 4*runCredit)
	case a.credit <= 0:
		a.rest = restingGets
		return false, a.closeIter()
	default:
		a.credit--
		a.iter.SeekGE(key)
	}
	return true, nil
}

// step brings the iterator to the first key that is not below key where that is near.
func (a *ascending) step(key []byte) bool {
	for range nearKeys {
		if !a.iter.Valid() || bytes.Compare(a.iter.Key(), key) >= 0 {
			return true
		}
		a.iter.Next()
	}
	return false
}

// end forgets the run.
func (a *ascending) end() error {
	a.last, a.count, a.rest = a.last[:0], 0, 0
	return a.closeIter()
}

func (a *ascending) closeIter() error {
	if a.iter == nil {
		return nil
	}
	iter := a.iter
	a.iter, a.others = nil, 0
	return iter.Close()
}
