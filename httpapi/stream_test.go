package httpapi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

// streamServer streams lines numbers, then ends with err. released counts the handlers that came to their deferred end.
func streamServer(t *testing.T, lines int, err error, limits Limits) (ts *testServer, released chan struct{}) {
	t.Helper()
	ts = newTestServer(t, nil, func(c *Config) { c.Limits = limits })
	released = make(chan struct{}, 10)
	var buildErr error
	ts.resolver, buildErr = newResolver([]route{{get, "/x", func(c *gin.Context) {
		defer func() { released <- struct{}{} }()
		st := ts.stream(c, typeLines)
		st.finish(func() error {
			for i := range lines {
				if lineErr := st.line(fmt.Appendf(st.open(), `{"number":%d}`, i)); lineErr != nil {
					return lineErr
				}
			}
			return err
		}())
	}, public}})
	require.NoError(t, buildErr)
	return ts, released
}

// brokenStreams reads the metric.
func brokenStreams(t *testing.T, ts *testServer, cause string) float64 {
	t.Helper()
	return counterValue(t, ts.registry, "dapple_http_broken_streams_total", "cause", cause)
}

// counterValue reads the sum of a metric over the series that have a label's value.
func counterValue(t *testing.T, registry *prometheus.Registry, name, label, value string) float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	sum := 0.0
	for _, family := range families {
		for _, m := range family.Metric {
			for _, l := range m.Label {
				if family.GetName() == name && l.GetName() == label && l.GetValue() == value {
					sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
	}
	return sum
}

func TestStream(t *testing.T) {
	for _, lines := range []int{0, 1, 10, 50_000} {
		ts, _ := streamServer(t, lines, nil, Limits{})
		answer, err := http.Get(ts.serve() + "/x")
		require.NoError(t, err)
		require.Equal(t, typeLines, answer.Header.Get("Content-Type"))
		n := 0
		for scanner := bufio.NewScanner(answer.Body); scanner.Scan(); n++ {
			require.Equal(t, fmt.Sprintf(`{"number":%d}`, n), scanner.Text())
		}
		answer.Body.Close()
		require.Equal(t, lines, n)
	}
}

func TestStreamThatFailsBeforeItBegan(t *testing.T) {
	ts, _ := streamServer(t, 3, catalogue.Errorf(command.CodeDIDNotFound, "gone"), Limits{})
	got := ts.do("GET", "/x", "").want(t, 404, "DataIdentifierNotFound")
	require.NotContains(t, got.Body.String(), "number")
	require.Zero(t, brokenStreams(t, ts, "server"))
}

// A list that breaks off must not look like a whole one.
func TestStreamThatFailsInTheMiddle(t *testing.T) {
	ts, released := streamServer(t, 50_000, errors.New("disk on fire"), Limits{})
	answer, err := http.Get(ts.serve() + "/x")
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, 200, answer.StatusCode)
	_, err = io.Copy(io.Discard, answer.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	<-released
	require.Eventually(t, func() bool { return brokenStreams(t, ts, "server") == 1 }, time.Minute, time.Millisecond)
	require.Contains(t, ts.logs.String(), "disk on fire")
}

// A client that does not read is let go after the deadline.
func TestStreamToAClientThatStalls(t *testing.T) {
	ts, released := streamServer(t, 20_000_000, nil, Limits{Stall: 50 * time.Millisecond})
	rawRequest(t, ts.serve(), "GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case <-released:
	case <-time.After(time.Minute):
		t.Fatal("the handler still writes")
	}
	require.Eventually(t, func() bool { return brokenStreams(t, ts, "client") == 1 }, time.Minute, time.Millisecond)
}

func TestStreamToAClientThatLeaves(t *testing.T) {
	ts, released := streamServer(t, 20_000_000, nil, Limits{})
	conn := rawRequest(t, ts.serve(), "GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
	_, err := io.ReadFull(conn, make([]byte, 1000))
	require.NoError(t, err)
	conn.Close()
	<-released
	require.Eventually(t, func() bool { return brokenStreams(t, ts, "client") == 1 }, time.Minute, time.Millisecond)
	require.Zero(t, strings.Count(ts.logs.String(), "level=ERROR"), "a client that leaves is no error")
}
