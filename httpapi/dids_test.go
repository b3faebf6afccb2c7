package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

var didExecutors = executors{
	command.TypeGenesis:        execute(catalogue.Genesis),
	command.TypeAddAccount:     execute(catalogue.AddAccount),
	command.TypeAddScope:       execute(catalogue.AddScope),
	command.TypeAddRSE:         execute(catalogue.AddRSE),
	command.TypeAddReplicas:    execute(catalogue.AddReplicas),
	command.TypeDeleteReplicas: execute(catalogue.DeleteReplicas),
	command.TypeAddDIDs:        execute(catalogue.AddDIDs),
	command.TypeAttachDIDs:     execute(catalogue.AttachDIDs),
	command.TypeDetachDIDs:     execute(catalogue.DetachDIDs),
	command.TypeSetDIDStatus:   execute(catalogue.SetDIDStatus),
	command.TypeSetMetadata:    execute(catalogue.SetMetadata),
}

// didServer serves a catalogue with the accounts root, alice (owner of scope a) and bob, the scopes a and s, the RSE ONE, and
// files f0 to f3 and a.zip of 100 bytes in s.
func didServer(t *testing.T, configure ...func(*Config)) *testServer {
	t.Helper()
	return didServerAt(t, catalogue.NewestFeatureLevel, configure...)
}

// didServerAt is didServer at a feature level.
func didServerAt(t *testing.T, features uint32, configure ...func(*Config)) *testServer {
	t.Helper()
	ts := newTestServer(t, didExecutors, configure...)
	ts.command(command.TypeGenesis, &command.Genesis{
		Schema: catalogue.SchemaVersion, Features: features,
		ClusterId: testCluster[:], RootIdentity: "ddmlab", RootPassword: "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		KeyId: "k", KeySeed: make([]byte, 32),
	})
	for _, name := range []string{"alice", "bob"} {
		ts.command(command.TypeAddAccount, &command.AddAccount{Name: name, Type: "USER"})
	}
	ts.command(command.TypeAddScope, &command.AddScope{Name: "a", Account: "alice"})
	ts.command(command.TypeAddScope, &command.AddScope{Name: "s", Account: "root"})
	ts.command(command.TypeAddRSE, &command.AddRSE{Name: "ONE", Uuid: make([]byte, 16), Settings: &command.RSESettings{}})
	add := &command.AddReplicas{Rse: "ONE"}
	for _, name := range []string{"f0", "f1", "f2", "f3", "a.zip"} {
		add.Files = append(add.Files, &command.NewFile{Scope: "s", Name: name, Bytes: 100, Adler32: "0cc737eb"})
	}
	ts.command(command.TypeAddReplicas, add)
	t.Cleanup(func() {
		require.Zero(t, ts.store.open.Load(), "views left open")
		require.NoError(t, catalogue.CheckInvariants(ts.store.tx))
	})
	return ts
}

// didStep is a request with the answer that it must have; class is "" for success.
type didStep struct {
	method, path, body string
	status             int
	class              string
}

func (ts *testServer) playDIDs(t *testing.T, steps []didStep) {
	t.Helper()
	for _, s := range steps {
		a := ts.do(s.method, s.path, s.body)
		require.Equal(t, s.status, a.Code, "%s %s %s: %s", s.method, s.path, s.body, a.Body)
		require.Equal(t, s.class, a.class(), "%s %s %s: %s", s.method, s.path, s.body, a.Body)
	}
}

// didColumn returns the values of a key in a stream of objects.
func didColumn(t *testing.T, a answer, key string) []string {
	t.Helper()
	require.Equal(t, http.StatusOK, a.Code, "body: %s", a.Body)
	require.Equal(t, typeLines, a.Header().Get("Content-Type"))
	all := []string{}
	for _, line := range a.lines(t) {
		all = append(all, fmt.Sprint(line.(map[string]any)[key]))
	}
	return all
}

func TestDIDLife(t *testing.T) {
	ts := didServer(t)
	ts.playDIDs(t, []didStep{
		{"POST", "/dids/s/ds", `{"type":"dataset","meta":{"campaign":"mc"},"statuses":{"monotonic":false},"lifetime":3600,"rules":[]}`, 201, ""},
		{"POST", "/dids/s/ds", `{"type":"DATASET"}`, 409, "DataIdentifierAlreadyExists"},
		{"POST", "/dids/s/cont/", `{"type":"CONTAINER","dids":[{"scope":"s","name":"ds"}]}`, 201, ""},
		{"POST", "/dids/s/ds/dids", `{"dids":[{"scope":"s","name":"f0"},{"scope":"s","name":"f1","bytes":100,"adler32":"0cc737eb"}]}`, 201, ""},
		{"POST", "/dids/s/ds/dids", `{"dids":[{"scope":"s","name":"f0"}]}`, 409, "FileAlreadyExists"},
		{"POST", "/dids/s/ds/dids", `{"dids":[{"scope":"s","name":"f2","bytes":99}]}`, 412, "FileConsistencyMismatch"},
		{"POST", "/dids/s/cont/dids", `{"dids":[{"scope":"s","name":"ds"}]}`, 409, "DuplicateContent"},
		{"POST", "/dids/s/cont/dids", `{"dids":[{"scope":"s","name":"f0"}]}`, 409, "UnsupportedOperation"},
		{"POST", "/dids/s/ds/dids", `{"dids":[{"scope":"s","name":"no"}]}`, 404, "DataIdentifierNotFound"},
		{"PUT", "/dids/s/ds/status", `{"open":false}`, 200, ""},
		{"PUT", "/dids/s/ds/status", `{"open":false}`, 409, "UnsupportedOperation"},
		{"PUT", "/dids/s/ds/status", `{"closed":true}`, 409, "UnsupportedStatus"},
		{"PUT", "/dids/s/ds/status", `{}`, 400, "KeyError"},
		{"PUT", "/dids/s/ds/status", `{"open":"no"}`, 400, "InvalidObject"},
		{"PUT", "/dids/s/no/status", `{"open":true}`, 404, "DataIdentifierNotFound"},
	})
	want := map[string]any{
		"scope": "s", "name": "ds", "type": "DATASET", "account": "root", "open": false, "monotonic": false,
		"expired_at": "Thu, 01 Jan 2026 11:00:00 UTC", "length": 2.0, "bytes": 200.0,
	}
	require.Equal(t, want, ts.do("GET", "/dids/s/ds", "").want(t, 200, "").value(t))
	require.Equal(t, want, ts.do("GET", "/dids/s/ds/status", "").want(t, 200, "").value(t))
	cont := func(query string) any { return ts.do("GET", "/dids/s/cont"+query, "").want(t, 200, "").value(t) }
	for query, want := range map[string]any{"": nil, "?dynamic_depth=file": 200.0, "?dynamic": 200.0, "?dynamic_depth=DATASET": 200.0} {
		require.Equal(t, want, cont(query).(map[string]any)["bytes"], query)
	}
	require.Equal(t, map[string]any{
		"scope": "s", "name": "f0", "type": "FILE", "account": "root", "bytes": 100.0, "length": 1.0, "md5": nil, "adler32": "0cc737eb",
	}, ts.do("GET", "/dids/s/f0", "").value(t))

	ts.do("DELETE", "/dids/s/ds/dids", `{"dids":[{"scope":"s","name":"f1"}]}`).want(t, 200, "")
	ts.do("DELETE", "/dids/s/ds/dids", `{"dids":[{"scope":"s","name":"f1"}]}`).want(t, 404, "DataIdentifierNotFound")
	require.Equal(t, 100.0, ts.do("GET", "/dids/s/ds", "").value(t).(map[string]any)["bytes"])
	require.Equal(t, []any{map[string]any{"scope": "s", "name": "ds", "type": "DATASET", "bytes": nil, "adler32": nil, "md5": nil}},
		ts.do("GET", "/dids/s/cont/dids", "").lines(t))
	require.Equal(t, []any{map[string]any{"scope": "s", "name": "f0", "type": "FILE", "bytes": 100.0, "adler32": "0cc737eb", "md5": nil}},
		ts.do("GET", "/dids/s/ds/dids", "").lines(t))
}

func TestDIDsWithSlashes(t *testing.T) {
	ts := didServer(t)
	for _, path := range []string{"/dids/s//belle/mc/ds", "/dids/s/user%2Fjoe%2Fds", "/dids/s/plain/name"} {
		ts.do("POST", path, `{"type":"DATASET"}`).want(t, 201, "")
		ts.do("POST", path+"/dids", `{"dids":[{"scope":"s","name":"f0"}]}`).want(t, 201, "")
		ts.do("GET", path, "").want(t, 200, "")
		require.Equal(t, []string{"f0"}, didColumn(t, ts.do("GET", path+"/files", ""), "name"))
		ts.do("POST", path+"/meta/campaign", `{"value":"x"}`).want(t, 201, "")
	}
	require.Equal(t, []string{"/belle/mc/ds", "plain/name", "user/joe/ds"}, didColumn(t, ts.do("GET", "/dids/s/f0/parents", ""), "name"))
	ts.do("GET", "/dids/s/user/joe/ds", "").want(t, 200, "")
}

func TestLists(t *testing.T) {
	ts := didServer(t)
	ts.playDIDs(t, []didStep{
		{"POST", "/dids", `[{"scope":"s","name":"d1","type":"DATASET","dids":[{"scope":"s","name":"f0"},{"scope":"s","name":"f1","md5":null,"filesize":3}]},
			{"scope":"s","name":"d2","type":"DATASET"},
			{"scope":"s","name":"c1","type":"CONTAINER","account":"alice","dids":[{"scope":"s","name":"d1"},{"scope":"s","name":"d2"}]},
			{"scope":"s","name":"c2","type":"CONTAINER","dids":[{"scope":"s","name":"c1"}]}]`, 201, ""},
		{"POST", "/dids/attachments", `{"attachments":[{"scope":"s","name":"d2","dids":[{"scope":"s","name":"f1"},{"scope":"s","name":"f2"}]}],"ignore_duplicate":"true"}`, 201, ""},
		{"POST", "/dids/attachments", `[{"scope":"s","name":"d2","dids":[{"scope":"s","name":"f3"},{"scope":"s","name":"f1"}]}]`, 409, "FileAlreadyExists"},
		{"POST", "/dids/attachments", `{"attachments":[{"scope":"s","name":"d2","dids":[{"scope":"s","name":"f3"},{"scope":"s","name":"f1"}]}],"ignore_duplicate":true}`, 201, ""},
		{"POST", "/dids/attachments", `[]`, 201, ""},
		{"POST", "/dids", `[]`, 201, ""},
		{"POST", "/dids/s/f0/meta", `{"meta":{"guid":"01234567-89AB-CDEF-0123-456789ABCDEF","events":7,"lumiblocknr":3}}`, 201, ""},
		{"GET", "/dids/s/no/files", "", 404, "DataIdentifierNotFound"},
		{"GET", "/dids/s/no/dids", "", 404, "DataIdentifierNotFound"},
		{"GET", "/dids/s/no/parents", "", 200, ""},
		{"GET", "/archives/s/no/files", "", 200, ""},
		{"GET", "/dids/no", "", 200, ""},
	})
	require.Equal(t, "alice", ts.do("GET", "/dids/s/c1", "").value(t).(map[string]any)["account"])
	require.Equal(t, []string{"f0", "f1", "f1", "f2", "f3"}, didColumn(t, ts.do("GET", "/dids/s/c2/files", ""), "name"))
	require.Equal(t, []any{map[string]any{
		"scope": "s", "name": "f0", "bytes": 100.0, "adler32": "0cc737eb", "guid": "0123456789ABCDEF0123456789ABCDEF", "events": 7.0, "lumiblocknr": 3.0,
	}}, ts.do("GET", "/dids/s/f0/files?long", "").lines(t))
	require.Equal(t, []any{map[string]any{"scope": "s", "name": "c2", "type": "CONTAINER"}}, ts.do("GET", "/dids/s/c1/parents", "").lines(t))

	bulk := ts.do("POST", "/dids/bulkfiles", `{"dids":[{"scope":"s","name":"d1"},{"scope":"s","name":"no"},{"scope":"s","name":"f3"}]}`)
	require.Equal(t, []string{"d1", "d1", "f3"}, didColumn(t, bulk, "parent_name"))
	require.Equal(t, []string{"f0", "f1", "f3"}, didColumn(t, bulk, "name"))
	require.Empty(t, didColumn(t, ts.do("POST", "/dids/bulkfiles", `{}`), "name"))

	require.Equal(t, []string{"a.zip", "c2"}, didColumn(t, ts.do("GET", "/dids/s/", ""), "name"))
	require.Equal(t, []any{
		map[string]any{"scope": "s", "name": "d1", "type": "DATASET", "parent": map[string]any{"scope": "s", "name": "c1"}, "level": 1.0},
		map[string]any{"scope": "s", "name": "d2", "type": "DATASET", "parent": map[string]any{"scope": "s", "name": "c1"}, "level": 1.0},
	}, ts.do("GET", "/dids/s?name=c1", "").lines(t))
	require.Len(t, ts.do("GET", "/dids/s?recursive=True", "").lines(t), 10)
	ts.do("GET", "/dids/s?name=no", "").want(t, 404, "DataIdentifierNotFound")
	ts.do("GET", "/dids/s?recursive=perhaps", "").want(t, 400, "TypeError")
}

func TestArchiveOverHTTP(t *testing.T) {
	ts := didServer(t)
	ts.playDIDs(t, []didStep{
		{"POST", "/dids/s/a.zip/dids", `{"dids":[{"scope":"s","name":"in","bytes":5,"adler32":"deadbeef","type":"FILE","meta":{"guid":"01234567-89AB-CDEF-0123-456789ABCDEF"}},{"scope":"s","name":"f0"}]}`, 201, ""},
		{"POST", "/dids/s/a.zip/dids", `{"dids":[{"scope":"s","name":"in","bytes":5}]}`, 409, "FileAlreadyExists"},
		{"POST", "/dids/s/f1/dids", `{"dids":[{"scope":"s","name":"in"}]}`, 409, "UnsupportedOperation"},
		{"POST", "/dids/s/a.zip/dids", `{"dids":[{"scope":"s","name":"in2"}]}`, 400, "InvalidObject"},
	})
	require.Equal(t, []any{
		map[string]any{"scope": "s", "name": "f0", "bytes": 100.0, "adler32": "0cc737eb", "md5": nil},
		map[string]any{"scope": "s", "name": "in", "bytes": 5.0, "adler32": "deadbeef", "md5": nil},
	}, ts.do("GET", "/archives/s/a.zip/files", "").lines(t))
	meta := ts.do("GET", "/dids/s/in/meta", "").value(t).(map[string]any)
	require.Equal(t, true, meta["constituent"])
	require.Equal(t, "0123456789abcdef0123456789abcdef", meta["guid"])
	require.Equal(t, true, ts.do("GET", "/dids/s/a.zip/meta", "").value(t).(map[string]any)["is_archive"])
}

func TestDIDPermissions(t *testing.T) {
	ts := didServer(t)
	ts.do("POST", "/dids/a/ds", `{"type":"DATASET"}`, as("alice")).want(t, 201, "")
	for _, s := range []didStep{
		{"POST", "/dids/a/x", `{"type":"DATASET"}`, 401, "AccessDenied"},
		{"POST", "/dids", `[{"scope":"a","name":"x","type":"DATASET"}]`, 401, "AccessDenied"},
		{"POST", "/dids/a/ds/dids", `{"dids":[{"scope":"s","name":"f0"}]}`, 401, "AccessDenied"},
		{"POST", "/dids/attachments", `[{"scope":"a","name":"ds","dids":[{"scope":"s","name":"f0"}]}]`, 401, "AccessDenied"},
		{"DELETE", "/dids/a/ds/dids", `{"dids":[{"scope":"s","name":"f0"}]}`, 401, "AccessDenied"},
		{"PUT", "/dids/a/ds/status", `{"open":false}`, 401, "AccessDenied"},
		{"POST", "/dids/a/ds/meta/k", `{"value":1}`, 401, "AccessDenied"},
		{"POST", "/dids/bulkdidsmeta", `{"dids":[{"scope":"a","name":"ds","meta":{"k":1}}]}`, 401, "AccessDenied"},
		{"DELETE", "/dids/a/ds/meta?key=k", ``, 401, "AccessDenied"},
	} {
		ts.do(s.method, s.path, s.body, as("bob")).want(t, s.status, s.class)
	}
	ts.do("GET", "/dids/a/ds", "", header(headerToken, "bad")).want(t, 401, "CannotAuthenticate")
}

// TestDIDBadInput sees to it that what cannot be understood is refused and changes nothing.
func TestDIDBadInput(t *testing.T) {
	ts := didServer(t, func(c *Config) { c.Limits.Items = 20 })
	ts.do("POST", "/dids/s/ds", `{"type":"DATASET"}`).want(t, 201, "")
	long := strings.Repeat("n", 251)
	many := func(item string) string { return "[" + strings.TrimSuffix(strings.Repeat(item+",", 21), ",") + "]" }
	before := ts.store.tx.Writes
	ts.playDIDs(t, []didStep{
		{"POST", "/dids/s/x", `{`, 400, "ValueError"},
		{"POST", "/dids/s/x", `[]`, 400, "TypeError"},
		{"POST", "/dids/s/x", `{}`, 400, "KeyError"},
		{"POST", "/dids/s/x", `{"type":5}`, 400, "InvalidObject"},
		{"POST", "/dids/s/x", `{"type":"F"}`, 400, "InvalidObject"},
		{"POST", "/dids/s/x", `{"type":"FILE"}`, 409, "UnsupportedOperation"},
		{"POST", "/dids/s/" + long, `{"type":"DATASET"}`, 400, "InvalidObject"},
		{"POST", "/dids/s/a%20b", `{"type":"DATASET"}`, 400, "InvalidObject"},
		{"POST", "/dids/s/-x", `{"type":"DATASET"}`, 400, "InvalidObject"},
		{"POST", "/dids/s/x%00", `{"type":"DATASET"}`, 400, "InvalidObject"},
		{"POST", "/dids/no/x", `{"type":"DATASET"}`, 404, "ScopeNotFound"},
		{"POST", "/dids/s/x", `{"type":"DATASET","dids":{}}`, 400, "InvalidObject"},
		{"POST", "/dids/s/x", `{"type":"DATASET","dids":[5]}`, 400, "InvalidObject"},
		{"POST", "/dids/s/x", `{"type":"DATASET","dids":[{"scope":"s"}]}`, 400, "InvalidObject"},
		{"POST", "/dids/s/x", `{"type":"DATASET","meta":"x"}`, 400, "InvalidObject"},
		{"POST", "/dids/s/x", `{"type":"DATASET","meta":{"a.b":1}}`, 400, "InvalidMetadata"},
		{"POST", "/dids/s/x", `{"type":"DATASET","statuses":{"monotonic":"yes"}}`, 400, "InvalidObject"},
		{"POST", "/dids/s/x", `{"type":"DATASET","lifetime":"long"}`, 400, "InvalidObject"},
		{"POST", "/dids/s/x", `{"type":"DATASET","lifetime":1e99}`, 400, "InvalidMetadata"},
		{"POST", "/dids/s/x", `{"type":"DATASET","rules":[{"copies":1}]}`, 409, "UnsupportedOperation"},
		{"POST", "/dids/s/x", `{"type":"DATASET","rse":"no rse"}`, 400, "InvalidObject"},
		{"POST", "/dids/s/x", `{"type":"DATASET","rse":"NONE"}`, 404, "RSENotFound"},
		{"POST", "/dids/s/x", `{"type":"DATASET","rse":"ONE","dids":[{"scope":"s","name":"new"}]}`, 400, "InvalidObject"},
		{"POST", "/dids", `{}`, 400, "TypeError"},
		{"POST", "/dids", `[{"name":"x","type":"DATASET"}]`, 400, "KeyError"},
		{"POST", "/dids", `[{"scope":"s","name":"x"}]`, 400, "KeyError"},
		{"POST", "/dids", `[null]`, 400, "KeyError"},
		{"POST", "/dids", `[{"scope":"s","name":"x","type":"dataset"}]`, 400, "InvalidObject"},
		{"POST", "/dids", `[{"scope":"s","name":"x","type":"DATASET"},{"scope":"s","name":"x","type":"DATASET"}]`, 409, "DataIdentifierAlreadyExists"},
		{"POST", "/dids", many(`{"scope":"s","name":"x","type":"DATASET"}`), 413, "InvalidRequest"},
		{"POST", "/dids/s/ds/dids", `{}`, 400, "InvalidObject"},
		{"POST", "/dids/s/ds/dids", `{"dids":[]}`, 400, "InvalidObject"},
		{"POST", "/dids/s/ds/dids", `{"dids":[{"scope":"s","name":"f0"}],"account":"root"}`, 400, "InvalidObject"},
		{"POST", "/dids/s/ds/dids", `{"dids":[{"scope":"s","name":"f0","size":1}]}`, 400, "InvalidObject"},
		{"POST", "/dids/s/ds/dids", `{"dids":[{"scope":"s","name":"f0","adler32":null}]}`, 400, "InvalidObject"},
		{"POST", "/dids/s/ds/dids", `{"dids":[{"scope":"s","name":"f0","adler32":"xyz"}]}`, 400, "InvalidObject"},
		{"POST", "/dids/s/ds/dids", `{"dids":[{"scope":"s","name":"f0","bytes":-1}]}`, 400, "InvalidObject"},
		{"POST", "/dids/s/ds/dids", `{"dids":[{"scope":"s","name":"f0","bytes":1.5}]}`, 400, "InvalidObject"},
		{"POST", "/dids/s/ds/dids", `{"dids":[{"scope":"s","name":"f0","state":"GONE"}]}`, 400, "InvalidObject"},
		{"POST", "/dids/s/ds/dids", `{"dids":[{"scope":"s","name":"f0","type":"x"}]}`, 400, "InvalidObject"},
		{"POST", "/dids/s/ds/dids", `{"dids":` + many(`{"scope":"s","name":"f0"}`) + `}`, 413, "InvalidRequest"},
		{"POST", "/dids/s/ds/dids", `{"dids":[{"scope":"s","name":"f0"}],"rse":"NONE"}`, 404, "RSENotFound"},
		{"POST", "/dids/attachments", `5`, 400, "TypeError"},
		{"POST", "/dids/attachments", `{}`, 400, "KeyError"},
		{"POST", "/dids/attachments", `[{"name":"ds","dids":[{"scope":"s","name":"f0"}]}]`, 400, "KeyError"},
		{"POST", "/dids/attachments", `{"attachments":[],"ignore_duplicate":"x"}`, 400, "TypeError"},
		{"DELETE", "/dids/s/ds/dids", `{}`, 400, "KeyError"},
		{"DELETE", "/dids/s/ds/dids", `{"dids":[{"scope":"s"}]}`, 400, "KeyError"},
		{"DELETE", "/dids/s/ds/dids", `{"dids":"f0"}`, 400, "InvalidObject"},
		{"POST", "/dids/s/ds/meta", `{}`, 400, "KeyError"},
		{"POST", "/dids/s/ds/meta", `{"meta":5}`, 400, "InvalidObject"},
		{"POST", "/dids/s/ds/meta", `{"meta":{"bytes":5}}`, 401, "AccessDenied"},
		{"POST", "/dids/s/ds/meta/campaign", `{}`, 400, "KeyError"},
		{"POST", "/dids/s/ds/meta/events", `{"value":1}`, 409, "UnsupportedOperation"},
		{"POST", "/dids/s/ds/meta/run_number", `{"value":"x"}`, 400, "InvalidMetadata"},
		{"POST", "/dids/s/ds/meta/campaign", `{"value":"x","recursive":"x"}`, 400, "TypeError"},
		{"POST", "/dids/s/no/meta/campaign", `{"value":"x"}`, 404, "DataIdentifierNotFound"},
		{"DELETE", "/dids/s/ds/meta", ``, 404, "KeyNotFound"},
		{"DELETE", "/dids/s/ds/meta?key=nokey", ``, 404, "KeyNotFound"},
		{"DELETE", "/dids/s/ds/meta?key=campaign", ``, 409, "UnsupportedOperation"},
		{"POST", "/dids/bulkdidsmeta", `{"dids":[{"scope":"s","name":"ds"}]}`, 400, "KeyError"},
		{"POST", "/dids/bulkdidsmeta", `{"dids":[{"scope":"s","name":"ds","meta":{"k":1}},{"scope":"s","name":"no","meta":{"k":1}}]}`, 404, "DataIdentifierNotFound"},
		{"POST", "/dids/bulkmeta", `{}`, 400, "KeyError"},
		{"POST", "/dids/bulkmeta", `{"dids":[],"plugin":"x"}`, 400, "UnsupportedMetadataPlugin"},
		{"POST", "/dids/bulkfiles", `{"dids":[{"scope":"s"}]}`, 400, "KeyError"},
		{"GET", "/dids/s/ds/meta?plugin=x", ``, 400, "UnsupportedMetadataPlugin"},
		{"GET", "/dids/s/no/meta", ``, 404, "DataIdentifierNotFound"},
	})
	require.Equal(t, before, ts.store.tx.Writes)
	ts.do("GET", "/dids/s/ds/files", "", header("Accept", "text/xml")).want(t, 406, "UnsupportedRequestedContentType")
	ts.do("GET", "/dids/s/ds", "", header("Accept", "text/xml")).want(t, 406, "UnsupportedRequestedContentType")
}

func TestMetadataOverHTTP(t *testing.T) {
	ts := didServer(t)
	ts.playDIDs(t, []didStep{
		{"POST", "/dids/s/ds", `{"type":"DATASET","meta":{"project":"p","own":"top"}}`, 201, ""},
		{"POST", "/dids/s/cont", `{"type":"CONTAINER","meta":{"higher":[1, 2]},"dids":[{"scope":"s","name":"ds"}]}`, 201, ""},
		{"POST", "/dids/s/ds/dids", `{"dids":[{"scope":"s","name":"f0"}]}`, 201, ""},
		{"POST", "/dids/s/ds/meta/campaign", `{"value":"mc26","recursive":true}`, 201, ""},
		{"POST", "/dids/bulkdidsmeta", `{"dids":[{"scope":"s","name":"f0","meta":{"own":{"x": 1},"events":5}}]}`, 201, ""},
		{"POST", "/dids/s/ds/meta", `{"meta":{"eol_at":"2030-05-01","hidden":true}}`, 201, ""},
	})
	ds := ts.do("GET", "/dids/s/ds/meta", "").want(t, 200, "").value(t).(map[string]any)
	require.Len(t, ds, 42)
	for key, want := range map[string]any{
		"campaign": "mc26", "project": "p", "hidden": true, "is_open": true, "length": nil, "bytes": nil, "closed_at": nil, "events": nil,
		"did_type": "DATASET", "eol_at": "Wed, 01 May 2030 00:00:00 UTC", "created_at": "Thu, 01 Jan 2026 10:00:00 UTC", "purge_replicas": true,
	} {
		require.Equal(t, want, ds[key], key)
	}
	f0 := ts.do("GET", "/dids/s/f0/meta?plugin=all", "").value(t).(map[string]any)
	require.Equal(t, map[string]any{"x": 1.0}, f0["own"])
	require.Equal(t, "mc26", f0["campaign"])
	require.Equal(t, map[string]any{"own": "top"}, ts.do("GET", "/dids/s/ds/meta?plugin=JSON", "").value(t))
	require.Equal(t, map[string]any{}, ts.do("GET", "/dids/s/no/meta?plugin=JSON", "").value(t))

	bulk := ts.do("POST", "/dids/bulkmeta", `{"dids":[{"scope":"s","name":"ds"},{"scope":"s","name":"no"},{"scope":"s","name":"f0"},{"scope":"s","name":"ds"}]}`)
	require.Equal(t, []string{"ds", "f0"}, didColumn(t, bulk, "name"))
	require.Equal(t, []string{"mc26", "mc26"}, didColumn(t, bulk, "campaign"))
	inherited := ts.do("POST", "/dids/bulkmeta", `{"dids":[{"scope":"s","name":"f0"},{"scope":"s","name":"no"}],"inherit":true,"plugin":"JSON"}`).lines(t)
	require.Equal(t, []any{
		map[string]any{"scope": "s", "name": "f0", "own": map[string]any{"x": 1.0}, "higher": []any{1.0, 2.0}},
		map[string]any{"scope": "s", "name": "no"},
	}, inherited)

	ts.do("DELETE", "/dids/s/ds/meta?key=own", "").want(t, 200, "")
	require.Equal(t, map[string]any{}, ts.do("GET", "/dids/s/ds/meta?plugin=json", "").value(t))
	ts.do("PUT", "/dids/s/ds/status", `{"open":false}`).want(t, 200, "")
	closed := ts.do("GET", "/dids/s/ds/meta", "").value(t).(map[string]any)
	require.Equal(t, []any{1.0, 100.0, 5.0}, []any{closed["length"], closed["bytes"], closed["events"]})
	require.NotNil(t, closed["closed_at"])
}

func TestSearchOverHTTP(t *testing.T) {
	ts := didServer(t)
	ts.playDIDs(t, []didStep{
		{"POST", "/dids/s/ds1", `{"type":"DATASET","meta":{"campaign":"a","own":5}}`, 201, ""},
		{"POST", "/dids/s/ds2", `{"type":"DATASET","meta":{"campaign":"b"}}`, 201, ""},
		{"POST", "/dids/s/cont", `{"type":"CONTAINER","dids":[{"scope":"s","name":"ds1"}]}`, 201, ""},
		{"GET", "/dids/s/dids/search?type=x", "", 409, "UnsupportedOperation"},
		{"GET", "/dids/s/dids/search?name.like=x", "", 400, "DIDFilterSyntaxError"},
		{"GET", "/dids/s/dids/search?created_after=x", "", 400, "DIDFilterSyntaxError"},
		{"GET", "/dids/s/dids/search?own=1&campaign=a", "", 400, "InvalidMetadata"},
		{"GET", "/dids/s/dids/search?lifetime=1", "", 404, "KeyNotFound"},
		{"GET", "/dids/s/dids/search?limit=-1", "", 400, "ValueError"},
		{"GET", "/dids/s/dids/search?filters=x", "", 400, "DIDFilterSyntaxError"},
		{"GET", "/dids/s/dids/search?long=x", "", 400, "TypeError"},
		{"GET", "/dids/s/dids/search?own=5&type=x", "", 409, "UnsupportedOperation"},
		{"GET", "/dids/s/dids/search?offset=-1", "", 400, "ValueError"},
		{"GET", "/dids/s/dids/search?name=a&name=b", "", 400, "DIDFilterSyntaxError"},
		{"POST", "/dids/s/cont/meta/own", `{"value":5}`, 201, ""},
		{"POST", "/dids/s/f2/meta/own", `{"value":5}`, 201, ""},
		{"POST", "/dids/s/f2/meta/task_id", `{"value":9007199254740993}`, 201, ""},
		{"POST", "/dids/s/f3/meta/task_id", `{"value":9007199254740992}`, 201, ""},
	})
	for query, want := range map[string][]any{
		"":                                      {"cont", "ds1", "ds2"},
		"type=dataset&name=ds*":                 {"ds1", "ds2"},
		"type=DATASET&limit=1":                  {"ds1"},
		"type=all&name=f*":                      {"f0", "f1", "f2", "f3"},
		"campaign=a":                            {"ds1"},
		"own.gt=4":                              {"cont", "ds1", "f2"},
		"type=dataset&own=5":                    {"ds1"},
		"type=collection&own=5":                 {"cont", "ds1"},
		"type=all&own=5&scope=s":                {"cont", "ds1", "f2"},
		"type=file&own=5&long=0":                {"f2"},
		"scope=s&scope=s&name=d*":               {"ds1", "ds2"},
		"scope=s&scope=a":                       nil,
		"scope=a":                               nil,
		"offset=1&limit=1":                      {"ds1"},
		"offset=1":                              {"ds1", "ds2"},
		"type=file&task_id=9007199254740993":    {"f2"},
		"type=file&task_id.lt=9007199254740993": {"f3"},
		"scope=a&filters=" + url.QueryEscape(`[{"name": "ds1"}]`):                                     nil,
		"name=*1&filters=" + url.QueryEscape(`[{"own": 5}, {"own": 6}]`):                              {"ds1"},
		"filters=" + url.QueryEscape(`[{"type": "dataset", "own": 5}, {"type": "file", "own": 5}]`):   {"ds1", "f2"},
		"type=file&filters=" + url.QueryEscape(`[{"hidden": false, "name": "f\u0031", "md5": null}]`): {"f1"},
		"name=cont&recursive=True": {"cont", "ds1"},
		"filters=" + url.QueryEscape(`[{'name': 'ds1'}, {"campaign": 'b', 'length.gt': None}]`):       {"ds1", "ds2"},
		"filters=" + url.QueryEscape(`{'own': 5}`):                                                    {"cont", "ds1", "f2"},
		"type=file&filters=" + url.QueryEscape(`[{'bytes.gte': 100, 'hidden': False, 'name':'f1'},]`): {"f1"},
		"name=nothing": nil,
	} {
		require.Equal(t, want, ts.do("GET", "/dids/s/dids/search?"+query, "").want(t, 200, "").lines(t), query)
	}
	require.Equal(t, []any{map[string]any{"scope": "s", "name": "f1", "did_type": "FILE", "bytes": 100.0, "length": nil}},
		ts.do("GET", "/dids/s/dids/search?type=file&name=f1&long=true", "").lines(t))
	require.Equal(t, []any{map[string]any{"scope": "s", "name": "ds1", "did_type": nil, "bytes": nil, "length": nil}},
		ts.do("GET", "/dids/s/dids/search?type=dataset&own=5&long=1", "").lines(t))
	// A limit counts over all pages.
	first := ts.do("GET", "/dids/s/dids/search?type=file&limit=3&page_size=2", "").want(t, 200, "")
	require.Equal(t, []any{"a.zip", "f0"}, first.lines(t))
	second := ts.do("GET", "/dids/s/dids/search?type=file&limit=3&page_size=2&after="+first.Header().Get(headerNext), "").want(t, 200, "")
	require.Equal(t, []any{"f1"}, second.lines(t))
	require.Empty(t, second.Header().Get(headerNext))
}

func TestParseFilters(t *testing.T) {
	for text, want := range map[string][][]catalogue.Condition{
		`[]`:                         nil,
		` [ { } ] `:                  {nil},
		`{'a': 'it\'s', "b":-1.5}`:   {{{Key: "a", Value: "it's"}, {Key: "b", Value: "-1.5"}}},
		`[{'a': True}, {'b': None}]`: {{{Key: "a", Value: "True"}}, nil},
		`{"a": true, 'b': null}`:     {{{Key: "a", Value: "true"}}},
		`{'a': '\x41\u00e9\/'}`:      {{{Key: "a", Value: "A\u00e9/"}}},
		`[{'a': "x\\y\n"},]`:         {{{Key: "a", Value: "x\\y\n"}}},
	} {
		got, err := parseFilters(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{
		``, `x`, `[`, `{`, `[{]`, `{'a'}`, `{'a':}`, `{'a':1`, `{a:1}`, `{'a':[1]}`, `{'a':1} x`, `{'a':'x}`, `{'a':'\`, `{'a':'\q'}`, `[1]`, `{'a':__import__('os')}`,
		`{'a':1,,}`, `{'a':'\x4`, `{'a':'\u12'}`, `{'a':'\ud800'}`, `{'a':tRue}`,
	} {
		_, err := parseFilters(text)
		require.Equal(t, command.CodeInvalidFilter, catalogue.CodeOf(err), text)
	}
}

func FuzzParseFilters(f *testing.F) {
	f.Add(`[{'name': 'x*', "length.gt": 5}, {'hidden': True}]`)
	f.Add(`{'a':'\'`)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := parseFilters(text); err != nil {
			require.Equal(t, command.CodeInvalidFilter, catalogue.CodeOf(err))
		}
	})
}

// TestAttachAtRSEOverHTTP attaches files that are registered already, in every request that takes an RSE.
func TestAttachAtRSEOverHTTP(t *testing.T) {
	ts := didServer(t)
	for i, rse := range []string{"TWO", "THREE"} {
		ts.command(command.TypeAddRSE, &command.AddRSE{Name: rse, Uuid: append(make([]byte, 15), byte(i+1)), Settings: &command.RSESettings{}})
	}
	ts.playDIDs(t, []didStep{
		{"POST", "/dids/s/d1", `{"type":"DATASET","rse":"TWO","dids":[{"scope":"s","name":"f0"}]}`, 201, ""},
		{"POST", "/dids", `[{"scope":"s","name":"d2","type":"DATASET","rse":"TWO","dids":[{"scope":"s","name":"f1","bytes":100},{"scope":"s","name":"f0"}]}]`, 201, ""},
		{"POST", "/dids/s/d2/dids", `{"dids":[{"scope":"s","name":"f2","adler32":"0CC737EB"}],"rse":"TWO"}`, 201, ""},
		{"POST", "/dids/attachments", `[{"scope":"s","name":"d1","dids":[{"scope":"s","name":"f3"}],"rse":"TWO"},{"scope":"s","name":"d2","dids":[{"scope":"s","name":"f3"}],"rse":"THREE"}]`, 201, ""},
		{"POST", "/dids/s/d1/dids", `{"dids":[{"scope":"s","name":"f1","bytes":99}],"rse":"THREE"}`, 412, "FileConsistencyMismatch"},
		{"POST", "/dids/s/d1/dids", `{"dids":[{"scope":"s","name":"f1","adler32":"00000000"},{"scope":"s","name":"f2"}],"rse":"THREE"}`, 412, "FileConsistencyMismatch"},
		{"POST", "/dids/s/d3", `{"type":"DATASET","rse":"THREE","dids":[{"scope":"s","name":"f2","md5":"d41d8cd98f00b204e9800998ecf8427e"}]}`, 412, "FileConsistencyMismatch"},
		{"POST", "/dids/s/d1/dids", `{"dids":[{"scope":"s","name":"f2"},{"scope":"s","name":"new"}],"rse":"THREE"}`, 400, "InvalidObject"},
		{"GET", "/dids/s/d3", "", 404, "DataIdentifierNotFound"},
	})
	require.Equal(t, []string{"f0", "f3"}, didColumn(t, ts.do("GET", "/dids/s/d1/files", ""), "name"))
	for name, rses := range map[string]int{"f0": 2, "f1": 2, "f2": 2, "f3": 3} {
		d, err := catalogue.GetDID(ts.store.tx, "s", name)
		require.NoError(t, err)
		require.Len(t, d.Replicas, rses, name)
		require.EqualValues(t, 100, d.Bytes)
	}
}
