package cluster

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// A node that is cut off from the majority refuses writes and linearizable reads within two seconds and says who is missing,
// be it the leader or a follower; a follower that is cut off from the leader alone waits. What is back is used again.
func TestNoQuorumIsToldSoon(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	for _, name := range []string{f.leader(), f.followers()[0]} {
		cut := f.nodes[name]
		f.net.Isolate(name)
		began := time.Now()
		_, err := cut.Propose(deadline(t), command.TypeAddScope, "root", []byte("lost"))
		require.Less(t, time.Since(began), 2*time.Second)
		require.Contains(t, []command.Code{command.CodeNoLeader, command.CodeUnknownOutcome}, CodeOf(err), "%v", err)

		began = time.Now()
		_, err = cut.Propose(deadline(t), command.TypeAddScope, "root", []byte("never sent"))
		require.Equal(t, command.CodeNoLeader, CodeOf(err), "%v", err)
		_, readErr := cut.ReadIndex(deadline(t))
		require.Equal(t, command.CodeNoLeader, CodeOf(readErr), "%v", readErr)
		readyErr := cut.Ready(deadline(t))
		require.Equal(t, command.CodeNoLeader, CodeOf(readyErr), "%v", readyErr)
		require.Less(t, time.Since(began), time.Second)
		for _, told := range []error{err, readErr, readyErr} {
			require.ErrorContains(t, told, "no leader: 1 of 3 voters reachable (")
			require.ErrorContains(t, told, "; retry when a majority is back")
		}
		for _, m := range cut.Status(t.Context()).Members {
			require.Equal(t, m.Name == name, m.Reachable, m.Name)
			require.Equal(t, m.Name != name, !m.UnreachableSince.IsZero(), m.Name)
			if m.Name != name {
				require.ErrorContains(t, err, m.Name)
				require.WithinDuration(t, began, m.UnreachableSince, 10*time.Second)
			}
		}
		require.EqualValues(t, 1, cut.reachableVoters())

		f.net.Rejoin(name)
		f.ready(name)
		f.add(name, "x")
		require.Zero(t, cut.machine.counter("never sent"))
	}
}

// The reads that wait when the quorum is lost are answered too, and at once.
func TestWaitingReadLearnsOfLostQuorum(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	name := f.followers()[0]
	f.net.Isolate(name)
	began := time.Now()
	_, err := f.nodes[name].ReadIndex(deadline(t))
	require.Equal(t, command.CodeNoLeader, CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "1 of 3 voters reachable")
	require.Less(t, time.Since(began), 2*time.Second)
}

// While a majority can be reached a write waits for the next leader.
func TestWriteWaitsForTheNextLeader(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.tweak = func(c *Config) { c.Heartbeat, c.Election, c.Lease = time.Second, time.Second, 700*time.Millisecond }
	f.startAll()
	f.voters(3)
	follower := f.followers()[0]
	f.net.Isolate(f.leader())
	f.add(follower, "x") // takes an election of several seconds
	require.NoError(t, f.nodes[follower].reach.enough().Err())
}

// A leader names the members that it cannot reach, readiness does too, and both forget it when they are back.
func TestMissingMembersAreNamed(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	gone := f.followers()[0]
	f.net.Isolate(gone)
	var other string
	for _, name := range f.names {
		if name != gone && name != f.leader() {
			other = name
		}
	}
	for _, name := range []string{f.leader(), other} {
		eventually(t, func() bool {
			missing, err := f.nodes[name].ReadyWithout(context.Background())
			return err == nil && len(missing) == 1 && missing[0].Name == gone && time.Since(missing[0].Since) < time.Minute
		}, "%s does not name %s", name, gone)
		for _, m := range f.nodes[name].Status(t.Context()).Members {
			require.Equal(t, m.Name == gone, !m.UnreachableSince.IsZero(), m.Name)
		}
	}
	require.EqualValues(t, 2, f.nodes[f.leader()].reachableVoters())
	require.EqualValues(t, -1, f.nodes[other].reachableVoters())
	f.net.Rejoin(gone)
	eventually(t, func() bool {
		missing, err := f.nodes[f.leader()].ReadyWithout(context.Background())
		return err == nil && len(missing) == 0
	}, "%s is back", gone)
}

// A leader whose heartbeats fail takes nothing into its log that it could not refuse for sure later.
func TestCutLeaderAppendsNothing(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.tweak = func(c *Config) { c.Heartbeat, c.Election, c.Lease = 3*time.Second, 3*time.Second, 3*time.Second }
	f.startAll()
	f.voters(3)
	leader := f.nodes[f.leader()]
	f.net.Isolate(leader.cfg.NodeID)
	eventually(t, leader.reach.cut.Load, "the leader does not notice")
	require.True(t, leader.IsLeader(), "its lease holds")
	last := leader.consensus.Load().raft.LastIndex()
	_, err := proposeFor(leader, 200*time.Millisecond, "x")
	require.Contains(t, []command.Code{command.CodeDeadline, command.CodeNoLeader}, CodeOf(err), "surely not done: %v", err)
	require.Equal(t, last, leader.consensus.Load().raft.LastIndex())
	f.net.Rejoin(leader.cfg.NodeID)
	f.add(leader.cfg.NodeID, "x")
}

// A leader that becomes the only voter while its heartbeats fail goes on appending.
func TestLastVoterIsNotCutOff(t *testing.T) {
	f := newFleet(t, "a")
	f.startAll()
	f.add("a", "x")
	a := f.nodes["a"]
	a.reach.cut.Store(true) // by a voter that was removed meanwhile: nobody reports on it any more
	signal(a.reach.kick)
	_, err := proposeFor(a, 5*time.Second, "y")
	require.NoError(t, err)
}

// The hand-over at a stop ends with the time for the stop, also where Raft does not move because its disk hangs.
func TestHandOverIsBounded(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	leader := f.nodes[f.leader()]
	leader.store.mu.Lock() // an append needs it
	defer leader.store.mu.Unlock()
	_, err := proposeFor(leader, 200*time.Millisecond, "x")
	require.Equal(t, command.CodeUnknownOutcome, CodeOf(err), "%v", err)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	leader.HandOver(ctx)
	require.Less(t, time.Since(began), time.Second)
}
