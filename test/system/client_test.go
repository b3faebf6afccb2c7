package system

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// client talks to one node as root.
type client struct {
	base  string
	token string
	key   string // Idempotency-Key of what is sent, "" for none
	http  *http.Client
}

func newClient(base, token string) *client {
	return &client{base: base, token: token, http: &http.Client{
		Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}}
}

// login returns a client with root's token.
func login(t *testing.T, p *process) *client {
	t.Helper()
	return loginAt(t, p.url())
}

func loginAt(t *testing.T, base string) *client {
	t.Helper()
	c := newClient(base, "")
	c.logIn(t)
	return c
}

// logIn gets root's token.
func (c *client) logIn(t *testing.T) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.base+"/auth/userpass", nil)
	require.NoError(t, err)
	request.Header = http.Header{
		"X-Rucio-Account": {"root"}, "X-Rucio-Username": {rootUser}, "X-Rucio-Password": {rootPassword},
	}
	response, err := c.http.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	c.token = response.Header.Get("X-Rucio-Auth-Token")
}

// at returns a client of another node with the same token.
func (c *client) at(p *process) *client { return newClient(p.url(), c.token) }

// once returns a client of the same node that sends a key with everything.
func (c *client) once(key string) *client {
	keyed := *c
	keyed.key = key
	return &keyed
}

// do sends one request, once, and returns status and body; an error means that no answer came.
func (c *client) do(ctx context.Context, method, path string, body any) (int, []byte, error) {
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		reader = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, reader)
	if err != nil {
		return 0, nil, err
	}
	status, _, b, err := c.send(request)
	return status, b, err
}

// send sends a request with the token and reads the whole answer.
func (c *client) send(request *http.Request) (int, http.Header, []byte, error) {
	request.Header.Set("X-Rucio-Auth-Token", c.token)
	if c.key != "" {
		request.Header.Set("Idempotency-Key", c.key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header, b, err
}

// must sends one request and fails the test unless it is answered with one of the statuses.
func (c *client) must(t *testing.T, method, path string, body any, statuses ...int) []byte {
	t.Helper()
	status, b, err := c.do(t.Context(), method, path, body)
	require.NoError(t, err, "%s %s", method, path)
	require.Contains(t, statuses, status, "%s %s: %s", method, path, b)
	return b
}

// prepare makes a scope and a deterministic RSE with a protocol.
func (c *client) prepare(t *testing.T, scope, rse string) {
	t.Helper()
	c.must(t, http.MethodPost, "/accounts/root/scopes/"+scope, nil, 201)
	c.addRSE(t, rse, "s.example")
}

// addRSE makes a deterministic RSE with a protocol.
func (c *client) addRSE(t *testing.T, rse, host string) {
	t.Helper()
	c.must(t, http.MethodPost, "/rses/"+rse, map[string]any{"deterministic": true}, 201)
	all := map[string]int{"read": 1, "write": 1, "delete": 1}
	c.must(t, http.MethodPost, "/rses/"+rse+"/protocols/davs", map[string]any{
		"scheme": "davs", "hostname": host, "port": 443, "prefix": "/d", "impl": "x",
		"domains": map[string]any{"lan": all, "wan": all},
	}, 201)
}

type file struct {
	Scope   string `json:"scope"`
	Name    string `json:"name"`
	Bytes   int    `json:"bytes"`
	Adler32 string `json:"adler32"`
}

func registration(rse, scope string, names ...string) map[string]any {
	files := make([]file, len(names))
	for i, name := range names {
		files[i] = file{scope, name, 10, "0cc737eb"}
	}
	return map[string]any{"rse": rse, "files": files}
}

// existing returns which of the files in a scope have a replica that is available.
func (c *client) existing(t *testing.T, scope string, names []string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for batch := range slices.Chunk(names, 1000) {
		dids := make([]map[string]string, len(batch))
		for i, name := range batch {
			dids[i] = map[string]string{"scope": scope, "name": name}
		}
		answer := c.must(t, http.MethodPost, "/replicas/list", map[string]any{"dids": dids}, 200, 404)
		if bytes.Contains(answer, []byte("ExceptionClass")) {
			continue // none of them is known
		}
		decode(t, answer, func(row struct {
			Name   string            `json:"name"`
			States map[string]string `json:"states"`
		},
		) {
			require.False(t, found[row.Name], "%s is listed twice", row.Name)
			require.Len(t, row.States, 1)
			found[row.Name] = true
		})
	}
	return found
}

// filesUsed returns the counter of files of an RSE.
func (c *client) filesUsed(t *testing.T, rse string) int {
	t.Helper()
	used := -1
	decode(t, c.must(t, http.MethodGet, "/rses/"+rse+"/usage", nil, 200), func(row struct {
		Source string `json:"source"`
		Files  int    `json:"files"`
	},
	) {
		if row.Source == "rucio" {
			used = row.Files
		}
	})
	return used
}

// suspicious is a row of the listing of suspicious replicas.
type suspicious struct {
	Name  string `json:"name"`
	Count int    `json:"cnt"`
}

func (c *client) suspicious(t *testing.T) []suspicious {
	t.Helper()
	var rows []suspicious
	require.NoError(t, json.Unmarshal(c.must(t, http.MethodGet, "/replicas/suspicious", nil, 200), &rows))
	return rows
}

func decode[T any](t *testing.T, stream []byte, visit func(T)) {
	t.Helper()
	for line := range strings.Lines(string(stream)) {
		var row T
		require.NoError(t, json.Unmarshal([]byte(line), &row), line)
		visit(row)
	}
}

// status is the part of /cluster/status that the tests need.
type status struct {
	NodeID string `json:"node_id"`
	Role   string `json:"role"`
	Leader struct {
		ID   string `json:"id"`
		HTTP string `json:"http"`
	} `json:"leader"`
	Applied uint64 `json:"applied_index"`
	Members []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
		Role string `json:"role"`

		Reachable          bool    `json:"reachable"`
		UnreachableSince   string  `json:"unreachable_since"`
		UnreachableSeconds float64 `json:"unreachable_seconds"`
	} `json:"members"`
}

func (c *client) status(ctx context.Context) (status, error) {
	var s status
	code, b, err := c.do(ctx, http.MethodGet, "/cluster/status", nil)
	if err != nil {
		return s, err
	}
	if code != http.StatusOK {
		return s, fmt.Errorf("status %d: %s", code, b)
	}
	return s, json.Unmarshal(b, &s)
}

// leader waits until a node says that it leads, and returns it.
func (c *cluster) leader(root *client, among ...*process) *process {
	c.t.Helper()
	var leader *process
	require.Eventually(c.t, func() bool {
		for _, p := range among {
			ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
			s, err := root.at(p).status(ctx)
			cancel()
			if err == nil && s.Role == "leader" {
				leader = p
				return true
			}
		}
		return false
	}, patience, 20*time.Millisecond, "no leader")
	return leader
}

// requireEqualDigests makes all nodes digest their state at one index and compares.
func (c *cluster) requireEqualDigests(root *client) {
	c.t.Helper()
	type answer struct {
		Index  uint64 `json:"index"`
		Digest string `json:"digest"`
	}
	var first answer
	for i, p := range c.nodes {
		path := "/cluster/digest"
		if i > 0 {
			path = fmt.Sprintf("/cluster/digest?index=%d", first.Index)
		}
		var got answer
		require.NoError(c.t, json.Unmarshal(root.at(p).must(c.t, http.MethodGet, path, nil, 200), &got))
		require.NotEmpty(c.t, got.Digest)
		if i == 0 {
			first = got
		}
		require.Equal(c.t, first, got, "the digest of %s", p.name)
	}
}
