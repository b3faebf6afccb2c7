package catalogue

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dapple/command"
)

const (
	gfal   = "rucio.rse.protocols.gfal.Default"
	xrootd = "rucio.rse.protocols.xrootd.Default"
	posix  = "rucio.rse.protocols.posix.Default"
	webdav = "rucio.rse.protocols.webdav.Default"
)

func TestPath(t *testing.T) {
	for _, c := range []struct{ algorithm, scope, name, want string }{
		{"", "cfpfn", "a", "cfpfn/f4/d0/a"},
		{"default", "cfpfn", "a", "cfpfn/f4/d0/a"},
		{"hash", "user.cf", "file1", "user/cf/d9/72/file1"},
		{"hash", "user.cf", "dir/file2", "user/cf/60/b8/dir/file2"},
		{"hash", "user.cfjoe", "a", "user/cfjoe/56/c8/a"},
		{"identity", "cfpfn", "a", "cfpfn/a"},
		{"identity", "group.x.y", "d/a", "group/x/y/d/a"},
		{"identity", "data.17", "a", "data.17/a"},
	} {
		r := &RSE{Name: "R", Deterministic: true}
		if c.algorithm != "" {
			r.setAttribute(AttributePathAlgorithm, c.algorithm)
		}
		path := r.Path(c.scope, c.name)
		require.Equal(t, c.want, path)
		scope, name, ok := r.scopeNameFromPath("/" + path)
		require.True(t, ok)
		if c.algorithm != "identity" || !strings.Contains(c.scope, ".") || c.scope == "data.17" {
			require.Equal(t, []string{c.scope, c.name}, []string{scope, name}, path)
		}
	}
}

// Where a path was made by the rule, the file is found again, however its scope and name look.
func TestPathOfHashIsReversible(t *testing.T) {
	r := &RSE{Name: "R", Deterministic: true}
	rapid.Check(t, func(t *rapid.T) {
		scope := rapid.StringMatching(`(user|group|usr)?[a-zA-Z_\-.0-9]{1,10}`).Filter(func(s string) bool {
			// Such scopes make a path that a scope with single dots makes too.
			return !strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".") && !strings.Contains(s, "..")
		}).Draw(t, "scope")
		name := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9.\-_]{0,6}(/[A-Za-z0-9.]{1,6}){0,3}/{0,2}`).Draw(t, "name")
		gotScope, gotName, ok := r.scopeNameFromPath("/" + r.Path(scope, name))
		require.True(t, ok)
		require.Equal(t, []string{scope, name}, []string{gotScope, gotName})
	})
}

func TestScopeNameFromForeignPath(t *testing.T) {
	r := &RSE{Name: "R", Deterministic: true}
	for _, c := range []struct {
		path, scope, name string
		ok                bool
	}{
		{"/cfpfn/aa/bb/a", "cfpfn", "a", true}, // directories that prove nothing
		{"/cfpfn/a", "cfpfn", "a", true},
		{"/a", "", "", false},
		{"", "", "", false},
		{"/a/", "", "", false},
		{"/cfpfn/a/", "", "", false}, // a directory
		{"//", "", "", false},
	} {
		scope, name, ok := r.scopeNameFromPath(c.path)
		require.Equal(t, c.ok, ok, c.path)
		if ok {
			require.Equal(t, []string{c.scope, c.name}, []string{scope, name}, c.path)
		}
	}
}

func TestPFN(t *testing.T) {
	for _, c := range []struct {
		protocol Protocol
		path     string
		want     string
	}{
		{Protocol{Scheme: "davs", Hostname: "h", Port: 443, Prefix: "/dav/rucio", Impl: gfal}, "s/aa/bb/n", "davs://h:443/dav/rucio/s/aa/bb/n"},
		{Protocol{Scheme: "davs", Hostname: "h", Port: 443, Prefix: "/dav/rucio/", Impl: gfal}, "/x/y", "davs://h:443/dav/rucio/x/y"},
		{Protocol{Scheme: "davs", Hostname: "h", Port: 443, Prefix: "dav", Impl: webdav}, "n", "davs://h:443/dav/n"},
		{Protocol{Scheme: "davs", Hostname: "h", Port: 443, Prefix: "/", Impl: gfal}, "n", "davs://h:443/n"},
		{Protocol{Scheme: "davs", Hostname: "davs://h", Prefix: "/d", Impl: gfal}, "n", "davs://h/d/n"},
		{Protocol{Scheme: "https", Hostname: "h", Prefix: "/d", Impl: webdav}, "n", "https://h:0/d/n"},
		{Protocol{Scheme: "root", Hostname: "h", Port: 1094, Prefix: "//eos/r", Impl: xrootd}, "s/n", "root://h:1094//eos/r/s/n"},
		{Protocol{Scheme: "root", Hostname: "h", Port: 1094, Prefix: "//eos/r", Impl: xrootd}, "/s/n", "root://h:1094//eos/r//s/n"},
		{Protocol{Scheme: "root", Hostname: "h", Port: 1094, Prefix: "/r", Impl: gfal}, "/s/n", "root://h:1094/r//s/n"},
		{Protocol{Scheme: "file", Hostname: "localhost", Prefix: "/tmp", Impl: posix}, "s/n", "file://localhost/tmp/s/n"},
		{
			Protocol{Scheme: "srm", Hostname: "pd", Port: 8443, Prefix: "/srm/rucio", Impl: gfal, ExtendedAttributes: `{"space_token":"D","web_service_path":"/srm/managerv2?SFN="}`},
			"cfpfn/f4/d0/a", "srm://pd:8443/srm/managerv2?SFN=/srm/rucio/cfpfn/f4/d0/a",
		},
	} {
		require.Equal(t, c.want, c.protocol.PFN(c.path))
		r := &RSE{Protocols: []Protocol{c.protocol}}
		path, ok := r.PathOfPFN(c.want, true)
		require.True(t, ok, c.want)
		require.Equal(t, "/"+strings.TrimPrefix(c.path, "/"), path, c.want)
	}
}

func TestPathOfPFN(t *testing.T) {
	r := &RSE{Protocols: []Protocol{
		{Scheme: "davs", Hostname: "h", Port: 443, Prefix: "/dav", Impl: gfal},
		{Scheme: "davs", Hostname: "h", Port: 443, Prefix: "/dav/deep", Impl: gfal},
		{Scheme: "file", Hostname: "localhost", Prefix: "/tmp", Impl: posix},
		{Scheme: "srm", Hostname: "s", Port: 8443, Prefix: "/srm/r", Impl: gfal, ExtendedAttributes: `{"web_service_path":"/srm/managerv2?SFN="}`},
	}}
	for _, c := range []struct {
		pfn, path string
		ok        bool
	}{
		{"davs://h:443/dav/x/y", "/x/y", true},
		{"davs://h/dav/x/y", "/x/y", true},
		{"DAVS://h:443/dav/x", "/x", true},
		{"davs://h:443//dav//x/y", "/x/y", true},
		{"davs://h:443/dav/deep/x", "/x", true},
		{"davs://h:443/dav/x?X-Amz-Signature=1", "/x", true},
		{"davs://h:443/dav/x#1/y#2?X-Amz-Signature=1", "/x#1/y#2", true},
		{"davs://h:443/dav2/x", "", false},
		{"davs://h:443/dav", "", false},
		{"davs://h:443/dav/", "", false},
		{"davs://h:443/dav/x/", "/x/", true},
		{"davs://h:444/dav/x", "", false},
		{"davs://other:443/dav/x", "", false},
		{"root://h:443/dav/x", "", false},
		{"file:///tmp/x", "/x", true},
		{"file://localhost/tmp/x", "/x", true},
		{"srm://s:8443/srm/managerv2?SFN=/srm/r/x", "/x", true},
		{"srm://s/srm/r/x", "/x", true},
		{"no pfn", "", false},
		{"", "", false},
	} {
		path, ok := r.PathOfPFN(c.pfn, true)
		require.Equal(t, c.ok, ok, c.pfn)
		require.Equal(t, c.path, path, c.pfn)
	}
}

func TestAcceptsPFN(t *testing.T) {
	offered := Priorities{Read: 1, Write: 1, Delete: 1}
	r := &RSE{Name: "R", Deterministic: true, Protocols: []Protocol{
		{Scheme: "davs", Hostname: "h", Port: 443, Prefix: "/dav", Impl: gfal, WAN: offered},
		{Scheme: "https", Hostname: "h", Port: 443, Prefix: "/lan", Impl: gfal, LAN: offered},
		{Scheme: "root", Hostname: "h", Port: 1094, Prefix: "/", Impl: xrootd, WAN: Priorities{Read: 1}},
		{Scheme: "srm", Hostname: "s", Port: 8443, Prefix: "/p", Impl: gfal, WAN: offered, ExtendedAttributes: `{"web_service_path":"/srm/managerv2?SFN="}`},
	}}
	for pfn, want := range map[string]bool{
		"davs://h:443/dav/cfpfn/f4/d0/a":                  true,
		"https://h:443/lan/cfpfn/f4/d0/a":                 true,
		"srm://s:8443/srm/managerv2?SFN=/p/cfpfn/f4/d0/a": true,
		"srm://s/p/cfpfn/f4/d0/a":                         true,
		"davs://h:443/dav/cfpfn/f4/d0/a?X-Amz-Date=1":     true,
		"davs://h/dav/cfpfn/f4/d0/a":                      false,
		"davs://h:443/dav/cfpfn/f4/d0/b":                  false,
		"davs://h:443/dav/cfpfn/a":                        false,
		"root://h:1094/cfpfn/f4/d0/a":                     false, // offers no writing
		"":                                                false,
	} {
		require.Equal(t, want, r.AcceptsPFN("cfpfn", "a", pfn), pfn)
	}
}

func TestParsePFN(t *testing.T) {
	got, err := ParsePFN("srm://h.x:8443/srm/managerv2?SFN=/a/b")
	require.NoError(t, err)
	require.Equal(t, PFN{Scheme: "srm", Host: "h.x", Port: 8443, Service: "/srm/managerv2?SFN=", Path: "/a/b"}, got)
	for _, bad := range []string{
		"", "x", "://h/x", "a b://h/x", "davs://h:port/x", "davs://h:70000/x", "davs://h/\x00", "davs://h/\xff", "d://h/" + strings.Repeat("x", maxPFN),
	} {
		_, err := ParsePFN(bad)
		require.Equal(t, command.CodeInvalidPath, CodeOf(err), "%q", bad)
	}
}

func FuzzParsePFN(f *testing.F) {
	for _, seed := range []string{
		"srm://pd:8443/srm/managerv2?SFN=/srm/rucio/cfpfn/f4/d0/a", "davs://h:443/dav/x", "file:///tmp/x", "root://h:1094//eos//x",
		"davs://h:443/srm/v2/server?SFN", "s://:1/", "s://?", "s://#", "a://b:/c=d",
	} {
		f.Add(seed)
	}
	r := &RSE{Name: "R", Deterministic: true, Protocols: []Protocol{
		{Scheme: "davs", Hostname: "h", Port: 443, Prefix: "/dav", Impl: gfal, WAN: Priorities{Write: 1}},
		{Scheme: "file", Hostname: "localhost", Prefix: "", Impl: posix},
		{Scheme: "srm", Hostname: "pd", Port: 8443, Prefix: "/srm/rucio", Impl: gfal, ExtendedAttributes: `{"web_service_path":"/srm/managerv2?SFN="}`},
	}}
	f.Fuzz(func(t *testing.T, pfn string) {
		parsed, err := ParsePFN(pfn)
		if err != nil {
			require.Equal(t, command.CodeInvalidPath, CodeOf(err))
		} else if parsed.Scheme == "" || strings.ContainsAny(parsed.Path, "?\x00") || strings.ContainsAny(parsed.Host, "/?#:") {
			t.Fatalf("%q gives %+v", pfn, parsed)
		}
		r.AcceptsPFN("s", "n", pfn)
		path, ok := r.PathOfPFN(pfn, true)
		if !ok {
			return
		}
		if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
			t.Fatalf("%q has path %q", pfn, path)
		}
		r.scopeNameFromPath(path)
	})
}
