package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

// replicaCommands are what the tests of replicas run.
func replicaCommands() executors {
	return executors{
		command.TypeGenesis:               execute(catalogue.Genesis),
		command.TypeAddAccount:            execute(catalogue.AddAccount),
		command.TypeAddScope:              execute(catalogue.AddScope),
		command.TypeAddRSE:                execute(catalogue.AddRSE),
		command.TypeUpdateRSE:             execute(catalogue.UpdateRSE),
		command.TypeSetRSEAttribute:       execute(catalogue.SetRSEAttribute),
		command.TypeAddProtocol:           execute(catalogue.AddProtocol),
		command.TypeAddDIDs:               execute(catalogue.AddDIDs),
		command.TypeAttachDIDs:            execute(catalogue.AttachDIDs),
		command.TypeAddReplicas:           execute(catalogue.AddReplicas),
		command.TypeAddReplicasReporting:  execute(catalogue.AddReplicasReporting),
		command.TypeUpdateReplicaStates:   execute(catalogue.UpdateReplicaStates),
		command.TypeDeleteReplicas:        execute(catalogue.DeleteReplicas),
		command.TypeUpdateReplicaStatesIf: execute(catalogue.UpdateReplicaStatesIf),
		command.TypeDeleteReplicasIf:      execute(catalogue.DeleteReplicasIf),
		command.TypeDeclareBad:            execute(catalogue.DeclareBad),
		command.TypeDeclareSuspicious:     execute(catalogue.DeclareSuspicious),
		command.TypeDeclareBadPFNs:        execute(catalogue.DeclareBadPFNs),
		command.TypeSetTombstones:         execute(catalogue.SetTombstones),
		command.TypeQuarantine:            execute(catalogue.Quarantine),
		command.TypeSetDistance:           execute(catalogue.SetDistance),
	}
}

// newReplicaServer has the scope s, the account joe, the RSE ONE with the files s:a and s:dir/b, the RSE TWO with s:a, and the RSE ND,
// which is not deterministic.
func newReplicaServer(t *testing.T, configure ...func(*Config)) *testServer {
	t.Helper()
	ts := newTestServer(t, replicaCommands(), configure...)
	ts.command(command.TypeGenesis, &command.Genesis{
		Schema: catalogue.SchemaVersion, Features: catalogue.NewestFeatureLevel,
		ClusterId: testCluster[:], RootIdentity: "ddmlab", RootPassword: "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		KeyId: "k", KeySeed: make([]byte, 32),
	})
	ts.command(command.TypeAddAccount, &command.AddAccount{Name: "joe", Type: "USER"})
	t.Cleanup(func() {
		require.Zero(t, ts.store.open.Load(), "views left open")
		require.NoError(t, catalogue.CheckInvariants(ts.store.tx))
	})
	protocol := `{"hostname": "%s", "port": %d, "prefix": "%s", "impl": "rucio.rse.protocols.gfal.Default",
		"domains": {"lan": {"read": %d, "write": %[4]d}, "wan": {"read": %[4]d, "write": %[4]d}}}`
	for _, step := range [][2]string{
		{"/accounts/root/scopes/s", ""},
		{"/rses/ONE", "{}"},
		{"/rses/TWO", "{}"},
		{"/rses/ND", `{"deterministic": false}`},
		{"/rses/ONE/protocols/davs", fmt.Sprintf(protocol, "one.example", 443, "/dav", 1)},
		{"/rses/ONE/protocols/root", fmt.Sprintf(protocol, "onex.example", 1094, "//eos", 2)},
		{"/rses/TWO/protocols/root", fmt.Sprintf(protocol, "two.example", 1094, "/eos", 1)},
		{"/rses/ND/protocols/davs", fmt.Sprintf(protocol, "nd.example", 443, "/dav", 1)},
		{"/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "a", "bytes": 5, "adler32": "0cc737eb"}, {"scope": "s", "name": "dir/b", "bytes": 6}]}`},
		{"/replicas", `{"rse": "TWO", "files": [{"scope": "s", "name": "a", "bytes": 5}]}`},
	} {
		ts.do("POST", step[0], step[1]).want(t, 201, "")
	}
	return ts
}

// pfns lists what is shown of a file: PFNs in order of priority.
func (ts *testServer) pfns(body string) map[string][]string {
	ts.t.Helper()
	all := map[string][]string{}
	for _, line := range ts.do("POST", "/replicas/list", body).want(ts.t, 200, "").lines(ts.t) {
		file := line.(map[string]any)
		all[file["name"].(string)] = inOrder(line)
	}
	return all
}

// inOrder returns the PFNs of a listed file in order of priority.
func inOrder(line any) []string {
	pfns := line.(map[string]any)["pfns"].(map[string]any)
	ordered := make([]string, len(pfns))
	for pfn, fields := range pfns {
		ordered[int(fields.(map[string]any)["priority"].(float64))-1] = pfn
	}
	return ordered
}

const (
	pfnA1    = "davs://one.example:443/dav/s/8e/cb/a"
	pfnA1x   = "root://onex.example:1094//eos/s/8e/cb/a"
	pfnA2    = "root://two.example:1094/eos/s/8e/cb/a"
	oneFile  = `{"rse": "ONE", "files": [%s]}`
	goodFile = `{"scope": "s", "name": "good", "bytes": 1}`
)

func TestReplicaBodiesRefused(t *testing.T) {
	ts := newReplicaServer(t)
	long := strings.Repeat("x", 251)
	for _, c := range []struct {
		file   string
		status int
		class  string
	}{
		{`{"scope": "s", "name": "x"}`, 400, "InvalidObject"},
		{`{"scope": "s", "bytes": 1}`, 400, "InvalidObject"},
		{`{"name": "x", "bytes": 1}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "x", "bytes": -1}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "x", "bytes": 1.5}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "x", "bytes": "1"}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "x", "bytes": true}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "x", "bytes": null}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "x", "bytes": 9223372036854775808}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "x", "bytes": 99999999999999999999999}`, 400, "InvalidObject"},
		{`{"scope": 1, "name": "x", "bytes": 1}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": null, "bytes": 1}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "", "bytes": 1}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "` + long + `", "bytes": 1}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "a b", "bytes": 1}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "a\u0000b", "bytes": 1}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": ".a", "bytes": 1}`, 400, "InvalidObject"},
		{`{"scope": "s!", "name": "x", "bytes": 1}`, 400, "InvalidObject"},
		{`{"scope": "` + long[:26] + `", "name": "x", "bytes": 1}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "x", "bytes": 1, "adler32": "xyz"}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "x", "bytes": 1, "adler32": null}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "x", "bytes": 1, "md5": "0cc737eb"}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "x", "bytes": 1, "state": "X"}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "x", "bytes": 1, "state": "AVAILABLE"}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "x", "bytes": 1, "pfn": 7}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "x", "bytes": 1, "meta": []}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "x", "bytes": 1, "colour": "red"}`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "x", "bytes": 1, "tombstone": "soon"}`, 400, "ValueError"},
		{`"s:x"`, 400, "InvalidObject"},
		{`{"scope": "s", "name": "good", "bytes": 1}`, 400, "ValueError"}, // twice
		{`{"scope": "s", "name": "a", "bytes": 6}`, 409, "DataIdentifierAlreadyExists"},
		{`{"scope": "no", "name": "x", "bytes": 1}`, 404, "ScopeNotFound"},
		{`{"scope": "s", "name": "x", "bytes": 1, "pfn": "davs://one.example:443/dav/x"}`, 400, "InvalidPath"},
	} {
		t.Run(c.file, func(t *testing.T) {
			ts.do("POST", "/replicas", fmt.Sprintf(oneFile, goodFile+","+c.file)).want(t, c.status, c.class)
		})
	}
	for body, class := range map[string]string{
		"": "ValueError", "{": "ValueError", "[1, 2]": "TypeError", "7": "TypeError", `{"rse": "ONE"}`: "KeyError",
		`{"files": []}`: "KeyError", `{"rse": 1, "files": []}`: "InvalidObject", `{"rse": "ONE", "files": "s:a"}`: "InvalidObject",
		`{"rse": "ONE", "files": null}`: "InvalidObject", `{"rse": "ONE", "files": [` + goodFile + `,]}`: "ValueError",
		`{"rse": "ONE", "files": [` + goodFile + `]} x`: "ValueError", "{\"rse\": \"\xff\"}": "ValueError",
	} {
		for _, method := range []string{"POST", "PUT", "DELETE"} {
			ts.do(method, "/replicas", body).want(t, 400, class)
		}
	}
	ts.do("POST", "/replicas", fmt.Sprintf(oneFile, "")).want(t, 400, "InvalidObject")
	ts.do("POST", "/replicas", `{"rse": "ONE", "files": [`+goodFile+`], "ignore_availability": "maybe"}`).want(t, 400, "TypeError")
	many := strings.Repeat(goodFile+",", ts.limits.Items) + goodFile
	ts.do("POST", "/replicas", fmt.Sprintf(oneFile, many)).want(t, 413, "InvalidRequest")
	ts.do("GET", "/replicas/s/good", "").want(t, 404, "DataIdentifierNotFound")
}

// TestCostlyItemsCountForMore sends as many replicas to delete, and files with as many keys of metadata, as a request may name,
// and one more.
func TestCostlyItemsCountForMore(t *testing.T) {
	ts := newReplicaServer(t)
	ts.limits.Items = 300
	most := ts.limits.Items / 3
	list := func(format string, n int) string {
		items := make([]string, n)
		for i := range items {
			items[i] = fmt.Sprintf(format, i)
		}
		return `{"rse": "ONE", "files": [` + strings.Join(items, ", ") + `]}`
	}
	file, name := `{"scope": "s", "name": "f%d", "bytes": 1}`, `{"scope": "s", "name": "f%d"}`
	ts.do("POST", "/replicas", list(file, most+1)).want(t, 201, "")
	refused := ts.do("DELETE", "/replicas", list(name, most+1))
	refused.want(t, 413, "InvalidRequest")
	require.Contains(t, refused.raw("ExceptionMessage"), fmt.Sprintf("counts for %d items, and %d are allowed at once: send it in parts", 3*(most+1), ts.limits.Items))
	ts.do("PUT", "/replicas", list(`{"scope": "s", "name": "f%d", "state": "A"}`, most+1)).want(t, 413, "InvalidRequest")
	ts.do("GET", "/replicas/s/f0", "").want(t, 200, "")
	ts.do("DELETE", "/replicas", list(name, most)).want(t, 200, "")
	ts.do("GET", "/replicas/s/f0", "").want(t, 404, "DataIdentifierNotFound")

	keys := func(n int) string {
		meta := make([]string, n)
		for i := range meta {
			meta[i] = fmt.Sprintf(`"k%d": 1`, i)
		}
		return `{"scope": "s", "name": "m%d", "bytes": 1, "meta": {` + strings.Join(meta, ", ") + `}}`
	}
	ts.do("POST", "/replicas", list(keys(4), ts.limits.Items)).want(t, 201, "")
	ts.do("POST", "/replicas", list(keys(5), ts.limits.Items)).want(t, 413, "InvalidRequest")
}

func TestReplicaFieldsArrive(t *testing.T) {
	ts := newReplicaServer(t)
	ts.do("POST", "/replicas/", `{"rse": "ND", "files": [{"name": "n\u002fx", "md5": "d41d8cd98f00b204e9800998ecf8427e", "bytes": 0, "scope": "s",
		"pfn": "davs://nd.example:443/dav/p/q", "state": "T", "type": "FILE", "meta": {"events": 7}, "tombstone": "Thu, 01 Jan 2026 10:00:00 UTC"}],
		"ignore_availability": "true", "other": {"deep": [1, {"x": null}]}}`).want(t, 201, "")
	got := ts.do("POST", "/replicas/list", `{"dids": [{"scope": "s", "name": "n/x"}], "all_states": true}`).want(t, 200, "").lines(t)
	nd := got[0].(map[string]any)["pfns"].(map[string]any)["davs://nd.example:443/dav/p/q"].(map[string]any)
	require.Len(t, nd["rse_id"], 32)
	delete(nd, "rse_id")
	require.Equal(t, []any{map[string]any{
		"scope": "s", "name": "n/x", "bytes": 0.0, "md5": "d41d8cd98f00b204e9800998ecf8427e", "adler32": nil,
		"pfns": map[string]any{"davs://nd.example:443/dav/p/q": map[string]any{
			"rse": "ND", "type": "DISK", "volatile": false, "domain": "wan", "priority": 1.0, "client_extract": false,
		}},
		"rses":   map[string]any{"ND": []any{"davs://nd.example:443/dav/p/q"}},
		"states": map[string]any{"ND": "TEMPORARY_UNAVAILABLE"},
	}}, got)
	meta := map[string]string{}
	d, err := catalogue.GetDID(ts.store.tx, "s", "n/x")
	require.NoError(t, err)
	require.EqualValues(t, 1_767_261_600_000_000, d.Replicas[0].Tombstone)
	entries, err := catalogue.GetMetadata(ts.store.tx, "s", "n/x")
	require.NoError(t, err)
	for _, e := range entries {
		meta[e.Key] = e.Value
	}
	require.Equal(t, map[string]string{"events": "7"}, meta)
}

func TestStatesAndDeletion(t *testing.T) {
	ts := newReplicaServer(t)
	ts.do("PUT", "/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "a", "state": "U"}]}`).want(t, 200, "")
	ts.do("PUT", "/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "a", "state": "T"}]}`).want(t, 500, "UnsupportedOperation")
	ts.do("PUT", "/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "a"}]}`).want(t, 400, "InvalidObject")
	ts.do("PUT", "/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "no", "state": "A"}]}`).want(t, 404, "ReplicaNotFound")
	ts.do("PUT", "/replicas", `{"rse": "ONE", "files": []}`).want(t, 200, "")
	ts.do("PUT", "/replicas", `{"rse": "NO", "files": []}`).want(t, 404, "RSENotFound")
	ts.do("PUT", "/replicas", `{"rse": "ONE", "files": []}`, as("joe")).want(t, 401, "AccessDenied")
	require.Equal(t, map[string][]string{"a": {pfnA2}}, ts.pfns(`{"dids": [{"scope": "s", "name": "a"}]}`))

	ts.do("DELETE", "/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "a"}, {"scope": "s", "name": "a"}]}`).want(t, 400, "ValueError")
	ts.do("DELETE", "/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "a"}]}`, as("joe")).want(t, 401, "AccessDenied")
	ts.do("DELETE", "/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "a", "bytes": 5}, {"scope": "s", "name": "dir/b"}]}`).want(t, 200, "")
	ts.do("DELETE", "/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "a"}]}`).want(t, 404, "ReplicaNotFound")
	ts.do("GET", "/replicas/s/dir/b", "").want(t, 404, "DataIdentifierNotFound")
}

func TestListBodies(t *testing.T) {
	ts := newReplicaServer(t)
	ts.do("POST", "/rses/ONE/attr/site", `{"value": "HERE"}`).want(t, 201, "")
	list := func(fields string) string {
		return `{"dids": [{"scope": "s", "name": "a"}]` + fields + `}`
	}
	for fields, want := range map[string][]string{
		``:                                {pfnA1, pfnA2},
		`, "schemes": null, "sort": null`: {pfnA1, pfnA2},
		`, "schemes": ["root", "davs"]`:   {pfnA1, pfnA2, pfnA1x},
		`, "schemes": ["srm"]`:            {},
		`, "rse_expression": "TWO"`:       {pfnA2},
		`, "rse_expression": "ONE|TWO"`:   {pfnA1, pfnA2},
		`, "domain": "lan"`:               {pfnA1, pfnA2},
		`, "client_location": {"site": "HERE", "ip": "10.0.0.1", "fqdn": null}`: {pfnA1, pfnA2},
		`, "client_location": {"site": null}, "domain": null`:                   {pfnA1, pfnA2},
		`, "updated_after": "2100-01-01T00:00:00"`:                              {},
		`, "updated_after": 1000.5, "signature_lifetime": 60`:                   {pfnA1, pfnA2},
		`, "nrandom": "1", "resolve_archives": false`:                           {pfnA1, pfnA2},
		`, "all_states": "True", "unavailable": 0`:                              {pfnA1, pfnA2},
	} {
		require.Equal(t, map[string][]string{"a": want}, ts.pfns(list(fields)), fields)
	}
	for fields, class := range map[string]string{
		`, "rse_expression": "((("`: "InvalidRSEExpression", `, "rse_expression": "NOSUCH"`: "InvalidRSEExpression", `, "rse_expression": 7`: "InvalidObject",
		`, "schemes": 7`: "InvalidObject", `, "schemes": [1]`: "InvalidObject", `, "domain": 7`: "InvalidObject", `, "client_location": "x"`: "InvalidObject",
		`, "client_location": {"site": 3}`: "InvalidObject", `, "updated_after": "yesterday"`: "ValueError", `, "updated_after": 1e300`: "ValueError",
		`, "nrandom": -1`: "ValueError", `, "nrandom": "many"`: "ValueError", `, "sort": "nosuch"`: "SortingAlgorithmNotSupported", `, "all_states": 7`: "TypeError",
		`, "signature_lifetime": "x"`: "InvalidObject",
	} {
		ts.do("POST", "/replicas/list", list(fields)).want(t, 400, class)
	}
	for body, status := range map[string]int{
		`{}`: 200, `{"dids": []}`: 200, `{"dids": null}`: 400, `{"dids": {}}`: 400, `{"dids": [7]}`: 400, `{"dids": [{"scope": "s"}]}`: 400,
		`{"dids": [{"scope": "s", "name": "..."}]}`: 400, `{"dids": [{"scope": "s", "name": "no"}]}`: 404, `{"dids": [{"scope": "no", "name": "a"}]}`: 404,
		`{"dids": [{"scope": "s", "name": "no"}, {"scope": "s", "name": "a"}]}`: 200,
	} {
		require.Equal(t, status, ts.do("POST", "/replicas/list", body).Code, body)
	}
	one := strings.Repeat(`{"scope": "s", "name": "a"},`, ts.limits.Items)
	ts.do("POST", "/replicas/list", `{"dids": [`+one+`{"scope": "s", "name": "a"}]}`).want(t, 413, "InvalidRequest")
}

func TestListQueries(t *testing.T) {
	ts := newReplicaServer(t)
	shown := func(target string) []string {
		var all []string
		for _, line := range ts.do("GET", target, "").want(t, 200, "").lines(t) {
			file := line.(map[string]any)
			for pfn := range file["pfns"].(map[string]any) {
				all = append(all, pfn)
			}
			require.Len(t, file["states"], 2)
		}
		return all
	}
	require.ElementsMatch(t, []string{pfnA1, pfnA2}, shown("/replicas/s/a"))
	require.ElementsMatch(t, []string{pfnA1, pfnA2, pfnA1x}, shown("/replicas/s/a?schemes=root,davs"))
	require.ElementsMatch(t, []string{pfnA1}, shown("/replicas/s/a/?limit=1"))
	require.Empty(t, shown("/replicas/s/a?limit=0"))
	require.Len(t, shown("/replicas/s/a?select=random&limit=1"), 1)
	ts.do("GET", "/replicas/s/dir/b", "").want(t, 200, "")
	ts.do("GET", "/replicas/s/dir%2Fb", "").want(t, 200, "")
	ts.do("GET", "/replicas/s/a?select=nosuch", "").want(t, 404, "SortingAlgorithmNotSupported")
	ts.do("GET", "/replicas/s/a?sort=nosuch", "").want(t, 404, "SortingAlgorithmNotSupported")
	ts.do("GET", "/replicas/s/a?limit=-1", "").want(t, 400, "ValueError")
	ts.do("GET", "/replicas/s/a?limit=x", "").want(t, 400, "ValueError")
	ts.do("GET", "/replicas/s", "").want(t, 400, "ValueError")
	ts.do("GET", "/replicas/s/a", "", header("Accept", "text/html")).want(t, 406, "UnsupportedRequestedContentType")
	require.Equal(t, "Accept", ts.do("GET", "/replicas/s/a", "").Header().Get("Vary"))

	// A blocked RSE is listed by GET and not by POST.
	ts.do("PUT", "/rses/TWO", `{"availability_read": false}`).want(t, 201, "")
	require.ElementsMatch(t, []string{pfnA1, pfnA2}, shown("/replicas/s/a"))
	require.Equal(t, map[string][]string{"a": {pfnA1}}, ts.pfns(`{"dids": [{"scope": "s", "name": "a"}]}`))
	require.Equal(t, map[string][]string{"a": {pfnA1, pfnA2}}, ts.pfns(`{"dids": [{"scope": "s", "name": "a"}], "unavailable": false}`))
}

func TestSamples(t *testing.T) {
	ts := newReplicaServer(t)
	var files []string
	for i := range 50 {
		files = append(files, fmt.Sprintf(`{"scope": "s", "name": "f%02d", "bytes": 1}`, i))
	}
	ts.do("POST", "/replicas", fmt.Sprintf(oneFile, strings.Join(files, ","))).want(t, 201, "")
	var dids []string
	for i := range 50 {
		dids = append(dids, fmt.Sprintf(`{"scope": "s", "name": "f%02d"}`, i))
	}
	names := map[string]bool{}
	for range 40 {
		got := ts.do("POST", "/replicas/list", `{"nrandom": 3, "dids": [`+strings.Join(dids, ",")+`]}`).want(t, 200, "").lines(t)
		require.Len(t, got, 3)
		once := map[string]bool{}
		for _, line := range got {
			name := line.(map[string]any)["name"].(string)
			require.False(t, once[name], "twice in one sample")
			once[name], names[name] = true, true
		}
	}
	require.Greater(t, len(names), 20, "samples are not spread")
	ts.do("POST", "/replicas/list", fmt.Sprintf(`{"nrandom": %d, "dids": []}`, ts.limits.Items+1)).want(t, 413, "InvalidRequest")
	require.Len(t, ts.do("POST", "/replicas/list", `{"nrandom": 99, "dids": [`+strings.Join(dids, ",")+`]}`).lines(t), 50)
}

func TestMetalink(t *testing.T) {
	ts := newReplicaServer(t)
	accept := header("Accept", "application/metalink4+xml")
	head := "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metalink xmlns=\"urn:ietf:params:xml:ns:metalink\">\n"
	got := ts.do("GET", "/replicas/s/a", "", accept).want(t, 200, "")
	require.Equal(t, "application/metalink4+xml", got.Header().Get("Content-Type"))
	require.Equal(t, head+` <file name="a">
  <identity>s:a</identity>
  <hash type="adler32">0cc737eb</hash>
  <size>5</size>
  <glfn name="/atlas/rucio/s:a"></glfn>
  <url location="ONE" priority="1">`+pfnA1+`</url>
  <url location="TWO" priority="2">`+pfnA2+`</url>
  <url location="ONE" priority="3">`+pfnA1x+`</url>
 </file>
</metalink>
`, got.Body.String())
	got = ts.do("POST", "/replicas/list?limit=1", `{"dids": [{"scope": "s", "name": "a"}], "domain": "lan", "resolve_parents": true}`, accept).want(t, 200, "")
	require.Contains(t, got.Body.String(), `  <glfn name="/generic/rucio/s:a"></glfn>
  <url location="ONE" domain="lan" priority="1" client_extract="false">`+pfnA1+`</url>
 </file>
`)
	require.Equal(t, head+"</metalink>\n", ts.do("POST", "/replicas/list", `{}`, accept).want(t, 200, "").Body.String())
	ts.do("GET", "/replicas/s/no", "", accept).want(t, 404, "DataIdentifierNotFound")
	require.Equal(t, `a&amp;b&lt;c&gt;&quot;`, string(appendXML(nil, "a&b<c>\"\x01")))
}

func TestDIDsOfPFNs(t *testing.T) {
	ts := newReplicaServer(t)
	for _, path := range []string{"/replicas/dids", "/replicas/getdidsfromreplicas", "/replicas/dids/"} {
		got := ts.do("POST", path, `{"pfns": ["`+pfnA1+`", "`+pfnA2+`", "davs://nowhere/x", "x"], "rse": null}`).want(t, 200, "").lines(t)
		require.ElementsMatch(t, []any{
			map[string]any{pfnA1: map[string]any{"scope": "s", "name": "a"}},
			map[string]any{pfnA2: map[string]any{"scope": "s", "name": "a"}},
		}, got)
	}
	require.Empty(t, ts.do("POST", "/replicas/dids", `{"pfns": ["`+pfnA2+`"], "rse": "ONE"}`).want(t, 200, "").lines(t))
	require.Empty(t, ts.do("POST", "/replicas/dids", `{"rse": "ONE"}`).want(t, 200, "").lines(t))
	ts.do("POST", "/replicas/dids", `{"pfns": []}`).want(t, 400, "KeyError")
	ts.do("POST", "/replicas/dids", `{"pfns": null, "rse": null}`).want(t, 400, "InvalidObject")
	ts.do("POST", "/replicas/dids", `{"pfns": [7], "rse": null}`).want(t, 400, "InvalidObject")
	ts.do("POST", "/replicas/dids", `{"pfns": [], "rse": "NO"}`).want(t, 404, "RSENotFound")
	ts.do("POST", "/replicas/dids", `{"pfns": [], "rse": 7}`).want(t, 400, "InvalidObject")
}
