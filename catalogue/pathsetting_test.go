package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func setAlgorithm(rse, name string) *command.SetRSEAttribute {
	return &command.SetRSEAttribute{Rse: rse, Key: AttributePathAlgorithm, Value: name}
}

func (s *didStore) path(rse, name string) string {
	s.t.Helper()
	r, err := GetRSE(s.tx, rse)
	require.NoError(s.t, err)
	return r.Path("s", name)
}

func TestPathAlgorithmsAreKnown(t *testing.T) {
	s := newDIDStore(t)
	for _, name := range []string{"no_such", "Hash", "", "true", "mine"} {
		err := didTry(s, "root", SetRSEAttribute, setAlgorithm("ONE", name))
		require.Equal(t, command.CodeInvalidValue, CodeOf(err), name)
		require.EqualError(t, err, "unknown path algorithm '"+name+"': the path algorithms are hash, identity")
		err = didTry(s, "root", AddRSE, &command.AddRSE{Name: "NEW", Uuid: uuidOf(9), Settings: &command.RSESettings{Lfn2PfnAlgorithm: &name}})
		require.Equal(t, command.CodeInvalidValue, CodeOf(err), name)
	}
	for _, name := range []string{"hash", "identity", "default"} {
		didDo(s, "root", SetRSEAttribute, setAlgorithm("ONE", name))
	}
	didDo(s, "root", SetSetting, set("path-algorithm/mine", "{scope}/{name.[0]}/{name}"))
	didDo(s, "root", SetRSEAttribute, setAlgorithm("ONE", "mine"))
	require.Equal(t, "s/a/a.b", s.path("ONE", "a.b"))
	mine := "mine"
	didDo(s, "root", AddRSE, &command.AddRSE{Name: "NEW", Uuid: uuidOf(9), Settings: &command.RSESettings{Lfn2PfnAlgorithm: &mine}})
	require.Equal(t, "s/a/a.b", s.path("NEW", "a.b"))
	err := didTry(s, "root", SetRSEAttribute, setAlgorithm("ONE", "other"))
	require.EqualError(t, err, "unknown path algorithm 'other': the path algorithms are hash, identity, mine")
}

// In a cluster of earlier programs any algorithm may be set, and one that is unknown makes the paths of "identity", also later.
func TestUnknownPathAlgorithmsOfBefore(t *testing.T) {
	s := newDIDStore(t)
	putVersions(s.tx, SchemaVersion, 0)
	didDo(s, "root", SetRSEAttribute, setAlgorithm("ONE", "no_such"))
	require.Equal(t, "s/a", s.path("ONE", "a"))
	putVersions(s.tx, SchemaVersion, 1)
	require.Equal(t, "s/a", s.path("ONE", "a"))
	s.files("a")
	err := didTry(s, "root", SetSetting, set("path-algorithm/no_such", hashTemplate))
	require.Equal(t, command.CodeUnsupportedOperation, CodeOf(err))
	require.ErrorContains(t, err, "which would change: ONE")
	didDo(s, "root", SetRSEAttribute, setAlgorithm("ONE", "identity"))
	didDo(s, "root", SetSetting, set("path-algorithm/no_such", hashTemplate))
}

func TestPathAlgorithmsInUseStay(t *testing.T) {
	s := newDIDStore(t)
	const name = "path-algorithm/mine"
	for bad, value := range map[string]string{
		name: "{scope}", "path-algorithm/hash": hashTemplate, "path-algorithm/default": hashTemplate, "path-algorithm/a b": hashTemplate,
		"path-algorithm/": hashTemplate, SettingDefaultPathAlgorithm: "no_such",
	} {
		didRefused(s, command.CodeInvalidValue, "root", SetSetting, set(bad, value))
	}
	didRefused(s, command.CodeAccessDenied, "alice", SetSetting, set(name, hashTemplate))
	didDo(s, "root", SetSetting, set(name, hashTemplate))
	didDo(s, "root", SetRSEAttribute, setAlgorithm("ONE", "mine"))
	err := didTry(s, "root", SetSetting, set(name, ""))
	require.Equal(t, command.CodeUnsupportedOperation, CodeOf(err))
	require.ErrorContains(t, err, "ONE")
	didDo(s, "root", SetSetting, set(name, "{scope}/{name}"))
	require.Equal(t, "s/a", s.path("ONE", "a"), "an RSE without files may change")
	s.files("a")
	didRefused(s, command.CodeUnsupportedOperation, "root", SetSetting, set(name, hashTemplate))
	didDo(s, "root", SetSetting, set(name, "{scope}/{name}"))

	// TWO follows the default and is empty, ONE has an algorithm of its own.
	didDo(s, "root", SetSetting, set(SettingDefaultPathAlgorithm, "mine"))
	require.Equal(t, "s/a", s.path("TWO", "a"))
	didDo(s, "root", SetSetting, set(SettingDefaultPathAlgorithm, "identity"))
	didDo(s, "root", AddReplicas, &command.AddReplicas{Rse: "TWO", Files: []*command.NewFile{{Scope: "s", Name: "t", Bytes: 1}}})
	err = didTry(s, "root", SetSetting, set(SettingDefaultPathAlgorithm, ""))
	require.Equal(t, command.CodeUnsupportedOperation, CodeOf(err))
	require.ErrorContains(t, err, "TWO")
	didDo(s, "root", SetRSEAttribute, setAlgorithm("TWO", "identity"))
	didDo(s, "root", SetSetting, set(SettingDefaultPathAlgorithm, "mine"))
	didDo(s, "root", SetRSEAttribute, setAlgorithm("ONE", "identity"))
	didRefused(s, command.CodeUnsupportedOperation, "root", SetSetting, set(name, ""))
	didDo(s, "root", SetSetting, set(SettingDefaultPathAlgorithm, ""))
	didDo(s, "root", SetSetting, set(name, ""))
}

// PFNs of RSEs with templates are checked, made and found again, and a file whose path would lead elsewhere is refused.
func TestPFNsOfTemplates(t *testing.T) {
	s := newDIDStore(t)
	s.protocol("ONE", "davs", "one.example", 443, "/d", 1, 1)
	didDo(s, "root", SetSetting, set("path-algorithm/mine", "{scope_path}/{name.[0]}/{name}"))
	didDo(s, "root", SetSetting, set("path-algorithm/flat", "{name}"))
	didDo(s, "root", SetRSEAttribute, setAlgorithm("ONE", "mine"))
	add := func(name, pfn string) error {
		return didTry(s, "root", AddReplicas, &command.AddReplicas{Rse: "ONE", Files: []*command.NewFile{{Scope: "s", Name: name, Bytes: 1, Pfn: pfn}}})
	}
	const pfn = "davs://one.example:443/d/s/a/a.b"
	require.Equal(t, command.CodeInvalidPath, CodeOf(add("a.b", "davs://one.example:443/d/s/a.b")))
	require.NoError(t, add("a.b", pfn))
	require.Equal(t, command.CodeInvalidPath, CodeOf(add("a/../b", "")))
	require.Equal(t, pfn, s.pfn("ONE", "a.b"))

	found := ""
	look := func(pfn string) error {
		found = ""
		return DIDsOfPFNs(s.tx, "ONE", []string{pfn}, func(_, scope, name string) error {
			found = scope + ":" + name
			return nil
		})
	}
	require.NoError(t, look(pfn))
	require.Equal(t, "s:a.b", found)
	require.NoError(t, look("davs://one.example:443/d/s/x/a.b"))
	require.Empty(t, found)
	didDo(s, "root", DeclareBad, &command.DeclareBad{Pfns: []string{pfn}, Reason: "lost"})
	require.Equal(t, "B", s.badStatesOf("ONE", "a.b"))

	didDo(s, "root", SetRSEAttribute, setAlgorithm("ONE", "flat"))
	err := look("davs://one.example:443/d/a.b")
	require.Equal(t, command.CodeInvalidPath, CodeOf(err))
	require.ErrorContains(t, err, "name its files by scope and name")
}

// Below feature level 1 the scope is the first directory, from then on it may be several.
func TestFilesOfIdentityAreFound(t *testing.T) {
	s := newDIDStore(t)
	s.protocol("ONE", "davs", "one.example", 443, "/d", 1, 1)
	didDo(s, "root", AddScope, &command.AddScope{Name: "user.x", Account: "root"})
	didDo(s, "root", SetRSEAttribute, setAlgorithm("ONE", "identity"))
	didDo(s, "root", AddReplicas, &command.AddReplicas{Rse: "ONE", Files: []*command.NewFile{{Scope: "user.x", Name: "d/a", Bytes: 1}}})
	for level, want := range []string{"", "user.x:d/a"} {
		putVersions(s.tx, SchemaVersion, uint64(level))
		found := ""
		require.NoError(t, DIDsOfPFNs(s.tx, "", []string{"davs://one.example:443/d/user/x/d/a"}, func(_, scope, name string) error {
			found = scope + ":" + name
			return nil
		}))
		require.Equal(t, want, found, "level %d", level)
	}
}
