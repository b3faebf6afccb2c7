package node_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"dapple/internal/testcluster"
	"dapple/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client asks one node as root.
type client struct {
	t     *testing.T
	base  string
	token string
}

func (c *client) do(method, path string, body any, headers map[string]string) (*http.Response, string) {
	c.t.Helper()
	b, err := json.Marshal(body)
	require.NoError(c.t, err)
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, bytes.NewReader(b))
	require.NoError(c.t, err)
	request.Header.Set("X-Rucio-Auth-Token", c.token)
	for key, value := range headers {
		request.Header.Set(key, value)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	require.NoError(c.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(c.t, err)
	return response, string(text)
}

// login gets the token that the client sends.
func (c *client) login() {
	c.t.Helper()
	response, _ := c.do(http.MethodGet, "/auth/userpass", nil, map[string]string{
		"X-Rucio-Account": "root", "X-Rucio-Username": testcluster.User, "X-Rucio-Password": testcluster.Password,
	})
	c.token = response.Header.Get("X-Rucio-Auth-Token")
}

func (c *client) must(method, path string, body any) string {
	c.t.Helper()
	response, text := c.do(method, path, body, nil)
	require.Less(c.t, response.StatusCode, 300, text)
	return text
}

// TestUnavailabilityEnds declares a replica unavailable for a second: the cluster makes it available again on every node.
func TestUnavailabilityEnds(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Start(t, 3, func(cfg *node.Config) { cfg.ExpiryInterval = 20 * time.Millisecond })
	c := &client{t: t, base: cluster.URLs()[0]}
	c.login()
	priorities := map[string]int{"read": 1, "write": 1, "delete": 1}
	c.must(http.MethodPost, "/accounts/root/scopes/s", nil)
	c.must(http.MethodPost, "/rses/ONE", map[string]any{})
	c.must(http.MethodPost, "/rses/ONE/protocols/davs", map[string]any{
		"hostname": "one.example", "port": 443, "prefix": "/x/", "impl": "rucio.rse.protocols.gfal.Default",
		"domains": map[string]any{"lan": priorities, "wan": priorities},
	})
	c.must(http.MethodPost, "/replicas", map[string]any{"rse": "ONE", "files": []any{map[string]any{"scope": "s", "name": "a", "bytes": 1}}})
	var listed struct {
		PFNs map[string]any `json:"pfns"`
	}
	require.NoError(t, json.Unmarshal([]byte(c.must(http.MethodGet, "/replicas/s/a", nil)), &listed))
	var pfns []string
	for pfn := range listed.PFNs {
		pfns = append(pfns, pfn)
	}
	c.must(http.MethodPost, "/replicas/bad/pfns", map[string]any{
		"pfns": pfns, "state": "TEMPORARY_UNAVAILABLE", "reason": "downtime",
		"expires_at": time.Now().UTC().Add(time.Second).Format("2006-01-02T15:04:05.000000"),
	})
	require.Contains(t, c.must(http.MethodPost, "/replicas/list", map[string]any{
		"dids": []any{map[string]string{"scope": "s", "name": "a"}}, "all_states": true,
	}), "TEMPORARY_UNAVAILABLE")
	for _, url := range cluster.URLs() {
		at := &client{t: t, base: url, token: c.token}
		require.Eventually(t, func() bool {
			return strings.Contains(at.must(http.MethodGet, "/replicas/s/a", nil), ": \"AVAILABLE\"")
		}, time.Minute, 20*time.Millisecond, url)
		require.Empty(t, at.must(http.MethodGet, "/replicas/bad/states?state=T", nil))
	}
}
