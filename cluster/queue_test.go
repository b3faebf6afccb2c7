package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func forwardedProposal(t *testing.T, q *queue, from byte) *proposal {
	t.Helper()
	p := newProposal(t.Context(), command.Command{Session: command.SessionID{from}, Payload: make([]byte, 10)})
	p.forwarded = true
	require.Nil(t, q.add(p))
	return p
}

// Each node has the same part of the log, whoever has more commands waiting and wherever a group ends.
func TestNodesTakeTurns(t *testing.T) {
	q := newQueue(1000, 1<<20)
	from := map[*proposal]string{}
	for range 30 {
		from[ownProposal(t, q, 10)] = "own"
	}
	for range 6 {
		from[forwardedProposal(t, q, 1)] = "one"
		from[forwardedProposal(t, q, 2)] = "two"
	}
	got := map[string]int{}
	for range 9 {
		for _, p := range q.take(2, 1<<20, true) {
			got[from[p]]++
		}
	}
	require.Equal(t, map[string]int{"own": 6, "one": 6, "two": 6}, got)
	require.Len(t, q.lanes, 1, "lanes of nodes that have nothing waiting")
	require.Len(t, q.take(100, 1<<20, true), 24)
	require.Zero(t, q.count+q.bytes)
}

// More than is worth an entry may wait; what then stands for too long makes new commands be refused, until it has gone.
func TestStandingQueueRefuses(t *testing.T) {
	q := newQueue(10000, 1<<30)
	for range standingCommands {
		ownProposal(t, q, 10)
	}
	late := func() *Error {
		return q.add(newProposal(t.Context(), command.Command{Payload: make([]byte, 10)}))
	}
	require.Nil(t, late(), "nothing has stood yet")
	q.lanes[0].list[0].added = time.Now().Add(-2 * standingAge)
	q.take(1, 1<<20, true)
	require.Nil(t, late(), "it has not stood for long")
	q.stood = q.stood.Add(-2 * standingTime)
	require.Equal(t, command.CodeQueueFull, late().Code)
	require.Equal(t, command.CodeQueueFull, q.admit().Code)
	q.relax()
	require.Nil(t, late(), "no leader: waiting is nobody's fault")
	require.Nil(t, q.admit())
	q.lanes[0].list[0].added = time.Now().Add(-2 * standingAge)
	q.take(1, 1<<20, true)
	q.stood = q.stood.Add(-2 * standingTime)
	q.take(1, 1<<20, true)
	require.Nil(t, late(), "what left last had not waited long")
}

// What the leader has no room for is refused where it comes in, for a moment; what is there already goes its way.
func TestNodePausesWhenTheLeaderRefuses(t *testing.T) {
	q := newQueue(10000, 1<<30)
	q.leaderRefused()
	require.Equal(t, command.CodeQueueFull, q.admit().Code)
	require.Equal(t, command.CodeQueueFull, q.add(newProposal(t.Context(), command.Command{})).Code)
	forwardedProposal(t, q, 1) // this node leads now
	q.refused = q.refused.Add(-leaderPause)
	require.Nil(t, q.admit())
	ownProposal(t, q, 10)
}

func TestFewCommandsMayStand(t *testing.T) {
	q := newQueue(10000, 1<<30)
	ownProposal(t, q, 10)
	q.stood = time.Now().Add(-time.Hour)
	ownProposal(t, q, 10)
}

// What stood is over when nothing waits any more: the next burst is not refused for it.
func TestStandingEndsWithTheQueue(t *testing.T) {
	q := newQueue(10000, 1<<30)
	p := ownProposal(t, q, 10)
	p.added = time.Now().Add(-2 * standingAge)
	q.take(1, 1<<20, true)
	require.False(t, q.stood.IsZero())
	q.take(1, 1<<20, true)
	require.True(t, q.stood.IsZero())
}
