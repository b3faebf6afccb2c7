package httpapi

import (
	"encoding/json"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// / says what answers: a page for browsers, JSON for everybody else, without a token. All places that it names are served.
func TestLanding(t *testing.T) {
	ts := newTestServer(t, nil)
	ask := func(accept string) *http.Response {
		return ts.do("GET", "/", "", func(r *http.Request) {
			r.Header.Del(headerToken)
			r.Header.Set("Accept", accept)
		}).want(t, 200, "").Result()
	}
	for _, accept := range []string{"", "*/*", "application/json"} {
		got := ask(accept)
		require.Equal(t, typeJSON, got.Header.Get("Content-Type"))
		var landing struct {
			Name, Version, Node, Description string
			Links                            map[string]string
		}
		require.NoError(t, json.NewDecoder(got.Body).Decode(&landing))
		require.Equal(t, "Dapple 0.0.0-test n1", landing.Name+" "+landing.Version+" "+landing.Node)
		require.NotEmpty(t, landing.Description)
		for name, path := range landing.Links {
			found, _, _ := ts.resolver.resolve("GET", path)
			require.NotNil(t, found, "%s: %s", name, path)
		}
	}
	got := ask("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	require.Equal(t, typeHTML, got.Header.Get("Content-Type"))
	page := ts.do("GET", "/", "", func(r *http.Request) { r.Header.Set("Accept", "text/html") }).Body.String()
	require.Contains(t, page, "Node n1, version 0.0.0-test.")
	for _, link := range regexp.MustCompile(`href="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		found, _, _ := ts.resolver.resolve("GET", link[1])
		require.NotNil(t, found, link[1])
	}
	ts.do("POST", "/", "").want(t, 405, "UnsupportedOperation")
	ts.do("GET", "//ping", "").want(t, 404, "NotFound")
}

// A node that is ready names the members that do not answer, and the status says since when.
func TestMissingMembers(t *testing.T) {
	ts := newTestServer(t, nil)
	require.Equal(t, "ready\n", ts.do("GET", "/readyz", "").want(t, 200, "").Body.String())
	since := time.Now().Add(-12 * time.Second)
	ts.cluster.missing = []MissingMember{{Name: "n3", Since: since}}
	require.Equal(t, "ready\nn3 unreachable since "+since.UTC().Format(timeLayout)+" (12s)\n", ts.do("GET", "/readyz", "").want(t, 200, "").Body.String())

	m := Member{ID: "n3@1", Name: "n3"}
	m.SetUnreachable(since)
	b, err := json.Marshal(m)
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(b, &got))
	require.Equal(t, false, got["reachable"])
	require.Equal(t, since.UTC().Format(timeLayout), got["unreachable_since"])
	require.InDelta(t, 12, got["unreachable_seconds"], 1)
	b, err = json.Marshal(Member{Reachable: true})
	require.NoError(t, err)
	require.NotContains(t, string(b), "unreachable")
}
