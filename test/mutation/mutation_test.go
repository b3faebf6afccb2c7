package mutation

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/client"
	"dapple/fsm"
	"dapple/internal/testcluster"
	"dapple/node"
)

var (
	seedFlag     = flag.Uint64("seed", 0, "seed of the requests; 0 is one of the time")
	requestsFlag = flag.Int("requests", 0, "number of requests; 0 is 20000 with DAPPLE_LONG, 500 with -short, otherwise 2000")
	onlyFlag     = flag.Int("only", -1, "number of the one request to send")
)

// workers is how many requests are under way at a time.
const workers = 8

// run is one run of mutated requests.
type run struct {
	t          *testing.T
	seed       uint64
	urls       []string
	operations []operation
	root, user atomic.Pointer[string]
	login      sync.Mutex

	mu       sync.Mutex
	statuses map[int]int
	faults   []string
}

// TestMutatedRequests sends requests that are broken in many ways to a cluster of three nodes: none may be answered by a failure of
// the server, none may hang, an error must have the form that clients read, and at the end all nodes must have one sound state.
func TestMutatedRequests(t *testing.T) {
	x := &run{t: t, seed: *seedFlag, operations: readOperations(t), statuses: map[int]int{}}
	if x.seed == 0 {
		x.seed = uint64(time.Now().UnixNano())
	}
	count := requests()
	var folders []string
	cluster := testcluster.Start(t, 3, func(c *node.Config) {
		folders = append(folders, c.DataDir)
		c.LoginFailures = 1 << 20
	})
	x.urls = cluster.URLs()
	x.fill()
	began := time.Now()
	if *onlyFlag >= 0 {
		x.only(*onlyFlag)
	} else {
		x.sendAll(count)
	}
	t.Logf("seed %d: %d requests in %s, answers by status: %v", x.seed, count, time.Since(began).Round(time.Second), x.statuses)
	require.Empty(t, strings.Join(x.faults, "\n"), "%d faults; one of them again: go test ./test/mutation -seed %d -only NUMBER -v", len(x.faults), x.seed)
	cluster.WaitReady()
	x.compareDigests()
	for i := range folders {
		cluster.StopNode(i)
		checkState(t, filepath.Join(folders[i], "state"))
	}
}

// requests is how many requests are sent.
func requests() int {
	switch {
	case *requestsFlag > 0:
		return *requestsFlag
	case os.Getenv("DAPPLE_LONG") != "":
		return 20000
	case testing.Short():
		return 500
	default:
		return 2000
	}
}

// fill puts into the catalogue what valid requests are about.
func (x *run) fill() {
	x.relogin()
	c, err := client.New(client.Config{URLs: x.urls, Account: "root", Token: *x.root.Load()})
	require.NoError(x.t, err)
	defer c.Close()
	ctx := x.t.Context()
	for _, account := range []string{"joe", "ann"} {
		require.NoError(x.t, c.AddAccount(ctx, account, "USER", ""))
		require.NoError(x.t, c.AddScope(ctx, account, account))
	}
	require.NoError(x.t, c.AddScope(ctx, "root", "s"))
	for _, step := range [][3]string{
		{"POST", "/rses/DISK", "{}"},
		{"POST", "/rses/TAPE", "{}"},
		{"POST", "/rses/ND", `{"deterministic": false}`},
		{"POST", "/rses/DISK/protocols/davs", `{"hostname": "h.example", "port": 443, "prefix": "/p", "impl": "x", "domains": {"wan": {"read": 1, "write": 1}}}`},
		{"POST", "/replicas", `{"rse": "DISK", "files": [{"scope": "s", "name": "f1", "bytes": 1}, {"scope": "s", "name": "f2", "bytes": 1}, {"scope": "s", "name": "dir/f3", "bytes": 1}]}`},
		{"POST", "/dids/s/set", `{"type": "DATASET", "dids": [{"scope": "s", "name": "f1"}]}`},
		{"POST", "/dids/s/box", `{"type": "CONTAINER", "dids": [{"scope": "s", "name": "set"}]}`},
		{"POST", "/accounts/joe/identities", `{"identity": "joe", "authtype": "USERPASS", "email": "", "password": "long enough"}`},
	} {
		x.must(step[0], step[1], step[2], 201)
	}
	x.user.Store(x.token("joe", "joe", "long enough"))
}

// must sends a proper request as root.
func (x *run) must(method, path, body string, status int) *http.Response {
	x.t.Helper()
	request, err := http.NewRequestWithContext(x.t.Context(), method, x.urls[0]+path, strings.NewReader(body))
	require.NoError(x.t, err)
	request.Header.Set("X-Rucio-Auth-Token", *x.root.Load())
	response, err := http.DefaultClient.Do(request)
	require.NoError(x.t, err)
	require.Equal(x.t, status, response.StatusCode, "%s %s", method, path)
	x.t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// token logs in, nil where that is refused.
func (x *run) token(account, user, password string) *string {
	request, err := http.NewRequestWithContext(x.t.Context(), http.MethodGet, x.urls[0]+"/auth/userpass", nil)
	if err != nil {
		return nil
	}
	request.Header = http.Header{"X-Rucio-Account": {account}, "X-Rucio-Username": {user}, "X-Rucio-Password": {password}}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	text := response.Header.Get("X-Rucio-Auth-Token")
	return &text
}

// relogin gets root a token: a request may have revoked its tokens.
func (x *run) relogin() {
	x.login.Lock()
	defer x.login.Unlock()
	if token := x.token("root", testcluster.User, testcluster.Password); token != nil && *token != "" {
		x.root.Store(token)
	}
}

func (x *run) sendAll(count int) {
	var next atomic.Int64
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			w := &wire{address: strings.TrimPrefix(x.urls[i%len(x.urls)], "http://")}
			defer w.close()
			for n := int(next.Add(1)) - 1; n < count; n = int(next.Add(1)) - 1 {
				x.send(w, n)
			}
		})
	}
	group.Wait()
}

func (x *run) only(n int) {
	w := &wire{address: strings.TrimPrefix(x.urls[0], "http://")}
	defer w.close()
	m := newRequest(x.seed, n, x.operations)
	x.t.Logf("%s\n%q", strings.Join(m.what, ", "), m.bytes(w.address, "TOKEN"))
	got, err := w.send(m, x.tokenFor(m))
	require.NoError(x.t, err)
	x.t.Logf("%d %v\n%.2000s", got.status, got.header, got.body)
	x.send(w, n)
}

func (x *run) tokenFor(m *mutated) string {
	switch token := x.user.Load(); {
	case m.asRoot:
		return *x.root.Load()
	case m.asUser && token != nil:
		return *token
	}
	return ""
}

// send sends a request and notes what is wrong with its answer.
func (x *run) send(w *wire, n int) {
	m := newRequest(x.seed, n, x.operations)
	got, err := w.send(m, x.tokenFor(m))
	if err == nil {
		if m.asRoot && got.status == http.StatusUnauthorized {
			x.relogin()
		}
		err = m.check(got)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if got != nil {
		x.statuses[got.status]++
	}
	if err != nil && len(x.faults) < 50 {
		x.faults = append(x.faults, fmt.Sprintf("request %d, %s %.120q (%s): %v", n, m.operation.method, m.target, strings.Join(m.what, ", "), err))
	}
}

// check returns what is wrong with an answer.
func (m *mutated) check(got *reply) error {
	switch {
	case got.ofServer():
		return nil
	case got.status >= 500 && !m.mayFail(got):
		return fmt.Errorf("a failure of the server: %d %.300s", got.status, got.body)
	case got.status >= 400:
		return checkError(got)
	case strings.HasPrefix(got.header.Get("Content-Type"), "application/json") && !json.Valid(got.body):
		return fmt.Errorf("no JSON: %.300q", got.body)
	case strings.HasPrefix(got.header.Get("Content-Type"), "application/x-json-stream"):
		for line := range bytes.Lines(got.body) {
			if !json.Valid(line) {
				return fmt.Errorf("a line is no JSON: %.300q", line)
			}
		}
	}
	return nil
}

// mayFail reports whether a status of 500 and above is one that is part of the API.
func (m *mutated) mayFail(got *reply) bool {
	switch got.status {
	case http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		return true
	case http.StatusInternalServerError: // Rucio's answer to changes of replicas that are not allowed
		return strings.HasPrefix(m.operation.path, "/replicas") && bytes.Contains(got.body, []byte(`"UnsupportedOperation"`))
	}
	return false
}

// checkError returns what keeps a client from making its exception of an error.
func checkError(got *reply) error {
	var body struct{ ExceptionClass, ExceptionMessage string }
	if err := json.Unmarshal(got.body, &body); err != nil {
		return fmt.Errorf("an error that is no JSON: %d %.300q", got.status, got.body)
	}
	class := got.header.Get("ExceptionClass")
	if body.ExceptionClass == "" || body.ExceptionMessage == "" || class != body.ExceptionClass {
		return fmt.Errorf("an error without class or message: %d, header %q, body %.300s", got.status, class, got.body)
	}
	return nil
}

// compareDigests requires that all nodes have the same state.
func (x *run) compareDigests() {
	x.relogin()
	type answer struct {
		Index  uint64
		Digest string
	}
	ask := func(url, query string) (a answer) {
		ctx, cancel := context.WithTimeout(x.t.Context(), patience)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/cluster/digest"+query, nil)
		require.NoError(x.t, err)
		request.Header.Set("X-Rucio-Auth-Token", *x.root.Load())
		response, err := http.DefaultClient.Do(request)
		require.NoError(x.t, err)
		defer response.Body.Close()
		require.Equal(x.t, 200, response.StatusCode)
		require.NoError(x.t, json.NewDecoder(response.Body).Decode(&a))
		return a
	}
	first := ask(x.urls[0], "")
	for _, url := range x.urls[1:] {
		require.Equal(x.t, first, ask(url, fmt.Sprintf("?index=%d", first.Index)), url)
	}
}

// checkState opens the state of a node that is stopped and checks its invariants.
func checkState(t *testing.T, dir string) {
	t.Helper()
	machine, err := fsm.Open(fsm.Config{Dir: dir})
	require.NoError(t, err)
	defer func() { assert.NoError(t, machine.Close()) }()
	v, err := machine.View()
	require.NoError(t, err)
	defer func() { assert.NoError(t, v.Close()) }()
	require.NoError(t, catalogue.CheckInvariants(v))
}
