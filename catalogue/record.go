package catalogue

import (
	"encoding/binary"
	"encoding/hex"

	"dapple/command"
)

// DIDType tells files, datasets and containers apart. The numbers are stored.
type DIDType byte

// The types of DIDs. An archive is a file with constituents.
const (
	TypeFile      DIDType = 1
	TypeDataset   DIDType = 2
	TypeContainer DIDType = 3
)

// ReplicaState is the state of one copy of a file. The letters are stored.
type ReplicaState = command.ReplicaState

// The states of a replica, by their names in package command.
const (
	StateAvailable              = command.StateAvailable
	StateUnavailable            = command.StateUnavailable
	StateCopying                = command.StateCopying
	StateBeingDeleted           = command.StateBeingDeleted
	StateBad                    = command.StateBad
	StateTemporarilyUnavailable = command.StateTemporarilyUnavailable
)

// DID is the record of a data identifier; scope and name are its key. A file's record holds all its replicas.
type DID struct {
	Type DIDType
	// Revision of the command that last changed the record.
	Revision uint64
	// Account is the number of the account that made it.
	Account uint32
	// Created and Updated are log times in microseconds.
	Created, Updated int64

	// Bytes, Adler32 and MD5 are a file's. The checksums are as the client gave them, "" where it gave none.
	Bytes        uint64
	Adler32, MD5 string
	// Archive is set on a file that has constituents, Constituent on one that is in an archive.
	Archive, Constituent bool
	// Replicas are a file's, in ascending order of RSE.
	Replicas []Replica

	// Open and Monotonic are a collection's.
	Open, Monotonic bool
	// Length and Size are a collection's: the number of its direct children and the sum of the bytes of those that are files.
	Length, Size uint64
	// ClosedAt is when a collection was last closed, 0 for never; ClosedLength and ClosedSize what it had then.
	ClosedAt                 int64
	ClosedLength, ClosedSize uint64

	// HasMetadata is set where a metadata record exists beside this one.
	HasMetadata bool

	// home is one of the collections that the DID is attached to, as a key ends with it; empty where the table of parents has all.
	home []byte
	// hidden is set on a collection that is being removed or brought back: nobody is told of it, and it is in no collection.
	hidden bool
}

// Replica is one copy of a file.
type Replica struct {
	// RSE is the number of the storage element.
	RSE   uint32
	State ReplicaState
	// Revision of the command that last changed the replica: the version that conditional writes compare.
	Revision uint64
	// Created, Updated are log times in microseconds.
	Created, Updated int64
	// Tombstone is the time from which the replica may be deleted, 0 for none.
	Tombstone int64
	// Locks counts the rules that hold the replica.
	Locks uint32
	// Path is kept at non-deterministic RSEs only, without the protocol's prefix.
	Path string
}

const didFormat = 1

// Flags of a DID record.
const (
	didAdler32 = 1 << iota // four bytes, lower-case hexadecimal
	didAdler32Text
	didMD5 // sixteen bytes, lower-case hexadecimal
	didMD5Text
	didArchive
	didConstituent
	didOpen
	didMonotonic
	didMetadata
	didHome // the last thing in the record
	didHidden
)

// Flags of a replica in a DID record.
const (
	replicaTombstone = 1 << iota
	replicaLocks
	replicaPath
	replicaUpdated
)

// AppendDID appends the encoding of d. Replicas must be in ascending order of RSE.
func AppendDID(b []byte, d *DID) []byte {
	var flags uint64
	var adler, md5 [16]byte
	hasAdler, hasMD5 := parseHex(adler[:4], d.Adler32), parseHex(md5[:], d.MD5)
	set := func(on bool, flag uint64) {
		if on {
			flags |= flag
		}
	}
	set(hasAdler, didAdler32)
	set(!hasAdler && d.Adler32 != "", didAdler32Text)
	set(hasMD5, didMD5)
	set(!hasMD5 && d.MD5 != "", didMD5Text)
	set(d.Archive, didArchive)
	set(d.Constituent, didConstituent)
	set(d.Open, didOpen)
	set(d.Monotonic, didMonotonic)
	set(d.HasMetadata, didMetadata)
	set(len(d.home) > 0, didHome)
	set(d.hidden, didHidden)

	b = append(b, didFormat, byte(d.Type))
	b = binary.AppendUvarint(b, flags)
	b = binary.AppendUvarint(b, d.Revision)
	b = binary.AppendUvarint(b, uint64(d.Account))
	b = binary.AppendVarint(b, d.Created)
	b = binary.AppendVarint(b, d.Updated-d.Created)
	if d.Type != TypeFile {
		b = binary.AppendUvarint(b, d.Length)
		b = binary.AppendUvarint(b, d.Size)
		b = binary.AppendVarint(b, d.ClosedAt)
		if d.ClosedAt != 0 {
			b = binary.AppendUvarint(b, d.ClosedLength)
			b = binary.AppendUvarint(b, d.ClosedSize)
		}
		return appendHome(b, d)
	}
	b = binary.AppendUvarint(b, d.Bytes)
	b = appendSum(b, adler[:4], hasAdler, d.Adler32)
	b = appendSum(b, md5[:], hasMD5, d.MD5)
	b = binary.AppendUvarint(b, uint64(len(d.Replicas)))
	var last uint32
	for i := range d.Replicas {
		b = appendReplica(b, d, &d.Replicas[i], last)
		last = d.Replicas[i].RSE
	}
	return appendHome(b, d)
}

func appendHome(b []byte, d *DID) []byte {
	if len(d.home) == 0 {
		return b
	}
	return append(binary.AppendUvarint(b, uint64(len(d.home))), d.home...)
}

func appendReplica(b []byte, d *DID, r *Replica, last uint32) []byte {
	var flags byte
	if r.Tombstone != 0 {
		flags |= replicaTombstone
	}
	if r.Locks != 0 {
		flags |= replicaLocks
	}
	if r.Path != "" {
		flags |= replicaPath
	}
	if r.Updated != r.Created {
		flags |= replicaUpdated
	}
	b = binary.AppendUvarint(b, uint64(r.RSE-last))
	b = append(b, byte(r.State), flags)
	b = binary.AppendVarint(b, int64(d.Revision-r.Revision))
	b = binary.AppendVarint(b, r.Created-d.Created)
	if flags&replicaUpdated != 0 {
		b = binary.AppendVarint(b, r.Updated-r.Created)
	}
	if flags&replicaTombstone != 0 {
		b = binary.AppendVarint(b, r.Tombstone)
	}
	if flags&replicaLocks != 0 {
		b = binary.AppendUvarint(b, uint64(r.Locks))
	}
	if flags&replicaPath != 0 {
		b = appendString(b, r.Path)
	}
	return b
}

// ParseDID decodes a record. Nothing of the result aliases b.
func ParseDID(b []byte) (*DID, error) {
	d := &DID{}
	return d, ParseDIDInto(d, b)
}

// ParseDIDInto decodes a record into d, whose slices are reused: a list of many files allocates little.
func ParseDIDInto(d *DID, b []byte) error {
	r := newRecordReader(b, didFormat)
	replicas, home := d.Replicas[:0], d.home[:0]
	*d = DID{Type: DIDType(r.byte())}
	flags := r.uvarint()
	d.Revision = r.uvarint()
	d.Account = r.uint32()
	d.Created = r.varint()
	d.Updated = d.Created + r.varint()
	d.Archive, d.Constituent = flags&didArchive != 0, flags&didConstituent != 0
	d.Open, d.Monotonic = flags&didOpen != 0, flags&didMonotonic != 0
	d.HasMetadata, d.hidden = flags&didMetadata != 0, flags&didHidden != 0
	switch d.Type {
	case TypeFile:
		d.Bytes = r.uvarint()
		d.Adler32 = r.checksum(flags&didAdler32 != 0, flags&didAdler32Text != 0, 4)
		d.MD5 = r.checksum(flags&didMD5 != 0, flags&didMD5Text != 0, 16)
		var last uint32
		for range r.count(5) {
			replica := r.replica(d, last)
			last = replica.RSE
			replicas = append(replicas, replica)
		}
		d.Replicas = replicas
	case TypeDataset, TypeContainer:
		d.Length, d.Size, d.ClosedAt = r.uvarint(), r.uvarint(), r.varint()
		if d.ClosedAt != 0 {
			d.ClosedLength, d.ClosedSize = r.uvarint(), r.uvarint()
		}
	default:
		r.fail()
	}
	if flags&didHome != 0 {
		d.home = append(home, r.take(r.uvarint())...)
	}
	return r.done()
}

func (r *recordReader) checksum(canonical, text bool, size uint64) string {
	switch {
	case canonical:
		var digits [32]byte
		return string(digits[:hex.Encode(digits[:], r.take(size))])
	case text:
		return r.string()
	default:
		return ""
	}
}

func (r *recordReader) replica(d *DID, last uint32) Replica {
	v := Replica{RSE: last + r.uint32(), State: ReplicaState(r.byte())}
	flags := r.byte()
	v.Revision = d.Revision - uint64(r.varint())
	v.Created = d.Created + r.varint()
	v.Updated = v.Created
	if flags&replicaUpdated != 0 {
		v.Updated += r.varint()
	}
	if flags&replicaTombstone != 0 {
		v.Tombstone = r.varint()
	}
	if flags&replicaLocks != 0 {
		v.Locks = r.uint32()
	}
	if flags&replicaPath != 0 {
		v.Path = r.string()
	}
	return v
}

// Replica returns the index of the replica at an RSE and whether there is one; where there is none, the index at which
// it belongs. Replicas are few: a scan beats a binary search.
func (d *DID) Replica(rse uint32) (int, bool) {
	for i := range d.Replicas {
		if d.Replicas[i].RSE >= rse {
			return i, d.Replicas[i].RSE == rse
		}
	}
	return len(d.Replicas), false
}
