package catalogue

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// newReplicaStore is a didStore whose RSEs have protocols, with the further RSEs ND (not deterministic), VOL (volatile) and
// A_SCRATCHDISK, which is open to everybody.
func newReplicaStore(t *testing.T) *didStore {
	t.Helper()
	s := newDIDStore(t)
	off := false
	for i, rse := range []struct {
		name     string
		settings *command.RSESettings
	}{
		{"ND", &command.RSESettings{Deterministic: &off}},
		{"VOL", &command.RSESettings{Volatile: ptr(true)}},
		{"A_SCRATCHDISK", &command.RSESettings{}},
	} {
		didDo(s, "root", AddRSE, &command.AddRSE{Name: rse.name, Uuid: uuidOf(byte(i + 10)), Settings: rse.settings})
	}
	s.protocol("ONE", "davs", "one.example", 443, "/dav", 1, 1)
	s.protocol("ONE", "root", "onex.example", 1094, "//eos", 2, 2)
	s.protocol("TWO", "root", "twox.example", 1094, "//eos", 1, 1)
	s.protocol("ND", "davs", "nd.example", 443, "/dav", 1, 1)
	return s
}

// protocol adds a protocol with a read and write priority in each domain.
func (s *didStore) protocol(rse, scheme, host string, port int32, prefix string, lan, wan int32) {
	s.t.Helper()
	impl := "rucio.rse.protocols.gfal.Default"
	if scheme == "root" {
		impl = "rucio.rse.protocols.xrootd.Default"
	}
	didDo(s, "root", AddProtocol, &command.AddProtocol{Rse: rse, Protocol: &command.ProtocolSettings{
		Scheme: &scheme, Hostname: &host, Port: &port, Prefix: &prefix, Impl: &impl,
		Lan: &command.ProtocolPriorities{Read: &lan, Write: &lan, Delete: &lan},
		Wan: &command.ProtocolPriorities{Read: &wan, Write: &wan, Delete: &wan},
	}})
}

// newFile is a file of scope s with 10 bytes; change may alter it.
func newFile(name string, change ...func(*command.NewFile)) *command.NewFile {
	f := &command.NewFile{Scope: "s", Name: name, Bytes: 10, Adler32: "0cc737eb"}
	for _, c := range change {
		c(f)
	}
	return f
}

func withPFN(pfn string) func(*command.NewFile) { return func(f *command.NewFile) { f.Pfn = pfn } }

func addTo(rse string, files ...*command.NewFile) *command.AddReplicas {
	return &command.AddReplicas{Rse: rse, Files: files}
}

func (s *didStore) add(rse string, files ...*command.NewFile) {
	s.t.Helper()
	didDo(s, "root", AddReplicas, addTo(rse, files...))
}

// replica returns a file's replica, nil where it has none there.
func (s *didStore) replica(rse, name string) *Replica {
	s.t.Helper()
	r, err := GetRSE(s.tx, rse)
	require.NoError(s.t, err)
	d, err := GetDID(s.tx, "s", name)
	if CodeOf(err) == command.CodeDIDNotFound {
		return nil
	}
	require.NoError(s.t, err)
	i, found := d.Replica(r.ID)
	if !found {
		return nil
	}
	return &d.Replicas[i]
}

func (s *didStore) tally(rse string, state ReplicaState) Tally {
	s.t.Helper()
	r, err := GetRSE(s.tx, rse)
	require.NoError(s.t, err)
	c, err := GetCounters(s.tx, r.ID)
	require.NoError(s.t, err)
	return c.Of(state)
}

func TestAddReplicas(t *testing.T) {
	s := newReplicaStore(t)
	s.add("ONE", newFile("b"), newFile("a", func(f *command.NewFile) {
		f.Md5, f.State, f.Tombstone = "d41d8cd98f00b204e9800998ecf8427e", 'C', 77
		f.Meta = map[string]string{"events": "10", "mine": `"x"`}
	}))
	a := s.did("a")
	require.Equal(t, "0cc737eb", a.Adler32)
	require.Equal(t, "d41d8cd98f00b204e9800998ecf8427e", a.MD5)
	require.Equal(t, StateCopying, s.replica("ONE", "a").State)
	require.EqualValues(t, 77, s.replica("ONE", "a").Tombstone)
	meta, err := GetMetadata(s.tx, "s", "a")
	require.NoError(t, err)
	require.Equal(t, []MetadataEntry{{"events", "10"}, {"mine", `"x"`}}, meta)
	require.Equal(t, Tally{1, 10}, s.tally("ONE", StateAvailable))
	require.Equal(t, Tally{1, 10}, s.tally("ONE", StateCopying))

	s.add("TWO", newFile("a"), newFile("c"))
	require.Len(t, s.did("a").Replicas, 2)
	require.Equal(t, a.Created, s.did("a").Created)
	require.Equal(t, StateAvailable, s.replica("TWO", "a").State)
	require.Zero(t, s.replica("TWO", "a").Tombstone)
}

func TestAddReplicaAgain(t *testing.T) {
	s := newReplicaStore(t)
	s.add("ONE", newFile("a", func(f *command.NewFile) { f.State = 'U' }))
	before := s.did("a")
	s.add("ONE", newFile("a"), newFile("b"))
	require.Equal(t, before, s.did("a"))
	// Checksums count where both sides know them, whatever their case.
	s.add("ONE", newFile("a", func(f *command.NewFile) { f.Adler32, f.Md5 = "0CC737EB", "d41d8cd98f00b204e9800998ecf8427e" }))
	require.Equal(t, before, s.did("a"))
	s.add("ND", newFile("n", withPFN("davs://nd.example:443/dav/x/n")))
	s.add("ND", newFile("n", withPFN("davs://nd.example:443/dav//x/n")))
	require.Equal(t, Tally{1, 10}, s.tally("ND", StateAvailable))
}

func TestAddReplicasRefused(t *testing.T) {
	s := newReplicaStore(t)
	s.add("ONE", newFile("known"))
	s.add("ND", newFile("there", withPFN("davs://nd.example:443/dav/x/there")))
	s.collections(TypeDataset, "ds")
	good := newFile("good")
	for name, c := range map[string]struct {
		code   command.Code
		issuer string
		add    *command.AddReplicas
	}{
		"no such RSE":            {command.CodeRSENotFound, "root", addTo("NONE", good)},
		"no permission":          {command.CodeAccessDenied, "bob", addTo("ONE", good)},
		"scope of another":       {command.CodeAccessDenied, "bob", addTo("A_SCRATCHDISK", good)},
		"no such scope":          {command.CodeScopeNotFound, "root", addTo("ONE", good, &command.NewFile{Scope: "no", Name: "x"})},
		"twice":                  {command.CodeInvalidValue, "root", addTo("ONE", good, newFile("x"), newFile("good"))},
		"other size":             {command.CodeFileMismatch, "root", addTo("TWO", good, newFile("known", func(f *command.NewFile) { f.Bytes = 11 }))},
		"other checksum":         {command.CodeFileMismatch, "root", addTo("TWO", good, newFile("known", func(f *command.NewFile) { f.Adler32 = "ffffffff" }))},
		"same RSE, other size":   {command.CodeFileMismatch, "root", addTo("ONE", good, newFile("known", func(f *command.NewFile) { f.Bytes = 11 }))},
		"a dataset":              {command.CodeDIDExists, "root", addTo("ONE", good, newFile("ds"))},
		"volatile":               {command.CodeUnsupportedOperation, "root", addTo("VOL", good)},
		"PFN needed":             {command.CodeUnsupportedOperation, "root", addTo("ND", good)},
		"PFN of another RSE":     {command.CodeInvalidPath, "root", addTo("ND", newFile("x", withPFN("davs://one.example:443/dav/x")))},
		"PFN that is none":       {command.CodeInvalidPath, "root", addTo("ND", newFile("x", withPFN("nonsense")))},
		"PFN not expected":       {command.CodeInvalidPath, "root", addTo("ONE", good, newFile("x", withPFN("davs://one.example:443/dav/s/00/00/x")))},
		"path of another file":   {command.CodeReplicaExists, "root", addTo("ND", newFile("x", withPFN("davs://nd.example:443/dav/x/there")))},
		"one path for two files": {command.CodeInvalidValue, "root", addTo("ND", newFile("x", withPFN("davs://nd.example:443/dav/z")), newFile("y", withPFN("davs://nd.example:443/dav/z")))},
		"no such state":          {command.CodeInvalidValue, "root", addTo("ONE", newFile("x", func(f *command.NewFile) { f.State = 'X' }))},
		"too large":              {command.CodeInvalidValue, "root", addTo("ONE", newFile("x", func(f *command.NewFile) { f.Bytes = math.MaxUint64 }))},
		"too large together": {command.CodeInvalidValue, "root", addTo("ONE",
			newFile("x", func(f *command.NewFile) { f.Bytes = MaxFileBytes }), newFile("y", func(f *command.NewFile) { f.Bytes = MaxFileBytes }))},
		"bad metadata": {command.CodeInvalidMetadata, "root", addTo("ONE", good, newFile("x", func(f *command.NewFile) { f.Meta = map[string]string{"a.b": "1"} }))},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			didRefused(s, c.code, c.issuer, AddReplicas, c.add)
		})
	}
	s.gone("good")
}

func TestAddReplicasWithExpectedPFN(t *testing.T) {
	s := newReplicaStore(t)
	one, err := GetRSE(s.tx, "ONE")
	require.NoError(t, err)
	path := one.Path("s", "f")
	s.add("ONE", newFile("f", withPFN("davs://one.example:443/dav/"+path)))
	require.Empty(t, s.replica("ONE", "f").Path)
	s.add("ONE", newFile("f", withPFN("root://onex.example:1094//eos/"+path)))
}

func TestAvailabilityForWriting(t *testing.T) {
	s := newReplicaStore(t)
	for _, rse := range []string{"ONE", "A_SCRATCHDISK"} {
		didDo(s, "root", UpdateRSE, &command.UpdateRSE{Name: rse, Settings: &command.RSESettings{AvailabilityWrite: ptr(false)}})
	}
	didRefused(s, command.CodeRSEBlocked, "root", AddReplicas, addTo("ONE", newFile("a")))
	add := addTo("ONE", newFile("a"))
	add.IgnoreAvailability = true
	didDo(s, "root", AddReplicas, add)
	// Only those who may do everything may ignore it.
	add = addTo("A_SCRATCHDISK", &command.NewFile{Scope: "a", Name: "x", Bytes: 1})
	add.IgnoreAvailability = true
	didRefused(s, command.CodeRSEBlocked, "alice", AddReplicas, add)
}

func TestDefaultTombstone(t *testing.T) {
	for delay, want := range map[string]int64{"": 0, "0": 0, "none": 0, "-5": obsoleteTombstone, "60": 1_000 + 60_000_000} {
		rse := &RSE{}
		if delay != "" {
			rse.setAttribute(attributeTombstoneDelay, delay)
		}
		require.Equal(t, want, defaultTombstone(Stamp{Time: 1_000}, rse), "delay %q", delay)
	}
}

func TestOpenRSE(t *testing.T) {
	s := newReplicaStore(t)
	didDo(s, "alice", AddReplicas, addTo("A_SCRATCHDISK", &command.NewFile{Scope: "a", Name: "x", Bytes: 1}))
	// A file that is known needs no right in its scope.
	didDo(s, "bob", AddReplicas, addTo("A_SCRATCHDISK", &command.NewFile{Scope: "a", Name: "x", Bytes: 1}))
	d, err := GetDID(s.tx, "a", "x")
	require.NoError(t, err)
	owner, err := accountName(s.tx, d.Account)
	require.NoError(t, err)
	require.Equal(t, "alice", owner)
}
