package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"dapple/command"
)

// feed is a request for changes that is being read.
type feed struct {
	t        *testing.T
	response *http.Response
	lines    *bufio.Reader
	cancel   context.CancelFunc
}

// follow begins a feed at a server that listens; the caller closes it.
func follow(t *testing.T, base, query string, options ...option) *feed {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/changes"+query, nil)
	require.NoError(t, err)
	request.Header.Set(headerToken, "as-root")
	for _, change := range options {
		change(request)
	}
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	f := &feed{t, response, bufio.NewReader(response.Body), cancel}
	t.Cleanup(f.close)
	return f
}

func (f *feed) close() {
	f.cancel()
	f.response.Body.Close()
}

// next returns the next event.
func (f *feed) next() map[string]any {
	f.t.Helper()
	line, err := f.lines.ReadString('\n')
	require.NoError(f.t, err)
	return decodeEvent(f.t, line)
}

func decodeEvent(t *testing.T, line string) (event map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(line), &event), line)
	return event
}

func (ts *testServer) register(names ...string) {
	ts.t.Helper()
	var files []string
	for _, name := range names {
		files = append(files, fmt.Sprintf(`{"scope": "s", "name": %q, "bytes": 7, "adler32": "0cc737eb"}`, name))
	}
	ts.do("POST", "/replicas", `{"rse": "ONE", "files": [`+strings.Join(files, ",")+`]}`).want(ts.t, 201, "")
}

// present returns what a feed has until now, without its heartbeat, and the revision that the heartbeat tells.
func (ts *testServer) present(query string) (events []map[string]any, revision uint64) {
	ts.t.Helper()
	got := ts.do("GET", "/changes?follow=false&"+query, "").want(ts.t, 200, "")
	lines := got.lines(ts.t)
	for _, line := range lines {
		events = append(events, line.(map[string]any))
	}
	last := events[len(events)-1]
	require.Equal(ts.t, "heartbeat", last["kind"])
	return events[:len(events)-1], uint64(last["revision"].(float64))
}

func kindsOf(events []map[string]any) (kinds []string) {
	for _, e := range events {
		kinds = append(kinds, e["kind"].(string))
	}
	return kinds
}

func TestChangesOfThePresent(t *testing.T) {
	ts := newReplicaServer(t)
	_, from := ts.present("since=0")
	ts.register("new")
	ts.do("PUT", "/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "new", "state": "U"}]}`).want(t, 200, "")
	ts.do("DELETE", "/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "new"}]}`).want(t, 200, "")
	events, last := ts.present("since=" + strconv.FormatUint(from, 10))
	require.Equal(t, []string{"did.added", "replica.added", "replica.changed", "replica.deleted", "did.deleted"}, kindsOf(events))
	for i, e := range events {
		require.EqualValues(t, from+uint64(i)+1, e["revision"])
		at, err := time.Parse(feedTimeLayout, e["time"].(string))
		require.NoError(t, err)
		require.EqualValues(t, 2026, at.Year())
		delete(e, "revision")
		delete(e, "index")
		delete(e, "time")
	}
	require.EqualValues(t, from+5, last)
	require.Equal(t, map[string]any{
		"kind": "did.added", "scope": "s", "name": "new", "account": "root", "type": "FILE", "bytes": 7.0, "adler32": "0cc737eb",
	}, events[0])
	require.Equal(t, map[string]any{
		"kind": "replica.changed", "scope": "s", "name": "new", "rse": "ONE", "old": "AVAILABLE", "new": "UNAVAILABLE", "account": "root",
	}, events[2])
	// From the middle of a command on, and with nothing left.
	events, _ = ts.present("since=" + strconv.FormatUint(from+1, 10))
	require.Equal(t, "replica.added", events[0]["kind"])
	events, again := ts.present("since=" + strconv.FormatUint(last, 10))
	require.Empty(t, events)
	require.Equal(t, last, again)
	events, again = ts.present("")
	require.Empty(t, events, "without since only what comes")
	require.Equal(t, last, again)
}

func TestChangesAreFiltered(t *testing.T) {
	ts := newReplicaServer(t)
	for query, want := range map[string]int{
		"scope=s&kind=did": 2, "scope=x": 0, "kind=replica.added": 3, "kind=replica": 3, "kind=replica.added,did.added": 5,
		"rse_expression=TWO&kind=replica": 1, "rse_expression=ONE%7CTWO&kind=replica": 3, "rse_expression=NONE": 0, "kind=scope,account": 3,
	} {
		events, last := ts.present("since=0&" + query)
		require.Len(t, events, want, query)
		require.Positive(t, last, "%s: the position goes on all the same", query)
	}
	// An RSE that comes to be is found from then on.
	events, _ := ts.present("since=0&rse_expression=tier%3D1&kind=replica,rse")
	require.Empty(t, events)
	ts.do("POST", "/rses/ONE/attr/tier", `{"value": "1"}`).want(t, 201, "")
	events, _ = ts.present("since=0&rse_expression=tier%3D1&kind=replica")
	require.Len(t, events, 2)
}

func TestChangesRefuse(t *testing.T) {
	ts := newReplicaServer(t, func(c *Config) { c.Limits.Wait = time.Millisecond })
	for query, class := range map[string]string{
		"since=x": "ValueError", "since=-1": "ValueError", "since=": "ValueError", "follow=maybe": "TypeError",
		"heartbeat=x": "ValueError", "heartbeat=1ms": "ValueError", "heartbeat=600": "ValueError", "rse_expression=%28": "InvalidRSEExpression",
	} {
		ts.do("GET", "/changes?"+query, "").want(t, 400, class)
	}
	ts.do("GET", "/changes?since=0&follow=false", "", header(headerLastEvent, "x")).want(t, 400, "ValueError")
	ts.do("GET", "/changes", "", header("Accept", "text/html")).want(t, 406, "UnsupportedRequestedContentType")
	ts.do("GET", "/changes?since=99999&follow=false", "").want(t, 503, "ResourceTemporaryUnavailable")
	ts.do("GET", "/changes", "", header(headerToken, "none")).want(t, 401, "CannotAuthenticate")
}

func TestChangesThatAreGone(t *testing.T) {
	ts := newReplicaServer(t)
	ts.register("one")
	_, last := ts.present("since=0")
	ts.store.tx.Trim(last - 1)
	body := ts.do("GET", "/changes?since=3", "").want(t, 410, "ChangesGone").value(t).(map[string]any)
	require.EqualValues(t, last-1, body["oldest"])
	require.Positive(t, body["index"])
	ts.do("GET", "/changes?follow=false&since="+strconv.FormatUint(last-1, 10), "").want(t, 200, "")
}

func TestOldClusterKeepsNoChanges(t *testing.T) {
	ts := newTestServer(t, replicaCommands())
	ts.command(command.TypeGenesis, &command.Genesis{
		ClusterId: testCluster[:], RootIdentity: "ddmlab", RootPassword: "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		KeyId: "k", KeySeed: make([]byte, 32),
	})
	ts.do("GET", "/changes?since=0", "").want(t, 409, "UnsupportedOperation")
}

func TestFollowChanges(t *testing.T) {
	ts := newReplicaServer(t, func(c *Config) { c.Limits.Heartbeat = 50 * time.Millisecond })
	f := follow(t, ts.serve(), "")
	require.Equal(t, typeLines, f.response.Header.Get("Content-Type"))
	require.NotEmpty(t, f.response.Header.Get(headerIndex))
	first := f.next()
	require.Equal(t, "heartbeat", first["kind"], "at once: the reader is at the end")
	require.Equal(t, first["revision"], f.next()["revision"], "nothing has come")
	for _, name := range []string{"x", "y"} {
		ts.register(name)
		var got []string
		for len(got) < 2 {
			if e := f.next(); e["kind"] != "heartbeat" {
				got = append(got, e["kind"].(string)+" "+e["name"].(string))
			}
		}
		require.Equal(t, []string{"did.added " + name, "replica.added " + name}, got)
	}
	require.EqualValues(t, 1, gaugeValue(t, ts, "dapple_changes_readers"))
	require.Zero(t, ts.store.open.Load(), "no view is held while the reader waits")
	f.close()
	require.Eventually(t, func() bool { return gaugeValue(t, ts, "dapple_changes_readers") == 0 }, time.Minute, 5*time.Millisecond)
}

func gaugeValue(t *testing.T, ts *testServer, name string) float64 {
	t.Helper()
	families, err := ts.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			return family.Metric[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// A position that this node has not come to is waited for, and nothing before it is told.
func TestFollowFromLater(t *testing.T) {
	ts := newReplicaServer(t, func(c *Config) { c.Limits.Heartbeat = 20 * time.Millisecond })
	_, last := ts.present("since=0")
	f := follow(t, ts.serve(), "?since="+strconv.FormatUint(last+3, 10))
	require.EqualValues(t, last+3, f.next()["revision"])
	ts.register("x", "y")
	for {
		e := f.next()
		if e["kind"] == "heartbeat" {
			require.GreaterOrEqual(t, e["revision"], float64(last+3))
			continue
		}
		require.EqualValues(t, last+4, e["revision"])
		require.Equal(t, "replica.added", e["kind"])
		require.Equal(t, "y", e["name"])
		return
	}
}

func TestChangesAsServerSentEvents(t *testing.T) {
	ts := newReplicaServer(t)
	_, last := ts.present("since=0")
	ts.register("x")
	got := ts.do("GET", "/changes?follow=false&since=0", "", header("Accept", typeEvents), header(headerLastEvent, strconv.FormatUint(last+1, 10)))
	require.Equal(t, typeEvents, got.want(t, 200, "").Header().Get("Content-Type"))
	parts := strings.Split(strings.TrimSuffix(got.Body.String(), "\n\n"), "\n\n")
	require.Len(t, parts, 2)
	for i, kind := range []string{"replica.added", "heartbeat"} {
		id, data, found := strings.Cut(parts[i], "\n")
		require.True(t, found)
		require.Equal(t, "id: "+strconv.FormatUint(last+2, 10), id)
		require.Equal(t, kind, decodeEvent(t, strings.TrimPrefix(data, "data: "))["kind"])
	}
}

// A list of more than a chunk comes whole, compressed as it comes.
func TestChangesInChunks(t *testing.T) {
	ts := newReplicaServer(t)
	_, last := ts.present("since=0")
	var names []string
	for i := range 3000 {
		names = append(names, fmt.Sprintf("many/%06d", i))
	}
	ts.register(names...)
	f := follow(t, ts.serve(), fmt.Sprintf("?since=%d&follow=false", last), header("Accept-Encoding", "gzip"))
	require.Equal(t, "gzip", f.response.Header.Get("Content-Encoding"))
	plain, err := gzip.NewReader(f.lines)
	require.NoError(t, err)
	lines := bufio.NewScanner(plain)
	for i := range 6000 {
		require.True(t, lines.Scan())
		require.EqualValues(t, last+uint64(i)+1, decodeEvent(t, lines.Text())["revision"])
	}
	require.True(t, lines.Scan())
	require.Equal(t, "heartbeat", decodeEvent(t, lines.Text())["kind"])
	require.False(t, lines.Scan())
	require.NoError(t, lines.Err())
}

// What is trimmed before a reader has come to it cuts the reader off: it must not miss that silently.
func TestTrimOvertakesReader(t *testing.T) {
	ts := newReplicaServer(t)
	f := follow(t, ts.serve(), "")
	require.Equal(t, "heartbeat", f.next()["kind"])
	ts.store.mu.Lock()
	ts.store.tx.Trim(ts.store.revision + 10)
	ts.store.mu.Unlock()
	ts.store.advance(ts.store.AppliedIndex() + 1)
	_, err := io.ReadAll(f.lines)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestFeedsEndInOrder(t *testing.T) {
	ts := newReplicaServer(t, func(c *Config) { c.Limits.FeedReaders, c.Limits.Heartbeat = 2, 20*time.Millisecond })
	base := ts.serve()
	tokens := &switchableTokens{}
	ts.authenticator = tokens
	a, b := follow(t, base, ""), follow(t, base, "")
	a.next()
	b.next()
	ts.do("GET", "/changes", "").want(t, 503, "ResourceTemporaryUnavailable")
	tokens.refuse.Store(true)
	_, err := io.ReadAll(a.lines)
	require.NoError(t, err, "the token is gone: the feed ends, properly")
	_, err = io.ReadAll(b.lines)
	require.NoError(t, err)
	tokens.refuse.Store(false)
	c := follow(t, base, "?heartbeat=5m")
	c.next()
	require.NoError(t, ts.Shutdown(t.Context()))
	_, err = io.ReadAll(c.lines)
	require.NoError(t, err, "the server stops: the feed ends, properly")
}

// switchableTokens are fakeTokens that can stop taking any.
type switchableTokens struct {
	fakeTokens
	refuse atomic.Bool
}

func (s *switchableTokens) authenticate(c *gin.Context) (*principal, error) {
	if s.refuse.Load() {
		return nil, refused("no more")
	}
	return s.fakeTokens.authenticate(c)
}

func TestConditionalWrites(t *testing.T) {
	ts := newReplicaServer(t)
	version := func(name string) uint64 {
		t.Helper()
		line := ts.do("GET", "/replicas/s/"+name+"?versions=true", "").want(t, 200, "").lines(t)[0].(map[string]any)
		return uint64(line["versions"].(map[string]any)["ONE"].(float64))
	}
	require.NotContains(t, ts.do("GET", "/replicas/s/a", "").want(t, 200, "").lines(t)[0], "versions")
	listed := ts.do("POST", "/replicas/list", `{"dids": [{"scope": "s", "name": "a"}], "versions": true}`).want(t, 200, "").lines(t)[0].(map[string]any)
	require.Len(t, listed["versions"], 2, "one for each RSE")
	a, b := version("a"), version("dir/b")
	events, _ := ts.present("since=0&kind=replica&rse_expression=ONE")
	require.EqualValues(t, a, events[0]["revision"], "a version is the revision of the event that made it")

	put := func(a, b uint64) answer {
		return ts.do("PUT", "/replicas", fmt.Sprintf(`{"rse": "ONE", "files": [
			{"scope": "s", "name": "a", "state": "A"}, {"scope": "s", "name": "a", "state": "A", "if_version": %d},
			{"scope": "s", "name": "dir/b", "state": "A", "if_version": %d}]}`, a, b))
	}
	body := put(a, b+7).want(t, 412, "PreconditionFailed").value(t).(map[string]any)
	require.EqualValues(t, 1, body["count"])
	require.Equal(t, []any{map[string]any{"scope": "s", "name": "dir/b", "if_version": float64(b + 7), "version": float64(b)}}, body["items"])
	put(a, b).want(t, 200, "")
	require.Greater(t, version("a"), b)
	put(a, b).want(t, 412, "PreconditionFailed")

	remove := func(name string, version uint64) answer {
		return ts.do("DELETE", "/replicas", fmt.Sprintf(`{"rse": "ONE", "files": [{"scope": "s", "name": %q, "if_version": %d}]}`, name, version))
	}
	body = remove("none", 5).want(t, 412, "PreconditionFailed").value(t).(map[string]any)
	require.Nil(t, body["items"].([]any)[0].(map[string]any)["version"])
	remove("dir/b", b).want(t, 412, "PreconditionFailed")
	remove("dir/b", version("dir/b")).want(t, 200, "")
	for _, bad := range []string{"0", "-1", `"5"`, "1.5", "null"} {
		ts.do("PUT", "/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "a", "state": "A", "if_version": `+bad+`}]}`).want(t, 400, "InvalidObject")
	}
	ts.do("POST", "/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "a", "bytes": 5, "if_version": 1}]}`).want(t, 400, "InvalidObject")
}
