package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// limited drives a limiter by a clock of its own.
type limited struct {
	limiter
	now time.Time
}

func newLimited() *limited {
	return &limited{limiter: limiter{most: 8192}, now: time.Unix(1, 0)}
}

// answers makes answers that take so long come for so many steps.
func (l *limited) answers(took time.Duration, steps int) {
	for range steps {
		l.now = l.now.Add(stepTime)
		l.answered(l.now, took)
	}
}

// passes reports whether one more is taken in beside so many.
func (l *limited) passes(commands, bytes int) bool { return !l.refuses(l.now, load{commands, bytes}) }

const soonEnough, tooLate = lateAge / 4, 2 * lateAge

// Under answers that stay late less and less is let on the way, down to what keeps the log busy.
func TestLateAnswersLimit(t *testing.T) {
	l := newLimited()
	l.answers(soonEnough, 1)
	require.True(t, l.passes(8191, 60<<20))
	l.answers(tooLate, 2)
	require.True(t, l.passes(4096, 0), "a stall is no overload")
	require.False(t, l.passes(8000, 0))
	l.answers(tooLate, 100)
	require.True(t, l.passes(leastCommands-1, 0))
	require.False(t, l.passes(leastCommands, 0))
	require.True(t, l.passes(fewCommands-1, 60<<20), "a few large ones are late by themselves")
	require.False(t, l.passes(fewCommands, leastCommands*commandBytes))
	require.True(t, l.passes(fewCommands, leastCommands*commandBytes-1))
}

// While answers are in time and more is asked for, more is let on the way, until they are late again.
func TestLimitFindsWhatCanBeDone(t *testing.T) {
	l := newLimited()
	l.answers(soonEnough, 1)
	l.answers(tooLate, 100)
	for step := 1; step < 20; step++ {
		l.answers(soonEnough, 1)
		require.False(t, l.passes(leastCommands+step*moreCommands, 0))
		require.True(t, l.passes(leastCommands+step*moreCommands-1, 0))
	}
	l.answers(tooLate, 1)
	require.False(t, l.passes(leastCommands+15*moreCommands, 0))
	require.True(t, l.passes(leastCommands+10*moreCommands, 0))
}

// Where nothing is late and nothing refused any more, the limit has no purpose.
func TestLimitEnds(t *testing.T) {
	l := newLimited()
	l.answers(soonEnough, 1)
	l.answers(tooLate, 100)
	require.False(t, l.passes(1000, 0))
	l.answers(soonEnough, int(calmTime/stepTime)-1)
	require.False(t, l.passes(1000, 0), "this prolongs it")
	l.answers(soonEnough, int(calmTime/stepTime))
	require.True(t, l.passes(1000, 0))

	l.answers(tooLate, 100)
	require.False(t, l.passes(1000, 0))
	l.forget()
	require.True(t, l.passes(1000, 0))
}

// One answer in time shows that what came late did not wait for others: a large command is late by itself.
func TestSoonestAnswerOfAStepDecides(t *testing.T) {
	l := newLimited()
	l.answers(soonEnough, 1)
	for range 100 {
		l.answered(l.now.Add(stepTime/4), tooLate)
		l.answered(l.now.Add(stepTime/2), soonEnough)
		l.answers(tooLate, 1)
	}
	require.True(t, l.passes(8191, 0))
}

// Where each answer takes long, by the distance of the sites or by the disk, that is no overload; a node that was fast once learns it.
func TestSlowClusterIsNotLimited(t *testing.T) {
	l := newLimited()
	l.answers(20*lateAge, 100)
	l.answers(20*lateAge*lateTimes-1, 100)
	require.True(t, l.passes(8191, 0))
	l.answers(20*lateAge*lateTimes, 100)
	require.False(t, l.passes(8191, 0))

	l = newLimited()
	l.answers(soonEnough, 1)
	l.answers(tooLate, int(2*fastestTime/stepTime))
	require.False(t, l.passes(8191, 0))
	l.answers(tooLate, int(calmTime/stepTime))
	require.True(t, l.passes(8191, 0))
}
