package catalogue

import (
	"encoding/binary"
	"fmt"
)

// endingPhase is where a collection stands whose lifetime has ended. The numbers are stored.
type endingPhase byte

const (
	// phaseRemoving: its attachments are being moved to the tables of what has ended. Its record stays where it was until that is done,
	// hidden as soon as it is in no collection any more.
	phaseRemoving endingPhase = 1
	// phaseEnded: nothing of it is left but what bringing it back needs.
	phaseEnded endingPhase = 2
	// phaseReturning: its attachments are being brought back, first what is in it, then, when it is hidden no more, what it was in.
	phaseReturning endingPhase = 3
)

// ending is the record of a collection whose lifetime has ended.
type ending struct {
	phase endingPhase
	// Of phaseEnded alone: the log time in microseconds when it was gone, the DID without attachments, and its metadata without the lifetime.
	at   int64
	did  *DID
	meta []MetadataEntry
}

const endingFormat = 1

func appendEnding(b []byte, e *ending) []byte {
	b = append(b, endingFormat, byte(e.phase))
	if e.phase != phaseEnded {
		return b
	}
	b = binary.AppendVarint(b, e.at)
	b = appendString(b, string(AppendDID(nil, e.did)))
	return appendString(b, string(appendMetadata(nil, e.meta)))
}

func parseEnding(b []byte) (*ending, error) {
	r := newRecordReader(b, endingFormat)
	e := &ending{phase: endingPhase(r.byte())}
	switch e.phase {
	case phaseRemoving, phaseReturning:
		return e, r.done()
	case phaseEnded:
	default:
		r.fail()
		return e, r.done()
	}
	e.at = r.varint()
	did, meta := r.take(r.uvarint()), r.take(r.uvarint())
	if err := r.done(); err != nil {
		return nil, err
	}
	var err error
	if e.did, err = ParseDID(did); err != nil {
		return nil, err
	}
	e.meta, err = parseMetadata(meta)
	return e, err
}

// loadEnding returns what is kept of a collection whose lifetime has ended, and false where nothing is.
func loadEnding(v View, ref didRef) (*ending, bool, error) {
	b, found, err := v.Get(endedKey(ref))
	if err != nil || !found {
		return nil, false, err
	}
	e, err := parseEnding(b)
	if err != nil {
		return nil, false, fmt.Errorf("ended %d:%s: %w", ref.scope, ref.name, err)
	}
	return e, true, nil
}

// putPhase writes that a collection is being removed or brought back.
func putPhase(tx Tx, ref didRef, phase endingPhase) {
	tx.Put(endedKey(ref), appendEnding(nil, &ending{phase: phase}))
	tx.Put(endingKey(ref), nil)
}

// keptRow is an attachment of a collection that has ended, as it was. other is its other end.
type keptRow struct {
	other didRef
	a     attachment
}

// keptRows returns the first rows of a table of what has ended, under the prefix of one collection.
func keptRows(v View, prefix []byte, limit int) (rows []keptRow, err error) {
	if limit <= 0 {
		return nil, nil
	}
	err = v.Scan(prefix, prefixEnd(prefix), func(key, value []byte) (bool, error) {
		other, err := parseRef(key[len(prefix):])
		if err != nil {
			return false, err
		}
		a, err := parseAttachment(value)
		if err != nil {
			return false, fmt.Errorf("kept attachment of %d:%s: %w", other.scope, other.name, err)
		}
		rows = append(rows, keptRow{other, a})
		return len(rows) < limit, nil
	})
	return rows, err
}

// comesBack reports whether a collection of a type is kept, so that an attachment to it can wait for it.
func comesBack(v View, ref didRef, t DIDType) (bool, error) {
	e, found, err := loadEnding(v, ref)
	if err != nil || !found {
		return false, err
	}
	if e.phase == phaseEnded {
		return e.did.Type == t, nil
	}
	d, err := mustLoadDID(v, ref)
	return err == nil && d.hidden && d.Type == t, err
}
