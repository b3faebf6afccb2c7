package catalogue

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// counterStates are all states, in the order in which their counters are stored.
const counterStates = "ABCDTU"

// Tally is a number of files and the sum of their bytes.
type Tally struct{ Files, Bytes uint64 }

// Counters say what an RSE holds, exactly, as of the view they are read from.
type Counters struct {
	// Updated is the log time in microseconds at which they last changed, 0 for never.
	Updated int64
	states  [len(counterStates)]Tally
}

// Of returns what the RSE holds in one state.
func (c *Counters) Of(s ReplicaState) Tally {
	if i := counterIndex(s); i >= 0 {
		return c.states[i]
	}
	return Tally{}
}

// Total returns what the RSE holds in all states together.
func (c *Counters) Total() Tally {
	var sum Tally
	for _, t := range c.states {
		sum.Files += t.Files
		sum.Bytes += t.Bytes
	}
	return sum
}

func counterIndex(s ReplicaState) int {
	for i := range len(counterStates) {
		if counterStates[i] == byte(s) {
			return i
		}
	}
	return -1
}

const counterFormat = 1

func appendCounters(b []byte, c *Counters) []byte {
	b = append(b, counterFormat)
	b = binary.AppendVarint(b, c.Updated)
	for _, t := range c.states {
		b = binary.AppendUvarint(b, t.Files)
		b = binary.AppendUvarint(b, t.Bytes)
	}
	return b
}

func parseCounters(rse uint32, b []byte) (*Counters, error) {
	r := newRecordReader(b, counterFormat)
	c := &Counters{Updated: r.varint()}
	for i := range c.states {
		c.states[i] = Tally{Files: r.uvarint(), Bytes: r.uvarint()}
	}
	if err := r.done(); err != nil {
		return nil, fmt.Errorf("counters of RSE %d: %w", rse, err)
	}
	return c, nil
}

// GetCounters returns the counters of an RSE; zeros where it never held a file.
func GetCounters(v View, rse uint32) (*Counters, error) {
	b, found, err := v.Get(idKey(tableRSECounter, rse))
	if err != nil || !found {
		return &Counters{}, err
	}
	return parseCounters(rse, b)
}

// RSECounters visits the counters of every RSE that ever held a file, in ascending order of number.
func RSECounters(v View, visit func(rse uint32, c *Counters) error) error {
	low := []byte{tableRSECounter}
	return v.Scan(low, prefixEnd(low), func(key, value []byte) (bool, error) {
		rse, _, err := parseID(key[1:])
		if err != nil {
			return false, err
		}
		c, err := parseCounters(rse, value)
		if err != nil {
			return false, err
		}
		return true, visit(rse, c)
	})
}

// counterChanges gathers what a command changes, so that each RSE is read and written once however many files there are.
// The zero value is ready. RSEs of one command are few: they are kept in a sorted slice.
type counterChanges struct{ rses []counterChange }

type counterChange struct {
	rse    uint32
	states [len(counterStates)]struct{ files, bytes int64 }
}

// add counts files more replicas in a state at an RSE, with as many bytes together; both may be negative.
func (c *counterChanges) add(rse uint32, s ReplicaState, files, bytes int64) {
	at, found := slices.BinarySearchFunc(c.rses, rse, func(x counterChange, rse uint32) int {
		return int(int64(x.rse) - int64(rse))
	})
	if !found {
		c.rses = slices.Insert(c.rses, at, counterChange{rse: rse})
	}
	if i := counterIndex(s); i >= 0 {
		c.rses[at].states[i].files += files
		c.rses[at].states[i].bytes += bytes
	}
}

// move counts one replica of so many bytes from one state to another.
func (c *counterChanges) move(rse uint32, from, to ReplicaState, bytes uint64) {
	c.add(rse, from, -1, -int64(bytes))
	c.add(rse, to, 1, int64(bytes))
}

// adjustCounters writes the gathered changes. An error is one of the store, or counters that would fall below zero,
// which is a damaged store too.
func adjustCounters(tx Tx, at Stamp, changes *counterChanges) error {
	for i := range changes.rses {
		change := &changes.rses[i]
		c, err := GetCounters(tx, change.rse)
		if err != nil {
			return err
		}
		for s, d := range change.states {
			t := &c.states[s]
			if d.files < 0 && uint64(-d.files) > t.Files || d.bytes < 0 && uint64(-d.bytes) > t.Bytes {
				return fmt.Errorf("%w: counters of RSE %d fall below zero", ErrRecord, change.rse)
			}
			t.Files += uint64(d.files)
			t.Bytes += uint64(d.bytes)
		}
		c.Updated = at.Time
		tx.Put(idKey(tableRSECounter, change.rse), appendCounters(nil, c))
	}
	return nil
}
