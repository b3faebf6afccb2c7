package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// TestInvariantsAreNoticed damages a sound catalogue in one place at a time.
func TestInvariantsAreNoticed(t *testing.T) {
	ref := func(name string) didRef { return didRef{2, name} }
	edit := func(name string, change func(*DID)) func(*MemTx) {
		return func(tx *MemTx) {
			d, _, err := loadDID(tx, ref(name))
			if err != nil || d == nil {
				panic(name)
			}
			change(d)
			putDID(tx, ref(name), d)
		}
	}
	for name, damage := range map[string]func(tx *MemTx){
		"length":                 edit("ds", func(d *DID) { d.Length++ }),
		"size":                   edit("ds", func(d *DID) { d.Size-- }),
		"closed at no time":      edit("ds", func(d *DID) { d.Open = false }),
		"account":                edit("ds", func(d *DID) { d.Account = 99 }),
		"metadata mark":          edit("f", func(d *DID) { d.HasMetadata = false }),
		"metadata gone":          func(tx *MemTx) { tx.Delete(metadataKey(ref("f"))) },
		"metadata of nothing":    func(tx *MemTx) { tx.Put(metadataKey(ref("no")), appendMetadata(nil, []MetadataEntry{{"a", "1"}})) },
		"no replica":             edit("g", func(d *DID) { d.Replicas = nil }),
		"replica at no RSE":      edit("g", func(d *DID) { d.Replicas[0].RSE = 99 }),
		"replica not counted":    edit("g", func(d *DID) { d.Replicas = append(d.Replicas, Replica{RSE: 2, State: StateAvailable}) }),
		"replica's state":        edit("g", func(d *DID) { d.Replicas[0].State = 'X' }),
		"state not counted":      edit("g", func(d *DID) { d.Replicas[0].State = StateBad }),
		"path at deterministic":  edit("g", func(d *DID) { d.Replicas[0].Path = "/p" }),
		"archive mark":           edit("a.zip", func(d *DID) { d.Archive = false }),
		"constituent mark":       edit("packed", func(d *DID) { d.Constituent = false }),
		"bytes not counted":      edit("g", func(d *DID) { d.Bytes++ }),
		"index of files":         func(tx *MemTx) { tx.Put(rseFileKey(1, ref("g")), nil) },
		"path of no replica":     func(tx *MemTx) { tx.Put(rsePathKey(1, "/x"), appendRef(nil, ref("g"))) },
		"counters gone":          func(tx *MemTx) { tx.Delete(idKey(tableRSECounter, 1)) },
		"counters wrong":         func(tx *MemTx) { tx.Put(idKey(tableRSECounter, 1), appendCounters(nil, &Counters{})) },
		"attachment's home":      edit("g", func(d *DID) { d.home = nil }),
		"attachment's reverse":   func(tx *MemTx) { tx.Delete(parentKey(ref("g"), ref("ds2"))) },
		"reverse beside home":    func(tx *MemTx) { tx.Put(parentKey(ref("g"), ref("ds")), nil) },
		"home alone":             edit("f", func(d *DID) { d.home = appendRef(nil, ref("ds2")) }),
		"malformed home":         edit("cont", func(d *DID) { d.home = []byte{1} }),
		"home in an old schema":  func(tx *MemTx) { putSystemNumber(tx, systemSchema, homeSchema-1) },
		"reverse alone":          func(tx *MemTx) { tx.Put(parentKey(ref("g"), ref("cont")), nil) },
		"attachment of nothing":  func(tx *MemTx) { putAttachment(tx, Stamp{}, ref("ds"), ref("no"), TypeFile) },
		"file in a container":    func(tx *MemTx) { putAttachment(tx, Stamp{}, ref("cont"), ref("g"), TypeFile) },
		"type of the attachment": func(tx *MemTx) { putAttachment(tx, Stamp{}, ref("ds"), ref("g"), TypeDataset) },
		"constituent's reverse":  func(tx *MemTx) { tx.Delete(archiveKey(ref("packed"), ref("a.zip"))) },
		"archive alone":          func(tx *MemTx) { tx.Put(archiveKey(ref("g"), ref("a.zip")), nil) },
		"scope's number":         func(tx *MemTx) { tx.Delete(idKey(tableScopeID, 2)) },
		"scope of no account":    func(tx *MemTx) { tx.Put(textKey(tableScope, "z"), appendScope(nil, &Scope{ID: 9, Account: "no"})) },
		"number of no scope":     func(tx *MemTx) { tx.Put(idKey(tableScopeID, 9), []byte("no")) },
		"number of no account":   func(tx *MemTx) { tx.Put(idKey(tableAccountID, 99), []byte("no")) },
		"RSE's name":             func(tx *MemTx) { tx.Delete(textKey(tableRSEName, "TWO")) },
		"name of another RSE":    func(tx *MemTx) { tx.Put(textKey(tableRSEName, "THREE"), appendID(nil, 1)) },
		"declaration's index":    func(tx *MemTx) { tx.Delete(badStateKey('B', 1, ref("g"), 0)) },
		"declaration's state":    func(tx *MemTx) { tx.Put(badStateKey('S', 1, ref("g"), 0), nil) },
		"index of nothing":       func(tx *MemTx) { tx.Put(badStateKey('B', 1, ref("f"), 0), nil) },
		"malformed record":       func(tx *MemTx) { tx.Put(didKey(ref("g")), []byte{1}) },
		"malformed key":          func(tx *MemTx) { tx.Put([]byte{tableAttachment, 0, 0}, nil) },
		"padded encoding": func(tx *MemTx) {
			b, _, _ := tx.Get(didKey(ref("cont")))
			// The flags in two bytes where one does.
			tx.Put(didKey(ref("cont")), append([]byte{b[0], b[1], b[2] | 0x80, 0}, b[3:]...))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newDIDStore(t)
			s.files("f", "g", "a.zip")
			s.collections(TypeDataset, "ds", "ds2")
			s.collections(TypeContainer, "cont")
			s.attach("ds", "f", "g")
			s.attach("ds2", "g")
			s.attach("cont", "ds")
			didDo(s, "root", AttachDIDs, pack("a.zip", sized("packed", 3)))
			didDo(s, "root", SetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{{Scope: "s", Name: "f", Set: map[string]string{"k": "1"}}}})
			putBad(s.tx, badKey{rse: 1, ref: ref("g")}, &BadReplica{State: BadStateBad, Account: 1})
			require.NoError(t, CheckInvariants(s.tx))
			damage(s.tx)
			require.Error(t, CheckInvariants(s.tx))
		})
	}
}

func TestInvariantsReportMany(t *testing.T) {
	s := newDIDStore(t)
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "t", "u", "v"} {
		s.tx.Put(rseFileKey(1, didRef{2, name}), nil)
	}
	err := CheckInvariants(s.tx)
	require.Error(t, err)
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok)
	require.Len(t, joined.Unwrap(), maxViolations)
}
