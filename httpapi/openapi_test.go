package httpapi

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"dapple/command"
)

// TestEveryRouteIsDescribed compares the table of routes with the document, both ways.
func TestEveryRouteIsDescribed(t *testing.T) {
	ts := newTestServer(t, nil)
	document, err := openapi3.NewLoader().LoadFromData(ts.document.json)
	require.NoError(t, err)
	require.NoError(t, document.Validate(t.Context()))
	described := map[string]bool{}
	for path, item := range document.Paths.Map() {
		for method, operation := range item.Operations() {
			described[method+" "+path] = true
			require.NotEmpty(t, operation.Summary, "%s %s", method, path)
		}
	}
	variable := regexp.MustCompile(`[:*](\w+)`)
	for _, r := range ts.routes() {
		if r.access == unserved {
			continue
		}
		name := r.method + " " + variable.ReplaceAllString(r.path, "{$1}")
		require.True(t, described[name], "%s is not in openapi.yaml", name)
		delete(described, name)
		operation := document.Paths.Value(strings.TrimPrefix(name, r.method+" ")).GetOperation(r.method)
		require.Equal(t, r.access == public, operation.Security != nil, "%s: whether it needs a token", name)
		require.Equal(t, r.reads(), operation.Parameters.GetByInAndName("query", queryLevel) != nil, "%s: whether it is read at a level", name)
	}
	require.Empty(t, described, "in openapi.yaml and not served")
}

// The document names the states that there are.
func TestStatesAreDescribed(t *testing.T) {
	ts := newTestServer(t, nil)
	document, err := openapi3.NewLoader().LoadFromData(ts.document.json)
	require.NoError(t, err)
	var names []any
	for _, state := range command.ReplicaStates() {
		names = append(names, state.String())
	}
	states := document.Components.Schemas["Replica"].Value.Properties["states"].Value
	require.ElementsMatch(t, names, states.AdditionalProperties.Schema.Value.Enum)
}

func TestAPIDocument(t *testing.T) {
	ts := newTestServer(t, nil)
	got := ts.do("GET", "/openapi.json", "", func(r *http.Request) { r.Header.Del(headerToken) }).want(t, 200, "")
	require.Equal(t, "3.1.0", got.value(t).(map[string]any)["openapi"])
	page := ts.do("GET", "/docs", "", func(r *http.Request) { r.Header.Del(headerToken) }).want(t, 200, "")
	require.Equal(t, typeHTML, page.Header().Get("Content-Type"))
	require.NotContains(t, page.Body.String(), "<script")
	for _, part := range []string{"/replicas/exists", "NewReplicas", "<code>max_stale</code>", "POST", "<details>"} {
		require.Contains(t, page.Body.String(), part)
	}
}
