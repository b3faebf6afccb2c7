package catalogue

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dapple/command"
)

// builtInPaths are paths that Rucio's own functions have made.
var builtInPaths = [...]struct{ scope, name, hash, identity string }{
	{"foo", "bar", "foo/4e/99/bar", "foo/bar"},
	{"user.foo", "bar", "user/foo/13/7f/bar", "user/foo/bar"},
	{"group.x.y", "d/a", "group/x/y/70/69/d/a", "group/x/y/d/a"},
	{"data.17", "a", "data.17/28/d0/a", "data.17/a"},
	{"user.foo.bar", "a/b/c.root", "user/foo/bar/80/81/a/b/c.root", "user/foo/bar/a/b/c.root"},
	{"mc16", "x//y", "mc16/ea/23/x//y", "mc16/x//y"},
	{"cms", "/store/data/f.root", "cms/7c/a9//store/data/f.root", "cms//store/data/f.root"},
	{"users", "n.with.dots", "users/dc/aa/n.with.dots", "users/n.with.dots"},
	{"usergroup.a", "a", "usergroup/a/e9/cc/a", "usergroup/a/a"},
	{"groupless.b", "a-b_c", "groupless/b/ee/65/a-b_c", "groupless/b/a-b_c"},
	{"x", "a", "x/1f/33/a", "x/a"},
}

const (
	hashTemplate     = "{scope_path}/{md5[0:2]}/{md5[2:4]}/{name}"
	identityTemplate = "{scope_path}/{name}"
)

func template(t *testing.T, text string) *pathTemplate {
	t.Helper()
	compiled, err := newPathTemplate(text)
	require.NoError(t, err, text)
	return compiled
}

// The built-in algorithms make what Rucio makes, as templates too, in lists too.
func TestBuiltInPaths(t *testing.T) {
	hash, identity := template(t, hashTemplate), template(t, identityTemplate)
	for _, c := range builtInPaths {
		for algorithm, want := range map[string]string{"": c.hash, "default": c.hash, "hash": c.hash, "identity": c.identity, "unknown": c.identity} {
			r := &RSE{Name: "R", Deterministic: true}
			if algorithm != "" {
				r.setAttribute(AttributePathAlgorithm, algorithm)
			}
			require.Equal(t, want, r.Path(c.scope, c.name), algorithm)
			var paths pathCache
			paths.reset(c.scope, c.name)
			require.Equal(t, want, paths.path(&listedRSE{rse: r, algorithm: r.PathAlgorithm()}, &Replica{}), algorithm)
		}
		require.Equal(t, c.hash, string(hash.appendPath(nil, c.scope, c.name)))
		require.Equal(t, c.identity, string(identity.appendPath(nil, c.scope, c.name)))
	}
}

func TestPathTemplates(t *testing.T) {
	for _, c := range []struct{ template, scope, name, want string }{
		{"{name}", "s", "/belle/MC/a.root", "belle/MC/a.root"},
		{"{scope[0:7]}/{scope[4:]}/{name-[0:2]}/{name}", "xnt_10000_data", "raw-records-abc-def", "xnt_100/10000_data/raw-records/raw-records-abc-def"},
		{"{name__[:]/}", "raw", "raw__HSC__r__1.fits", "raw/HSC/r/1.fits"},
		{"{scope.[:]/}/{name}", "mc.v1.x", "a", "mc/v1/x/a"},
		{"fixed/{scope}/{sha256}", "foo", "bar", "fixed/foo/a765a8beaa9d561d4c5cbed29d8f4e30870297fdfa9cb7d6e9848a95fec9f937"},
		{"{scope}/{adler32}/{name}", "foo", "bar", "foo/0ad802b4/bar"},
		{"{scope}/{md5(name)[0:3]}/{name}", "foo", "bar", "foo/37b/bar"},
		{"{scope}/{md5(scope)[-4:]}/{name}", "foo", "bar", "foo/a4d8/bar"},
		{"{scope}/{md5(scope:name)[0:2]}/{name}", "foo", "bar", "foo/4e/bar"},
		{"{scope}/{name/[0]}/{name/[-1]}_{name}", "s", "a/b/c", "s/a/c_a/b/c"},
		{"{scope}/{name.[3]}/{name.[5:]}/{name}", "s", "a.b", "s/a.b"},
		{"{name.[3]}/{scope}/{name}", "s", "a.b", "s/a.b"},
		{"{md5}/{name.[3]}", "foo", "bar", "4e99e8c12de7e01535248d2bac85e732"},
		{"{scope}/{name[1]}/{name[9]}/{name[-2:]}/{name}", "s", "äöü", "s/ö/öü/äöü"},
		{"{scope}/{name[2:1]}/{name[-9:2]}/{name}", "s", "abc", "s/ab/abc"},
	} {
		require.Equal(t, c.want, string(template(t, c.template).appendPath(nil, c.scope, c.name)), c.template)
	}
}

func TestPathTemplateRefusals(t *testing.T) {
	for text, why := range map[string]string{
		"":                             "begins or ends with '/'",
		"{scope}":                      "one path of different files",
		"{scope}/{md5[0:4]}":           "one path of different files",
		"{scope}/{name.[0]}":           "one path of different files",
		"{scope}/{adler32}":            "one path of different files",
		"{md5(scope)}":                 "one path of different files",
		"/{scope}/{name}":              "begins or ends with '/'",
		"{scope}/{name}/":              "begins or ends with '/'",
		"{scope}//{name}":              "empty directory",
		"../{name}":                    "'..'",
		"a/./{name}":                   "'.'",
		"{scope}/{nam}":                "the field '{nam}'",
		"{scope}/{name":                "'{' without '}'",
		"{scope}/{}":                   "the field '{}'",
		"{scope}/}{name}":              "between its fields",
		"{scope}/a b/{name}":           "between its fields",
		"{scope}?x={name}":             "between its fields",
		"{scope}/{name[]}":             "the field",
		"{scope}/{name[a:b]}":          "the field",
		"{scope}/{name[1:2:3]}":        "the field",
		"{scope}/{name(scope)}":        "the field",
		"{scope}/{md5/[0]}/{name}":     "the field",
		"{scope}/{name/[0]-}/{name}":   "the field",
		"{scope}/{name[0:1]-}/{name}":  "the field",
		"{scope}/{name[99999]}":        "the field",
		strings.Repeat("a", 600):       "is longer than",
		strings.Repeat("{name}", 5):    "at most 2048",
		strings.Repeat("{md5[0]}", 33): "more than 32",
	} {
		_, err := newPathTemplate(text)
		require.Equal(t, command.CodeInvalidValue, CodeOf(err), text)
		require.ErrorContains(t, err, why, text)
	}
}

func FuzzPathTemplate(f *testing.F) {
	for _, seed := range []string{hashTemplate, identityTemplate, "{name__[:]/}", "{name.[3]}/{md5(name)[-4:]}/{name[1:]}{name}", "{a", "}"} {
		f.Add(seed, "user.x", "a/b.c", "user/x/b/a")
	}
	f.Fuzz(func(t *testing.T, text, scope, name, path string) {
		compiled, err := newPathTemplate(text)
		if err != nil {
			require.Equal(t, command.CodeInvalidValue, CodeOf(err))
			return
		}
		made := string(compiled.appendPath(nil, scope, name))
		require.False(t, strings.HasPrefix(made, "/"))
		if len(scope) <= templateScope && len(name) <= templateName {
			require.LessOrEqual(t, len(made), maxTemplatePath)
		}
		compiled.filesAt(path, func(scope, name string) bool {
			require.Equal(t, path, string(compiled.appendPath(nil, scope, name)))
			return true
		})
	})
}

// A file is found again at the path that a template makes of it, among the files that could lie there.
func TestPathsOfTemplatesAreReversible(t *testing.T) {
	for _, text := range []string{
		hashTemplate, identityTemplate, "{scope}/{name}", "{scope.[:]/}/{name}", "pool/{scope}/{md5(name)[0:2]}/{sha1}-{name}",
		"{name}/{scope}", "{scope}/{name.[1]}/{name.[-1]}/{name}", "{scope}/{name[0:2]}/{name}", "{scope}_{scope}/{name}",
		"{scope}/{name/[:-1]_}/{name}", "{name.[4]}/{scope}/{name}/{name.[4]}",
	} {
		compiled := template(t, text)
		require.True(t, compiled.reversible(), text)
		rapid.Check(t, func(t *rapid.T) {
			scope := rapid.StringMatching(`(user|group|usr)?(\.?[a-z0-9_\-]{1,4}){1,3}`).Filter(func(s string) bool { return s[0] != '.' }).Draw(t, "scope")
			name := rapid.StringMatching(`[a-z0-9][a-z0-9._]{0,6}(/[a-z0-9.]{1,4}){0,2}`).Draw(t, "name")
			path := string(compiled.appendPath(nil, scope, name))
			found := false
			compiled.filesAt(path, func(s, n string) bool {
				found = s == scope && n == name
				return !found
			})
			require.True(t, found, "%s: %s:%s at %s", text, scope, name, path)
		})
	}
	require.True(t, template(t, "{scope}/{name-[:]/}").reversible(), "of names without slashes")
	for _, text := range []string{"{name}", "{sha256}", "{scope[0:2]}/{name}", "{scope}/{md5}", "{name__[:]/}"} {
		require.False(t, template(t, text).reversible(), text)
	}
}

// The search for the files of a path ends, however many fields could be anything.
func TestPathSearchIsBounded(t *testing.T) {
	compiled := template(t, strings.Repeat("{name[0:9]}{scope[1:8]}", 5)+"{scope}{name}")
	compiled.filesAt(strings.Repeat("a.b", 300), func(string, string) bool { return true })
}

func BenchmarkTemplatePFN(b *testing.B) {
	compiled, err := newPathTemplate(hashTemplate)
	if err != nil {
		b.Fatal(err)
	}
	rse := &listedRSE{rse: &RSE{Deterministic: true, template: compiled}, algorithm: "mine"}
	var paths pathCache
	b.ReportAllocs()
	for b.Loop() {
		paths.reset("data24", "run000001/some.project.stream.file.00000001.root")
		if len(paths.make(rse)) == 0 {
			b.Fatal("no path")
		}
	}
}

// What no scope or name can be is not tried: a command may name thousands of PFNs.
func TestFilesOfAPathAreFoundCheaply(t *testing.T) {
	for _, text := range []string{"{scope}{name}", "{name[0:1]}{name[1:2]}{scope}/{name}", "{scope}/{name}/{sha256}"} {
		template, err := newPathTemplate(text)
		require.NoError(t, err)
		tried := 0
		template.filesAt(strings.Repeat("a", 400), func(scope, _ string) bool {
			tried++
			require.LessOrEqual(t, len(scope), templateScope)
			return true
		})
		require.LessOrEqual(t, tried, templateScope)
		template.filesAt(strings.Repeat("a", maxTemplatePath+1), func(string, string) bool { t.Error("too long"); return false })
	}
	template, err := newPathTemplate("{scope}/{name}/{sha256}")
	require.NoError(t, err)
	m := pathMatch{template: template, path: strings.Repeat("x/xxx/", 80), steps: matchSteps, visit: func(string, string) bool { return true }}
	m.match(0, 0, false)
	require.Positive(t, m.steps)
}
