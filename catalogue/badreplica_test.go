package catalogue

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"dapple/command"
)

// declared runs a declaration and returns what could not be declared, as "RSE: item".
func declaredAs[C any](s *didStore, issuer string, run func(Tx, Stamp, C) ([]byte, error), c C) []string {
	s.t.Helper()
	payload, err := run(s.tx, s.at(issuer), c)
	require.NoError(s.t, err)
	require.NoError(s.t, CheckInvariants(s.tx))
	answer := &command.NotDeclared{}
	require.NoError(s.t, proto.Unmarshal(payload, answer))
	var all []string
	for _, r := range answer.Rses {
		for _, item := range r.Items {
			all = append(all, r.Rse+": "+item)
		}
	}
	return all
}

// badStatesOf lists the states of the declarations about a replica, oldest first.
func (s *didStore) badStatesOf(rse, name string) string {
	s.t.Helper()
	var states strings.Builder
	require.NoError(s.t, ListBad(s.tx, BadFilter{RSE: rse}, func(r *BadRow) (bool, error) {
		if r.Name == name {
			states.WriteByte(byte(r.State))
		}
		return true, nil
	}))
	return states.String()
}

func badAt(rse string, names ...string) *command.DeclareBad {
	c := &command.DeclareBad{Reason: "broken"}
	for _, name := range names {
		c.Replicas = append(c.Replicas, &command.ReplicaAt{Scope: "s", Name: name, Rse: rse})
	}
	return c
}

func (s *didStore) pfn(rse, name string) string {
	s.t.Helper()
	r, err := GetRSE(s.tx, rse)
	require.NoError(s.t, err)
	return r.Protocols[0].PFN(r.Path("s", name))
}

func TestDeclareBad(t *testing.T) {
	s := newReplicaStore(t)
	s.add("ONE", newFile("a"), newFile("b"))
	s.add("TWO", newFile("a"))
	nd := "davs://nd.example:443/dav/x/n"
	s.add("ND", newFile("n", withPFN(nd)))

	require.Empty(t, declaredAs(s, "root", DeclareBad, badAt("ONE", "a", "a")))
	require.Equal(t, StateBad, s.replica("ONE", "a").State)
	require.Equal(t, StateAvailable, s.replica("TWO", "a").State)
	require.Equal(t, "B", s.badStatesOf("ONE", "a"))

	again := badAt("ONE", "a", "no", "b")
	require.Equal(t, []string{"ONE: s:a Already declared", "ONE: (s, 'no') Unknown replica"}, declaredAs(s, "root", DeclareBad, again))
	require.Equal(t, StateBad, s.replica("ONE", "b").State) // the others are declared all the same

	force := badAt("ONE", "a")
	force.Force = true
	require.Empty(t, declaredAs(s, "root", DeclareBad, force))
	require.Equal(t, "B", s.badStatesOf("ONE", "a"))

	dids := badAt("ONE", "a", "no")
	dids.ByDids = true
	require.Equal(t, []string{"ONE: s:a Already declared", "ONE: s:no Unknown replica"}, declaredAs(s, "root", DeclareBad, dids))

	byPFN := &command.DeclareBad{Pfns: []string{nd, nd, "davs://nd.example:443/dav/x/no"}}
	require.Equal(t, []string{"ND: davs://nd.example:443/dav/x/no Unknown replica"}, declaredAs(s, "root", DeclareBad, byPFN))
	require.Equal(t, []string{"ND: " + nd + " Already declared", "ND: davs://nd.example:443/dav/x/no Unknown replica"}, declaredAs(s, "root", DeclareBad, byPFN))
	// At a deterministic RSE the path tells the name, its hash is not looked at.
	wrong := &command.DeclareBad{Pfns: []string{"davs://one.example:443/dav/s/00/00/no"}}
	require.Equal(t, []string{"ONE: (s, 'no') Unknown replica"}, declaredAs(s, "root", DeclareBad, wrong))
}

func TestDeclareBadRefused(t *testing.T) {
	s := newReplicaStore(t)
	s.add("ONE", newFile("a"))
	mixed := badAt("ONE", "a")
	mixed.Pfns = []string{s.pfn("ONE", "a")}
	dids := badAt("ONE", "a")
	dids.ByDids = true
	byID := badAt("", "a")
	byID.Replicas[0].RseId = strings.Repeat("0", 32)
	for name, c := range map[string]struct {
		code   command.Code
		issuer string
		c      *command.DeclareBad
	}{
		"no permission":          {command.CodeAccessDenied, "alice", badAt("ONE", "a")},
		"no permission for DIDs": {command.CodeAccessDenied, "alice", dids},
		"no such RSE":            {command.CodeRSENotFound, "root", badAt("NONE", "a")},
		"no such RSE id":         {command.CodeRSENotFound, "root", byID},
		"PFN of no RSE":          {command.CodeReplicaNotFound, "root", &command.DeclareBad{Pfns: []string{s.pfn("ONE", "a"), "davs://nowhere/x"}}},
		"several schemes":        {command.CodeInvalidType, "root", &command.DeclareBad{Pfns: []string{s.pfn("ONE", "a"), "root://onex.example:1094//eos/s/x"}}},
		"PFNs and DIDs":          {command.CodeInvalidType, "root", mixed},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			didRefused(s, c.code, c.issuer, DeclareBad, c.c)
		})
	}
}

func TestBadReplicaRecoversOrIsDeleted(t *testing.T) {
	s := newReplicaStore(t)
	s.add("ONE", newFile("a"), newFile("b"))
	require.Empty(t, declaredAs(s, "root", DeclareBad, badAt("ONE", "a", "b")))
	didDo(s, "root", UpdateReplicaStates, updateAt("ONE", change("a", 'A')))
	require.Equal(t, "R", s.badStatesOf("ONE", "a"))
	require.Empty(t, declaredAs(s, "root", DeclareBad, badAt("ONE", "a"))) // bad again
	require.Equal(t, "RB", s.badStatesOf("ONE", "a"))
	didDo(s, "root", DeleteReplicas, deleteAt("ONE", "a", "b"))
	require.Equal(t, "RD", s.badStatesOf("ONE", "a"))
	require.Equal(t, "D", s.badStatesOf("ONE", "b"))

	// The state alone declares nothing.
	s.add("ONE", newFile("c"))
	didDo(s, "root", UpdateReplicaStates, updateAt("ONE", change("c", 'D')))
	require.Empty(t, s.badStatesOf("ONE", "c"))
}

func TestListBad(t *testing.T) {
	s := newReplicaStore(t)
	s.add("ONE", newFile("a"), newFile("b"))
	s.add("TWO", newFile("a"))
	declaredAs(s, "root", DeclareBad, badAt("ONE", "a", "b"))
	first := s.replica("ONE", "a").Updated
	declaredAs(s, "root", DeclareBad, badAt("TWO", "a"))
	declaredAs(s, "root", DeclareSuspicious, &command.DeclareSuspicious{Replicas: badAt("ONE", "a").Replicas})
	list := func(f BadFilter) (all []string) {
		require.NoError(t, ListBad(s.tx, f, func(r *BadRow) (bool, error) {
			all = append(all, r.RSE.Name+"/"+r.Name+"/"+r.State.String())
			return true, nil
		}))
		return all
	}
	require.Equal(t, []string{"ONE/a/BAD", "ONE/a/SUSPICIOUS", "ONE/b/BAD", "TWO/a/BAD"}, list(BadFilter{}))
	require.Equal(t, []string{"ONE/a/BAD", "ONE/b/BAD", "TWO/a/BAD"}, list(BadFilter{State: BadStateBad}))
	require.Equal(t, []string{"TWO/a/BAD"}, list(BadFilter{State: BadStateBad, RSE: "TWO"}))
	require.Equal(t, []string{"ONE/a/SUSPICIOUS", "TWO/a/BAD"}, list(BadFilter{YoungerThan: first + 1}))
	require.Equal(t, []string{"ONE/a/BAD", "ONE/b/BAD"}, list(BadFilter{OlderThan: first}))
	require.Equal(t, command.CodeRSENotFound, CodeOf(ListBad(s.tx, BadFilter{RSE: "NO"}, nil)))

	summaries, err := SummarizeBad(s.tx, "ONE", 0, 0)
	require.NoError(t, err)
	require.Len(t, summaries, 2)
	counts := map[string]int{}
	for _, x := range summaries {
		require.Zero(t, x.Day) // the test's clock begins in 1970
		x.Each(func(state BadState, n int) { counts[x.Reason+"/"+state.String()] = n })
	}
	require.Equal(t, map[string]int{"broken/BAD": 2, "/SUSPICIOUS": 1}, counts)
	_, err = SummarizeBad(s.tx, "NOSUCH", 0, 0)
	require.Equal(t, command.CodeInvalidRSEExpression, CodeOf(err))
}

func TestSuspicious(t *testing.T) {
	s := newReplicaStore(t)
	s.add("ONE", newFile("a"), newFile("b"), newFile("c"))
	suspect := func(names ...string) []string {
		return declaredAs(s, "alice", DeclareSuspicious, &command.DeclareSuspicious{Replicas: badAt("ONE", names...).Replicas})
	}
	require.Empty(t, suspect("a", "b", "c"))
	require.Empty(t, suspect("a", "c"))
	require.Equal(t, []string{"unknown: davs://nowhere.example:443/x"},
		declaredAs(s, "alice", DeclareSuspicious, &command.DeclareSuspicious{Pfns: []string{"davs://nowhere.example:443/x", s.pfn("ONE", "a")}}))
	require.Equal(t, StateAvailable, s.replica("ONE", "a").State)
	declaredAs(s, "root", DeclareBad, badAt("ONE", "c"))
	list := func(f SuspiciousFilter) map[string]int {
		all := map[string]int{}
		require.NoError(t, ListSuspicious(s.tx, f, func(r Suspicious) error {
			all[r.RSE.Name+"/"+r.Name] = r.Count
			return nil
		}))
		return all
	}
	require.Equal(t, map[string]int{"ONE/a": 3, "ONE/b": 1}, list(SuspiciousFilter{}))
	require.Equal(t, map[string]int{"ONE/a": 3}, list(SuspiciousFilter{Attempts: 1}))
	require.Empty(t, list(SuspiciousFilter{Expression: "TWO"}))
	require.Empty(t, list(SuspiciousFilter{YoungerThan: s.at("").Time}))
	didDo(s, "root", DeleteReplicas, deleteAt("ONE", "b"))
	require.Equal(t, map[string]int{"ONE/a": 3}, list(SuspiciousFilter{}))
	require.Equal(t, command.CodeInvalidRSEExpression, CodeOf(ListSuspicious(s.tx, SuspiciousFilter{Expression: "NO"}, nil)))
}

func TestDeclareBadPFNs(t *testing.T) {
	s := newReplicaStore(t)
	s.add("ONE", newFile("bad"), newFile("sus"), newFile("gone"), newFile("copying", func(f *command.NewFile) { f.State = 'C' }))
	declare := func(state BadState, expires int64, names ...string) *command.DeclareBadPFNs {
		c := &command.DeclareBadPFNs{State: uint32(state), Reason: "r", ExpiresAt: expires}
		for _, name := range names {
			c.Pfns = append(c.Pfns, s.pfn("ONE", name))
		}
		return c
	}
	didDo(s, "root", DeclareBadPFNs, declare('B', 0, "bad"))
	didDo(s, "root", DeclareBadPFNs, declare('B', 0, "bad")) // no news
	require.Equal(t, "B", s.badStatesOf("ONE", "bad"))
	require.Equal(t, StateBad, s.replica("ONE", "bad").State)
	didDo(s, "root", DeclareBadPFNs, declare('S', 0, "sus"))
	require.Equal(t, "S", s.badStatesOf("ONE", "sus"))

	now := s.at("").Time
	didDo(s, "root", DeclareBadPFNs, declare('T', now+5_000_000_000, "gone", "gone", "bad", "copying", "unknown"))
	require.Equal(t, StateTemporarilyUnavailable, s.replica("ONE", "gone").State)
	require.Equal(t, StateBad, s.replica("ONE", "bad").State)
	require.Equal(t, StateCopying, s.replica("ONE", "copying").State)
	didDo(s, "root", DeclareBadPFNs, declare('T', now+9_000_000_000, "gone"))
	require.Equal(t, "T", s.badStatesOf("ONE", "gone"))
	require.Len(t, s.tx.keys(string([]byte{tableExpiry}), string([]byte{tableExpiry + 1})), 1)
	kept := s.tx.keys(string([]byte{tableBadPFN}), string([]byte{tableBadPFN + 1}))
	require.Equal(t, []string{string(badPFNKey('T', s.pfn("ONE", "copying"))), string(badPFNKey('T', s.pfn("ONE", "unknown")))}, kept)
	p, err := parseBadPFN(s.tx.values[kept[0]])
	require.NoError(t, err)
	require.Equal(t, now+5_000_000_000, p.Expires)

	for name, c := range map[string]struct {
		code   command.Code
		issuer string
		c      *command.DeclareBadPFNs
	}{
		"no permission":  {command.CodeAccessDenied, "alice", declare('B', 0, "sus")},
		"no such state":  {command.CodeInvalidValue, "root", declare('R', 0, "sus")},
		"no expiry":      {command.CodeInputValidation, "root", declare('T', 0, "sus")},
		"bad for a time": {command.CodeInputValidation, "root", declare('B', now+1, "sus")},
		"too long":       {command.CodeInputValidation, "root", declare('T', now+2*maxUnavailable, "sus")},
		"no PFN":         {command.CodeInvalidPath, "root", &command.DeclareBadPFNs{State: 'B', Pfns: []string{"nonsense"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			didRefused(s, c.code, c.issuer, DeclareBadPFNs, c.c)
		})
	}
}

func TestTombstonesAndQuarantine(t *testing.T) {
	s := newReplicaStore(t)
	s.add("ONE", newFile("a"))
	mark := func(rse, name string) *command.SetTombstones {
		return &command.SetTombstones{Replicas: []*command.ReplicaAt{{Scope: "s", Name: name, Rse: rse}}}
	}
	didDo(s, "root", SetTombstones, mark("ONE", "a"))
	require.EqualValues(t, obsoleteTombstone, s.replica("ONE", "a").Tombstone)
	didRefused(s, command.CodeReplicaNotFound, "root", SetTombstones, mark("ONE", "no"))
	didRefused(s, command.CodeReplicaNotFound, "root", SetTombstones, mark("TWO", "a"))
	didRefused(s, command.CodeRSENotFound, "root", SetTombstones, mark("NO", "a"))
	didRefused(s, command.CodeAccessDenied, "bob", SetTombstones, mark("ONE", "a"))

	dark := &command.Quarantine{Rse: "ONE", Files: []*command.Quarantine_File{
		{Path: "/dark/1", Bytes: 7}, {Path: "/dark/2", Scope: "s", Name: "x"}, {Path: "/light", Scope: "s", Name: "a"},
	}}
	didDo(s, "root", Quarantine, dark)
	first := s.revision
	didDo(s, "root", Quarantine, &command.Quarantine{RseId: strings.Repeat("0", 30) + "01", Files: dark.Files[:1]})
	one, err := GetRSE(s.tx, "ONE")
	require.NoError(t, err)
	found := map[string]Quarantined{}
	require.NoError(t, ListQuarantined(s.tx, one, func(path string, q Quarantined) error { found[path] = q; return nil }))
	created := int64(first) * 1_000_000
	require.Equal(t, map[string]Quarantined{
		"/dark/1": {Bytes: 7, Created: created}, "/dark/2": {Scope: "s", Name: "x", Created: created},
	}, found)
	didRefused(s, command.CodeRSENotFound, "root", Quarantine, &command.Quarantine{Rse: "NO", Files: dark.Files})
	didRefused(s, command.CodeAccessDenied, "bob", Quarantine, dark)
	didRefused(s, command.CodeInputValidation, "root", Quarantine, &command.Quarantine{Rse: "ONE", Files: []*command.Quarantine_File{{}}})
}

func TestDIDsOfPFNs(t *testing.T) {
	s := newReplicaStore(t)
	s.add("ONE", newFile("a"), newFile("dir/b"))
	s.add("ND", newFile("n", withPFN("davs://nd.example:443/dav/x/n")))
	// A second RSE behind the same door, further down: the longest prefix counts, and before it who has the file.
	didDo(s, "root", AddRSE, &command.AddRSE{Name: "SUB", Uuid: uuidOf(99), Settings: &command.RSESettings{}})
	s.protocol("SUB", "davs", "one.example", 443, "/dav/s", 1, 1)
	pfns := []string{
		s.pfn("ONE", "a"), s.pfn("ONE", "dir/b"), "davs://nd.example:443/dav/x/n", "root://onex.example:1094//eos/s/00/00/a",
		s.pfn("ONE", "unknown"), "davs://nowhere:443/x", "nonsense", "davs://nd.example:443/dav/x/no",
	}
	find := func(rse string) map[string]string {
		all := map[string]string{}
		require.NoError(t, DIDsOfPFNs(s.tx, rse, pfns, func(pfn, scope, name string) error {
			all[pfn] = scope + ":" + name
			return nil
		}))
		return all
	}
	require.Equal(t, map[string]string{pfns[0]: "s:a", pfns[1]: "s:dir/b", pfns[2]: "s:n", pfns[3]: "s:a"}, find(""))
	require.Equal(t, map[string]string{pfns[2]: "s:n"}, find("ND"))
	require.Equal(t, command.CodeRSENotFound, CodeOf(DIDsOfPFNs(s.tx, "NO", pfns, nil)))
}

// A PFN that two RSEs share names no replica, unless one of them alone has it.
func TestAmbiguousPFNs(t *testing.T) {
	s := newReplicaStore(t)
	s.protocol("A_SCRATCHDISK", "davs", "one.example", 443, "/dav", 1, 1)
	one, err := GetRSE(s.tx, "ONE")
	require.NoError(t, err)
	pfn := func(name string) string { return "davs://one.example:443/dav/" + one.Path("s", name) }
	s.add("ONE", newFile("a"), newFile("b"))
	s.add("A_SCRATCHDISK", newFile("a"))
	both := []string{pfn("b"), pfn("a")}
	declare := []func() error{
		func() error { return didTry(s, "root", DeclareBad, &command.DeclareBad{Pfns: both}) },
		func() error { return didTry(s, "root", DeclareSuspicious, &command.DeclareSuspicious{Pfns: both}) },
		func() error {
			return didTry(s, "root", DeclareBadPFNs, &command.DeclareBadPFNs{Pfns: both, State: uint32(BadStateSuspicious)})
		},
	}
	for _, run := range declare {
		err := run()
		require.Equal(t, command.CodeAmbiguousPFN, CodeOf(err))
		require.ErrorContains(t, err, "A_SCRATCHDISK, ONE")
		require.Equal(t, StateAvailable, s.replica("ONE", "b").State)
	}
	s.level(0)
	for _, run := range declare {
		require.NoError(t, run())
	}
	require.Equal(t, StateBad, s.replica("A_SCRATCHDISK", "a").State)
	require.Equal(t, StateAvailable, s.replica("ONE", "a").State)
}
