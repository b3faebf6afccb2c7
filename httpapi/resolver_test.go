package httpapi

import (
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

// testRoutes have the shapes of the real table's paths.
var testRoutes = []string{
	"GET /ping",
	"POST /dids", "POST /dids/attachments", "GET /dids/:scope", "GET /dids/:scope/dids/search",
	"GET /dids/:scope/*name", "POST /dids/:scope/*name",
	"GET /dids/:scope/*name/dids", "POST /dids/:scope/*name/dids", "DELETE /dids/:scope/*name/dids",
	"GET /dids/:scope/*name/dids/history", "GET /dids/:scope/*name/files",
	"GET /dids/:scope/*name/meta", "DELETE /dids/:scope/*name/meta/:key", "POST /dids/:scope/*name/meta/:key",
	"POST /replicas", "PUT /replicas", "POST /replicas/list", "POST /replicas/bad/pfns", "GET /replicas/bad/states",
	"GET /replicas/rse/:rse", "GET /replicas/:scope/*name", "GET /replicas/:scope/*name/datasets", "GET /replicas/:scope",
	"GET /rses", "GET /rses/:rse", "GET /rses/:rse/attr", "POST /rses/:rse/attr/:key", "GET /rses/:rse/distances/:destination",
}

func testResolver(t *testing.T, rows []string) *resolver {
	t.Helper()
	var routes []route
	for _, row := range rows {
		method, path, _ := strings.Cut(row, " ")
		routes = append(routes, route{method, path, func(*gin.Context) {}, needsToken})
	}
	r, err := newResolver(routes)
	require.NoError(t, err)
	return r
}

func TestResolve(t *testing.T) {
	tests := []struct {
		request, want string
		params        string // key=value, joined by spaces
	}{
		{"GET /ping", "/ping", ""},
		{"GET /ping/", "/ping", ""},
		{"HEAD /ping", "/ping", ""},
		{"GET /rses/", "/rses", ""},
		{"GET /rses/A/attr/", "/rses/:rse/attr", "rse=A"},
		{"POST /rses/A/attr/a%2Fb", "/rses/:rse/attr/:key", "rse=A key=a/b"},
		{"GET /rses/A%20B", "/rses/:rse", "rse=A B"},
		{"GET /rses/A+B", "/rses/:rse", "rse=A+B"},
		{"GET /rses/%2541", "/rses/:rse", "rse=%41"},

		// Names with slashes, plain and encoded.
		{"GET /dids/s/n", "/dids/:scope/*name", "scope=s name=n"},
		{"GET /dids/s/n/", "/dids/:scope/*name", "scope=s name=n"},
		{"GET /dids/s/a/b/c", "/dids/:scope/*name", "scope=s name=a/b/c"},
		{"GET /dids/s/a%2Fb/c", "/dids/:scope/*name", "scope=s name=a/b/c"},
		{"GET /dids/s//a", "/dids/:scope/*name", "scope=s name=/a"},
		{"GET /dids/s/%2Fa", "/dids/:scope/*name", "scope=s name=/a"},
		{"GET /dids/s/a//b", "/dids/:scope/*name", "scope=s name=a//b"},
		{"GET /dids/s/n%2F", "/dids/:scope/*name", "scope=s name=n/"},
		{"GET /dids/s/..", "/dids/:scope/*name", "scope=s name=.."},
		{"GET /dids/s/a/../b", "/dids/:scope/*name", "scope=s name=a/../b"},

		// Suffixes: the longest wins, and only where it ends the path.
		{"GET /dids/s/n/files", "/dids/:scope/*name/files", "scope=s name=n"},
		{"GET /dids/s/n/files/", "/dids/:scope/*name/files", "scope=s name=n"},
		{"GET /dids/s/n%2Ffiles", "/dids/:scope/*name", "scope=s name=n/files"},
		{"GET /dids/s/n/files/x", "/dids/:scope/*name", "scope=s name=n/files/x"},
		{"GET /dids/s/a/dids/b", "/dids/:scope/*name", "scope=s name=a/dids/b"},
		{"GET /dids/s/a/dids/b/dids", "/dids/:scope/*name/dids", "scope=s name=a/dids/b"},
		{"GET /dids/s/a/dids/history", "/dids/:scope/*name/dids/history", "scope=s name=a"},
		{"GET /dids/s/dids/dids", "/dids/:scope/*name/dids", "scope=s name=dids"},
		{"GET /dids/s/dids", "/dids/:scope/*name", "scope=s name=dids"},
		{"GET /dids/s/files", "/dids/:scope/*name", "scope=s name=files"},
		{"DELETE /dids/s/a/b/meta/k", "/dids/:scope/*name/meta/:key", "scope=s name=a/b key=k"},
		{"GET /dids/s/a/meta/files", "/dids/:scope/*name/files", "scope=s name=a/meta"},
		{"GET /dids/s/n/datasets", "/dids/:scope/*name", "scope=s name=n/datasets"},
		{"GET /replicas/s/a/b/datasets", "/replicas/:scope/*name/datasets", "scope=s name=a/b"},

		// Fixed paths before names, where they have the method.
		{"GET /dids/s", "/dids/:scope", "scope=s"},
		{"GET /dids/s/", "/dids/:scope", "scope=s"},
		{"GET /dids/attachments", "/dids/:scope", "scope=attachments"},
		{"POST /dids/attachments", "/dids/attachments", ""},
		{"GET /dids/s/dids/search", "/dids/:scope/dids/search", "scope=s"},
		{"GET /dids/s/dids%2Fsearch", "/dids/:scope/*name", "scope=s name=dids/search"},
		{"GET /replicas/bad/states", "/replicas/bad/states", ""},
		{"GET /replicas/bad/pfns", "/replicas/:scope/*name", "scope=bad name=pfns"},
		{"GET /replicas/bad/x", "/replicas/:scope/*name", "scope=bad name=x"},
		{"GET /replicas/rse/A", "/replicas/rse/:rse", "rse=A"},
		{"GET /replicas/rse/a/b", "/replicas/:scope/*name", "scope=rse name=a/b"},
		{"GET /replicas/list", "/replicas/:scope", "scope=list"},
	}
	r := testResolver(t, testRoutes)
	for _, tt := range tests {
		t.Run(tt.request, func(t *testing.T) {
			method, path, _ := strings.Cut(tt.request, " ")
			found, params, allow := r.resolve(method, path)
			require.NotNil(t, found, "allow: %v", allow)
			require.Equal(t, tt.want, found.path)
			var got []string
			for _, p := range params {
				got = append(got, p.Key+"="+p.Value)
			}
			require.Equal(t, tt.params, strings.Join(got, " "))
		})
	}
}

func TestResolveFindsNothing(t *testing.T) {
	r := testResolver(t, testRoutes)
	for request, allow := range map[string]string{
		"PATCH /replicas":           "POST PUT",
		"DELETE /ping":              "GET",
		"POST /dids/s/n/files":      "GET",
		"DELETE /dids/s/n":          "GET POST",
		"GET /dids/s/n/meta/k":      "DELETE POST",
		"PUT /dids/s/n/dids":        "DELETE GET POST",
		"DELETE /replicas/bad/pfns": "GET POST",
		"GET /":                     "",
		"GET ":                      "",
		"GET *":                     "",
		"GET ping":                  "",
		"GET /ping//":               "",
		"GET //ping":                "",
		"GET /ping/x":               "",
		"GET /rses//attr":           "",
		"GET /dids//n":              "",
		"GET /dids/s//":             "",
		"GET /PING":                 "",
	} {
		method, path, _ := strings.Cut(request, " ")
		found, _, methods := r.resolve(method, path)
		require.Nil(t, found, request)
		require.Equal(t, allow, strings.Join(methods, " "), request)
	}
}

// The order of the rows in the table must not matter.
func TestResolveDoesNotHangOnTheOrderOfRows(t *testing.T) {
	backwards := make([]string, 0, len(testRoutes))
	for i := range testRoutes {
		backwards = append(backwards, testRoutes[len(testRoutes)-1-i])
	}
	one, other := testResolver(t, testRoutes), testResolver(t, backwards)
	for _, path := range []string{"/dids/s/a/dids/history", "/dids/s/dids/search", "/replicas/rse/A", "/dids/s/a/meta/files", "/dids/attachments"} {
		a, _, _ := one.resolve("GET", path)
		b, _, _ := other.resolve("GET", path)
		require.Equal(t, a.path, b.path, path)
	}
}

func TestMalformedTables(t *testing.T) {
	handler := func(*gin.Context) {}
	for name, rows := range map[string][]route{
		"twice":         {{get, "/a", handler, public}, {get, "/a", handler, public}},
		"no handler":    {{get, "/a", nil, public}},
		"no slash":      {{get, "a", handler, public}},
		"variable":      {{get, "/:a", handler, public}},
		"two names":     {{get, "/a/*b/*c", handler, public}},
		"empty segment": {{get, "/a//b", handler, public}},
	} {
		_, err := newResolver(rows)
		require.Error(t, err, name)
	}
}

// The real table must build, and its paths are written one way: without slash at the end, lower case.
func TestTheTable(t *testing.T) {
	ts := newTestServer(t, nil)
	for _, row := range ts.routes() {
		require.True(t, row.path == "/" || row.path[len(row.path)-1] != '/', row.path)
		found, _, _ := ts.resolver.resolve(row.method, strings.NewReplacer(":", "x", "*", "y").Replace(row.path))
		require.NotNil(t, found, row.path)
	}
}

func TestPathsThatAreNoText(t *testing.T) {
	ts := newTestServer(t, nil)
	ts.do("GET", "/rses/%ff", "").want(t, 400, "InvalidObject")
	ts.do("GET", "/rses/a%00b", "").want(t, 400, "InvalidObject")
}

// BenchmarkResolve tells what finding the route of a lookup costs, with the templates of all resources.
func BenchmarkResolve(b *testing.B) {
	s := &Server{}
	r, err := newResolver(s.routes())
	require.NoError(b, err)
	for _, path := range []string{"/replicas/data24/run000001/file.000100.root", "/dids/data24/run000001/file.000100.root"} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if found, _, _ := r.resolve(get, path); found == nil {
					b.Fatal(path)
				}
			}
		})
	}
}
