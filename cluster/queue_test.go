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

// overload makes answers to a queue's proposals late for long.
func overload(q *queue) {
	now := time.Now()
	q.limit.answered(now, 1, load{})
	for range 100 {
		now = now.Add(stepTime)
		q.limit.answered(now, 2*lateAge, load{2 * leastCommands, 2 * leastBytes})
	}
}

// Under overload this node's clients meet the limit, and with them the bodies that are still to become commands; other nodes limit theirs
// themselves.
func TestOverloadedQueueRefuses(t *testing.T) {
	q := newQueue(10000, 1<<30)
	for range leastCommands {
		forwardedProposal(t, q, 1)
		ownProposal(t, q, 10)
	}
	late := func() *Error {
		return q.add(newProposal(t.Context(), command.Command{Payload: make([]byte, 10)}))
	}
	require.Nil(t, late(), "nothing is late yet")
	overload(q)
	require.Equal(t, command.CodeQueueFull, late().Code)
	require.Equal(t, command.CodeQueueFull, q.admit(load{}).Code)
	forwardedProposal(t, q, 1)
	q.relax()
	require.Nil(t, late(), "no leader: waiting is nobody's fault")
	require.Nil(t, q.admit(load{}))

	q = newQueue(10000, 1<<30)
	for range leastCommands {
		forwardedProposal(t, q, 1)
	}
	require.Nil(t, q.admit(load{leastCommands, 0}), "nothing is late yet")
	overload(q)
	require.Equal(t, command.CodeQueueFull, q.admit(load{leastCommands, 0}).Code)
	require.Equal(t, command.CodeQueueFull, q.admit(load{fewCommands, leastBytes}).Code)
	require.Nil(t, q.admit(load{leastCommands - 1, 0}))
	ownProposal(t, q, 10)
	require.Equal(t, command.CodeQueueFull, q.admit(load{leastCommands - 1, 0}).Code, "both count")
	q.newLeader()
	require.Nil(t, q.admit(load{leastCommands, 0}))
}

// What is answered leaves the account of its kind.
func TestFinishedProposalsAreNotOnTheWay(t *testing.T) {
	q := newQueue(10, 1<<20)
	own, other := ownProposal(t, q, 10), forwardedProposal(t, q, 1)
	require.Equal(t, load{2, own.size + other.size}, q.all.load())
	require.Equal(t, load{1, own.size}, q.own.load())
	for _, p := range []*proposal{other, own} {
		require.Equal(t, load{1, own.size}, q.own.load())
		p.mu.Lock()
		p.finish(command.Result{}, nil)
		p.mu.Unlock()
	}
	require.Zero(t, q.own.load())
	require.Zero(t, q.all.load())
}

// What the leader refuses at once says nothing of how long answers take.
func TestRefusalsAreNoAnswers(t *testing.T) {
	q := newQueue(10000, 1<<30)
	soon := &proposal{added: time.Now().Add(-time.Millisecond)}
	q.answered(done([]*proposal{soon}, []proposed{{err: errorf(command.CodeQueueFull, "full")}}))
	require.Zero(t, q.limit.fastest)
	q.answered(done([]*proposal{soon}, []proposed{{}}))
	require.NotZero(t, q.limit.fastest)
}

// What the leader has no room for is refused where it comes in, for a moment; what is there already goes its way.
func TestNodePausesWhenTheLeaderRefuses(t *testing.T) {
	q := newQueue(10000, 1<<30)
	q.leaderRefused()
	require.Equal(t, command.CodeQueueFull, q.admit(load{}).Code)
	require.Equal(t, command.CodeQueueFull, q.add(newProposal(t.Context(), command.Command{})).Code)
	forwardedProposal(t, q, 1) // this node leads now
	q.refused = q.refused.Add(-leaderPause)
	require.Nil(t, q.admit(load{}))
	ownProposal(t, q, 10)
}
