package system

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLoginStorm logs in 200 times at once, on one node, while writes go on: the excess gets 503, nobody else suffers, and
// memory stays bounded. What the storm does to the latency of writes is logged.
func TestLoginStorm(t *testing.T) {
	const (
		logins = 200
		// Every password check takes 19 MiB. Unbounded, 200 of them would take 3.8 GiB.
		memoryLimit = 512 << 20
	)
	c := newCluster(t, 3)
	c.start()
	root := login(t, c.nodes[0])
	l := startLoad(t, root, c.nodes)
	l.waitResumed(time.Now())
	quietFrom := time.Now()
	for l.count(quietFrom, time.Now()) < 500 {
		l.waitResumed(time.Now())
	}
	before := l.latencies(quietFrom, time.Now())

	stormFrom := time.Now()
	answers, after := storm(t, root.at(c.nodes[0]), logins)
	stormEnd := time.Now()
	during := l.latencies(stormFrom, stormEnd)
	peak := peakMemory(t, c.nodes[0])
	l.stop()

	require.Equal(t, logins, answers[http.StatusOK]+answers[http.StatusServiceUnavailable], "%v", answers)
	require.NotZero(t, answers[http.StatusOK])
	require.NotZero(t, answers[http.StatusServiceUnavailable])
	require.Equal(t, answers[http.StatusServiceUnavailable], after, "every 503 says when to come again")
	require.Less(t, peak, int64(memoryLimit))
	require.NotEmpty(t, during)
	t.Logf("%d logins in %v: %v; peak memory %d MiB", logins, stormEnd.Sub(stormFrom), answers, peak>>20)
	t.Logf("latency of writes: median %v before, %v during; p90 %v before, %v during",
		quantile(before, 0.5), quantile(during, 0.5), quantile(before, 0.9), quantile(during, 0.9))
	l.verify(root)
}

// storm logs in so many times at once and returns the statuses and how many answers had Retry-After.
func storm(t *testing.T, c *client, logins int) (answers map[int]int, after int) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	answers = map[int]int{}
	for range logins {
		all.Go(func() {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.base+"/auth/userpass", nil)
			if err != nil {
				return
			}
			request.Header = http.Header{
				"X-Rucio-Account": {"root"}, "X-Rucio-Username": {rootUser}, "X-Rucio-Password": {rootPassword},
			}
			response, err := c.http.Do(request)
			if err != nil {
				return
			}
			defer response.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			answers[response.StatusCode]++
			if response.Header.Get("Retry-After") != "" {
				after++
			}
		})
	}
	all.Wait()
	return answers, after
}

// latencies returns how long the acknowledged writes took that were sent in a time.
func (l *load) latencies(from, to time.Time) []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []time.Duration
	for _, a := range l.acks {
		if a.sent.After(from) && a.sent.Before(to) {
			all = append(all, a.answered.Sub(a.sent))
		}
	}
	slices.Sort(all)
	return all
}

func (l *load) count(from, to time.Time) int { return len(l.latencies(from, to)) }

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1))]
}

// peakMemory returns the most resident memory that a process has had, in bytes.
func peakMemory(t *testing.T, p *process) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skip("no /proc here")
	}
	for line := range strings.Lines(string(b)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	t.Fatal("no VmHWM in /proc")
	return 0
}
