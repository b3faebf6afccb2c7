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
)

// A command that is too large fails alone; those that wait beside it do not.
func TestTooLargeFailsAlone(t *testing.T) {
	for _, names := range [][]string{{"a"}, {"a", "b"}} {
		t.Run(fmt.Sprint(len(names)), func(t *testing.T) {
			f := newFleet(t, names...)
			f.tweak = func(c *Config) {
				// An answer that comes too late would leave the outcome open.
				c.ForwardTimeout, c.RPCTimeout = patience, patience
				c.Heartbeat, c.Election, c.Lease = time.Second, time.Second, time.Second
			}
			f.startAll()
			f.voters(len(names))
			at := f.leader()
			if len(names) > 1 {
				at = f.followers()[0]
			}
			huge := make([]byte, 3<<20)
			_, _ = rand.NewChaCha8([32]byte{}).Read(huge)
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() { f.add(at, fmt.Sprint("small", i)) })
			}
			_, err := f.nodes[at].Propose(deadline(t), command.TypeAddScope, "root", huge)
			require.Equal(t, command.CodeTooLarge, CodeOf(err), "%v", err)
			_, err = f.nodes[at].Propose(deadline(t), command.TypeAddScope, "root", make([]byte, 9<<20))
			require.Equal(t, command.CodeTooLarge, CodeOf(err), "%v", err)
			all.Wait()
			require.Zero(t, f.nodes[at].machine.counter(string(huge[:64])))
		})
	}
}

// A state machine that hangs: what was sent is unknown, what is over the limit is refused, and all goes on after.
func TestQueueFullAndUnknown(t *testing.T) {
	f := newFleet(t, "a")
	f.tweak = func(c *Config) { c.QueueCommands, c.GroupsInFlight, c.GroupCommands = 4, 1, 1 }
	f.startAll()
	f.add("a", "x")
	release := f.nodes["a"].machine.hold()
	codes := make(chan command.Code, 4)
	for i := range 4 {
		go func() {
			_, err := proposeFor(f.nodes["a"], 500*time.Millisecond, fmt.Sprint("y", i))
			codes <- CodeOf(err)
		}()
	}
	eventually(t, func() bool { return f.nodes["a"].queue.all.load().commands == 4 }, "the queue does not fill")
	_, err := proposeFor(f.nodes["a"], time.Second, "z")
	require.Equal(t, command.CodeQueueFull, CodeOf(err), "%v", err)
	got := map[command.Code]int{}
	for range 4 {
		got[<-codes]++
	}
	require.Equal(t, map[command.Code]int{command.CodeUnknownOutcome: 1, command.CodeDeadline: 3}, got)
	release()
	f.add("a", "x")
	f.counted("a", "x", 2)
	require.Zero(t, f.nodes["a"].machine.counter("z"))
}

// Late answers are noted where the command came in, at the leader and elsewhere, and so is a refusal of the leader.
func TestLatenessAndRefusalsAreNoted(t *testing.T) {
	f := newFleet(t, "a", "b")
	f.tweak = func(c *Config) { c.QueueCommands = 4 }
	f.startAll()
	f.voters(2)
	leader, follower := f.nodes[f.leader()], f.nodes[f.followers()[0]]
	f.add(follower.cfg.NodeID, "x")
	waiting := func(count int) func() bool {
		return func() bool { return leader.queue.all.load().commands == count }
	}
	release := leader.machine.hold()
	var all sync.WaitGroup
	for _, m := range []*member{leader, follower} {
		all.Go(func() { f.add(m.cfg.NodeID, "x") })
	}
	eventually(t, waiting(2), "the commands do not arrive")
	for _, m := range []*member{leader, follower} {
		m.queue.mu.Lock()
		m.queue.limit = limiter{period: time.Now(), fastest: time.Millisecond}
		m.queue.mu.Unlock()
	}
	<-time.After(lateAge)
	release()
	all.Wait()
	for _, m := range []*member{leader, follower} {
		m.queue.mu.Lock()
		require.Positive(t, m.queue.limit.late, m.cfg.NodeID)
		require.True(t, m.queue.refused.IsZero(), m.cfg.NodeID)
		m.queue.mu.Unlock()
	}

	release = leader.machine.hold()
	for range 4 {
		all.Go(func() { f.add(leader.cfg.NodeID, "y") })
	}
	eventually(t, waiting(4), "the leader's queue does not fill")
	_, err := proposeFor(follower, 5*time.Second, "z")
	require.Equal(t, command.CodeQueueFull, CodeOf(err), "%v", err)
	follower.queue.mu.Lock()
	require.False(t, follower.queue.refused.IsZero())
	follower.queue.mu.Unlock()
	release()
	all.Wait()
}

// How fast the leader before answered is no measure for the next one.
func TestNewLeaderIsMeasuredAnew(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	at := f.nodes[f.followers()[0]]
	f.add(at.cfg.NodeID, "x")
	fastest := func() time.Duration {
		at.queue.mu.Lock()
		defer at.queue.mu.Unlock()
		return at.queue.limit.fastest
	}
	at.queue.mu.Lock()
	at.queue.limit.fastest = 1
	at.queue.mu.Unlock()
	f.add(at.cfg.NodeID, "x")
	require.EqualValues(t, 1, fastest())
	f.stop(f.leader())
	f.add(at.cfg.NodeID, "x")
	require.Greater(t, fastest(), time.Duration(1))
}

// A session that the state machine has closed is replaced, and the command goes on under the new one.
func TestSessionIsReplaced(t *testing.T) {
	f := newFleet(t, "a", "b")
	f.startAll()
	f.voters(2)
	for _, name := range f.names {
		f.add(name, "x")
	}
	for _, m := range f.nodes {
		m.machine.mu.Lock()
		clear(m.machine.sessions)
		m.machine.mu.Unlock()
	}
	for _, name := range f.names {
		f.add(name, "x")
	}
	f.counted("a", "x", 4)
}

// An error of the state machine ends the node; what was on its way may have been done by others.
func TestMachineFailure(t *testing.T) {
	f := newFleet(t, "a")
	f.startAll()
	f.add("a", "x")
	broken := errors.New("the disk is full")
	m := f.nodes["a"].machine
	m.mu.Lock()
	m.err = broken
	m.mu.Unlock()
	_, err := proposeFor(f.nodes["a"], 5*time.Second, "x")
	require.Equal(t, command.CodeUnknownOutcome, CodeOf(err), "%v", err)
	require.ErrorIs(t, failure(t, f.nodes["a"]), broken)
	_, err = proposeFor(f.nodes["a"], time.Second, "x")
	require.Equal(t, command.CodeFailed, CodeOf(err), "%v", err)
	require.Equal(t, command.CodeFailed, CodeOf(f.nodes["a"].Ready(t.Context())))
}

// A write of the log that hangs ends the node, since its heartbeats go on and nobody else would lead.
func TestStuckLogFailsNode(t *testing.T) {
	f := newFleet(t, "a")
	f.tweak = func(c *Config) { c.StallLimit = 200 * time.Millisecond }
	f.startAll()
	f.add("a", "x") // nothing is written after this
	s := f.nodes["a"].store
	s.mu.Lock()
	s.writing = time.Now().Add(-time.Second)
	s.mu.Unlock()
	require.ErrorContains(t, failure(t, f.nodes["a"]), "stuck")
}

// Proposals that wait while the node stops are answered, and later ones are refused.
func TestShutdownAnswersWaiting(t *testing.T) {
	f := newFleet(t, "a", "b")
	f.startAll()
	f.voters(2)
	f.stop("b")
	at := f.nodes["a"]
	eventually(t, func() bool { return at.views.get().leaderAddr == "" }, "a still sees a leader")
	done := make(chan error, 1)
	go func() {
		_, err := at.Propose(context.Background(), command.TypeAddScope, "root", []byte("x"))
		done <- err
	}()
	eventually(t, func() bool { return at.queue.all.load().commands == 1 }, "it is not queued")
	f.close(at)
	require.Equal(t, command.CodeNotReady, CodeOf(<-done))
	_, err := proposeFor(at, time.Second, "x")
	require.Equal(t, command.CodeNotReady, CodeOf(err))
}

// BenchmarkPropose has 64 proposers at a time, at the leader and at a follower.
func BenchmarkPropose(b *testing.B) {
	for _, c := range []struct {
		at    string
		names []string
	}{{"leader", []string{"a"}}, {"leader", []string{"a", "b", "c"}}, {"follower", []string{"a", "b", "c"}}} {
		b.Run(fmt.Sprintf("nodes=%d/%s", len(c.names), c.at), func(b *testing.B) {
			f := newFleet(b, c.names...)
			f.tweak = func(c *Config) { c.Heartbeat, c.Election, c.Lease = time.Second, time.Second, time.Second/2 }
			f.startAll()
			f.voters(len(c.names))
			at := f.nodes[f.leader()]
			if c.at == "follower" {
				at = f.nodes[f.followers()[0]]
			}
			payload := make([]byte, 200)
			b.SetParallelism(32)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := at.Propose(context.Background(), command.TypeAddScope, "root", payload); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
