package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

const ourCookie = sessionCookie + "=c1010000000000000000000000000000:"

// writer is a server whose POST /w proposes a command that is refused or not.
func writer(t *testing.T, refusal error, configure ...func(*Config)) *testServer {
	t.Helper()
	ts := newTestServer(t, executors{command.TypeAddScope: execute(
		func(catalogue.Tx, catalogue.Stamp, *command.AddScope) ([]byte, error) { return []byte("done"), refusal },
	)}, configure...)
	var err error
	ts.resolver, err = newResolver([]route{
		{get, "/metrics", ts.showMetrics, public},
		{post, "/w", func(c *gin.Context) {
			if result, ok := ts.propose(c, command.TypeAddScope, &command.AddScope{Name: c.Query("name")}); ok {
				ts.text(c, 201, string(result.Payload))
			}
		}, needsToken},
		{get, "/r", func(c *gin.Context) {
			if v, ok := ts.view(c); ok {
				defer v.Close()
				ts.empty(c)
			}
		}, needsToken},
	})
	require.NoError(t, err)
	return ts
}

func TestAWriteMovesTheSession(t *testing.T) {
	ts := writer(t, nil)
	ts.store.advance(41)
	got := ts.do("POST", "/w", "").want(t, 201, "")
	require.Equal(t, "done", got.Body.String())
	require.Equal(t, "42", got.Header().Get(headerIndex))
	require.Equal(t, "n1", got.Header().Get(headerNode))
	require.Equal(t, ourCookie+"42; Path=/; HttpOnly; SameSite=Lax", got.Header().Get("Set-Cookie"))

	got = ts.do("GET", "/r", "").want(t, 200, "")
	require.Equal(t, "42", got.Header().Get(headerIndex))
	require.Empty(t, got.Header().Get("Set-Cookie"), "reads leave the session where it is")
}

func TestARefusalMovesTheSession(t *testing.T) {
	ts := writer(t, catalogue.Errorf(command.CodeScopeExists, "there already"))
	got := ts.do("POST", "/w", "").want(t, 409, "Duplicate")
	require.Equal(t, "there already", got.raw("ExceptionMessage"))
	require.Equal(t, "1", got.Header().Get(headerIndex))
	require.Contains(t, got.Header().Get("Set-Cookie"), ourCookie+"1;")
}

func TestAWriteThatDoesNotReachTheLog(t *testing.T) {
	ts := writer(t, nil)
	ts.store.fault = otherLayer{command.CodeNoLeader}
	got := ts.do("POST", "/w", "").want(t, 503, "ResourceTemporaryUnavailable")
	require.Empty(t, got.Header().Get("Set-Cookie"))
	ts.do("GET", "/r", "").want(t, 503, "ResourceTemporaryUnavailable")
	ts.store.fault = errors.New("no code")
	ts.do("POST", "/w", "").want(t, 500, "RucioException")
}

func TestAWriteWithTextThatCannotBeEncoded(t *testing.T) {
	writer(t, nil).do("POST", "/w?name=%ff", "").want(t, 400, "ValueError")
}

// deadlineProposer answers with the deadline that it was given.
type deadlineProposer struct{ left chan time.Duration }

func (d deadlineProposer) Propose(ctx context.Context, _ command.Type, _ string, _ []byte) (command.Result, error) {
	deadline, _ := ctx.Deadline()
	d.left <- time.Until(deadline)
	return command.Result{}, context.DeadlineExceeded
}

func (deadlineProposer) Admit(int, int) error { return nil }

func TestWritesHaveADeadline(t *testing.T) {
	d := deadlineProposer{make(chan time.Duration, 1)}
	ts := writer(t, nil, func(c *Config) { c.Proposer = d; c.Limits.Write = time.Minute })
	ts.do("POST", "/w", "").want(t, 503, "ResourceTemporaryUnavailable")
	left := <-d.left
	require.Greater(t, left, time.Duration(0))
	require.LessOrEqual(t, left, time.Minute)
}

func TestRequestsWaitForTheirSession(t *testing.T) {
	for name, path := range map[string]string{"read": "/r", "write": "/w"} {
		t.Run(name, func(t *testing.T) {
			ts := writer(t, nil, func(c *Config) { c.Limits.Wait = time.Minute })
			method := map[string]string{"/r": "GET", "/w": "POST"}[path]
			done := make(chan answer)
			go func() { done <- ts.do(method, path, "", header("Cookie", ourCookie+"7")) }()
			ts.store.awaitWaiter(t)
			select {
			case <-done:
				t.Fatal("answered before the index was applied")
			default:
			}
			ts.store.advance(7)
			got := <-done
			require.Less(t, got.Code, 300)
			index, err := strconv.Atoi(got.Header().Get(headerIndex))
			require.NoError(t, err)
			require.GreaterOrEqual(t, index, 7)
		})
	}
}

func TestRequestsDoNotWaitForEver(t *testing.T) {
	ts := writer(t, nil, func(c *Config) { c.Limits.Wait = 20 * time.Millisecond })
	got := ts.do("GET", "/r", "", header("Cookie", ourCookie+"7")).want(t, 503, "ResourceTemporaryUnavailable")
	require.Equal(t, "1", got.Header().Get("Retry-After"))
	// The largest of several cookies counts.
	ts.store.advance(7)
	ts.do("GET", "/r", "", header("Cookie", ourCookie+"7; "+ourCookie+"8")).want(t, 503, "ResourceTemporaryUnavailable")
	ts.do("GET", "/r", "", header("Cookie", ourCookie+"7")).want(t, 200, "")
}

func TestCookiesThatDoNotCount(t *testing.T) {
	ts := writer(t, nil)
	for _, cookie := range []string{
		sessionCookie + "=c2010000000000000000000000000000:99", // another cluster's
		sessionCookie + "=99", sessionCookie + "=", sessionCookie + "=:99", ourCookie, ourCookie + "x", ourCookie + "-1",
		ourCookie + "99999999999999999999999", ourCookie + "9:9", "other=" + "c1010000000000000000000000000000:99", "=;;=",
	} {
		ts.do("GET", "/r", "", header("Cookie", cookie)).want(t, 200, "")
	}
}

func TestBeforeTheClusterIsFormed(t *testing.T) {
	ts := newTestServer(t, nil, func(c *Config) { c.ClusterID = func() ([16]byte, bool) { return [16]byte{}, false } })
	ts.do("GET", "/auth/validate", "").want(t, 503, "ResourceTemporaryUnavailable")
	ts.do("GET", "/auth/userpass", "", header("X-Rucio-Username", "u"), header("X-Rucio-Password", "p")).
		want(t, 503, "ResourceTemporaryUnavailable")
	ts.do("GET", "/ping", "").want(t, 200, "")
}

// A client over HTTPS keeps the cookie to HTTPS.
func TestSecureCookie(t *testing.T) {
	ts := writer(t, nil)
	server := httptest.NewTLSServer(ts.Handler())
	defer server.Close()
	request, err := http.NewRequest("POST", server.URL+"/w", nil)
	require.NoError(t, err)
	request.Header.Set(headerToken, "as-root")
	got, err := server.Client().Do(request)
	require.NoError(t, err)
	got.Body.Close()
	require.Contains(t, got.Header.Get("Set-Cookie"), "Secure")
}
