package httpapi

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDatasetReplicasLive(t *testing.T) {
	ts := newReplicaServer(t)
	for _, step := range [][2]string{
		{"/dids/s/ds", `{"type": "DATASET", "dids": [{"scope": "s", "name": "a"}]}`},
		{"/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "pack.zip", "bytes": 9}]}`},
		{"/dids/s/pack.zip/dids", `{"dids": [{"scope": "s", "name": "a", "bytes": 5}]}`},
	} {
		ts.do("POST", step[0], step[1]).want(t, 201, "")
	}
	rses := func(method, target, body string) (all []string) {
		for _, line := range ts.do(method, target, body).want(t, 200, "").lines(t) {
			row := line.(map[string]any)
			require.Equal(t, []any{1.0, 1.0, 5.0, "AVAILABLE"}, []any{row["length"], row["available_length"], row["available_bytes"], row["state"]})
			all = append(all, row["rse"].(string))
		}
		return all
	}
	for query, want := range map[string][]string{
		"": {"ONE", "TWO"}, "?deep=False": {"ONE", "TWO"}, "?deep=0": {"ONE", "TWO"}, "?deep=True": {"ONE", "TWO", "ONE"}, "?deep=1": {"ONE", "TWO", "ONE"},
	} {
		require.Equal(t, want, rses("GET", "/replicas/s/ds/datasets"+query, ""), query)
	}
	ts.do("GET", "/replicas/s/ds/datasets?deep=maybe", "").want(t, 400, "ValueError")
	require.Equal(t, []string{"ONE", "TWO"},
		rses("POST", "/replicas/datasets_bulk", `{"dids": [{"scope": "s", "name": "ds"}, {"scope": "s", "name": "no"}, {"scope": "s", "name": "ds"}]}`))
	require.Equal(t, []string{"TWO"}, rses("GET", "/replicas/rse/TWO", ""))

	// They are live: what changes is seen at once.
	ts.do("PUT", "/replicas", `{"rse": "TWO", "files": [{"scope": "s", "name": "a", "state": "U"}]}`).want(t, 200, "")
	require.Equal(t, []string{"ONE"}, rses("GET", "/replicas/s/ds/datasets", ""))
	require.Empty(t, rses("GET", "/replicas/rse/TWO", ""))
}
