package httpapi

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func TestLevelsOfReads(t *testing.T) {
	ts := writer(t, nil)
	ts.store.advance(7)
	ts.fresh.heard = 3 * time.Millisecond
	contacts := map[level]string{levelLocal: "0.012", levelSession: "0.012", levelBounded: "0.003", levelLinearizable: "0.003"}
	for name, test := range map[string]struct {
		query   string
		options []option
		want    level
	}{
		"none":            {"", nil, levelLocal},
		"cookie":          {"", []option{header("Cookie", ourCookie+"7")}, levelSession},
		"another's":       {"", []option{header("Cookie", sessionCookie+"=c2010000000000000000000000000000:9")}, levelLocal},
		"least index":     {"", []option{header(headerMinIndex, "7")}, levelSession},
		"header":          {"", []option{header(headerLevel, "linearizable")}, levelLinearizable},
		"query":           {"?consistency=linearizable", nil, levelLinearizable},
		"both":            {"?consistency=session", []option{header(headerLevel, "session")}, levelSession},
		"session of none": {"?consistency=session", nil, levelSession},
		"bounded":         {"?consistency=bounded&max_stale=5s", nil, levelBounded},
		"bounded, mixed":  {"?consistency=bounded", []option{header(headerMaxStale, "0.5")}, levelBounded},
		"local, ahead":    {"?consistency=local", []option{header("Cookie", ourCookie+"99")}, levelLocal},
		"local, least":    {"?consistency=local", []option{header(headerMinIndex, "99")}, levelLocal},
	} {
		t.Run(name, func(t *testing.T) {
			ts.fresh.age = 12_400 * time.Microsecond
			got := ts.do("GET", "/r"+test.query, "", test.options...).want(t, 200, "")
			require.Equal(t, string(test.want), got.Header().Get(headerLevel))
			require.Equal(t, "7", got.Header().Get(headerIndex))
			require.Equal(t, contacts[test.want], got.Header().Get(headerContact))
		})
	}
	require.Contains(t, ts.do("GET", "/metrics", "").Body.String(), `dapple_http_reads_total{level="local",outcome="served"} 4`)
	ts.fresh.alone = true
	got := ts.do("GET", "/r", "").want(t, 200, "")
	require.Empty(t, got.Header().Values(headerContact), "there never was a leader")
}

func TestLevelsThatAreNone(t *testing.T) {
	ts := writer(t, nil)
	for name, test := range map[string]struct {
		query   string
		options []option
	}{
		"unknown":          {"?consistency=strong", nil},
		"empty":            {"?consistency=", nil},
		"unknown header":   {"", []option{header(headerLevel, "Local")}},
		"two":              {"?consistency=local", []option{header(headerLevel, "session")}},
		"no bound":         {"?consistency=bounded", nil},
		"a bound alone":    {"?max_stale=5", nil},
		"another's bound":  {"?consistency=linearizable&max_stale=5", nil},
		"negative":         {"?consistency=bounded&max_stale=-1", nil},
		"negative time":    {"?consistency=bounded&max_stale=-1s", nil},
		"no time":          {"?consistency=bounded&max_stale=soon", nil},
		"no number":        {"?consistency=bounded&max_stale=NaN", nil},
		"two bounds":       {"?consistency=bounded&max_stale=5", []option{header(headerMaxStale, "6")}},
		"no index":         {"", []option{header(headerMinIndex, "x")}},
		"a negative index": {"?consistency=local", []option{header(headerMinIndex, "-1")}},
	} {
		t.Run(name, func(t *testing.T) {
			got := ts.do("GET", "/r"+test.query, "", test.options...).want(t, 400, "ValueError")
			require.Empty(t, got.Header().Get(headerLevel))
			ts.do("POST", "/w"+test.query, "", test.options...).want(t, 201, "") // no read
		})
	}
	got := ts.do("GET", "/r?consistency=x", "")
	for _, l := range []level{levelLocal, levelSession, levelBounded, levelLinearizable} {
		require.Contains(t, got.raw("ExceptionMessage"), string(l))
	}
}

func TestBoundsAsTheyAreWritten(t *testing.T) {
	ts := writer(t, nil)
	for text, want := range map[string]time.Duration{
		"5": 5 * time.Second, "0.25": 250 * time.Millisecond, "0": 0, "150ms": 150 * time.Millisecond, "1h": time.Hour,
	} {
		ts.fresh.limit = -1
		ts.do("GET", "/r?consistency=bounded&max_stale="+url.QueryEscape(text), "").want(t, 200, "")
		require.Equal(t, want, ts.fresh.limit, text)
	}
	ts.do("GET", "/r?consistency=bounded&max_stale=1e300", "").want(t, 200, "")
	require.Greater(t, ts.fresh.limit, 100*365*24*time.Hour)
}

// A level that this node cannot give is refused, and waits for what it can get in time. The refusal tells how things are then.
func TestLevelsThatAreNotReached(t *testing.T) {
	ts := writer(t, nil, func(c *Config) { c.Limits.Wait = 20 * time.Millisecond })
	queries := []string{"?consistency=linearizable", "?consistency=bounded&max_stale=1"}
	for _, query := range queries {
		ts.fresh.err, ts.fresh.index, ts.fresh.age, ts.fresh.heard = otherLayer{command.CodeNoLeader}, 0, time.Second, 6*time.Second
		got := ts.do("GET", "/r"+query, "").want(t, 503, "ResourceTemporaryUnavailable")
		require.Equal(t, "1", got.Header().Get("Retry-After"))
		require.Empty(t, got.Header().Get(headerLevel))
		require.Equal(t, "6.000", got.Header().Get(headerContact))
		ts.fresh.err, ts.fresh.index = nil, ts.store.AppliedIndex()+1
		ts.do("GET", "/r"+query, "").want(t, 503, "ResourceTemporaryUnavailable")
		ts.fresh.index = 0
		ts.do("GET", "/r"+query, "", header("Cookie", ourCookie+"99")).want(t, 503, "ResourceTemporaryUnavailable")
	}
	ts.do("GET", "/r", "", header(headerMinIndex, "99")).want(t, 503, "ResourceTemporaryUnavailable")
	require.Contains(t, ts.do("GET", "/metrics", "").Body.String(), `dapple_http_reads_total{level="bounded",outcome="refused"} 3`)
	ts.fresh.err = otherLayer{command.CodeNoLeader}
	ts.do("GET", "/r?consistency=local", "").want(t, 200, "")
	ts.do("GET", "/r?consistency=session", "").want(t, 200, "")
}

func TestLinearizableReadsWaitForTheIndex(t *testing.T) {
	ts := writer(t, nil, func(c *Config) { c.Limits.Wait = time.Minute })
	ts.fresh.index = 7
	done := make(chan answer)
	go func() { done <- ts.do("GET", "/r?consistency=linearizable", "") }()
	ts.store.awaitWaiter(t)
	ts.store.advance(8)
	got := (<-done).want(t, 200, "")
	require.Equal(t, "8", got.Header().Get(headerIndex))
}

// Every GET of the catalogue and every POST that only lists is read at a level; the level is no filter of a search.
func TestRoutesThatRead(t *testing.T) {
	ts := newTestServer(t, nil)
	reading := map[string]bool{}
	for _, r := range ts.routes() {
		if r.reads() && r.method != get {
			reading[r.path] = true
		}
		require.Equal(t, r.method == get && r.access == needsToken, r.method == get && r.reads(), r.path)
	}
	require.Equal(t, map[string]bool{
		"/replicas/list": true, "/replicas/exists": true, "/replicas/dids": true, "/replicas/getdidsfromreplicas": true,
		"/replicas/datasets_bulk": true, "/dids/bulkfiles": true, "/dids/bulkmeta": true,
	}, reading)
}

// Where every parameter of the query is a condition, the level is none.
func TestLevelsAreNoConditions(t *testing.T) {
	ts := newTestServer(t, registryExecutors)
	ts.do("POST", "/accounts/joe", `{"type": "USER", "email": "joe@x.org"}`).want(t, 201, "")
	require.Len(t, ts.do("GET", "/accounts?consistency=bounded&max_stale=5", "").want(t, 200, "").lines(t), 1)
	ts = didServer(t)
	all := ts.do("GET", "/dids/s/dids/search?type=all", "").want(t, 200, "").lines(t)
	require.NotEmpty(t, all)
	require.Equal(t, all, ts.do("GET", "/dids/s/dids/search?type=all&consistency=bounded&max_stale=5", "").want(t, 200, "").lines(t))
}
