package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// limited drives a limiter by a clock of its own, for a node that has so much on the way.
type limited struct {
	limiter
	now      time.Time
	onTheWay load
}

const soonEnough, tooLate = lateAge / 8, 2 * lateAge

// newLimited has seen how fast answers can be.
func newLimited() *limited {
	l := &limited{now: time.Unix(1, 0), onTheWay: load{1000, 1 << 20}}
	l.answers(soonEnough, 1)
	return l
}

// answers makes answers that take so long come for so many steps.
func (l *limited) answers(took time.Duration, steps int) {
	for range steps {
		l.now = l.now.Add(stepTime)
		l.answered(l.now, took, l.onTheWay)
	}
}

// lowest brings the limit down as far as it goes.
func (l *limited) lowest() { l.answers(tooLate, 100) }

// passes reports whether one more is taken in beside so many that are on the way.
func (l *limited) passes(commands, bytes int) bool {
	return !l.refuses(l.now, load{commands, bytes}, load{})
}

// When answers stay late a limit begins below what is on the way, and goes down to what keeps the log busy.
func TestLateAnswersLimit(t *testing.T) {
	l := newLimited()
	l.answers(tooLate, lateSteps-1)
	l.answers(soonEnough, 1)
	l.answers(tooLate, lateSteps-1)
	require.True(t, l.passes(100_000, 1<<30), "a stall is no overload")
	l.answers(tooLate, 1)
	require.True(t, l.passes(799, 800<<10))
	require.False(t, l.passes(800, 0))
	require.False(t, l.passes(fewCommands, 1<<20))
	l.lowest()
	require.True(t, l.passes(leastCommands-1, 0))
	require.False(t, l.passes(leastCommands, 0))
	require.True(t, l.passes(fewCommands-1, 60<<20), "a few large ones are late by themselves")
	require.False(t, l.passes(fewCommands, leastBytes))
	require.True(t, l.passes(fewCommands, leastBytes-1))
}

// Where this node's clients have little on the way, it is not they who make answers late.
func TestLittleOnTheWayIsNotLimited(t *testing.T) {
	for _, little := range []load{{leastCommands - 1, 0}, {fewCommands - 1, 1 << 30}, {fewCommands, leastBytes - 1}} {
		l := newLimited()
		l.onTheWay = little
		l.lowest()
		require.True(t, l.passes(1000, 1<<30))
	}
}

// While answers are in time more is let on the way, until they are late again.
func TestLimitFindsWhatCanBeDone(t *testing.T) {
	l := newLimited()
	l.lowest()
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
	const calmSteps = int(calmTime / stepTime)
	l := newLimited()
	l.lowest()
	l.answers(soonEnough, calmSteps-1)
	require.False(t, l.passes(1000, 0), "this prolongs it")
	l.answers(soonEnough, calmSteps-1)
	require.False(t, l.passes(1000, 0))
	l.answers(soonEnough, calmSteps)
	require.True(t, l.passes(1000, 0))

	l.lowest()
	require.False(t, l.passes(1000, 0))
	l.forget()
	require.True(t, l.passes(1000, 0))
}

// Bodies that come slowly may fill what the limit leaves, and no answer comes that would raise it: they do not keep it up.
func TestSlowBodiesDoNotProlongTheLimit(t *testing.T) {
	l := newLimited()
	l.lowest()
	slow := load{leastCommands, leastBytes}
	require.True(t, l.refuses(l.now, load{}, slow))
	require.True(t, l.refuses(l.now.Add(calmTime/2), load{fewCommands - 1, 0}, slow))
	require.False(t, l.refuses(l.now.Add(calmTime), load{}, slow))
}

// One answer in time shows that what came late did not wait for others: a large command is late by itself.
func TestSoonestAnswerOfAStepDecides(t *testing.T) {
	l := newLimited()
	for range 100 {
		l.answered(l.now.Add(stepTime/4), tooLate, l.onTheWay)
		l.answered(l.now.Add(stepTime/2), soonEnough, l.onTheWay)
		l.answers(tooLate, 1)
	}
	require.True(t, l.passes(8191, 0))
}

// Where each answer takes long, by the distance of the sites or by the disk, that is no overload, and a node that was fast once learns it.
func TestSlowClusterIsNotLimited(t *testing.T) {
	l := &limited{now: time.Unix(1, 0), onTheWay: load{1000, 0}}
	l.answers(20*lateAge, 100)
	l.answers(20*lateAge*lateTimes-1, 100)
	require.True(t, l.passes(8191, 0))
	l.answers(20*lateAge*lateTimes, 100)
	require.False(t, l.passes(8191, 0))

	for _, steps := range []int{2 * int(fastestTime/stepTime), 1} {
		l = newLimited()
		l.onTheWay = load{1, 1}
		l.answers(tooLate, steps)
		l.now = l.now.Add(2 * fastestTime)
		l.answers(tooLate, 1)
		l.onTheWay = load{1000, 0}
		l.lowest()
		require.True(t, l.passes(8191, 0))
	}
}

// An overload that lasts does not become the measure of what is fast.
func TestLastingOverloadStaysLimited(t *testing.T) {
	l := newLimited()
	for range int(10 * fastestTime / stepTime) {
		l.answers(tooLate, 1)
		l.passes(1000, 0)
	}
	require.False(t, l.passes(leastCommands, 0))
}
