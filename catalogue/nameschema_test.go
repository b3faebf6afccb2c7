package catalogue

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dapple/command"
)

// syntaxes are those of a schema by what they are of.
func (s *NameSchema) syntaxes() map[string]*nameSyntax {
	return map[string]*nameSyntax{
		"scope": &s.scope, "account": &s.account, "rse": &s.rse,
		"did": &s.did[0], "file": &s.did[TypeFile], "dataset": &s.did[TypeDataset], "container": &s.did[TypeContainer],
	}
}

// TestNameSyntaxesFitTheirPatterns compares every check that is written by hand with its pattern, and both with what any
// name must be: texts that fit, texts that almost fit, and any others.
func TestNameSyntaxesFitTheirPatterns(t *testing.T) {
	for _, s := range nameSchemas {
		for kind, syntax := range s.syntaxes() {
			t.Run(s.name+"/"+kind, func(t *testing.T) {
				pattern := regexp.MustCompile(syntax.pattern)
				fitting := rapid.StringMatching(strings.NewReplacer(`\A`, `^`, `\z`, `$`).Replace(syntax.pattern))
				odd := rapid.SampledFrom([]string{"", "/", "#", "_", "-", ".", "+", "~", "A", "z", "0", " ", "\x00", "\n", "\x7f", "\xff", "é", "/store/"})
				rapid.Check(t, func(t *rapid.T) {
					name := fitting.Draw(t, "name")
					if rapid.Bool().Draw(t, "spoil") {
						at := rapid.IntRange(0, len(name)).Draw(t, "at")
						to := rapid.IntRange(at, len(name)).Draw(t, "to")
						name = name[:at] + odd.Draw(t, "odd") + name[to:]
					}
					want := len(name) <= syntax.longest && pattern.MatchString(name)
					if got := syntax.ok(name); got != want {
						t.Fatalf("%q fits: %t, by the pattern: %t", name, got, want)
					}
					if want && ValidateName(kind, name) != nil {
						t.Fatalf("%q fits and is nothing that may be called so at all", name)
					}
				})
				require.LessOrEqual(t, syntax.longest, MaxNameBytes)
				require.Equal(t, command.CodeInvalidObject, CodeOf(syntax.check(kind, strings.Repeat("A", syntax.longest+1))))
			})
		}
		require.LessOrEqual(t, s.scope.longest, maxScopeName, "PFNs are searched for scopes of that many parts")
	}
}

func FuzzNames(f *testing.F) {
	for _, seed := range []string{"", "a", "/store/a", "/A/B/C#d", "T2_CH_CERN", "\x00", "\xff", "KEK-TMP", "user.x", "a\u0085b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		floor := ValidateName("name", name) == nil
		for _, s := range nameSchemas {
			for kind, syntax := range s.syntaxes() {
				if syntax.ok(name) && !floor {
					t.Fatalf("%s/%s takes %q", s.name, kind, name)
				}
			}
		}
	})
}

// TestNameSchemas holds what the experiments call things against their schemas.
func TestNameSchemas(t *testing.T) {
	const block = "/SingleMuon/Run2018A-17Sep2018-v2/MINIAOD#b9f42eb0-0b0d-4e5b-8d6a-1f2e3d4c5b6a"
	for _, c := range []struct {
		schema, kind, name string
		want               bool
	}{
		{"generic", "did", "/a/b.c", true},
		{"generic", "did", "a#b", false},
		{"generic", "rse", "SITE_disk", false},
		{"generic", "rse", "SITE-DISK", true},
		{"atlas", "did", "mc23_13p6TeV.601229.PhPy8EG.deriv", true},
		{"atlas", "did", "/a", false},
		{"cms", "rse", "T2_CH_CERN", true},
		{"cms", "rse", "T1_US_FNAL_Disk", true},
		{"cms", "rse", "T2_CH_", false},
		{"cms", "rse", "T2_CH", false},
		{"cms", "rse", "T4_CH_CERN", false},
		{"cms", "rse", "T2_CH__CERN", false},
		{"cms", "rse", "CERN", false},
		{"cms", "scope", "cms", true},
		{"cms", "scope", "user.jdoe", true},
		{"cms", "scope", "group.b-phys", true},
		{"cms", "scope", "cmsx", false},
		{"cms", "scope", "user.", false},
		{"cms", "scope", "user.JD", false},
		{"cms", "dataset", block, true},
		{"cms", "container", block, false},
		{"cms", "file", block, false},
		{"cms", "did", block, true},
		{"cms", "container", "/SingleMuon/Run2018A-17Sep2018-v2/MINIAOD", true},
		{"cms", "dataset", "/SingleMuon/Run2018A-17Sep2018-v2/MINIAOD", false},
		{"cms", "container", "/SingleMuon/Run2018A/AOD/x", false},
		{"cms", "container", "/a/b/aod", false},
		{"cms", "dataset", "/a/b/AOD#", false},
		{"cms", "file", "/store/data/Run2018A/SingleMuon/MINIAOD/17Sep2018-v2/00000/11697BCC.root", true},
		{"cms", "file", "/store/", false},
		{"cms", "file", "/store/a", false},
		{"cms", "file", "/stores/ab", false},
		{"cms", "file", "store/ab", false},
		{"belleii", "rse", "KEK-TMP-SE", true},
		{"belleii", "rse", "Napoli-DATA-SE", true},
		{"belleii", "rse", "kek", false},
		{"belleii", "rse", "KEK_TMP", false},
		{"belleii", "did", "/belle/MC/release-06/e1003+x/mdst_000001.root", true},
		{"belleii", "did", "belle", false},
		{"belleii", "did", "/", false},
		{"lsst", "did", "raw/2024-01-01/a+b~c_d.fits", true},
		{"lsst", "did", "a b", false},
		{"lsst", "did", strings.Repeat("a", 500), true},
		{"lsst", "did", strings.Repeat("a", 501), false},
		{"dune", "rse", "DUNE_CERN_EOS", true},
		{"dune", "did", "np04_raw_run005141_0001.root", true},
		{"dune", "did", "a/b", false},
		{"icecube", "did", "/data/exp/a#1-b.i3", true},
		{"icecube", "did", "data", false},
		{"escape", "account", "Alice", true},
		{"generic", "account", "Alice", false},
		{"ctao", "did", "/ctao/dl0/a.fits", true},
		{"ctao", "did", "ctao", false},
		{"ctao", "did", "/.x", false},
		{"domatpc", "did", "a.b", true},
	} {
		s := findNameSchema(c.schema)
		require.Equal(t, c.want, s.syntaxes()[c.kind].ok(c.name), "%s %s %s", c.schema, c.kind, c.name)
	}
	require.True(t, slices.IsSorted(NameSchemaNames()))
	for _, s := range nameSchemas {
		require.NoError(t, s.CheckAccount(RootAccount), s.name)
		require.Same(t, s, findNameSchema(s.Name()))
		require.True(t, s.Enforced())
	}
}

// TestNameSchemaChanges sets another schema in a catalogue that has names of the first: those stay usable, and new ones must
// fit the new schema.
func TestNameSchemaChanges(t *testing.T) {
	s := newDIDStore(t)
	files := func(scope string, names ...string) *command.AddReplicas {
		c := &command.AddReplicas{Rse: "ONE"}
		for _, name := range names {
			c.Files = append(c.Files, &command.NewFile{Scope: scope, Name: name, Bytes: 1})
		}
		return c
	}
	dids := func(t DIDType, scope, name string) *command.AddDIDs {
		return &command.AddDIDs{Dids: []*command.NewCollection{{Scope: scope, Name: name, Type: uint32(t)}}}
	}
	into := func(scope, name string, children ...string) *command.AttachDIDs {
		a := &command.Attachment{Scope: scope, Name: name}
		for _, child := range children {
			a.Children = append(a.Children, &command.Child{File: &command.NewFile{Scope: "s", Name: child}})
		}
		return &command.AttachDIDs{Attachments: []*command.Attachment{a}}
	}
	const block, dataset = "/Primary/Processed-v1/RAW#1", "/Primary/Processed-v1/RAW"
	didRefused(s, command.CodeInvalidObject, "root", AddReplicas, files("s", "a#b"))
	didRefused(s, command.CodeInvalidObject, "root", AddDIDs, dids(TypeDataset, "s", block))
	didRefused(s, command.CodeInvalidObject, "root", AddRSE, &command.AddRSE{Name: "T2_CH_CERN_Disk", Uuid: uuidOf(7)})
	didDo(s, "root", AddReplicas, files("s", "old", "older"))
	didDo(s, "root", AddDIDs, dids(TypeDataset, "s", "set"))

	didDo(s, "root", SetSetting, set(SettingNameSchema, "cms"))
	didDo(s, "root", AddScope, &command.AddScope{Name: "cms", Account: "root"})
	didDo(s, "root", AddRSE, &command.AddRSE{Name: "T2_CH_CERN_Disk", Uuid: uuidOf(7)})
	didDo(s, "root", AddReplicas, files("cms", "/store/data/x.root"))
	didDo(s, "root", AddDIDs, dids(TypeDataset, "cms", block))
	didDo(s, "root", AddDIDs, dids(TypeContainer, "cms", dataset))
	for name, err := range map[string]error{
		"a scope":                 didTry(s, "root", AddScope, &command.AddScope{Name: "t", Account: "root"}),
		"an RSE":                  didTry(s, "root", AddRSE, &command.AddRSE{Name: "THREE", Uuid: uuidOf(8)}),
		"a new name of an RSE":    didTry(s, "root", UpdateRSE, &command.UpdateRSE{Name: "TWO", NewName: "THREE"}),
		"a file":                  didTry(s, "root", AddReplicas, files("s", "new")),
		"a file called a block":   didTry(s, "root", AddReplicas, files("cms", block+"2")),
		"a dataset":               didTry(s, "root", AddDIDs, dids(TypeDataset, "s", "newer")),
		"a dataset without block": didTry(s, "root", AddDIDs, dids(TypeDataset, "cms", dataset+"2")),
		"a container with block":  didTry(s, "root", AddDIDs, dids(TypeContainer, "cms", block+"2")),
		"a child that is not":     didTry(s, "root", AttachDIDs, into("cms", block, "nothing")),
		"a scope that is not":     didTry(s, "root", AddReplicas, files("t", "/store/ab")),
	} {
		require.Equal(t, command.CodeInvalidObject, CodeOf(err), "%s: %v", name, err)
	}
	didRefused(s, command.CodeDIDNotFound, "root", AttachDIDs, into("cms", block, "/store/not-there"))

	// What exists stays usable.
	two := files("s", "old")
	two.Rse = "TWO"
	didDo(s, "root", AddReplicas, two)
	didDo(s, "root", AttachDIDs, into("cms", block, "old"))
	didDo(s, "root", AttachDIDs, into("s", "set", "old", "older"))
	didDo(s, "root", DetachDIDs, &command.DetachDIDs{Scope: "s", Name: "set", Children: []*command.DIDName{{Scope: "s", Name: "older"}}})
	didDo(s, "root", SetDIDStatus, &command.SetDIDStatus{Scope: "s", Name: "set"})
	didDo(s, "root", DeleteReplicas, &command.DeleteReplicas{Rse: "ONE", Files: []*command.ReplicaName{{Scope: "s", Name: "older"}}})
	didDo(s, "root", SetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{{Scope: "s", Name: "old", Set: map[string]string{"k": "1"}}}})

	didDo(s, "root", SetSetting, set(SettingNameSchema, ""))
	didDo(s, "root", AddDIDs, dids(TypeDataset, "s", "newer"))
	didDo(s, "root", AttachDIDs, into("s", "newer", "old"))
}

// TestPFNsWithHash finds the file of a PFN that has a #.
func TestPFNsWithHash(t *testing.T) {
	s := newDIDStore(t)
	didDo(s, "root", SetSetting, set(SettingNameSchema, "icecube"))
	text, port, one := func(v string) *string { return &v }, int32(443), int32(1)
	priorities := &command.ProtocolPriorities{Read: &one, Write: &one, Delete: &one}
	didDo(s, "root", AddRSE, &command.AddRSE{Name: "LOOSE", Uuid: uuidOf(9), Settings: &command.RSESettings{Deterministic: new(bool)}})
	for _, rse := range []string{"ONE", "LOOSE"} {
		didDo(s, "root", AddProtocol, &command.AddProtocol{Rse: rse, Protocol: &command.ProtocolSettings{
			Scheme: text("davs"), Hostname: text(strings.ToLower(rse)), Port: &port, Prefix: text("/x"), Impl: text(gfal), Wan: priorities,
		}})
	}
	for rse, pfn := range map[string]string{"ONE": "", "LOOSE": "davs://loose:443/x/deep/a#1.i3"} {
		didDo(s, "root", AddReplicas, &command.AddReplicas{Rse: rse, Files: []*command.NewFile{{Scope: "s", Name: "/data/a#1.i3", Bytes: 1, Pfn: pfn}}})
	}
	list, err := NewReplicaList(s.tx, ReplicaQuery{DIDs: []DIDName{{"s", "/data/a#1.i3"}}})
	require.NoError(t, err)
	var pfns []string
	require.NoError(t, list.Each(func(f *ListedFile) (bool, error) {
		for _, p := range f.PFNs {
			pfns = append(pfns, p.PFN)
		}
		return true, nil
	}))
	require.Len(t, pfns, 2)
	found := 0
	require.NoError(t, DIDsOfPFNs(s.tx, "", pfns, func(_, scope, name string) error {
		require.Equal(t, DIDName{"s", "/data/a#1.i3"}, DIDName{scope, name})
		found++
		return nil
	}))
	require.Equal(t, 2, found)
	for _, pfn := range pfns {
		didDo(s, "root", DeclareBad, &command.DeclareBad{Pfns: []string{pfn}, Reason: "lost"})
	}
	d, err := GetDID(s.tx, "s", "/data/a#1.i3")
	require.NoError(t, err)
	for _, r := range d.Replicas {
		require.Equal(t, StateBad, r.State)
	}
}

// TestNamesBelowLevelOne applies commands of a cluster that an earlier program formed: nothing but what was checked before is.
func TestNamesBelowLevelOne(t *testing.T) {
	s := &didStore{t: t, tx: NewMemTx(), unchecked: true}
	old := genesisCommand()
	old.Features = 0
	_, err := Genesis(s.tx, s.at(""), old)
	require.NoError(t, err)
	didDo(s, "root", AddScope, &command.AddScope{Name: "s", Account: "root"})
	didDo(s, "root", AddRSE, &command.AddRSE{Name: "ONE", Uuid: uuidOf(1)})
	add := func(name string) *command.AddReplicas {
		return &command.AddReplicas{Rse: "ONE", Files: []*command.NewFile{{Scope: "s", Name: name, Bytes: 1}}}
	}
	didDo(s, "root", AddReplicas, add("a\x00b"))
	require.ErrorContains(t, CheckInvariants(s.tx), "without control characters")
	didRefused(s, command.CodeInvalidObject, "root", AddScope, &command.AddScope{Name: "", Account: "root"})
	_, err = RaiseFeatures(s.tx, s.at(""), &command.RaiseFeatures{Level: 1})
	require.NoError(t, err)
	didRefused(s, command.CodeInvalidObject, "root", AddReplicas, add("c\x00d"))
	didDo(s, "root", DeleteReplicas, &command.DeleteReplicas{Rse: "ONE", Files: []*command.ReplicaName{{Scope: "s", Name: "a\x00b"}}})
	require.NoError(t, CheckInvariants(s.tx))
}

func BenchmarkCheckDID(b *testing.B) {
	for _, c := range []struct{ schema, name string }{
		{"generic", "mc23_13p6TeV/601229.PhPy8EG/deriv.file.000001.root"}, {"cms", "/store/data/Run2018A/SingleMuon/MINIAOD/17Sep2018-v2/00000/11697BCC.root"},
	} {
		s := findNameSchema(c.schema)
		b.Run(c.schema, func(b *testing.B) {
			for b.Loop() {
				if s.CheckDID(TypeFile, c.name) != nil {
					b.Fatal(c.name)
				}
			}
		})
	}
}
