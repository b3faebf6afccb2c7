package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/command"
	"dapple/transport/transporttest"
)

func proposeFor(m *member, d time.Duration, counter string) (command.Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return m.Propose(ctx, command.TypeAddScope, "root", []byte(counter))
}

// A command whose answer is lost is sent again and takes effect once.
func TestLostAnswersTakeEffectOnce(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	leader, follower := f.leader(), f.followers()[0]
	f.add(follower, "before")

	f.net.Set(leader, follower, transporttest.Fault{Drop: true})
	done := make(chan error, 1)
	go func() {
		r, err := proposeFor(f.nodes[follower], 10*time.Second, "once")
		if err == nil && r.Code != command.CodeOK {
			err = errors.New(r.Message)
		}
		done <- err
	}()
	f.counted(leader, "once", 1) // it has taken effect, and the follower cannot know
	f.net.Heal(leader, follower)
	require.NoError(t, <-done)
	f.counted(follower, "once", 1)
	for _, name := range f.names {
		f.add(name, "after")
		require.Equal(t, 1, f.nodes[name].machine.counter("once"))
	}
}

// A leader that is cut off answers what it cannot commit as unknown; the others elect another and go on.
func TestCutLeaderAnswersUnknown(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	old := f.leader()
	f.net.Isolate(old)
	_, err := proposeFor(f.nodes[old], 700*time.Millisecond, "lost")
	require.Equal(t, command.CodeUnknownOutcome, CodeOf(err), "%v", err)
	_, err = proposeFor(f.nodes[old], 300*time.Millisecond, "never sent")
	require.Equal(t, command.CodeNoLeader, CodeOf(err), "%v", err)
	for _, name := range f.names {
		if name != old {
			f.add(name, "x")
		}
	}
	f.net.Rejoin(old)
	f.addOnceReached(old, "x")
	f.counted(old, "x", 3)
	require.Zero(t, f.nodes[old].machine.counter("never sent"))
}

// Commands proposed at every node, while links are cut and answers are lost and leaders change, take effect once where they
// were answered, never where they were refused, and at most once where the outcome is unknown.
func TestExactlyOnceUnderFaults(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	type outcome struct {
		name string
		code command.Code
	}
	var (
		mu       sync.Mutex
		outcomes []outcome
		workers  sync.WaitGroup
	)
	proposals := newTallies(f.names)
	stop := make(chan struct{})
	for _, name := range f.names {
		for w := range 8 {
			workers.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					counter := fmt.Sprintf("%s-%d-%d", name, w, i)
					r, err := proposeFor(f.nodes[name], time.Duration(50+rand.IntN(3000))*time.Millisecond, counter)
					code := CodeOf(err)
					if err == nil {
						code = r.Code
					}
					if code == command.CodeOK {
						proposals[name].done.Add(1)
					} else {
						proposals[name].failed.Add(1)
						f.pause(name, stop)
					}
					mu.Lock()
					outcomes = append(outcomes, outcome{counter, code})
					mu.Unlock()
				}
			})
		}
	}
	for range 8 {
		x, y := f.names[rand.IntN(3)], f.names[rand.IntN(3)]
		if x == y {
			f.net.Isolate(x)
			proposals.awaitFailure(t, x)
			proposals.awaitDone(t, 100)
			f.net.Rejoin(x)
			continue
		}
		f.net.Set(x, y, transporttest.Fault{Drop: true})
		proposals.awaitDone(t, 300)
		f.net.Heal(x, y)
		f.net.Cut(x, y)
		proposals.awaitDone(t, 100)
		f.net.Heal(x, y)
	}
	close(stop)
	workers.Wait()
	f.add("a", "end") // committed after all of them

	m := f.nodes[f.leader()].machine
	counts := map[command.Code]int{}
	for _, o := range outcomes {
		counts[o.code]++
		n := m.counter(o.name)
		switch o.code {
		case command.CodeOK:
			require.Equal(t, 1, n, "%s was answered", o.name)
		case command.CodeUnknownOutcome:
			require.LessOrEqual(t, n, 1, "%s is unknown", o.name)
		default:
			require.Zero(t, n, "%s was answered with %s", o.name, o.code)
		}
	}
	t.Logf("outcomes: %v", counts)
	require.Greater(t, counts[command.CodeOK], 100)
	for _, name := range f.names {
		f.counted(name, "end", 1)
		require.Equal(t, m.order, f.nodes[name].machine.order)
		requireRising(t, f.nodes[name].machine.times)
	}
}

// requireRising allows for a new leader whose clock is behind: the state machine raises its times.
func requireRising(t *testing.T, times []int64) {
	t.Helper()
	for i := 1; i < len(times); i++ {
		require.Greater(t, times[i], times[i-1]-int64(time.Second/time.Microsecond))
	}
}

// The leader hands over when it is shut down, so that writes go on without an election timeout.
func TestShutdownHandsOver(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	old := f.leader()
	for _, m := range f.nodes { // from now on no election begins by itself
		consensus := m.consensus.Load().raft
		settings := consensus.ReloadableConfig()
		settings.HeartbeatTimeout, settings.ElectionTimeout = time.Hour, time.Hour
		require.NoError(t, consensus.ReloadConfig(settings))
	}
	f.close(f.nodes[old])
	f.add(f.followers()[0], "x")
}
