package catalogue

import (
	"encoding/binary"
	"encoding/hex"
)

// changeSchema is the schema version from which on there is a change feed, and each event has a revision of its own.
const changeSchema = 2

// ChangeLog gathers the events of the running command, encoded as they come, and makes the record of the feed out of them.
// The zero value is ready. An implementation of Tx has one.
type ChangeLog struct {
	kept   bool // the schema has been found to have a feed
	err    error
	count  uint64
	events []byte
	names  changeNames
	record []byte
}

// changeNames is what events are written relative to: what came before in the same record.
type changeNames struct {
	ref, child didRef
	path       string
	rses       []string
	rse        int // place in rses, -1 for none yet
}

func (n *changeNames) reset() { *n = changeNames{rses: n.rses[:0], rse: -1} }

// Begin forgets what a command has noted.
func (l *ChangeLog) Begin() {
	l.count, l.err, l.events = 0, nil, l.events[:0]
	l.names.reset()
}

// Count returns how many events the command has noted.
func (l *ChangeLog) Count() uint64 { return l.count }

// Note adds an event of the command with that stamp and returns its revision. Below the schema version that has a feed it
// keeps nothing, and every event has the command's revision.
func (l *ChangeLog) Note(v View, at Stamp, c *Change) (revision uint64) {
	if !l.kept && !l.find(v) {
		return at.Revision
	}
	l.events = l.names.append(l.events, c)
	l.count++
	return at.Revision + l.count - 1
}

// find looks whether the catalogue keeps a feed. An error waits for Record, for a write cannot fail.
func (l *ChangeLog) find(v View) bool {
	schema, err := Schema(v)
	if err != nil {
		l.err = err
	}
	l.kept = err == nil && schema >= changeSchema
	return l.kept
}

// Record returns key and value of the record of the command's events, which are valid until Begin, and nil where it has noted
// none. index is that of the log entry, total the size of all records before it.
func (l *ChangeLog) Record(at Stamp, index, total uint64) (key, value []byte, err error) {
	if l.err != nil || l.count == 0 {
		return nil, nil, l.err
	}
	h := changeHeader{index: index, time: at.Time, total: total, issuer: at.Issuer, count: l.count}
	l.record = h.append(l.record[:0])
	l.record = append(l.record, l.events...)
	return changeKey(at.Revision + l.count - 1), l.record, nil
}

// Flags of an event: what follows in its encoding, in this order. The first seven fit one byte.
const (
	changeSame    = 1 << iota // it is about the same DID as the event before
	changeRef                 // bytes shared with the name before, the rest of the name
	changeScope               // number of the scope, where that is another
	changeSameRSE             // the RSE is that of the event before
	changeRSE                 // place among the RSEs of the record; the first that is free brings a name
	changeOld
	changeNew
	changeType
	changeBytes
	changeAdler32
	changeAdler32Text
	changeMD5
	changeMD5Text
	changeMonotonic
	changeChild // number of the scope, bytes shared with the child before, the rest of the name
	changeWhat
	changeKeyed
	changeValue
	changePath // bytes shared with the path before, the rest
	changeTombstone
	changeOwner
)

// append appends an event.
func (n *changeNames) append(b []byte, c *Change) []byte {
	var adler, md5 [16]byte
	flags := n.flags(c)
	hasAdler, hasMD5 := parseHex(adler[:4], c.Adler32), parseHex(md5[:], c.MD5)
	flags |= checksumFlag(c.Adler32, hasAdler, changeAdler32, changeAdler32Text)
	flags |= checksumFlag(c.MD5, hasMD5, changeMD5, changeMD5Text)
	b = binary.AppendUvarint(append(b, byte(c.Kind)), flags)
	if flags&changeScope != 0 {
		b = binary.AppendUvarint(b, uint64(c.ref.scope))
	}
	if flags&changeRef != 0 {
		b = appendShared(b, n.ref.name, c.ref.name)
		n.ref = c.ref
	}
	if flags&changeRSE != 0 {
		b = n.appendRSE(b, c.RSE)
	}
	b = appendGiven(b, c.Old, c.New)
	if flags&changeType != 0 {
		b = append(b, byte(c.DID))
	}
	if flags&changeBytes != 0 {
		b = binary.AppendUvarint(b, c.Bytes)
	}
	b = appendSum(b, adler[:4], hasAdler, c.Adler32)
	b = appendSum(b, md5[:], hasMD5, c.MD5)
	if flags&changeChild != 0 {
		b = binary.AppendUvarint(b, uint64(c.child.scope))
		b = appendShared(b, n.child.name, c.child.name)
		n.child = c.child
	}
	b = appendGiven(b, c.Type, c.Key, c.Value)
	if flags&changePath != 0 {
		b = appendShared(b, n.path, c.Path)
		n.path = c.Path
	}
	if flags&changeTombstone != 0 {
		b = binary.AppendVarint(b, c.Tombstone)
	}
	if flags&changeOwner != 0 {
		b = binary.AppendUvarint(b, uint64(c.owner))
	}
	return b
}

// flags returns the flags of an event but those of the checksums.
func (n *changeNames) flags(c *Change) (flags uint64) {
	switch {
	case c.ref == didRef{}:
	case c.ref == n.ref:
		flags = changeSame
	case c.ref.scope == n.ref.scope:
		flags = changeRef
	default:
		flags = changeRef | changeScope
	}
	switch {
	case c.RSE == "":
	case n.rse >= 0 && n.rses[n.rse] == c.RSE:
		flags |= changeSameRSE
	default:
		flags |= changeRSE
	}
	for _, f := range [...]struct {
		given bool
		flag  uint64
	}{
		{c.Old != "", changeOld},
		{c.New != "", changeNew},
		{c.DID != 0, changeType},
		{c.Bytes != 0, changeBytes},
		{c.Monotonic, changeMonotonic},
		{c.child != didRef{}, changeChild},
		{c.Type != "", changeWhat},
		{c.Key != "", changeKeyed},
		{c.Value != "", changeValue},
		{c.Path != "", changePath},
		{c.Tombstone != 0, changeTombstone},
		{c.owner != 0, changeOwner},
	} {
		if f.given {
			flags |= f.flag
		}
	}
	return flags
}

func checksumFlag(text string, canonical bool, asBytes, asText uint64) uint64 {
	switch {
	case canonical:
		return asBytes
	case text != "":
		return asText
	default:
		return 0
	}
}

// appendSum appends a checksum as bytes where it is canonical, otherwise as the text that it is, and nothing for none.
func appendSum(b, sum []byte, canonical bool, text string) []byte {
	if canonical {
		return append(b, sum...)
	}
	return appendGiven(b, text)
}

// appendGiven appends the texts that are not empty.
func appendGiven(b []byte, texts ...string) []byte {
	for _, text := range texts {
		if text != "" {
			b = appendString(b, text)
		}
	}
	return b
}

// appendRSE appends the place of an RSE, with its name where the record has it for the first time.
func (n *changeNames) appendRSE(b []byte, name string) []byte {
	for i, known := range n.rses {
		if known == name {
			n.rse = i
			return binary.AppendUvarint(b, uint64(i))
		}
	}
	n.rse = len(n.rses)
	n.rses = append(n.rses, name)
	return appendString(binary.AppendUvarint(b, uint64(n.rse)), name)
}

// appendShared appends a text as what it shares with another one and the rest.
func appendShared(b []byte, before, text string) []byte {
	shared := 0
	for shared < len(before) && shared < len(text) && before[shared] == text[shared] {
		shared++
	}
	b = binary.AppendUvarint(b, uint64(shared))
	return appendString(b, text[shared:])
}

// parseHex fills sum from lower-case hexadecimal digits; it returns false for any other text.
func parseHex(sum []byte, text string) bool {
	if len(text) != 2*len(sum) {
		return false
	}
	for i := range len(text) {
		if text[i] >= 'A' && text[i] <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(sum, []byte(text))
	return err == nil
}
