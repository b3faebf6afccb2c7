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

// answeredAfter answers one proposal that was added so long ago.
func answeredAfter(t *testing.T, q *queue, wait time.Duration) {
	t.Helper()
	p := ownProposal(t, q, 10)
	p.added = time.Now().Add(-wait)
	q.answered([]*proposal{p})
}

// Late answers, once they have been late for a while, make new commands be refused beyond those that may wait in any case, until answers
// have not been late for as long.
func TestStandingQueueRefuses(t *testing.T) {
	q := newQueue(10000, 1<<30)
	for range standingCommands {
		ownProposal(t, q, 10)
	}
	late := func() *Error {
		return q.add(newProposal(t.Context(), command.Command{Payload: make([]byte, 10)}))
	}
	require.Nil(t, late(), "nothing has stood yet")
	answeredAfter(t, q, 2*standingAge)
	require.Nil(t, late(), "it has not stood for long")
	q.since = q.since.Add(-2 * standingTime)
	require.Equal(t, command.CodeQueueFull, late().Code)
	require.Equal(t, command.CodeQueueFull, q.admit(load{}).Code)
	q.relax()
	require.Nil(t, late(), "no leader: waiting is nobody's fault")
	require.Nil(t, q.admit(load{}))
	answeredAfter(t, q, 2*standingAge)
	q.since = q.since.Add(-2 * standingTime)
	require.Equal(t, command.CodeQueueFull, late().Code)
	q.answered([]*proposal{{added: time.Now()}})
	require.Equal(t, command.CodeQueueFull, late().Code, "the last answer was not late, but that was only now")
	q.short = q.short.Add(-2 * standingTime)
	require.Nil(t, late(), "and none has been since")
	answeredAfter(t, q, 2*standingAge)
	q.since = q.since.Add(-2 * standingAgain)
	require.Equal(t, command.CodeQueueFull, late().Code, "the second time shows soon")
}

// While more is asked for, it is refused, but in the end it is tried whether it could be taken in.
func TestRefusingGoesOnWhileMoreComes(t *testing.T) {
	q := newQueue(10000, 1<<30)
	answeredAfter(t, q, 2*standingAge)
	q.since = q.since.Add(-2 * standingTime)
	require.NotNil(t, q.admit(load{standingFew, standingBytes}))
	q.since, q.short = time.Time{}, time.Now().Add(standingTime/100)
	require.NotNil(t, q.admit(load{standingFew, standingBytes}))
	require.Greater(t, time.Until(q.short), standingTime/2, "what was refused extends it")
	q.stood, q.short = q.stood.Add(-2*shortTime), time.Now().Add(standingTime/2)
	require.NotNil(t, q.admit(load{standingFew, standingBytes}))
	require.Less(t, time.Until(q.short), standingTime/2, "but not for ever")
}

// Under overload a body that is being read takes the room of the command that it will be.
func TestBodiesTakeRoomInAShortQueue(t *testing.T) {
	q := newQueue(10000, 1<<30)
	ownProposal(t, q, 10)
	require.Nil(t, q.admit(load{standingFew, standingBytes}), "nothing stands")
	answeredAfter(t, q, 2*standingAge)
	q.since = q.since.Add(-2 * standingTime)
	require.Equal(t, command.CodeQueueFull, q.admit(load{standingFew, standingBytes}).Code)
	require.Nil(t, q.admit(load{standingFew, standingBytes / 2}))
}

// Few large commands are late by themselves: they are no overload.
func TestFewLargeCommandsMayStand(t *testing.T) {
	q := newQueue(10000, 1<<30)
	answeredAfter(t, q, 2*standingAge) // stays unfinished
	q.since = q.since.Add(-2 * standingTime)
	require.Nil(t, q.admit(load{standingFew - 2, 10 * standingBytes}))
	require.Equal(t, command.CodeQueueFull, q.admit(load{standingFew - 1, 10 * standingBytes}).Code)
	require.Nil(t, q.admit(load{standingFew - 1, standingBytes / 2}))
}

// What the leader refuses at once says nothing of how long answers take.
func TestRefusalsAreNoAnswers(t *testing.T) {
	q := newQueue(10000, 1<<30)
	answeredAfter(t, q, 2*standingAge)
	soon := &proposal{added: time.Now()}
	q.answered(done([]*proposal{soon}, []proposed{{err: errorf(command.CodeQueueFull, "full")}}))
	require.False(t, q.since.IsZero(), "answers are late still")
	q.answered(done([]*proposal{soon}, []proposed{{}}))
	require.True(t, q.since.IsZero())
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

func TestFewCommandsMayStand(t *testing.T) {
	q := newQueue(10000, 1<<30)
	answeredAfter(t, q, 2*standingAge)
	q.since = q.since.Add(-2 * standingTime)
	ownProposal(t, q, 10)
}

// What stood is over when no answer has been late for a while: the next burst is not refused for it.
func TestStandingEndsWithoutLateAnswers(t *testing.T) {
	q := newQueue(10000, 1<<30)
	answeredAfter(t, q, 2*standingAge)
	q.since, q.late = q.since.Add(-3*standingTime), q.late.Add(-2*standingTime)
	require.False(t, q.stands(time.Now()))
	answeredAfter(t, q, 2*standingAge)
	require.False(t, q.stands(time.Now()), "it is another time that begins")
}
