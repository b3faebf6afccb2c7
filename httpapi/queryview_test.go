package httpapi

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

// endlessView has keys without end, and tells of the first read.
type endlessView struct {
	View
	begun chan struct{}
	reads int
}

func (v *endlessView) Scan(_, _ []byte, visit func(key, value []byte) (bool, error)) error {
	for {
		if v.reads++; v.reads == 1 {
			close(v.begun)
		}
		if more, err := visit(nil, nil); err != nil || !more {
			return err
		}
	}
}

func (v *endlessView) Close() {}

func (v *endlessView) Index() uint64 { return 1 }

// endlessReader opens endless views.
type endlessReader struct {
	Reader
	view *endlessView
}

func (r endlessReader) View() (View, error) { return r.view, nil }

// endlessServer answers /x with a query that reads for ever and finds nothing.
func endlessServer(t *testing.T, limit time.Duration) (ts *testServer, view *endlessView, done chan struct{}) {
	t.Helper()
	view, done = &endlessView{begun: make(chan struct{})}, make(chan struct{})
	ts = newTestServer(t, nil, func(c *Config) { c.Limits.Query = limit })
	ts.reader = endlessReader{ts.reader, view}
	ts.engine.GET("/x", func(c *gin.Context) {
		defer close(done)
		ts.streamLines(c, func(v View, _ *stream) error {
			for {
				if err := v.Scan(nil, nil, func(_, _ []byte) (bool, error) { return true, nil }); err != nil {
					return err
				}
			}
		})
	})
	return ts, view, done
}

func TestQueryOfAClientThatLeaves(t *testing.T) {
	ts, view, done := endlessServer(t, time.Hour)
	conn := rawRequest(t, ts.serve(), "GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
	<-view.begun
	conn.Close()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the query goes on")
	}
	require.Zero(t, strings.Count(ts.logs.String(), "level=ERROR"), "a client that leaves is no error")
}

func TestQueryThatFindsNothing(t *testing.T) {
	ts, _, _ := endlessServer(t, 20*time.Millisecond)
	got := ts.do("GET", "/x", "").want(t, 413, "InvalidRequest")
	require.Contains(t, got.Body.String(), "with too little to show: narrow it down")
}

// A query may take longer than its limit when it has lines to show, or while the client reads them.
func TestLinesGiveTimeToAQuery(t *testing.T) {
	v := newQueryView(context.Background(), nil, time.Second)
	v.until = time.Now().Add(-time.Hour)
	v.waited(time.Hour + time.Minute)
	require.True(t, v.goesOn())
	v.until = time.Now().Add(-100 * lineTime)
	for range 1000 {
		v.line()
	}
	require.True(t, v.goesOn())
	require.LessOrEqual(t, time.Until(v.until), time.Second, "no line gives more than the limit")
	v.until = time.Now().Add(-time.Nanosecond)
	require.False(t, v.goesOn())
	require.Equal(t, command.CodeTooManyItems, catalogue.CodeOf(v.err))
}

func TestNamedTwiceIsListedOnce(t *testing.T) {
	ts := didServer(t)
	ts.command(command.TypeAddDIDs, &command.AddDIDs{Dids: []*command.NewCollection{{
		Scope: "s", Name: "ds", Type: uint32(catalogue.TypeDataset), Children: []*command.Child{{File: &command.NewFile{Scope: "s", Name: "f0"}}},
	}}})
	body := `{"dids": [` + strings.Repeat(`{"scope": "s", "name": "ds"}, `, 99) + `{"scope": "s", "name": "ds"}]}`
	for _, path := range []string{"/dids/bulkfiles", "/dids/bulkmeta", "/replicas/list", "/replicas/datasets_bulk"} {
		got := ts.do("POST", path, body).want(t, 200, "")
		require.Equal(t, 1, strings.Count(got.Body.String(), "\n"), path)
	}
}

func TestSearchWithTooManyGroups(t *testing.T) {
	ts := didServer(t)
	groups := func(n int) string {
		return "/dids/s/dids/search?filters=" + strings.ReplaceAll("["+strings.Repeat("{'name': 'x'}, ", n)+"]", " ", "%20")
	}
	ts.do("GET", groups(100), "").want(t, 200, "")
	got := ts.do("GET", groups(101), "").want(t, 400, "DIDFilterSyntaxError")
	require.Contains(t, got.Body.String(), "search in turns")
	one := make([]string, 1001)
	for i := range one {
		one[i] = fmt.Sprintf("'own%d': 'x'", i)
	}
	ts.do("GET", "/dids/s/dids/search?filters="+strings.ReplaceAll("[{"+strings.Join(one, ",")+"}]", " ", "%20"), "").want(t, 400, "DIDFilterSyntaxError")
}
