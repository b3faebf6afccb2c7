package catalogue

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// changeHeader is the beginning of a record of the feed, which holds the events of one command. Its key is the revision of
// the last of them.
type changeHeader struct {
	index uint64
	time  int64
	// total is the size of all records before this one, those that are gone included.
	total  uint64
	issuer string
	count  uint64
}

const changeFormat = 1

func (h *changeHeader) append(b []byte) []byte {
	b = binary.AppendUvarint(append(b, changeFormat), h.index)
	b = binary.AppendVarint(b, h.time)
	b = binary.AppendUvarint(b, h.total)
	b = appendString(b, h.issuer)
	return binary.AppendUvarint(b, h.count)
}

func (r *recordReader) changeHeader() changeHeader {
	return changeHeader{index: r.uvarint(), time: r.varint(), total: r.uvarint(), issuer: r.string(), count: r.uvarint()}
}

// changeRecord is a record that is being read.
type changeRecord struct {
	changeHeader
	last  uint64 // revision of the last event
	r     *recordReader
	names changeNames
}

// openChange reads the header of a record; its events follow by next. The record's bytes must stay valid.
func openChange(key, value []byte) (*changeRecord, error) {
	last, rest, err := parseNumber(key[1:])
	if err != nil || len(rest) != 0 {
		return nil, fmt.Errorf("record of changes: %w", ErrKey)
	}
	c := &changeRecord{last: last, r: newRecordReader(value, changeFormat)}
	c.changeHeader = c.r.changeHeader()
	if c.r.err == nil && (c.count == 0 || c.count > last || c.count > uint64(len(value))) {
		c.r.fail()
	}
	c.names.reset()
	return c, c.failure()
}

// changeSize is what the record adds to the feed's total.
func changeSize(key, value []byte) uint64 { return uint64(len(key) + len(value)) }

func (c *changeRecord) failure() error {
	if c.r.err != nil {
		return fmt.Errorf("changes up to revision %d: %w", c.last, c.r.err)
	}
	return nil
}

// first returns the revision of the first event.
func (c *changeRecord) first() uint64 { return c.last - c.count + 1 }

// each hands every event to visit, by its revision, until visit returns false. The event is filled anew for each.
func (c *changeRecord) each(visit func(revision uint64, e *Change) (bool, error)) error {
	var e Change
	for revision := c.first(); revision <= c.last; revision++ {
		e = c.event()
		if err := c.failure(); err != nil {
			return err
		}
		if more, err := visit(revision, &e); err != nil || !more {
			return err
		}
	}
	if err := c.r.done(); err != nil {
		return c.failure()
	}
	return nil
}

// event reads the next event.
func (c *changeRecord) event() Change {
	r, n := c.r, &c.names
	e := Change{Kind: ChangeKind(r.byte())}
	flags := r.uvarint()
	has := func(flag uint64) bool { return flags&flag != 0 }
	text := func(flag uint64) string {
		if has(flag) {
			return r.string()
		}
		return ""
	}
	if has(changeScope) {
		n.ref.scope = r.uint32()
	}
	if has(changeRef) {
		n.ref.name = r.shared(n.ref.name)
	}
	if has(changeSame | changeRef) {
		e.ref = n.ref
	}
	if has(changeRSE) {
		c.readRSE()
	}
	if has(changeSameRSE|changeRSE) && n.rse >= 0 {
		e.RSE = n.rses[n.rse]
	}
	e.Old, e.New = text(changeOld), text(changeNew)
	if has(changeType) {
		e.DID = DIDType(r.byte())
	}
	if has(changeBytes) {
		e.Bytes = r.uvarint()
	}
	e.Adler32 = r.checksum(has(changeAdler32), has(changeAdler32Text), 4)
	e.MD5 = r.checksum(has(changeMD5), has(changeMD5Text), 16)
	e.Monotonic = has(changeMonotonic)
	if has(changeChild) {
		n.child = didRef{r.uint32(), r.shared(n.child.name)}
		e.child = n.child
	}
	e.Type, e.Key, e.Value = text(changeWhat), text(changeKeyed), text(changeValue)
	if has(changePath) {
		n.path = r.shared(n.path)
		e.Path = n.path
	}
	if has(changeTombstone) {
		e.Tombstone = r.varint()
	}
	if has(changeOwner) {
		e.owner = r.uint32()
	}
	if e.Kind.String() == "" || flags >= changeOwner<<1 {
		r.fail()
	}
	return e
}

// readRSE reads the place of an RSE and, for the first time, its name.
func (c *changeRecord) readRSE() {
	n := &c.names
	place := c.r.uvarint()
	switch {
	case place == uint64(len(n.rses)):
		n.rses = append(n.rses, c.r.string())
	case place > uint64(len(n.rses)):
		c.r.fail()
		return
	}
	n.rse = int(place)
}

// shared reads a text that was written by appendShared.
func (r *recordReader) shared(before string) string {
	n := r.uvarint()
	if n > uint64(len(before)) {
		r.fail()
		return ""
	}
	rest := r.take(r.uvarint())
	var b strings.Builder
	b.Grow(int(n) + len(rest))
	b.WriteString(before[:n])
	b.Write(rest)
	return b.String()
}

// again writes what the record holds once more; a canonical record comes out the same.
func (c *changeRecord) again() ([]byte, error) {
	var names changeNames
	names.reset()
	b := c.append(nil)
	err := c.each(func(_ uint64, e *Change) (bool, error) {
		b = names.append(b, e)
		return true, nil
	})
	return b, err
}
