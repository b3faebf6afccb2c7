package httpapi

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddReplicasReporting(t *testing.T) {
	ts := newReplicaServer(t)
	const path = "/replicas?on_error=report"
	got := ts.do("POST", path, `{"rse":"ONE","files":[{"scope":"s","name":"a","bytes":6},{"scope":"s","name":"new","bytes":1},{"scope":"no","name":"x","bytes":1}]}`).want(t, 207, "")
	list := got.value(t).([]any)
	require.Len(t, list, 3)
	first := list[0].(map[string]any)
	require.Equal(t, []any{"s", "a", 409.0, "DataIdentifierAlreadyExists"}, []any{first["scope"], first["name"], first["status"], first["ExceptionClass"]})
	require.Contains(t, first["ExceptionMessage"], "5 bytes, not 6")
	require.Equal(t, map[string]any{"scope": "s", "name": "new", "status": 201.0}, list[1])
	require.Equal(t, "ScopeNotFound", list[2].(map[string]any)["ExceptionClass"])
	ts.do("GET", "/replicas/s/new", "").want(t, 200, "")

	ts.do("POST", path, `{"rse":"ONE","files":[{"scope":"s","name":"more","bytes":1}]}`).want(t, 201, "")
	ts.do("POST", path, `{"rse":"NO","files":[{"scope":"s","name":"more","bytes":1}]}`).want(t, 404, "RSENotFound")
	ts.do("POST", path, `{"rse":"ONE","files":[{"scope":"s"}]}`).want(t, 400, "InvalidObject")
	ts.do("POST", "/replicas?on_error=maybe", `{}`).want(t, 400, "ValueError")
}

func TestOtherPathOverHTTP(t *testing.T) {
	ts := newReplicaServer(t)
	body := func(path string) string {
		return `{"rse":"ND","files":[{"scope":"s","name":"n","bytes":1,"pfn":"davs://nd.example:443/dav` + path + `"}]}`
	}
	ts.do("POST", "/replicas", body("/one/n")).want(t, 201, "")
	ts.do("POST", "/replicas", body("/two/n")).want(t, 201, "")
	const path = "/replicas?on_error=report"
	for named, want := range map[string]map[string]any{
		"/three/n": {"scope": "s", "name": "n", "status": 201.0, "path_kept": true},
		"/one/n":   {"scope": "s", "name": "n", "status": 201.0},
	} {
		require.Equal(t, []any{want}, ts.do("POST", path, body(named)).want(t, 201, "").value(t))
	}
	require.Equal(t, map[string][]string{"n": {"davs://nd.example:443/dav/one/n"}}, ts.pfns(`{"dids":[{"scope":"s","name":"n"}]}`))
}
