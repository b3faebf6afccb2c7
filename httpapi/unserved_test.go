package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// Rucio's routes that are not served say so, to whoever asks, and none is taken for the name of a DID.
func TestRoutesThatRucioHasAlone(t *testing.T) {
	ts := didServer(t)
	writes := ts.store.tx.Writes
	for _, request := range []string{
		"GET /auth/gss", "GET /auth/ssh", "GET /auth/ssh_challenge_token", "GET /auth/oidc", "GET /auth/oidc_code",
		"GET /auth/oidc_redirect", "GET /auth/oidc_refresh", "GET /auth/saml",
		"GET /accounts/root/limits", "GET /accounts/root/limits/local", "POST /accounts/root/limits/local/ONE",
		"DELETE /accounts/root/limits/global/A=B", "GET /accounts/root/limits/ONE", "GET /accounts/root/rules",
		"GET /accounts/root/usage", "GET /accounts/root/usage/", "GET /accounts/root/usage/local", "GET /accounts/root/usage/history/ONE",
		"GET /accounts/root/usage/global/A%7CB", "POST /accountlimits/local/root/ONE", "DELETE /accountlimits/root/ONE",
		"PUT /identities/root/x509", "PUT /identities/root/gss",
		"GET /dids/s/f0/follow", "POST /dids/s/f0/follow", "DELETE /dids/s/dir/f0/follow/", "PUT /dids/s/f0/follow",
		"POST /dids/s/f0/s/out/5/sample", "POST /dids/sample", "GET /dids/new",
		"GET /rses/ONE/accounts/usage", "GET /rses/ONE/qos_policy", "POST /rses/ONE/qos_policy/X", "DELETE /rses/ONE/qos_policy/X",
		"GET /config", "PUT /config/a/b/c", "GET /credentials/signurl", "POST /dirac/addfiles/", "GET /export", "GET /heartbeats",
		"POST /import/", "GET /lifetime_exceptions/", "GET /locks/s/n", "GET /meta_conventions/", "POST /nongrid_traces/",
		"GET /opendata/dids", "GET /redirect/s/a/b/metalink", "GET /requests/s/n/ONE", "GET /rules/", "POST /rules/", "GET /rules/abc",
		"GET /subscriptions/root/x", "POST /traces/", "GET /vos/",
	} {
		method, path, _ := strings.Cut(request, " ")
		for name, options := range map[string][]option{"root": nil, "nobody": {func(r *http.Request) { r.Header.Del(headerToken) }}} {
			if path == "/dids/new" && name == "nobody" {
				continue // with a slash at its end it is a scope, which takes a token
			}
			t.Run(request+" by "+name, func(t *testing.T) {
				got := ts.do(method, path, `{}`, options...).want(t, 404, "UnsupportedOperation")
				require.Equal(t, typeBytes, got.Header().Get("Content-Type"))
				require.Equal(t, "UnsupportedOperation", got.value(t).(map[string]any)["ExceptionClass"])
				require.Contains(t, got.raw("ExceptionMessage"), "not served here")
			})
		}
	}
	require.Equal(t, writes, ts.store.tx.Writes)
	// What only looks like one of them is a name: encoded, or with another method than Rucio's.
	ts.do("GET", "/dids/s/f0%2Ffollow", "").want(t, 404, "DataIdentifierNotFound")
	ts.do("POST", "/dids/s/x%2Ffollow", `{"type":"DATASET"}`).want(t, 201, "")
	ts.do("GET", "/dids/s/x%2Ffollow", "").want(t, 200, "")
	ts.do("GET", "/dids/new/", "").want(t, 200, "")
	ts.do("GET", "/dids/s/a/b/c/5/sample", "").want(t, 404, "DataIdentifierNotFound")
}

// A row of another file takes the place of an unserved one.
func TestUnservedRowsGiveWay(t *testing.T) {
	own := route{method: post, path: "/dids/sample", handler: notServed, access: needsToken}
	found := 0
	for _, row := range withUnserved([]route{own}) {
		if row.method == own.method && row.path == own.path {
			require.Equal(t, needsToken, row.access)
			found++
		}
	}
	require.Equal(t, 1, found)
}

func TestSubresourcesOfNobodysNames(t *testing.T) {
	ts := didServer(t)
	for _, path := range []string{
		"/replicas/s/none/datasets_vp", "/replicas/s/dir/none/datasets_vp/", "/replicas/s/none/datasets_vp?deep=True",
		"/dids/s/none/dids/history", "/dids/nowhere/none/dids/history", "/dids/s/dir/none/dids/history/",
	} {
		got := ts.do("GET", path, "").want(t, 200, "")
		require.Equal(t, typeLines, got.Header().Get("Content-Type"), path)
		require.Empty(t, got.Body.String(), path)
		ts.do("GET", path, "", header("Accept", "text/xml")).want(t, 406, "UnsupportedRequestedContentType")
		ts.do("GET", path, "", func(r *http.Request) { r.Header.Del(headerToken) }).want(t, 401, "CannotAuthenticate")
	}
	ts.do("POST", "/dids/s/set", `{"type":"DATASET","dids":[{"scope":"s","name":"f0"}]}`).want(t, 201, "")
	same := ts.do("GET", "/replicas/s/set/datasets", "").want(t, 200, "").Body.String()
	require.NotEmpty(t, same)
	require.Equal(t, same, ts.do("GET", "/replicas/s/set/datasets_vp", "").want(t, 200, "").Body.String())
}

func TestLookupByGUID(t *testing.T) {
	ts := didServer(t)
	const guid = "0123456789ABCDEF0123456789ABCDEF"
	steps := []string{
		`/dids/s/one {"type":"DATASET","dids":[{"scope":"s","name":"f0"},{"scope":"s","name":"f1"}]}`,
		`/dids/s/two {"type":"DATASET","dids":[{"scope":"s","name":"f0"}]}`,
		`/dids/s/f0/meta {"meta":{"guid":"01234567-89AB-CDEF-0123-456789ABCDEF","events":7}}`,
		`/dids/s/f1/meta {"meta":{"guid":"ffffffffffffffffffffffffffffffff"}}`,
		`/dids/s/f2/meta {"meta":{"note":"` + strings.ToLower(guid) + `"}}`,
	}
	for _, step := range steps {
		path, body, _ := strings.Cut(step, " ")
		ts.do("POST", path, body).want(t, 201, "")
	}
	both := []any{map[string]any{"scope": "s", "name": "one"}, map[string]any{"scope": "s", "name": "two"}}
	for _, written := range []string{guid, strings.ToLower(guid), "01234567-89AB-CDEF-0123-456789ABCDEF", "%7B01234567-89AB-CDEF-0123-456789ABCDEF%7D"} {
		require.ElementsMatch(t, both, ts.do("GET", "/dids/"+written+"/guid", "").want(t, 200, "").lines(t), written)
	}
	for _, unknown := range []string{strings.Repeat("0", 32), "nonsense", strings.ToLower(guid)[:31], `%22`} {
		got := ts.do("GET", "/dids/"+unknown+"/guid", "").want(t, 404, "DataIdentifierNotFound")
		require.Contains(t, got.raw("ExceptionMessage"), "No file associated to GUID : ")
	}
	// A file in no dataset is there all the same.
	ts.do("POST", "/dids/s/f3/meta", `{"meta":{"guid":"`+strings.Repeat("a", 32)+`"}}`).want(t, 201, "")
	require.Empty(t, ts.do("GET", "/dids/"+strings.Repeat("a", 32)+"/guid", "").want(t, 200, "").lines(t))
	// The name guid is still one, where it is written so that no path is meant.
	ts.do("POST", "/dids/s/guid", `{"type":"DATASET"}`).want(t, 201, "")
	ts.do("GET", "/dids/s/%67uid", "").want(t, 200, "")
}

// A lookup by GUID reads much: one goes on at a time, and one that takes too long does not say that there is no such file.
func TestLookupsByGUIDAreBounded(t *testing.T) {
	ts := didServer(t)
	ts.guidTurns <- struct{}{}
	ts.limits.Wait = 1
	got := ts.do("GET", "/dids/"+strings.Repeat("0", 32)+"/guid", "").want(t, 503, "ResourceTemporaryUnavailable")
	require.NotEmpty(t, got.Header().Get("Retry-After"))
	<-ts.guidTurns
}

func TestPreflightOfLogins(t *testing.T) {
	ts := newAuthServer(t)
	browser := func(r *http.Request) {
		r.Header.Del(headerToken)
		r.Header.Set("Origin", "https://ui.example.org")
		r.Header.Set("Access-Control-Request-Method", "GET")
		r.Header.Set("Access-Control-Request-Headers", "x-rucio-account,x-rucio-password")
	}
	for _, path := range []string{"userpass", "x509", "x509/webui", "x509_proxy", "validate", "revoke"} {
		got := ts.do("OPTIONS", "/auth/"+path, "", browser).want(t, 200, "")
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin": "https://ui.example.org", "Access-Control-Allow-Headers": "x-rucio-account,x-rucio-password",
			"Access-Control-Allow-Methods": "*", "Access-Control-Allow-Credentials": "true",
			"Access-Control-Expose-Headers": "X-Rucio-Auth-Token, X-Rucio-Auth-Token-Expires, X-Rucio-Auth-Account, X-Rucio-Auth-Accounts",
		} {
			require.Equal(t, want, got.Header().Get(name), "%s: %s", path, name)
		}
		require.Empty(t, got.Body.String())
	}
	plain := ts.do("OPTIONS", "/auth/userpass", "").want(t, 200, "")
	require.Empty(t, plain.Header()["Access-Control-Allow-Origin"])
	// The answer itself is for the configured origins: there are none.
	got := ts.do("GET", "/auth/userpass", "", credentials("root", "ddmlab", "secret"), header("Origin", "https://ui.example.org")).want(t, 200, "")
	require.Empty(t, got.Header()["Access-Control-Allow-Origin"])
}

func TestCrossOrigin(t *testing.T) {
	ts := newTestServer(t, executors{command.TypeDigest: nil}, func(c *Config) {
		c.CORSOrigins = []string{"https://ui.example.org", "https://*.labs.example.org:8443"}
	})
	ask := func(method, path, origin string, preflight bool) answer {
		return ts.do(method, path, "", header("Origin", origin), func(r *http.Request) {
			if preflight {
				r.Header.Del(headerToken)
				r.Header.Set("Access-Control-Request-Method", "DELETE")
				r.Header.Set("Access-Control-Request-Headers", "x-rucio-auth-token")
			}
		})
	}
	for _, origin := range []string{"https://ui.example.org", "https://a.labs.example.org:8443"} {
		for path, status := range map[string]int{"/ping": 200, "/nowhere": 404, "/accounts/": 200} {
			got := ask("GET", path, origin, false)
			require.Equal(t, status, got.Code)
			require.Equal(t, origin, got.Header().Get("Access-Control-Allow-Origin"), path)
			require.Equal(t, "true", got.Header().Get("Access-Control-Allow-Credentials"))
			require.Contains(t, got.Header().Values("Vary"), "Origin")
			exposed := strings.Join(got.Header().Values("Access-Control-Expose-Headers"), ", ")
			for _, name := range []string{"X-Rucio-Auth-Token", "X-Rucio-Auth-Accounts", "X-Dapple-Next"} {
				require.Contains(t, exposed, name)
			}
		}
		for _, path := range []string{"/replicas", "/auth/userpass", "/dids/s/n"} {
			got := ask("OPTIONS", path, origin, true)
			require.Equal(t, 200, got.Code)
			require.Equal(t, origin, got.Header().Get("Access-Control-Allow-Origin"))
			require.Equal(t, "DELETE", got.Header().Get("Access-Control-Allow-Methods"))
			require.Equal(t, "x-rucio-auth-token", got.Header().Get("Access-Control-Allow-Headers"))
		}
	}
	for _, origin := range []string{"https://evil.example.org", "http://ui.example.org", "https://ui.example.org.evil.net", "null"} {
		require.Empty(t, ask("GET", "/ping", origin, false).Header().Get("Access-Control-Allow-Origin"), origin)
		require.Empty(t, ask("OPTIONS", "/auth/userpass", origin, true).Header().Get("Access-Control-Allow-Origin"), origin)
	}
	anyOrigin := newTestServer(t, nil, func(c *Config) { c.CORSOrigins = []string{"*"} })
	got := anyOrigin.do("GET", "/ping", "", header("Origin", "https://evil.example.org")).want(t, 200, "")
	require.Equal(t, "*", got.Header().Get("Access-Control-Allow-Origin"))
	require.Empty(t, got.Header().Get("Access-Control-Allow-Credentials"), "any page, without the reader's cookies and certificate")
}

func TestOriginsThatAreNone(t *testing.T) {
	for _, origin := range []string{
		"", "ui.example.org", "https://", "https://a/b", "https://a/", "ftp://a", "https://*.a.*", "https://u@a", "null", "**",
		"https://*", "http://*:8080", "https://*.", "https://*.:80", "https://a.*", "https://*a.org", "https://a*.org", "https://a.*.org",
	} {
		_, err := newCrossOrigin([]string{origin})
		require.ErrorContains(t, err, "CORS origin", origin)
	}
	for _, origin := range []string{"*", "https://a", "http://127.0.0.1:8080", "https://*.a.org", "https://*.a:8443", "http://[::1]:80"} {
		_, err := newCrossOrigin([]string{origin})
		require.NoError(t, err, origin)
	}
}

// Answers have the spaces of Python's json.dumps, for scripts that look for a text in them.
func TestSpacesOfJSON(t *testing.T) {
	ts := didServer(t)
	ts.do("POST", "/dids/s/set", `{"type":"DATASET","dids":[{"scope":"s","name":"f0"}]}`).want(t, 201, "")
	ts.do("POST", "/dids/s/f0/meta", `{"meta":{"note":{"a":[1,2],"b":"x:y,z"}}}`).want(t, 201, "")
	for request, want := range map[string]string{
		"GET /dids/s/f0":                   `"bytes": 100, "length": 1`,
		"GET /dids/s/set":                  `"name": "set", "open": true`,
		"GET /dids/s/f0/meta":              `"did_type": "FILE"`,
		"GET /dids/s/f0/meta?plugin=JSON":  `{"note": {"a": [1, 2], "b": "x:y,z"}}`,
		"GET /dids/s/set/files":            `{"scope": "s", "name": "f0", "bytes": 100`,
		"GET /dids/s/set/dids":             `{"scope": "s", "name": "f0", "type": "FILE"`,
		"GET /dids/s/f0/parents":           `{"scope": "s", "name": "set", "type": "DATASET"}`,
		"GET /dids/s/":                     `"type": "DATASET"`,
		"GET /replicas/s/f0":               `{"scope": "s", "name": "f0", "bytes": 100, "md5": null, "adler32": "0cc737eb", "pfns": {`,
		"GET /replicas/s/set/datasets":     `"available_bytes": 100, "available_length": 1`,
		"GET /replicas/s/no":               `{"ExceptionClass": "DataIdentifierNotFound", "ExceptionMessage": "`,
		"GET /replicas/s/set":              `{"scope": "s", "name": "f0", "bytes": 100, "md5": null`,
		"POST /replicas/list":              `{"scope": "s", "name": "f0", "bytes": 100, "md5": null`,
		"GET /replicas/s/f0?versions=true": `, "versions": {"ONE": `,
		"GET /replicas/s/f0?page_size=1":   `{"scope": "s", "name": "f0", "bytes": 100`,
	} {
		method, path, _ := strings.Cut(request, " ")
		got := ts.do(method, path, `{"dids":[{"scope":"s","name":"f0"}]}`)
		require.Contains(t, got.Body.String(), want, request)
	}
}
