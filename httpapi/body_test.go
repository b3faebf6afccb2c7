package httpapi

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

// bodyServer decodes the body of POST /x as an object, of POST /list as a list and of POST /optional as an optional object; it
// counts what came through.
func bodyServer(t *testing.T, limits Limits) (*testServer, *atomic.Int64) {
	t.Helper()
	ts := newTestServer(t, nil, func(c *Config) { c.Limits = limits })
	var done atomic.Int64
	finish := func(c *gin.Context, ok bool) {
		if ok {
			done.Add(1)
			ts.empty(c)
		}
	}
	var err error
	ts.resolver, err = newResolver([]route{
		{post, "/x", func(c *gin.Context) { _, ok := ts.decodeObject(c); finish(c, ok) }, public},
		{post, "/list", func(c *gin.Context) { _, ok := ts.decodeList(c, "items", 10); finish(c, ok) }, public},
		{post, "/optional", func(c *gin.Context) { _, ok := ts.decodeOptionalObject(c); finish(c, ok) }, public},
	})
	require.NoError(t, err)
	return ts, &done
}

func TestBodies(t *testing.T) {
	ts, done := bodyServer(t, Limits{})
	deep := strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)
	for _, tt := range []struct {
		path, body string
		status     int
		class      string
	}{
		{"/x", `{}`, 200, ""},
		{"/x", " \n{\"a\": [1, {}], \"a\": 2} \r\n", 200, ""},
		{"/x", ``, 400, "ValueError"},
		{"/x", `   `, 400, "ValueError"},
		{"/x", `{`, 400, "ValueError"},
		{"/x", `{"a": [`, 400, "ValueError"},
		{"/x", `nonsense`, 400, "ValueError"},
		{"/x", `{} {}`, 400, "ValueError"},
		{"/x", `{}x`, 400, "ValueError"},
		{"/x", `{"a": NaN}`, 400, "ValueError"},
		{"/x", "{\"a\": \"\xff\"}", 400, "ValueError"},
		{"/x", "\ufeff{}", 400, "ValueError"},
		{"/x", deep, 400, "ValueError"},
		{"/x", `[1, 2]`, 400, "TypeError"},
		{"/x", `"text"`, 400, "TypeError"},
		{"/x", `null`, 400, "TypeError"},
		{"/list", `[]`, 200, ""},
		{"/list", `{}`, 400, "TypeError"},
		{"/list", `[`, 400, "ValueError"},
		{"/optional", ``, 200, ""},
		{"/optional", `{}`, 200, ""},
		{"/optional", `[]`, 400, "TypeError"},
		{"/optional", `{`, 400, "ValueError"},
	} {
		before := done.Load()
		ts.do("POST", tt.path, tt.body).want(t, tt.status, tt.class)
		require.Equal(t, tt.status == 200, done.Load() > before, "%s %.40q", tt.path, tt.body)
		require.Zero(t, ts.bodies.used.Load(), "the memory must be given back")
	}
}

func TestBodySize(t *testing.T) {
	const limit = 300 << 10
	ts, _ := bodyServer(t, Limits{Body: limit})
	object := func(size int) string { return `{"a":"` + strings.Repeat("x", size-8) + `"}` }
	chunked := func(r *http.Request) { r.ContentLength = -1 }
	for _, size := range []int{8, firstBuffer - 1, firstBuffer, firstBuffer + 1, 2 * firstBuffer, limit - 1, limit} {
		ts.do("POST", "/x", object(size)).want(t, 200, "")
		ts.do("POST", "/x", object(size), chunked).want(t, 200, "")
	}
	for _, size := range []int{limit + 1, 2 * limit} {
		ts.do("POST", "/x", object(size)).want(t, 413, "InvalidRequest")
		got := ts.do("POST", "/x", object(size), chunked).want(t, 413, "InvalidRequest")
		require.Contains(t, got.Body.String(), fmt.Sprint(limit), "the answer must name the limit")
	}
	require.Zero(t, ts.bodies.used.Load())
}

// A client that announces less than it sends, to a server without net/http in front, must not get past the limit.
func TestBodyLongerThanAnnounced(t *testing.T) {
	ts, _ := bodyServer(t, Limits{Body: 100})
	lie := func(r *http.Request) { r.ContentLength = 10 }
	ts.do("POST", "/x", `{"a":"`+strings.Repeat("x", 500)+`"}`, lie).want(t, 413, "InvalidRequest")
}

func TestBodiesInFlight(t *testing.T) {
	const budget = 256 << 10
	ts, _ := bodyServer(t, Limits{BodiesInFlight: budget})
	big := `{"a":"` + strings.Repeat("x", budget) + `"}`
	got := ts.do("POST", "/x", big).want(t, 503, "ResourceTemporaryUnavailable")
	require.Equal(t, "1", got.Header().Get("Retry-After"))
	require.Zero(t, ts.bodies.used.Load())

	// Others hold all of it: even a small one has to wait; and it is served as soon as they are done.
	require.True(t, ts.bodies.take(budget))
	ts.do("POST", "/x", `{}`).want(t, 503, "ResourceTemporaryUnavailable")
	ts.bodies.release(budget)
	ts.do("POST", "/x", `{}`).want(t, 200, "")
}

// rawRequest sends bytes over a new connection.
func rawRequest(t *testing.T, url, head string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = io.WriteString(conn, head)
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	return conn
}

// untouched is a body that must not be read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// A write that would not be taken in is refused before its body is read; what only reads is answered.
func TestBodyIsNotReadForAFullQueue(t *testing.T) {
	ts := newTestServer(t, nil)
	read := func(c *gin.Context) {
		if _, ok := ts.decodeOptionalObject(c); ok {
			ts.empty(c)
		}
	}
	var err error
	ts.resolver, err = newResolver([]route{{post, "/w", read, needsToken}, {get, "/r", read, needsToken}, {post, "/list", read, reading}})
	require.NoError(t, err)
	ts.store.full.Store(true)
	refused := ts.do("POST", "/w", "", func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(untouched{t}), 10 })
	refused.want(t, 503, "ResourceTemporaryUnavailable")
	require.Equal(t, "1", refused.Header().Get("Retry-After"))
	ts.do("GET", "/r", "{}").want(t, 200, "")
	ts.do("POST", "/list", "{}").want(t, 200, "")
	ts.store.full.Store(false)
	ts.do("POST", "/w", "{}").want(t, 200, "")
}

// A client that reads no answer before it has sent everything must get the refusal and not a closed connection.
func TestRefusalOfLargeBody(t *testing.T) {
	ts, _ := bodyServer(t, Limits{Body: 1 << 20})
	url := ts.serve()
	for name, tt := range map[string]struct {
		path   string
		size   int
		status int
	}{
		"over the limit": {"/x", 3 << 20, 413},
		"no such path":   {"/none", 3 << 20, 404},
	} {
		conn := rawRequest(t, url, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", tt.path, tt.size))
		_, err := io.WriteString(conn, strings.Repeat(" ", tt.size))
		require.NoError(t, err, name)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, name)
		answer.Body.Close()
		require.Equal(t, tt.status, answer.StatusCode, name)
		require.True(t, answer.Close, name)
	}
}

func TestBodyCutOff(t *testing.T) {
	ts, done := bodyServer(t, Limits{})
	url := ts.serve()
	for name, body := range map[string]string{
		"in a value":    `{"a": "x`,
		"before all":    ``,
		"between items": `{"a": 1,`,
	} {
		conn := rawRequest(t, url, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n"+body)
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, name)
		answer.Body.Close()
		require.Equal(t, 400, answer.StatusCode, name)
		require.True(t, answer.Close, "the connection is of no more use")
	}
	chunked := rawRequest(t, url, "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
	require.NoError(t, chunked.(*net.TCPConn).CloseWrite())
	answer, err := http.ReadResponse(bufio.NewReader(chunked), nil)
	require.NoError(t, err)
	answer.Body.Close()
	require.Equal(t, 400, answer.StatusCode, "a chunked body without end is cut off though what came is good JSON")
	require.Zero(t, done.Load(), "nothing may happen for a body that is cut off")
}

func TestBodyThatStalls(t *testing.T) {
	ts, done := bodyServer(t, Limits{Stall: 50 * time.Millisecond})
	conn := rawRequest(t, ts.serve(), "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	answer.Body.Close()
	require.Equal(t, 400, answer.StatusCode)
	require.Zero(t, done.Load())
}

// The deadline of a body, read or not, must not hit the rest of the request, nor the next one on the connection.
func TestDeadlineOfABodyEndsWithIt(t *testing.T) {
	ts := newTestServer(t, nil, func(c *Config) { c.Limits.Stall = 30 * time.Millisecond })
	var err error
	connections := map[string]bool{}
	ts.resolver, err = newResolver([]route{{post, "/slow", func(c *gin.Context) {
		connections[c.Request.RemoteAddr] = true
		if _, ok := ts.decodeObject(c); !ok {
			return
		}
		select { // longer than the body's deadline: its passing would cancel the request
		case <-c.Request.Context().Done():
		case <-time.After(4 * ts.limits.Stall):
			ts.empty(c)
		}
	}, public}})
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	url := ts.serve()
	for range 3 {
		for path, status := range map[string]int{"/slow": 200, "/none": 404} {
			answer, err := client.Post(url+path, "application/json", bytes.NewBufferString(`{"a":1}`))
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, answer.Body)
			require.NoError(t, err)
			answer.Body.Close()
			require.Equal(t, status, answer.StatusCode)
		}
	}
	require.Len(t, connections, 1)
}

// What a client announces and never sends must hold neither the answer nor the connection: net/http waits for it before a small
// answer, in the middle of a handler that gives a large one, and at the end of a request.
func TestBodyThatNeverComes(t *testing.T) {
	ts := newTestServer(t, nil, func(c *Config) { c.Limits.Stall = 2 * time.Second }) // also for a client that is slow itself
	var err error
	ts.resolver, err = newResolver([]route{
		{post, "/w", func(c *gin.Context) { ts.decodeObject(c) }, needsToken},
		{post, "/read", func(c *gin.Context) { ts.decodeObject(c) }, public},
		{get, "/large", func(c *gin.Context) { ts.text(c, 200, strings.Repeat("x", 100<<10)) }, public},
	})
	require.NoError(t, err)
	ts.store.full.Store(true)
	url := ts.serve()
	const token = headerToken + ": as-root\r\n"
	for name, tt := range map[string]struct {
		head   string
		status int
	}{
		"no token":         {"POST /w HTTP/1.1\r\nContent-Length: 100\r\n", 401},
		"no path":          {"POST /none HTTP/1.1\r\nContent-Length: 100\r\n", 404},
		"full":             {"POST /w HTTP/1.1\r\nContent-Length: 100\r\n" + token, 503},
		"of any length":    {"POST /w HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", 401},
		"large":            {fmt.Sprintf("POST /w HTTP/1.1\r\nContent-Length: %d\r\n", lingerFrom), 401},
		"asked for first":  {"POST /w HTTP/1.1\r\nContent-Length: 100\r\nExpect: 100-continue\r\n", 401},
		"while it is read": {"POST /read HTTP/1.1\r\nContent-Length: 100\r\n", 400},
		"a large answer":   {"GET /large HTTP/1.1\r\nContent-Length: 100\r\n", 200},
		"of an old client": {"POST /w HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 100\r\n", 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := rawRequest(t, url, tt.head+"Host: x\r\n\r\n")
			all := bufio.NewReader(conn)
			answer, err := http.ReadResponse(all, nil)
			require.NoError(t, err)
			require.Equal(t, tt.status, answer.StatusCode)
			_, err = io.Copy(io.Discard, answer.Body)
			require.NoError(t, err)
			answer.Body.Close()
			_, err = all.ReadByte()
			require.ErrorIs(t, err, io.EOF, "the connection is of no more use")
		})
	}
}
