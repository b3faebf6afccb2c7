package catalogue

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Every key of the store is built and parsed in this file. A key is a table byte and an ordered tuple: numbers as four or
// eight bytes big-endian, text as it is, closed by a zero byte where something follows (no name holds one). The table bytes
// are stored for ever.
const (
	// tableLocal holds what belongs to one node (applied index, membership). Package fsm alone uses it; digests leave it out.
	tableLocal byte = 0x01
	// tableSystem holds what the whole cluster shares: schema version, cluster id, revision, log time, next ids.
	tableSystem byte = 0x02
	// tableSession holds the sessions of the nodes, by node name.
	tableSession byte = 0x03
	// tableOnce holds the answers to requests with a key: account 0 key -> answer record; tableOnceExpiry when they may be forgotten:
	// time(8) account 0 key -> nothing.
	tableOnce       byte = 0x04
	tableOnceExpiry byte = 0x05

	tableAccount         byte = 0x10 // account -> account record
	tableAccountID       byte = 0x11 // id(4) -> account
	tableAccountAttr     byte = 0x12 // account 0 key -> value
	tableIdentity        byte = 0x13 // type(1) identity -> identity record
	tableIdentityAccount byte = 0x14 // type(1) identity 0 account -> grant record
	tableAccountIdentity byte = 0x15 // account 0 type(1) identity -> nothing
	tableScope           byte = 0x16 // scope -> scope record
	tableScopeID         byte = 0x17 // id(4) -> scope
	tableAccountScope    byte = 0x18 // account 0 scope -> nothing
	tableSigningKey      byte = 0x19 // key id -> signing key record
	tableRevokedToken    byte = 0x1a // token id -> expiry
	tableRevokedAccount  byte = 0x1b // account -> tokens issued before this time are void

	tableRSE         byte = 0x20 // id(4) -> RSE record with attributes and protocols
	tableRSEName     byte = 0x21 // name -> id(4)
	tableRSEUUID     byte = 0x22 // uuid(16) -> id(4)
	tableRSECounter  byte = 0x23 // id(4) -> counters of files and bytes by state
	tableRSEDistance byte = 0x24 // source id(4) destination id(4) -> distance record
	tableRSEUsage    byte = 0x25 // id(4) source 0 revision(8) -> usage record; the last of a source is the current one
	tableRSELimit    byte = 0x26 // id(4) name -> value

	tableDID         byte = 0x30 // scope id(4) name -> DID record, a file's with all its replicas
	tableMetadata    byte = 0x31 // scope id(4) name -> metadata record
	tableAttachment  byte = 0x32 // parent: scope id(4) name 0, child: scope id(4) name -> attachment record
	tableParent      byte = 0x33 // child: scope id(4) name 0, parent: scope id(4) name -> nothing; not the home (homeSchema)
	tableConstituent byte = 0x34 // archive: scope id(4) name 0, constituent: scope id(4) name -> constituent record
	tableArchive     byte = 0x35 // constituent: scope id(4) name 0, archive: scope id(4) name -> nothing

	tableEnd         byte = 0x36 // time(8) scope id(4) name -> nothing; when a DID ends, from feature level 1 on
	tableEnded       byte = 0x37 // scope id(4) name -> ending record of a collection that has ended
	tableEndedChild  byte = 0x38 // ended: scope id(4) name 0, child: scope id(4) name -> attachment record, as it was
	tableEndedParent byte = 0x39 // ended: scope id(4) name 0, parent: scope id(4) name -> attachment record, as it was
	tableEndedAt     byte = 0x3a // time(8) scope id(4) name -> nothing; when a collection had ended
	tableEnding      byte = 0x3b // scope id(4) name -> nothing; collections that are being removed or brought back

	tableJoinToken byte = 0x3c // digest(32) -> join token record, from feature level 2 on
	tableFileStep  byte = 0x3e // scope id(4) name -> file step record of a file that is being removed or ended

	tableRSEFile    byte = 0x40 // rse id(4) scope id(4) name -> nothing, in schema versions 1 and 2
	tableRSEPath    byte = 0x41 // rse id(4) path -> scope id(4) name, at non-deterministic RSEs
	tableBadReplica byte = 0x42 // rse id(4) scope id(4) name 0 revision(8) -> bad record
	tableBadState   byte = 0x43 // state(1) rse id(4) scope id(4) name 0 revision(8) -> nothing
	tableBadPFN     byte = 0x44 // state(1) PFN -> bad PFN record
	tableQuarantine byte = 0x45 // rse id(4) path -> quarantine record
	tableExpiry     byte = 0x46 // time(8) rse id(4) scope id(4) name -> nothing

	tableChange byte = 0x50 // revision(8) of a command's last event -> record of its events
)

// ErrKey is returned where a stored key does not parse: the store is damaged or was written by another program.
var ErrKey = errors.New("malformed key")

// didRef names a DID by its scope's number; the keys of most tables are made of it.
type didRef struct {
	scope uint32
	name  string
}

func appendID(b []byte, id uint32) []byte     { return binary.BigEndian.AppendUint32(b, id) }
func appendNumber(b []byte, n uint64) []byte  { return binary.BigEndian.AppendUint64(b, n) }
func appendRef(b []byte, ref didRef) []byte   { return append(appendID(b, ref.scope), ref.name...) }
func appendRef0(b []byte, ref didRef) []byte  { return append(appendRef(b, ref), 0) }
func textKey(table byte, text string) []byte  { return append(tableKey(table, len(text)), text...) }
func textKey0(table byte, text string) []byte { return append(textKey(table, text), 0) }
func idKey(table byte, id uint32) []byte      { return appendID(tableKey(table, 4), id) }

// tableKey begins a key of a table with room for more bytes.
func tableKey(table byte, more int) []byte {
	return append(make([]byte, 0, 1+more), table)
}

// prefixEnd returns the first key after all keys that start with prefix.
func prefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

// parseID reads four bytes of a number and returns the rest.
func parseID(b []byte) (uint32, []byte, error) {
	if len(b) < 4 {
		return 0, nil, ErrKey
	}
	return binary.BigEndian.Uint32(b), b[4:], nil
}

// parseNumber reads eight bytes of a number and returns the rest.
func parseNumber(b []byte) (uint64, []byte, error) {
	if len(b) < 8 {
		return 0, nil, ErrKey
	}
	return binary.BigEndian.Uint64(b), b[8:], nil
}

// parseText0 reads a text that is closed by a zero byte and returns the rest.
func parseText0(b []byte) (string, []byte, error) {
	text, rest, found := bytes.Cut(b, []byte{0})
	if !found {
		return "", nil, ErrKey
	}
	return string(text), rest, nil
}

// parseRef reads a reference that ends the key.
func parseRef(b []byte) (didRef, error) {
	scope, rest, err := parseID(b)
	return didRef{scope, string(rest)}, err
}

// parseRef0 reads a reference that is closed by a zero byte and returns the rest.
func parseRef0(b []byte) (didRef, []byte, error) {
	scope, rest, err := parseID(b)
	if err != nil {
		return didRef{}, nil, err
	}
	name, rest, err := parseText0(rest)
	return didRef{scope, name}, rest, err
}

func didKey(ref didRef) []byte              { return appendRef(tableKey(tableDID, 4+len(ref.name)), ref) }
func metadataKey(ref didRef) []byte         { return appendRef([]byte{tableMetadata}, ref) }
func childrenPrefix(parent didRef) []byte   { return appendRef0([]byte{tableAttachment}, parent) }
func parentsPrefix(child didRef) []byte     { return appendRef0([]byte{tableParent}, child) }
func constituentsPrefix(a didRef) []byte    { return appendRef0([]byte{tableConstituent}, a) }
func archivesPrefix(c didRef) []byte        { return appendRef0([]byte{tableArchive}, c) }
func attachmentKey(parent, c didRef) []byte { return appendRef(childrenPrefix(parent), c) }
func parentKey(child, parent didRef) []byte { return appendRef(parentsPrefix(child), parent) }

// endKey orders DIDs by when they end, in microseconds.
func endKey(at int64, ref didRef) []byte { return appendRef(timeKey(tableEnd, at), ref) }

func endedKey(ref didRef) []byte              { return appendRef([]byte{tableEnded}, ref) }
func endedAtKey(at int64, ref didRef) []byte  { return appendRef(timeKey(tableEndedAt, at), ref) }
func endingKey(ref didRef) []byte             { return appendRef([]byte{tableEnding}, ref) }
func endedChildrenPrefix(ended didRef) []byte { return appendRef0([]byte{tableEndedChild}, ended) }

func endedParentsPrefix(ended didRef) []byte { return appendRef0([]byte{tableEndedParent}, ended) }

func endedChildKey(ended, child didRef) []byte { return appendRef(endedChildrenPrefix(ended), child) }

func endedParentKey(ended, parent didRef) []byte { return appendRef(endedParentsPrefix(ended), parent) }

// timeKey begins a key that is ordered by a time in microseconds.
func timeKey(table byte, at int64) []byte { return appendNumber([]byte{table}, uint64(max(at, 0))) }

func rseFileKey(rse uint32, ref didRef) []byte { return appendRef(idKey(tableRSEFile, rse), ref) }
func rsePathKey(rse uint32, path string) []byte {
	return append(idKey(tableRSEPath, rse), path...)
}

func badReplicaPrefix(rse uint32, ref didRef) []byte {
	return appendRef0(idKey(tableBadReplica, rse), ref)
}

func badReplicaKey(rse uint32, ref didRef, revision uint64) []byte {
	return appendNumber(badReplicaPrefix(rse, ref), revision)
}

func badStatePrefix(state byte, rse uint32) []byte {
	return appendID([]byte{tableBadState, state}, rse)
}

func badStateKey(state byte, rse uint32, ref didRef, revision uint64) []byte {
	return appendNumber(appendRef0(badStatePrefix(state, rse), ref), revision)
}

// LocalKey returns the key of something that belongs to one node and that digests leave out.
func LocalKey(name string) []byte { return textKey(tableLocal, name) }

// SystemKey returns the key of something that the whole cluster shares.
func SystemKey(name string) []byte { return textKey(tableSystem, name) }

// SessionKey returns the key of a node's session; the node's name holds no zero byte.
func SessionKey(node string) []byte { return textKey(tableSession, node) }

// SessionRange returns the bounds of the keys of all sessions, for Scan.
func SessionRange() (low, high []byte) { return []byte{tableSession}, prefixEnd([]byte{tableSession}) }

// SharedRange returns the bounds of every key that is the same on all nodes, for Scan; only local keys lie outside.
func SharedRange() (low, high []byte) { return prefixEnd([]byte{tableLocal}), nil }

// IsLocal reports whether a key belongs to one node.
func IsLocal(key []byte) bool { return len(key) > 0 && key[0] == tableLocal }

// IsSettled reports whether a key is of a record that is small, read all the time and seldom changed: accounts, identities,
// scopes, tokens, RSEs and what belongs to them, but for what changes with every write, the schema version and
// the settings of the cluster.
func IsSettled(key []byte) bool {
	if len(key) == 0 {
		return false
	}
	switch key[0] {
	case tableRSECounter, tableRSEUsage:
		return false
	case tableSystem:
		return string(key[1:]) == systemSchema || bytes.HasPrefix(key[1:], []byte(systemSetting))
	default:
		return key[0] >= tableAccount && key[0] <= tableRSELimit
	}
}

// IsDID reports whether a key is of the record of a DID.
func IsDID(key []byte) bool { return len(key) > 0 && key[0] == tableDID }

// IsCounter reports whether a key is of the counters of an RSE.
func IsCounter(key []byte) bool { return len(key) > 0 && key[0] == tableRSECounter }

// expiryKey orders what ends by itself by when it does, in microseconds.
func expiryKey(at int64, rse uint32, ref didRef) []byte {
	return appendRef(appendID(appendNumber([]byte{tableExpiry}, uint64(max(at, 0))), rse), ref)
}

func badPFNKey(state byte, pfn string) []byte { return append([]byte{tableBadPFN, state}, pfn...) }

func onceKey(account string, key []byte) []byte { return append(textKey0(tableOnce, account), key...) }

// onceExpiryKey orders answers by when they may be forgotten, in microseconds.
func onceExpiryKey(at int64, answer []byte) []byte {
	return append(onceExpiryFrom(at), answer[1:]...)
}

func onceExpiryFrom(at int64) []byte {
	return appendNumber([]byte{tableOnceExpiry}, uint64(max(at, 0)))
}

func changeKey(revision uint64) []byte { return appendNumber([]byte{tableChange}, revision) }

func quarantineKey(rse uint32, path string) []byte {
	return append(idKey(tableQuarantine, rse), path...)
}
