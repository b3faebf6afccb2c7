package bench

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"dapple/internal/httpload"
)

func TestReport(t *testing.T) {
	p := &plan{Config: Config{Workload: "lookup", Clients: 2}}
	report := p.report(httpload.Result{
		ItemsPerSecond: 150, Errors: map[string]int64{"409": 1, "no answer": 2}, Example: "409: it is there",
	})
	require.EqualValues(t, 3, report.Failed())
	var text strings.Builder
	require.NoError(t, report.WriteTable(&text))
	for _, want := range []string{"requests/s", "150.0", "409: 1, no answer: 2", "one of the errors: 409: it is there"} {
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
	prepare := p.preparing(server.URL)
	var header fasthttp.RequestHeader
	authorize := func() {
		require.NoError(t, prepare(t.Context(), &header))
		require.Equal(t, "token", string(header.Peek(headerToken)))
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
