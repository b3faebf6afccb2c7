package httpapi

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDistances(t *testing.T) {
	ts := newTestServer(t, registryExecutors)
	ts.play(t, "root", []step{
		{"POST", "/rses/A", ``, 201, "", ""},
		{"POST", "/rses/B", ``, 201, "", ""},
		{"GET", "/rses/A/distances/B", ``, 200, "", "[]"},
		{"GET", "/rses/A/distances/NO", ``, 404, "RSENotFound", ""},
		{"POST", "/rses/A/distances/B", `{}`, 400, "KeyError", ""},
		{"POST", "/rses/A/distances/B", `{"distance":null}`, 400, "InvalidObject", ""},
		{"POST", "/rses/A/distances/B", `{"distance":-1}`, 400, "InvalidObject", ""},
		{"POST", "/rses/A/distances/NO", `{"distance":1}`, 404, "RSENotFound", ""},
		{"POST", "/rses/A/distances/B", `{"distance":1}`, 201, "", "Created"},
		{"POST", "/rses/A/distances/B", `{"distance":1}`, 409, "Duplicate", ""},
		{"POST", "/rses/B/distances/A", `{"ranking":4}`, 201, "", ""},
		{"PUT", "/rses/B/distances/A", `{"distance":6,"bidirectional":true}`, 200, "", ""},
		{"DELETE", "/rses/A/distances/B?bidirectional=maybe", ``, 400, "TypeError", ""},
		{"DELETE", "/rses/A/distances/B", ``, 200, "", "Deleted"},
		{"GET", "/rses/A/distances/B", ``, 200, "", "[]"},
	})
	list := ts.do("GET", "/rses/B/distances/A", "").want(t, 200, "").value(t).([]any)
	require.Len(t, list, 1)
	d := list[0].(map[string]any)
	require.Equal(t, []any{6.0, 6.0, "B", "A"}, []any{d["distance"], d["ranking"], d["src_rse"], d["dest_rse"]})
}

func TestUsageAndLimits(t *testing.T) {
	ts := newTestServer(t, registryExecutors)
	ts.play(t, "root", []step{
		{"POST", "/rses/A", ``, 201, "", ""},
		{"PUT", "/rses/NO/usage", `{"source":"srm"}`, 404, "RSENotFound", ""},
		{"PUT", "/rses/A/usage", `{"used":1}`, 400, "KeyError", ""},
		{"PUT", "/rses/A/usage", `{"source":"rucio","used":1}`, 400, "ValueError", ""},
		{"PUT", "/rses/A/usage", `{"source":"srm","used":-1}`, 400, "InvalidObject", ""},
		{"PUT", "/rses/A/usage", `{"source":"srm","used":4,"free":6}`, 200, "", ""},
		{"PUT", "/rses/A/usage", `{"source":"srm","used":5,"free":6,"files":null}`, 200, "", ""},
		{"GET", "/rses/NO/usage/history", ``, 404, "RSENotFound", ""},
		{"GET", "/rses/NO/limits", ``, 404, "RSENotFound", ""},
		{"GET", "/rses/A/limits", ``, 200, "", "{}"},
		{"PUT", "/rses/A/limits", `{"name":"Min"}`, 400, "KeyError", ""},
		{"PUT", "/rses/A/limits", `{"name":"Min","value":"x"}`, 400, "InvalidObject", ""},
		{"PUT", "/rses/A/limits", `{"name":"Min","value":10}`, 200, "", ""},
		{"PUT", "/rses/A/limits", `{"name":"Max","value":20}`, 200, "", ""},
		{"DELETE", "/rses/A/limits", `{"name":"Max"}`, 200, "", ""},
		{"GET", "/rses/A/limits", ``, 200, "", `{"Min":10}`},
	})
	lines := ts.do("GET", "/rses/A/usage?per_account=true", "").want(t, 200, "").lines(t)
	require.Len(t, lines, 2)
	require.Equal(t, []any{}, lines[0].(map[string]any)["account_usages"])
	srm := lines[1].(map[string]any)
	require.Equal(t, []any{"srm", 5.0, 6.0, 11.0, nil}, []any{srm["source"], srm["used"], srm["free"], srm["total"], srm["files"]})
	require.Len(t, ts.do("GET", "/rses/A/usage?source=srm", "").want(t, 200, "").lines(t), 1)
	history := ts.do("GET", "/rses/A/usage/history?source=srm", "").want(t, 200, "").lines(t)
	require.Len(t, history, 2)
	require.Equal(t, 5.0, history[0].(map[string]any)["used"], "the latest first")
}

func TestSetScopeOwner(t *testing.T) {
	ts := newTestServer(t, registryExecutors)
	ts.play(t, "root", []step{
		{"POST", "/accounts/owner", `{"type":"USER","email":"o@x"}`, 201, "", ""},
		{"POST", "/accounts/joe", `{"type":"USER","email":"j@x"}`, 201, "", ""},
		{"POST", "/accounts/owner/scopes/s1", ``, 201, "", ""},
		{"PUT", "/scopes/joe/no", ``, 404, "ScopeNotFound", ""},
		{"PUT", "/scopes/nobody/s1", ``, 404, "AccountNotFound", ""},
		{"PUT", "/scopes/joe/s1", ``, 201, "", ""},
		{"GET", "/scopes/joe/scopes", ``, 200, "", `["s1"]`},
	})
}
