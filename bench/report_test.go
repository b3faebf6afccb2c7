package bench

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReport(t *testing.T) {
	start := time.Unix(1000, 0)
	one, two := newRecord(), newRecord()
	for i := 1; i <= 100; i++ {
		r := one
		if i > 50 {
			r = two
		}
		r.add(start, start.Add(time.Duration(i)*10*time.Millisecond), 3, outcome{status: 200})
	}
	two.add(start, start.Add(2*time.Second), 3, outcome{status: 409, text: "it is there"})
	two.add(start, start.Add(time.Second), 3, outcome{status: 503, retryAfter: time.Second})
	two.add(start, start.Add(time.Second), 3, outcome{status: 503})
	two.add(start, start.Add(time.Second), 3, outcome{err: errors.New("refused")})
	two.add(start, start.Add(time.Second), 3, outcome{status: 200, err: errors.New("cut")})
	two.add(start, start.Add(2*time.Second), 3, outcome{status: 200, err: fmt.Errorf("%w: 1", errShort)})
	one.merge(two)
	p := &plan{Config: Config{Workload: "lookup", Clients: 2}}
	report := p.report(one, &schedule{measured: start})
	require.Equal(t, []int64{100, 300, 1, 5}, []int64{report.Requests, report.Items, report.Rejected, report.Failed()})
	require.Equal(t, map[string]int64{"409": 1, "503": 1, "no answer": 1, "answer cut off": 1, "wrong number of lines": 1}, report.Errors)
	require.InDelta(t, 2, report.Seconds, 1e-9)
	require.InDelta(t, 50, report.RequestsPerSecond, 1e-9)
	require.InDelta(t, 150, report.ItemsPerSecond, 1e-9)
	require.InEpsilonSlice(t, []float64{500, 900, 990, 1000, 505}, []float64{report.P50, report.P90, report.P99, report.Max, report.Mean}, 0.002)
	var text strings.Builder
	require.NoError(t, report.WriteTable(&text))
	for _, want := range []string{"requests/s", "150.0", "409: 1", "one of the errors: 409: it is there"} {
		require.Contains(t, text.String(), want)
	}
}

// What the servers cannot take now is counted apart and, in a closed loop, waited for.
func TestRejected(t *testing.T) {
	var n atomic.Int64
	server := newFakeServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User-Agent") != "dapple-bench" {
			return
		}
		switch n.Add(1) {
		case 1:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.WriteHeader(http.StatusConflict)
		}
	})
	report, err := Run(t.Context(), server.config("register"))
	require.NoError(t, err)
	require.EqualValues(t, 1, report.Rejected)
	require.Equal(t, map[string]int64{"409": 1}, report.Errors)
	require.EqualValues(t, 1, report.Requests)
	require.GreaterOrEqual(t, report.Seconds, 1.0, "it rested as long as it was asked to")
}

// A token is replaced before its end.
func TestTokenRenewal(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	layout := "Mon, 02 Jan 2006 15:04:05 UTC"
	require.Equal(t, now.Add(59*time.Minute), renewal(now, now.Add(time.Hour).Format(layout)))
	require.Equal(t, now.Add(10*time.Second), renewal(now, now.Add(20*time.Second).Format(layout)))
	require.Equal(t, now.Add(10*time.Minute), renewal(now, "never"))

	server := newFakeServer(t, http.NotFound)
	p := &passes{user: "u", password: "p"}
	s, err := newSender(server.URL, p)
	require.NoError(t, err)
	defer s.close()
	authorize := func() {
		require.NoError(t, s.authorize(t.Context()))
		require.Equal(t, "token", string(s.out.Header.Peek(headerToken)))
	}
	authorize()
	authorize()
	require.EqualValues(t, 1, server.logins.Load())
	p.current.Load().renew = time.Now()
	authorize()
	require.EqualValues(t, 2, server.logins.Load())
	server.Close()
	p.current.Load().renew = time.Now()
	authorize() // the old one is better than none
}

func TestWrongConfigurationsAreRefused(t *testing.T) {
	good := Config{Targets: []string{"http://x"}, Workload: "state", Duration: time.Second}
	_, _, err := good.withDefaults()
	require.NoError(t, err)
	for want, change := range map[string]func(*Config){
		"no workload": func(c *Config) { c.Workload = "none" },
		"no target":   func(c *Config) { c.Targets = nil },
		"base URL":    func(c *Config) { c.Targets = []string{"x"} },
		"clients":     func(c *Config) { c.Clients = -1 },
		"duration":    func(c *Config) { c.Duration = 0 },
		"files":       func(c *Config) { c.Files, c.Batch = 10, 20 },
		"RSEs":        func(c *Config) { c.Workload, c.RSEs = "list", 1 },
	} {
		c := good
		change(&c)
		_, err := Run(t.Context(), c)
		require.ErrorIs(t, err, ErrConfig)
		require.ErrorContains(t, err, want)
	}
}
