package httpapi

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

func TestPublicEndpoints(t *testing.T) {
	ts := newTestServer(t, nil)
	absent := func(r *http.Request) { r.Header.Del(headerToken) }
	for _, path := range []string{"/ping", "/ping/", "/healthz", "/readyz", "/metrics"} {
		got := ts.do("GET", path, "", absent).want(t, 200, "")
		require.Equal(t, "n1", got.Header().Get(headerNode))
		require.Equal(t, "0", got.Header().Get(headerIndex))
	}
	require.JSONEq(t, `{"version":"0.0.0-test"}`, ts.do("GET", "/ping", "").Body.String())
	require.Equal(t, "application/json", ts.do("GET", "/ping", "").Header().Get("Content-Type"))
	for _, path := range []string{"/cluster/status", "/cluster/digest", "/auth/validate"} {
		ts.do("GET", path, "", absent).want(t, 401, "CannotAuthenticate")
	}
}

func TestReadyTellsWhyNot(t *testing.T) {
	ts := newTestServer(t, nil)
	ts.cluster.notReady = errors.New("no leader known")
	got := ts.do("GET", "/readyz", "").want(t, 503, "ResourceTemporaryUnavailable")
	require.Contains(t, got.Body.String(), "no leader known")
	ts.do("GET", "/healthz", "").want(t, 200, "")
}

func TestClusterStatus(t *testing.T) {
	ts := newTestServer(t, nil)
	got := ts.do("GET", "/cluster/status", "").want(t, 200, "").value(t).(map[string]any)
	for _, key := range []string{"node_id", "cluster_id", "version", "role", "leader", "term", "commit_index", "applied_index", "members"} {
		require.Contains(t, got, key)
	}
}

func TestClusterDigest(t *testing.T) {
	ts := newAuthServer(t, func(c *Config) { c.Limits.Stall = 20 * time.Millisecond })
	ts.authenticator = fakeTokens{}
	next := ts.store.AppliedIndex() + 1
	ts.cluster.digests.Store(next, "abc")
	got := ts.do("GET", "/cluster/digest", "").want(t, 200, "")
	var answer struct {
		NodeID string `json:"node_id"`
		Index  uint64 `json:"index"`
		Digest string `json:"digest"`
	}
	require.NoError(t, json.Unmarshal(got.Body.Bytes(), &answer))
	require.Equal(t, "n1 abc", answer.NodeID+" "+answer.Digest)
	require.Equal(t, next, answer.Index)
	require.Equal(t, next, ts.store.AppliedIndex())

	ts.cluster.digests.Store(uint64(3), "old")
	got = ts.do("GET", "/cluster/digest?index=3", "").want(t, 200, "")
	require.Contains(t, got.Body.String(), `"digest": "old"`)
	require.Equal(t, next, ts.store.AppliedIndex(), "asking for one that exists proposes nothing")

	ts.do("GET", "/cluster/digest?index=99", "").want(t, 503, "ResourceTemporaryUnavailable")
	for _, bad := range []string{"x", "-1", "1.5", "99999999999999999999"} {
		ts.do("GET", "/cluster/digest?index="+bad, "").want(t, 400, "ValueError")
	}
	ts.do("GET", "/cluster/digest", "", as("joe")).want(t, 401, "AccessDenied")
	ts.do("GET", "/cluster/status", "", as("joe")).want(t, 401, "AccessDenied")
}

func newRSE(name string) *command.AddRSE {
	id := sha256.Sum256([]byte(name))
	return &command.AddRSE{Name: name, Uuid: id[:16], Settings: &command.RSESettings{}}
}

func TestMetrics(t *testing.T) {
	ts := newTestServer(t, registryExecutors)
	ts.do("GET", "/rses/%2e%2e/attr/", "")
	ts.do("GET", "/nowhere/secret-path", "").want(t, 404, "NotFound")
	ts.do("BREW", "/ping", "").want(t, 405, "UnsupportedOperation")
	ts.command(command.TypeAddRSE, newRSE("DISK_1"))
	ts.command(command.TypeAddRSE, newRSE("DISK_2"))
	ts.command(command.TypeDeleteRSE, &command.DeleteRSE{Name: "DISK_2"})
	page := ts.do("GET", "/metrics", "").want(t, 200, "").Body.String()
	for _, want := range []string{
		`dapple_build_info{go_version="go1`,
		`version="0.0.0-test"} 1`,
		`dapple_http_requests_total{code="404",method="GET",route="unmatched"} 1`,
		`dapple_http_requests_total{code="405",method="other",route="unmatched"} 1`,
		`dapple_http_errors_total{class="RSENotFound",method="GET",route="/rses/:rse/attr"} 1`,
		`dapple_http_request_duration_seconds_count{method="GET",route="unmatched",status="4xx"} 1`,
		`dapple_http_requests_in_flight 1`,
		`dapple_http_body_bytes_in_flight 0`,
		`go_goroutines `,
		`process_open_fds `,
	} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "secret-path", "no path may become a label")
	require.NotContains(t, page, "BREW")
	require.Zero(t, ts.store.open.Load())

	problems, err := promlint.New(strings.NewReader(page)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestCatalogueSizes(t *testing.T) {
	ts := newTestServer(t, executors{
		command.TypeGenesis: execute(catalogue.Genesis), command.TypeAddRSE: execute(catalogue.AddRSE),
		command.TypeDeleteRSE: execute(catalogue.DeleteRSE), command.TypeAddScope: execute(catalogue.AddScope),
		command.TypeAddReplicas: execute(catalogue.AddReplicas),
	})
	ts.command(command.TypeGenesis, &command.Genesis{
		Schema:    catalogue.SchemaVersion,
		ClusterId: testCluster[:], RootIdentity: "ddmlab", RootPassword: hashOfSecret(), KeyId: "k1", KeySeed: make([]byte, 32),
	})
	ts.command(command.TypeAddRSE, newRSE("DISK_1"))
	ts.command(command.TypeAddScope, &command.AddScope{Name: "s", Account: "root"})
	ts.command(command.TypeAddReplicas, &command.AddReplicas{Rse: "DISK_1", Files: []*command.NewFile{
		{Scope: "s", Name: "a", Bytes: 10}, {Scope: "s", Name: "b", Bytes: 5},
	}})
	page := ts.do("GET", "/metrics", "").want(t, 200, "").Body.String()
	require.Contains(t, page, `dapple_catalogue_replicas{rse="DISK_1",state="AVAILABLE"} 2`)
	require.Contains(t, page, `dapple_catalogue_replica_bytes{rse="DISK_1",state="AVAILABLE"} 15`)
	require.Contains(t, page, `dapple_catalogue_replicas{rse="DISK_1",state="BAD"} 0`)

	// The rest of the page is there where the store is not.
	ts.store.fault = errors.New("broken")
	require.Contains(t, ts.do("GET", "/metrics", "").Body.String(), "dapple_build_info")
}

func TestHandlersThatPanic(t *testing.T) {
	ts := newTestServer(t, nil)
	var err error
	ts.resolver, err = newResolver([]route{
		{get, "/before", func(*gin.Context) { panic("oops") }, public},
		{get, "/after", func(c *gin.Context) {
			c.String(200, "half an answer")
			c.Writer.Flush()
			panic("oops")
		}, public},
	})
	require.NoError(t, err)
	url := ts.serve()
	answer, err := http.Get(url + "/before")
	require.NoError(t, err)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	answer.Body.Close()
	require.Equal(t, 500, answer.StatusCode)
	require.NotContains(t, string(body), "oops")
	require.Contains(t, ts.logs.String(), "oops")
	require.Contains(t, ts.logs.String(), "system_test.go", "the stack tells where")

	answer, err = http.Get(url + "/after")
	require.NoError(t, err)
	_, err = io.ReadAll(answer.Body)
	require.Error(t, err, "half an answer must not look whole")
	answer.Body.Close()
	require.Eventually(t, func() bool { return ts.do("GET", "/before", "").Code == 500 }, time.Minute, time.Millisecond)
}

func TestNewRefuses(t *testing.T) {
	_, err := New(Config{Node: "n1"})
	require.Error(t, err)
	registry := prometheus.NewRegistry()
	newTestServer(t, nil, func(c *Config) { c.Registry = registry })
	store := &memoryStore{tx: catalogue.NewMemTx()}
	_, err = New(Config{
		Node: "n2", ClusterID: func() ([16]byte, bool) { return testCluster, true },
		Proposer: store, Reader: store, Cluster: &fakeCluster{}, Registry: registry,
	})
	require.Error(t, err, "two servers cannot share a registry")
}

// listening starts Serve on a port of its own.
func (ts *testServer) listening() (address string, served chan error) {
	ts.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(ts.t, err)
	served = make(chan error, 1)
	go func() { served <- ts.Serve(listener) }()
	return listener.Addr().String(), served
}

func TestShutdownWaitsForRequests(t *testing.T) {
	ts := newTestServer(t, nil)
	began, proceed := make(chan struct{}), make(chan struct{})
	var err error
	ts.resolver, err = newResolver([]route{{get, "/slow", func(c *gin.Context) {
		close(began)
		<-proceed
		ts.empty(c)
	}, public}})
	require.NoError(t, err)
	address, served := ts.listening()
	status := make(chan int, 1)
	go func() {
		answer, err := http.Get("http://" + address + "/slow")
		if err != nil {
			status <- 0
			return
		}
		answer.Body.Close()
		status <- answer.StatusCode
	}()
	<-began
	stopped := make(chan error, 1)
	go func() { stopped <- ts.Shutdown(context.Background()) }()
	require.NoError(t, <-served, "a server that is shut down has not failed")
	close(proceed)
	require.Equal(t, 200, <-status)
	require.NoError(t, <-stopped)
	http.DefaultClient.CloseIdleConnections()
}

func TestShutdownDoesNotWaitForEver(t *testing.T) {
	ts := newTestServer(t, nil)
	began := make(chan struct{})
	var err error
	ts.resolver, err = newResolver([]route{{get, "/slow", func(c *gin.Context) {
		close(began)
		<-c.Request.Context().Done() // the client is cut off
	}, public}})
	require.NoError(t, err)
	address, served := ts.listening()
	rawRequest(t, "http://"+address, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, ts.Shutdown(ctx), context.DeadlineExceeded)
	require.NoError(t, <-served)
}

func TestHeadersAreBounded(t *testing.T) {
	ts := newTestServer(t, nil, func(c *Config) { c.Limits.HeaderBytes = 8 << 10; c.Limits.ReadHeader = 100 * time.Millisecond })
	address, served := ts.listening()
	for _, head := range []string{
		"GET /ping HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n",
		"GET /ping HTTP/1.1\r\nHost: x\r\nX: never", // and nothing more
	} {
		conn := rawRequest(t, "http://"+address, head)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			answer.Body.Close()
			require.GreaterOrEqual(t, answer.StatusCode, 400)
		}
	}
	require.NoError(t, ts.Shutdown(t.Context()))
	require.NoError(t, <-served)
}
