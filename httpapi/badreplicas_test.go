package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDeclareBad(t *testing.T) {
	ts := newReplicaServer(t)
	for _, path := range []string{"/replicas/bad", "/replicas/badreplicas", "/replicas/bad/"} {
		ts.do("POST", path, `{"replicas": ["`+pfnA1+`"], "reason": "r", "force": true}`).want(t, 201, "")
	}
	got := ts.do("POST", "/replicas/bad", `{"pfns": ["`+pfnA1+`"], "reason": null}`).want(t, 201, "")
	require.Equal(t, "application/json", got.Header().Get("Content-Type"))
	require.Equal(t, map[string]any{"ONE": []any{"s:a Already declared"}}, got.value(t))
	got = ts.do("POST", "/replicas/bad", `{"replicas": [{"scope": "s", "name": "no", "rse": "TWO"}, {"scope": "s", "name": "dir/b", "rse": "ONE"}]}`)
	require.Equal(t, map[string]any{"TWO": []any{"(s, 'no') Unknown replica"}}, got.want(t, 201, "").value(t))
	require.Equal(t, map[string]any{}, ts.do("POST", "/replicas/bad", `{"replicas": []}`).want(t, 201, "").value(t))

	for body, want := range map[string]struct {
		status int
		class  string
	}{
		`{"replicas": ["` + pfnA1 + `", {"scope": "s", "name": "a", "rse": "ONE"}]}`: {400, "InvalidType"},
		`{"replicas": [7]}`:                                                 {400, "InvalidType"},
		`{"replicas": [{"scope": "s", "name": "a"}]}`:                       {400, "InvalidType"},
		`{"replicas": [{"scope": "s", "name": 7, "rse": "ONE"}]}`:           {400, "InvalidObject"},
		`{"replicas": "` + pfnA1 + `"}`:                                     {400, "InvalidObject"},
		`{"replicas": null}`:                                                {400, "InvalidObject"},
		`{"replicas": ["` + pfnA1 + `"], "reason": 7}`:                      {400, "InvalidObject"},
		`{"replicas": ["` + pfnA1 + `", "` + pfnA2 + `"]}`:                  {400, "InvalidType"},
		`{"replicas": ["davs://nowhere.example:443/x"]}`:                    {404, "ReplicaNotFound"},
		`{"replicas": [{"scope": "s", "name": "a", "rse": "NO"}]}`:          {404, "RSENotFound"},
		`{"replicas": [{"scope": "s", "name": "a", "rse_id": "nonsense"}]}`: {404, "RSENotFound"},
		`{"replicas": [`: {400, "ValueError"},
	} {
		ts.do("POST", "/replicas/bad", body).want(t, want.status, want.class)
	}
	ts.do("POST", "/replicas/bad", `{"replicas": ["`+pfnA2+`"]}`, as("joe")).want(t, 401, "AccessDenied")

	got = ts.do("POST", "/replicas/bad/dids", `{"rse": "TWO", "dids": [{"scope": "s", "name": "a"}, {"scope": "s", "name": "no"}], "reason": "r", "expires_at": null}`)
	require.Equal(t, []any{"s:no Unknown replica"}, got.want(t, 201, "").value(t))
	require.Equal(t, []any{"s:a Already declared"}, ts.do("POST", "/replicas/bad/dids", `{"rse": "TWO", "dids": [{"scope": "s", "name": "a"}]}`).want(t, 201, "").value(t))
	ts.do("POST", "/replicas/bad/dids", `{"rse": "NO", "dids": [{"scope": "s", "name": "a"}]}`).want(t, 404, "RSENotFound")
	ts.do("POST", "/replicas/bad/dids", `{"dids": []}`).want(t, 400, "KeyError")
	ts.do("POST", "/replicas/bad/dids", `{"rse": "TWO", "dids": [], "expires_at": "soon"}`).want(t, 400, "ValueError")
	ts.do("POST", "/replicas/bad/dids", `{"rse": "TWO", "dids": [{"scope": "s", "name": "a"}]}`, as("joe")).want(t, 401, "AccessDenied")
}

func TestListBad(t *testing.T) {
	ts := newReplicaServer(t)
	ts.do("POST", "/replicas/bad", `{"replicas": [{"scope": "s", "name": "a", "rse": "ONE"}, {"scope": "s", "name": "a", "rse": "TWO"}], "reason": "r"}`).want(t, 201, "")
	ts.do("PUT", "/replicas", `{"rse": "TWO", "files": [{"scope": "s", "name": "a", "state": "A"}]}`).want(t, 200, "")
	count := func(query string) int {
		return len(ts.do("GET", "/replicas/bad/states"+query, "").want(t, 200, "").lines(t))
	}
	for query, want := range map[string]int{
		"": 2, "?state=B": 1, "?state=R": 1, "?state=S": 0, "?rse=ONE": 1, "?state=B&rse=TWO": 0, "?limit=1": 1, "?limit=0": 2,
		"?younger_than=2100-01-01T00:00:00.000000": 0, "?older_than=2100-01-01T00:00:00.000000": 2, "?younger_than=2001-01-01T00:00:00.0": 2,
	} {
		require.Equal(t, want, count(query), query)
	}
	row := ts.do("GET", "/replicas/bad/states?state=B", "").lines(t)[0].(map[string]any)
	require.Equal(t, "BAD", row["state"])
	require.Equal(t, "Thu, 01 Jan 2026 10:00:00 UTC", row["created_at"])
	require.ElementsMatch(t, []string{"scope", "name", "rse", "rse_id", "state", "created_at", "updated_at"}, keysOf(row))
	require.Equal(t, []any{pfnA1}, ts.do("GET", "/replicas/bad/states?rse=ONE&list_pfns=True", "").want(t, 200, "").lines(t))
	require.ElementsMatch(t, []any{pfnA1, pfnA2}, ts.do("GET", "/replicas/bad/states?list_pfns=True", "").want(t, 200, "").lines(t))

	require.Equal(t, "RSENotFound", ts.do("GET", "/replicas/bad/states?rse=NO", "").want(t, 404, "RSENotFound").class())
	for _, query := range []string{"?state=X", "?state=BAD", "?state=", "?limit=x", "?younger_than=soon", "?older_than=soon"} {
		ts.do("GET", "/replicas/bad/states"+query, "").want(t, 400, "ValueError")
	}

	got := ts.do("GET", "/replicas/bad/summary?rse_expression=ONE", "").want(t, 200, "").lines(t)
	require.Len(t, got, 1)
	summary := got[0].(map[string]any)
	require.Len(t, summary["rse_id"], 32)
	delete(summary, "rse_id")
	require.Equal(t, map[string]any{"BAD": 1.0, "rse": "ONE", "reason": "r", "created_at": "Thu, 01 Jan 2026 00:00:00 UTC"}, summary)
	require.Len(t, ts.do("GET", "/replicas/bad/summary", "").want(t, 200, "").lines(t), 2)
	require.Empty(t, ts.do("GET", "/replicas/bad/summary?from_date=2100-01-01", "").want(t, 200, "").lines(t))
	require.Empty(t, ts.do("GET", "/replicas/bad/summary?to_date=2001-01-01", "").want(t, 200, "").lines(t))
	ts.do("GET", "/replicas/bad/summary?rse_expression=NO", "").want(t, 400, "InvalidRSEExpression")
	ts.do("GET", "/replicas/bad/summary?from_date=soon", "").want(t, 400, "ValueError")
}

func keysOf(m map[string]any) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	return keys
}

func TestSuspicious(t *testing.T) {
	ts := newReplicaServer(t)
	require.Equal(t, []any{}, ts.do("GET", "/replicas/suspicious", "").want(t, 200, "").value(t))
	for range 2 {
		ts.do("POST", "/replicas/suspicious", `{"pfns": ["`+pfnA1+`", "`+pfnA1+`"], "reason": "r"}`, as("joe")).want(t, 201, "")
	}
	got := ts.do("POST", "/replicas/suspicious", `{"pfns": ["davs://nowhere.example:443/x"]}`).want(t, 201, "")
	require.Equal(t, map[string]any{"unknown": []any{"davs://nowhere.example:443/x"}}, got.value(t))
	require.Equal(t, map[string]any{}, ts.do("POST", "/replicas/suspicious", `{}`).want(t, 201, "").value(t))
	ts.do("POST", "/replicas/suspicious", `{"pfns": [{"scope": "s", "name": "dir/b", "rse": "ONE"}]}`).want(t, 201, "")

	list := ts.do("GET", "/replicas/suspicious/", "").want(t, 200, "").value(t).([]any)
	require.Len(t, list, 2)
	first := list[0].(map[string]any)
	require.ElementsMatch(t, []string{"scope", "name", "rse", "rse_id", "cnt", "created_at"}, keysOf(first))
	require.Equal(t, 2.0, first["cnt"])
	require.Len(t, ts.do("GET", "/replicas/suspicious?nattempts=1&rse_expression=ONE&younger_than=2001-01-01T00:00:00", "").value(t), 1)
	require.Empty(t, ts.do("GET", "/replicas/suspicious?younger_than=2100-01-01T00:00:00", "").want(t, 200, "").value(t))
	ts.do("GET", "/replicas/suspicious?rse_expression=NO", "").want(t, 400, "InvalidRSEExpression")
	ts.do("GET", "/replicas/suspicious?nattempts=x", "").want(t, 400, "ValueError")
	ts.do("GET", "/replicas/suspicious?younger_than=soon", "").want(t, 400, "ValueError")
}

func TestDeclareBadPFNs(t *testing.T) {
	ts := newReplicaServer(t)
	ts.do("POST", "/replicas/bad/pfns", `{"pfns": ["`+pfnA1+`"], "reason": "r", "state": "BAD", "expires_at": null}`).want(t, 201, "")
	ts.do("POST", "/replicas/bad/pfns", `{"pfns": ["`+pfnA2+`"], "reason": "r", "state": "TEMPORARY_UNAVAILABLE", "expires_at": "2026-01-02T10:00:00.000000"}`).want(t, 201, "")
	require.Equal(t, map[string][]string{"a": {}}, ts.pfns(`{"dids": [{"scope": "s", "name": "a"}]}`))
	for body, class := range map[string]string{
		`{"pfns": ["` + pfnA1 + `"]}`:                                                                               "KeyError",
		`{"pfns": ["` + pfnA1 + `"], "state": null}`:                                                                "InvalidObject",
		`{"pfns": ["` + pfnA1 + `"], "state": "B"}`:                                                                 "ValueError",
		`{"pfns": ["` + pfnA1 + `"], "state": "RECOVERED"}`:                                                         "ValueError",
		`{"pfns": ["` + pfnA1 + `"], "state": "TEMPORARY_UNAVAILABLE"}`:                                             "InputValidationError",
		`{"pfns": ["` + pfnA1 + `"], "state": "TEMPORARY_UNAVAILABLE", "expires_at": "2100-01-01T00:00:00.000000"}`: "InputValidationError",
		`{"pfns": ["` + pfnA1 + `"], "state": "BAD", "expires_at": "2026-01-02T10:00:00.000000"}`:                   "InputValidationError",
		`{"pfns": ["` + pfnA1 + `"], "state": "BAD", "expires_at": "soon"}`:                                         "ValueError",
		`{"pfns": [7], "state": "BAD"}`:                                                                             "InvalidObject",
		`{"pfns": "x", "state": "BAD"}`:                                                                             "InvalidObject",
		`{"pfns": ["nonsense"], "state": "BAD"}`:                                                                    "InvalidPath",
	} {
		ts.do("POST", "/replicas/bad/pfns", body).want(t, 400, class)
	}
	ts.do("POST", "/replicas/bad/pfns", `{"pfns": ["`+pfnA1+`"], "state": "BAD"}`, as("joe")).want(t, 401, "AccessDenied")
}

func TestTombstonesAndQuarantine(t *testing.T) {
	ts := newReplicaServer(t)
	ts.do("POST", "/replicas/tombstone", `{"replicas": [{"scope": "s", "name": "a", "rse": "ONE"}]}`).want(t, 201, "")
	ts.do("POST", "/replicas/tombstone", `{}`).want(t, 201, "")
	ts.do("POST", "/replicas/tombstone", `{"replicas": [{"scope": "s", "name": "no", "rse": "ONE"}]}`).want(t, 404, "ReplicaNotFound")
	ts.do("POST", "/replicas/tombstone", `{"replicas": [{"scope": "s", "name": "a", "rse": "NO"}]}`).want(t, 404, "RSENotFound")
	ts.do("POST", "/replicas/tombstone", `{"replicas": [{"scope": "s", "rse": "NO"}]}`).want(t, 400, "KeyError")
	ts.do("POST", "/replicas/tombstone", `{"replicas": [7]}`).want(t, 400, "InvalidObject")
	ts.do("POST", "/replicas/tombstone", `{"replicas": [{"scope": "s", "name": "a", "rse": "ONE"}]}`, as("joe")).want(t, 401, "AccessDenied")

	ts.do("POST", "/replicas/quarantine", `{"rse": "ONE", "replicas": [{"path": "/dark"}, {"path": "/d2", "scope": "s", "name": "x", "bytes": 4}]}`).want(t, 200, "")
	ts.do("POST", "/replicas/quarantine", `{"rse": "NO", "replicas": []}`).want(t, 200, "")
	ts.do("POST", "/replicas/quarantine", `{"replicas": [{"path": "/dark"}]}`).want(t, 400, "InputValidationError")
	ts.do("POST", "/replicas/quarantine", `{"rse": "ONE", "rse_id": "x", "replicas": [{"path": "/dark"}]}`).want(t, 400, "InputValidationError")
	ts.do("POST", "/replicas/quarantine", `{"rse": "ONE", "replicas": [{}]}`).want(t, 400, "InputValidationError")
	ts.do("POST", "/replicas/quarantine", `{"rse": "ONE", "replicas": [{"path": 7}]}`).want(t, 400, "InvalidObject")
	ts.do("POST", "/replicas/quarantine", `{"rse": "ONE", "replicas": [{"path": "/x", "bytes": -1}]}`).want(t, 400, "InvalidObject")
	ts.do("POST", "/replicas/quarantine", `{"rse": "NO", "replicas": [{"path": "/dark"}]}`).want(t, 404, "RSENotFound")
}

func TestDatasetReplicas(t *testing.T) {
	ts := newReplicaServer(t)
	ts.do("POST", "/dids/s/ds", `{"type": "DATASET"}`).want(t, 201, "")
	ts.do("POST", "/dids/s/ds/dids", `{"dids": [{"scope": "s", "name": "a"}, {"scope": "s", "name": "dir/b"}]}`).want(t, 201, "")
	for _, target := range []string{"/replicas/s/ds/datasets", "/replicas/s/ds/datasets?deep=True", "/replicas/s/ds/datasets/"} {
		got := ts.do("GET", target, "").want(t, 200, "").lines(t)
		require.Len(t, got, 2, target)
		one := got[0].(map[string]any)
		require.ElementsMatch(t, []string{
			"scope", "name", "rse", "rse_id", "available_bytes", "available_length", "created_at", "updated_at", "accessed_at", "length", "bytes", "state",
		}, keysOf(one))
		require.Equal(t, []any{"ONE", 11.0, 2.0, 11.0, 2.0, "AVAILABLE"},
			[]any{one["rse"], one["bytes"], one["length"], one["available_bytes"], one["available_length"], one["state"]})
		two := got[1].(map[string]any)
		require.Equal(t, []any{"TWO", 5.0, "UNAVAILABLE"}, []any{two["rse"], two["available_bytes"], two["state"]})
	}
	require.Empty(t, ts.do("GET", "/replicas/s/no/datasets", "").want(t, 200, "").lines(t))
	require.Len(t, ts.do("POST", "/replicas/datasets_bulk", `{"dids": [{"scope": "s", "name": "ds"}, {"scope": "s", "name": "no"}]}`).want(t, 200, "").lines(t), 2)
	ts.do("POST", "/replicas/datasets_bulk", `{"dids": []}`).want(t, 400, "ValueError")
	ts.do("POST", "/replicas/datasets_bulk", `{}`).want(t, 400, "KeyError")
	ts.do("POST", "/replicas/datasets_bulk", `{"dids": [{"scope": "s"}]}`).want(t, 400, "InvalidObject")
	require.Len(t, ts.do("GET", "/replicas/rse/ONE", "").want(t, 200, "").lines(t), 1)
	ts.do("GET", "/replicas/rse/NO", "").want(t, 404, "RSENotFound")
	// A name may look like a part of the API.
	ts.do("POST", "/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "x/datasets", "bytes": 1}]}`).want(t, 201, "")
	ts.do("GET", "/replicas/s/x%2Fdatasets", "").want(t, 200, "")
}

// TestOnePFNAtTwoRSEs lists and declares replicas whose RSEs share a prefix, deterministic and not.
func TestOnePFNAtTwoRSEs(t *testing.T) {
	ts := newReplicaServer(t)
	protocol := `{"hostname": "shared.example", "port": 443, "prefix": "/dav", "impl": "rucio.rse.protocols.gfal.Default",
		"domains": {"lan": {"read": 1, "write": 1}, "wan": {"read": %d, "write": 1}}}`
	for i, rse := range []string{"Z", "Y"} {
		ts.do("POST", "/rses/DET_"+rse, "{}").want(t, 201, "")
		ts.do("POST", "/rses/ND_"+rse, `{"deterministic": false}`).want(t, 201, "")
		for _, name := range []string{"DET_" + rse, "ND_" + rse} {
			ts.do("POST", "/rses/"+name+"/protocols/davs", fmt.Sprintf(protocol, 1)).want(t, 201, "")
		}
		ts.do("POST", "/replicas", fmt.Sprintf(`{"rse":"DET_%s","files":[{"scope":"s","name":"det","bytes":1}]}`, rse)).want(t, 201, "")
		ts.do("POST", "/replicas", fmt.Sprintf(`{"rse":"ND_%s","files":[{"scope":"s","name":"nd","bytes":1,"pfn":"davs://shared.example:443/dav/x/nd"},
			{"scope":"s","name":"own%d","bytes":1,"pfn":"davs://shared.example:443/dav/x/own%[2]d"},
			{"scope":"s","name":"other%[2]d","bytes":1,"pfn":"davs://shared.example:443/dav/x/other"}]}`, rse, i)).want(t, 201, "")
	}
	line := func(path string) string {
		t.Helper()
		return ts.do("GET", path, "").want(t, 200, "").Body.String()
	}
	for name, rses := range map[string][2]string{"det": {"DET_Y", "DET_Z"}, "nd": {"ND_Y", "ND_Z"}} {
		listed := ts.do("GET", "/replicas/s/"+name, "").want(t, 200, "").lines(t)[0].(map[string]any)
		pfns := listed["pfns"].(map[string]any)
		require.Len(t, pfns, 1)
		require.Len(t, listed["rses"], 2)
		require.Len(t, listed["states"], 2)
		for pfn, entry := range pfns {
			require.Equal(t, rses[0], entry.(map[string]any)["rse"], "the first by name")
			require.Equal(t, 1, strings.Count(line("/replicas/s/"+name), `"`+pfn+`":`), "a key comes once")
			for _, order := range []string{"?sort=random", "?sort=distance", "?limit=1", "?limit=2", "?limit=0"} {
				text := line("/replicas/s/" + name + order)
				require.Equal(t, order != "?limit=0", strings.Contains(text, `"`+pfn+`":`), text)
				require.LessOrEqual(t, strings.Count(text, `"`+pfn+`":`), 1, text)
				require.Contains(t, text, `"`+rses[1]+`": ["`+pfn+`"]`)
			}
			metalink := ts.do("GET", "/replicas/s/"+name, "", header("Accept", typeMetalink)).want(t, 200, "").Body.String()
			require.Equal(t, 2, strings.Count(metalink, pfn+"</url>"))

			for path, body := range map[string]string{
				"/replicas/bad":        `{"pfns":["davs://shared.example:443/dav/x/own0","` + pfn + `"],"reason":"r"}`,
				"/replicas/suspicious": `{"pfns":["davs://shared.example:443/dav/x/own0","` + pfn + `"],"reason":"r"}`,
				"/replicas/bad/pfns":   `{"pfns":["davs://shared.example:443/dav/x/own0","` + pfn + `"],"reason":"r","state":"BAD"}`,
			} {
				a := ts.do("POST", path, body).want(t, 409, "RucioException")
				require.Contains(t, a.Body.String(), rses[0]+", "+rses[1])
			}
			require.Empty(t, ts.do("GET", "/replicas/bad/states", "").lines(t))
			got := ts.do("POST", "/replicas/dids", `{"pfns":["`+pfn+`"],"rse":null}`).want(t, 200, "").lines(t)
			require.Equal(t, []any{map[string]any{pfn: map[string]any{"scope": "s", "name": name}}}, got)
		}
	}
	// Two files at one PFN are no clearer; one replica is.
	ts.do("POST", "/replicas/bad", `{"pfns":["davs://shared.example:443/dav/x/other"],"reason":"r"}`).want(t, 409, "RucioException")
	ts.do("POST", "/replicas/bad", `{"pfns":["davs://shared.example:443/dav/x/own1"],"reason":"r"}`).want(t, 201, "")
	require.Len(t, ts.do("GET", "/replicas/bad/states?scope=s", "").lines(t), 1)
	require.Empty(t, ts.do("GET", "/replicas/bad/states?scope=t", "").lines(t))
	ts.do("POST", "/replicas/bad", `{"replicas":[{"scope":"s","name":"det","rse":"DET_Z"}],"reason":"r"}`).want(t, 201, "")
	ts.do("DELETE", "/replicas", `{"rse":"DET_Z","files":[{"scope":"s","name":"det"}]}`).want(t, 200, "")
	d := ts.do("GET", "/replicas/s/det", "").lines(t)[0].(map[string]any)
	for pfn := range d["pfns"].(map[string]any) {
		ts.do("POST", "/replicas/bad", `{"pfns":["`+pfn+`"],"reason":"r"}`).want(t, 201, "")
	}

	for query, status := range map[string]int{"lfn=s:nd&lfn=s:own0": 200, "lfn=s:nd&lfn=s:none": 404, "lfn=no:x": 404, "lfn=s:own1&lfn=s:nd": 404} {
		a := ts.do("GET", "/rses/ND_Z/lfns2pfns?"+query, "")
		require.Equal(t, status, a.Code, "%s: %s", query, a.Body)
	}
	require.Contains(t, ts.do("GET", "/rses/ND_Z/lfns2pfns?lfn=s:nd&lfn=s:none", "").want(t, 404, "ReplicaNotFound").Body.String(), "s:none")
}
