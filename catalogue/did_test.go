package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// didStore is a formed catalogue with the accounts alice (who owns scope a) and bob, the scopes a and s, and the deterministic
// RSEs ONE and TWO. Commands run in it with growing revisions and times.
type didStore struct {
	t        *testing.T
	tx       *MemTx
	revision uint64
	// unchecked leaves the check of the whole catalogue after each command to the test.
	unchecked bool
}

func newDIDStore(t *testing.T) *didStore {
	t.Helper()
	s := &didStore{t: t, tx: NewMemTx()}
	_, err := Genesis(s.tx, s.at(""), genesisCommand())
	require.NoError(t, err)
	for _, name := range []string{"alice", "bob"} {
		didDo(s, "root", AddAccount, &command.AddAccount{Name: name, Type: "USER"})
	}
	didDo(s, "root", AddScope, &command.AddScope{Name: "a", Account: "alice"})
	didDo(s, "root", AddScope, &command.AddScope{Name: "s", Account: "root"})
	for i, name := range []string{"ONE", "TWO"} {
		didDo(s, "root", AddRSE, &command.AddRSE{Name: name, Uuid: uuidOf(byte(i + 1)), Settings: &command.RSESettings{}})
	}
	return s
}

// at is the stamp of the next command.
func (s *didStore) at(issuer string) Stamp {
	s.revision = max(s.revision, s.tx.Revision()) + 1
	return Stamp{Revision: s.revision, Time: int64(s.revision) * 1_000_000, Issuer: issuer}
}

// didTry runs a command and sees to it that a refused one has written nothing and that the catalogue is sound.
func didTry[C any](s *didStore, issuer string, run func(Tx, Stamp, C) ([]byte, error), c C) error {
	s.t.Helper()
	before := s.tx.Writes
	_, err := run(s.tx, s.at(issuer), c)
	if err != nil {
		require.NotEqual(s.t, command.CodeInternal, CodeOf(err), "%v", err)
		require.Equal(s.t, before, s.tx.Writes, "a refused command has written")
		return err
	}
	if !s.unchecked {
		require.NoError(s.t, CheckInvariants(s.tx))
		requireReplay(s.t, s.tx)
	}
	return nil
}

func didDo[C any](s *didStore, issuer string, run func(Tx, Stamp, C) ([]byte, error), c C) {
	s.t.Helper()
	require.NoError(s.t, didTry(s, issuer, run, c))
}

func didRefused[C any](s *didStore, code command.Code, issuer string, run func(Tx, Stamp, C) ([]byte, error), c C) {
	s.t.Helper()
	err := didTry(s, issuer, run, c)
	require.Equal(s.t, code, CodeOf(err), "%v", err)
}

// files registers files of scope s with 10 bytes each at RSE ONE.
func (s *didStore) files(names ...string) {
	s.t.Helper()
	add := &command.AddReplicas{Rse: "ONE"}
	for _, name := range names {
		add.Files = append(add.Files, &command.NewFile{Scope: "s", Name: name, Bytes: 10, Adler32: "0cc737eb"})
	}
	didDo(s, "root", AddReplicas, add)
}

func (s *didStore) collections(t DIDType, names ...string) {
	s.t.Helper()
	add := &command.AddDIDs{Bulk: true}
	for _, name := range names {
		add.Dids = append(add.Dids, &command.NewCollection{Scope: "s", Name: name, Type: uint32(t)})
	}
	didDo(s, "root", AddDIDs, add)
}

func childrenOf(names ...string) []*command.Child {
	children := make([]*command.Child, len(names))
	for i, name := range names {
		children[i] = &command.Child{File: &command.NewFile{Scope: "s", Name: name}}
	}
	return children
}

// sized is a child that comes with its size.
func sized(name string, bytes uint64) *command.Child {
	return &command.Child{HasBytes: true, File: &command.NewFile{Scope: "s", Name: name, Bytes: bytes}}
}

func attachTo(parent string, names ...string) *command.AttachDIDs {
	return &command.AttachDIDs{Attachments: []*command.Attachment{{Scope: "s", Name: parent, Children: childrenOf(names...)}}}
}

func detachFrom(parent string, names ...string) *command.DetachDIDs {
	c := &command.DetachDIDs{Scope: "s", Name: parent}
	for _, name := range names {
		c.Children = append(c.Children, &command.DIDName{Scope: "s", Name: name})
	}
	return c
}

func (s *didStore) attach(parent string, names ...string) {
	s.t.Helper()
	didDo(s, "root", AttachDIDs, attachTo(parent, names...))
}

func (s *didStore) did(name string) *DID {
	s.t.Helper()
	d, err := GetDID(s.tx, "s", name)
	require.NoError(s.t, err)
	return d
}

func (s *didStore) gone(name string) {
	s.t.Helper()
	_, err := GetDID(s.tx, "s", name)
	require.Equal(s.t, command.CodeDIDNotFound, CodeOf(err))
}

// filesOf lists the files under a DID with their datasets.
func (s *didStore) filesOf(name string) []string {
	s.t.Helper()
	var all []string
	require.NoError(s.t, ScanFilesByDataset(s.tx, "s", name, func(dataset DIDName, _, name string, _ *DID) (bool, error) {
		all = append(all, dataset.Name+"/"+name)
		return true, nil
	}))
	return all
}

func TestAddCollections(t *testing.T) {
	s := newDIDStore(t)
	didDo(s, "alice", AddDIDs, &command.AddDIDs{Dids: []*command.NewCollection{{
		Scope: "a", Name: "ds", Type: uint32(TypeDataset), Monotonic: true, Meta: map[string]string{"campaign": `"mc26"`, "own": `{"x":1}`, "lifetime": "60"},
	}}})
	d, err := GetDID(s.tx, "a", "ds")
	require.NoError(t, err)
	owner, err := OwnerOf(s.tx, d)
	require.NoError(t, err)
	require.Equal(t, "alice", owner)
	now := int64(s.revision) * 1_000_000
	require.Equal(t, &DID{
		Type: TypeDataset, Revision: s.tx.Revision(), Account: d.Account, Created: now, Updated: now, Open: true, Monotonic: true, HasMetadata: true,
	}, d)
	meta, err := GetMetadata(s.tx, "a", "ds")
	require.NoError(t, err)
	require.Equal(t, []MetadataEntry{{"campaign", `"mc26"`}, {"expired_at", "68000000"}, {"own", `{"x":1}`}}, meta)

	one := func(n *command.NewCollection) *command.AddDIDs {
		return &command.AddDIDs{Dids: []*command.NewCollection{{Scope: "a", Name: "first", Type: uint32(TypeDataset)}, n}}
	}
	dataset := uint32(TypeDataset)
	for name, c := range map[string]struct {
		code   command.Code
		issuer string
		did    *command.NewCollection
	}{
		"exists":          {command.CodeDIDExists, "alice", &command.NewCollection{Scope: "a", Name: "ds", Type: uint32(TypeContainer)}},
		"twice":           {command.CodeDIDExists, "alice", &command.NewCollection{Scope: "a", Name: "first", Type: dataset}},
		"no scope":        {command.CodeScopeNotFound, "root", &command.NewCollection{Scope: "x", Name: "n", Type: dataset}},
		"others' scope":   {command.CodeAccessDenied, "alice", &command.NewCollection{Scope: "s", Name: "n", Type: dataset}},
		"stranger":        {command.CodeAccessDenied, "bob", &command.NewCollection{Scope: "a", Name: "n", Type: dataset}},
		"file":            {command.CodeUnsupportedOperation, "alice", &command.NewCollection{Scope: "a", Name: "n", Type: uint32(TypeFile)}},
		"name":            {command.CodeInvalidObject, "alice", &command.NewCollection{Scope: "a", Name: "n n", Type: dataset}},
		"no account":      {command.CodeAccountNotFound, "root", &command.NewCollection{Scope: "a", Name: "n", Type: dataset, Account: "nobody"}},
		"no RSE":          {command.CodeRSENotFound, "root", &command.NewCollection{Scope: "a", Name: "n", Type: dataset, Rse: "NONE"}},
		"unknown child":   {command.CodeDIDNotFound, "alice", &command.NewCollection{Scope: "a", Name: "n", Type: dataset, Children: childrenOf("no")}},
		"reserved key":    {command.CodeAccessDenied, "alice", &command.NewCollection{Scope: "a", Name: "n", Type: dataset, Meta: map[string]string{"bytes": "1"}}},
		"key of files":    {command.CodeUnsupportedOperation, "alice", &command.NewCollection{Scope: "a", Name: "n", Type: dataset, Meta: map[string]string{"events": "1"}}},
		"value of a kind": {command.CodeInvalidMetadata, "alice", &command.NewCollection{Scope: "a", Name: "n", Type: dataset, Meta: map[string]string{"run_number": `"x"`}}},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			didRefused(s, c.code, c.issuer, AddDIDs, one(c.did))
		})
	}
	s.t = t
	_, err = GetDID(s.tx, "a", "first")
	require.Equal(t, command.CodeDIDNotFound, CodeOf(err))
}

func TestAddCollectionsThatHoldEachOther(t *testing.T) {
	s := newDIDStore(t)
	s.files("f")
	didDo(s, "root", AddDIDs, &command.AddDIDs{Bulk: true, Dids: []*command.NewCollection{
		{Scope: "s", Name: "ds", Type: uint32(TypeDataset), Children: childrenOf("f")},
		{Scope: "s", Name: "cont", Type: uint32(TypeContainer), Children: childrenOf("ds"), Account: "bob"},
	}})
	require.Equal(t, []string{"ds/f"}, s.filesOf("cont"))
	require.EqualValues(t, 10, s.did("ds").Size)
	owner, err := OwnerOf(s.tx, s.did("cont"))
	require.NoError(t, err)
	require.Equal(t, "bob", owner)
}

func TestSetStatus(t *testing.T) {
	s := newDIDStore(t)
	s.files("f", "g")
	s.collections(TypeDataset, "ds", "empty")
	s.collections(TypeContainer, "cont")
	s.attach("ds", "f", "g")
	s.attach("cont", "ds")
	set := func(name string, open bool) *command.SetDIDStatus {
		return &command.SetDIDStatus{Scope: "s", Name: name, Open: open}
	}
	didRefused(s, command.CodeUnsupportedOperation, "root", SetDIDStatus, set("ds", true))
	didRefused(s, command.CodeUnsupportedOperation, "root", SetDIDStatus, set("f", false))
	didRefused(s, command.CodeDIDNotFound, "root", SetDIDStatus, set("no", false))
	didRefused(s, command.CodeAccessDenied, "alice", SetDIDStatus, set("ds", false))
	didDo(s, "root", SetDIDStatus, set("ds", false))
	didDo(s, "root", SetDIDStatus, set("cont", false))
	didDo(s, "root", SetDIDStatus, set("empty", false))
	for name, want := range map[string][2]uint64{"ds": {2, 20}, "cont": {2, 20}, "empty": {0, 0}} {
		d := s.did(name)
		require.False(t, d.Open)
		require.Equal(t, want, [2]uint64{d.ClosedLength, d.ClosedSize}, name)
	}
	didRefused(s, command.CodeUnsupportedOperation, "root", SetDIDStatus, set("ds", false))
	didRefused(s, command.CodeUnsupportedOperation, "root", AttachDIDs, attachTo("empty", "f"))

	didDo(s, "root", DetachDIDs, detachFrom("ds", "g"))
	require.EqualValues(t, 1, s.did("ds").ClosedLength)
	require.EqualValues(t, 10, s.did("ds").ClosedSize)
	didDo(s, "root", SetDIDStatus, set("ds", true))
	require.NotZero(t, s.did("ds").ClosedAt)

	// An owner may close and not open again.
	didDo(s, "alice", AddDIDs, &command.AddDIDs{Dids: []*command.NewCollection{{Scope: "a", Name: "ds", Type: uint32(TypeDataset)}}})
	didDo(s, "alice", SetDIDStatus, &command.SetDIDStatus{Scope: "a", Name: "ds"})
	didRefused(s, command.CodeAccessDenied, "alice", SetDIDStatus, &command.SetDIDStatus{Scope: "a", Name: "ds", Open: true})
}

func TestTotals(t *testing.T) {
	s := newDIDStore(t)
	s.files("f", "g")
	s.collections(TypeDataset, "d1", "d2")
	s.collections(TypeContainer, "in", "out")
	s.attach("d1", "f", "g")
	s.attach("d2", "f")
	s.attach("in", "d1", "d2")
	s.attach("out", "in")
	s.attach("out", "d1") // a second way to d1 counts no second time
	for name, want := range map[string][2]uint64{"f": {1, 10}, "d1": {2, 20}, "in": {3, 30}, "out": {3, 30}} {
		length, size, err := Totals(s.tx, "s", name)
		require.NoError(t, err)
		require.Equal(t, want, [2]uint64{length, size}, name)
	}
	didDo(s, "root", SetDIDStatus, &command.SetDIDStatus{Scope: "s", Name: "d1"})
	length, size, err := ClosedTotals(s.tx, "s", "out")
	require.NoError(t, err)
	require.Equal(t, [2]uint64{2, 20}, [2]uint64{length, size})
	_, _, err = Totals(s.tx, "s", "no")
	require.Equal(t, command.CodeDIDNotFound, CodeOf(err))
}
