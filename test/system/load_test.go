package system

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	loadScope = "load"
	loadRSE   = "LOAD"
)

// load writes through all nodes at a steady rate and remembers what was acknowledged. Each round registers a file and
// declares its replica suspicious, both exactly once: a repeat by the servers would show.
type load struct {
	t       *testing.T
	cancel  context.CancelFunc
	writers sync.WaitGroup

	mu         sync.Mutex
	registered map[string]bool // name -> acknowledged
	suspicious map[string]bool
	acks       []ack
	refused    atomic.Int64
}

// ack is one acknowledged write.
type ack struct{ sent, answered time.Time }

// loadPFN is where the deterministic RSE of the load keeps a file.
func loadPFN(name string) string { return pfnOf(loadScope, name) }

// pfnOf is where a deterministic RSE that client.prepare has made keeps a file.
func pfnOf(scope, name string) string {
	sum := md5.Sum([]byte(scope + ":" + name))
	h := hex.EncodeToString(sum[:])
	return fmt.Sprintf("davs://s.example:443/d/%s/%s/%s/%s", scope, h[:2], h[2:4], name)
}

func startLoad(t *testing.T, root *client, nodes []*process) *load {
	t.Helper()
	root.prepare(t, loadScope, loadRSE)
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{t: t, cancel: cancel, registered: map[string]bool{}, suspicious: map[string]bool{}}
	for i, p := range nodes {
		for w := range 2 {
			l.writers.Add(1)
			go func() {
				defer l.writers.Done()
				l.write(ctx, root.at(p), fmt.Sprintf("w%d-%d", i, w))
			}()
		}
	}
	t.Cleanup(l.stop)
	return l
}

func (l *load) stop() {
	l.cancel()
	l.writers.Wait()
}

func (l *load) write(ctx context.Context, c *client, prefix string) {
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		name := fmt.Sprintf("%s-%06d", prefix, i)
		if !l.once(ctx, c, l.registered, name, "/replicas", registration(loadRSE, loadScope, name)) {
			continue
		}
		l.once(ctx, c, l.suspicious, name, "/replicas/suspicious",
			map[string]any{"pfns": []string{loadPFN(name)}, "reason": "load"})
	}
}

// once sends one write and notes whether it was acknowledged.
func (l *load) once(ctx context.Context, c *client, into map[string]bool, name, path string, body any) bool {
	sent := time.Now()
	// Not ctx: a write that was sent is waited for, so that its outcome is known as well as it can be.
	code, answer, err := c.do(context.WithoutCancel(ctx), http.MethodPost, path, body)
	l.mu.Lock()
	defer l.mu.Unlock()
	done := err == nil && code == http.StatusCreated
	into[name] = done
	if done {
		l.acks = append(l.acks, ack{sent, time.Now()})
		return true
	}
	if err == nil && code < 500 {
		l.t.Errorf("%s %s: %d %s", path, name, code, answer)
	}
	l.refused.Add(1)
	return false
}

// resumed returns how long after a moment the first write that was sent after it was acknowledged; false for none yet.
func (l *load) resumed(after time.Time) (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	best, found := time.Duration(0), false
	for i := len(l.acks) - 1; i >= 0 && l.acks[i].answered.After(after); i-- {
		if a := l.acks[i]; a.sent.After(after) {
			if d := a.answered.Sub(after); !found || d < best {
				best, found = d, true
			}
		}
	}
	return best, found
}

// waitResumed waits until writes go on after a fault and returns how long that took.
func (l *load) waitResumed(after time.Time) time.Duration {
	l.t.Helper()
	var took time.Duration
	require.Eventually(l.t, func() bool {
		d, ok := l.resumed(after)
		took = d
		return ok
	}, 30*time.Second, 10*time.Millisecond, "writes did not go on")
	return took
}

// waitWrites waits for so many more acknowledged writes.
func (l *load) waitWrites(count int) {
	l.t.Helper()
	total := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.acks)
	}
	want := total() + count
	require.Eventually(l.t, func() bool { return total() >= want }, time.Minute, 10*time.Millisecond, "writes do not go on")
}

// verify compares what was acknowledged with what a node has: nothing lost, nothing twice.
func (l *load) verify(c *client) {
	l.t.Helper()
	names := c.existing(l.t, loadScope, slices.Sorted(maps.Keys(l.registered)))
	require.Equal(l.t, len(names), c.filesUsed(l.t, loadRSE), "the counter of files")
	counts := map[string]int{}
	for _, row := range c.suspicious(l.t) {
		counts[row.Name] = row.Count
	}
	acknowledged := 0
	for name, done := range l.registered {
		if done {
			acknowledged++
			require.True(l.t, names[name], "%s was acknowledged and is lost", name)
		}
	}
	for name, done := range l.suspicious {
		if done {
			require.Equal(l.t, 1, counts[name], "suspicious declarations of %s", name)
		} else {
			require.LessOrEqual(l.t, counts[name], 1, "suspicious declarations of %s", name)
		}
	}
	require.NotZero(l.t, acknowledged)
	l.t.Logf("%d writes acknowledged, %d not, %d files", len(l.acks), l.refused.Load(), len(names))
}

// fsyncProbe measures the disk beside a test: a figure that missed because the disk stalled says nothing about Dapple.
type fsyncProbe struct {
	cancel context.CancelFunc
	done   chan struct{}
	worst  atomic.Int64
}

func startFsyncProbe(t *testing.T) *fsyncProbe {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "probe"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	p := &fsyncProbe{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		defer f.Close()
		block := make([]byte, 4096)
		pace := time.NewTicker(50 * time.Millisecond)
		defer pace.Stop()
		for ctx.Err() == nil {
			began := time.Now()
			if _, err := f.WriteAt(block, 0); err != nil {
				return
			}
			if err := f.Sync(); err != nil {
				return
			}
			if took := int64(time.Since(began)); took > p.worst.Load() {
				p.worst.Store(took)
			}
			<-pace.C
		}
	}()
	return p
}

// stop ends the probe and returns the longest fsync that it saw.
func (p *fsyncProbe) stop() time.Duration {
	p.cancel()
	<-p.done
	return time.Duration(p.worst.Load())
}
