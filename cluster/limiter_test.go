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
	l := &limited{now: time.Unix(1, 0)}
	l.answers(soonEnough, 1)
	l.onTheWay = load{1000, 1 << 20}
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
	for _, little := range []load{{2*leastCommands - 1, 0}, {fewCommands - 1, 1 << 30}, {fewCommands, 2*leastBytes - 1}} {
		l := newLimited()
		l.onTheWay = little
		l.lowest()
		require.True(t, l.passes(1000, 1<<30))
	}
	l := newLimited()
	l.lowest()
	l.onTheWay = load{leastCommands - 1, leastBytes - 1}
	l.answers(tooLate, int(calmTime/stepTime))
	require.True(t, l.passes(1000, 1<<30), "others keep answers late")
}

// Late answers that are seconds apart do not add up.
func TestRareLateAnswersAreNoOverload(t *testing.T) {
	l := newLimited()
	for range 2 * lateSteps {
		l.now = l.now.Add(calmTime)
		l.answers(tooLate, 1)
	}
	require.True(t, l.passes(8191, 0))
	l.lowest()
	l.now = l.now.Add(time.Hour)
	require.True(t, l.passes(8191, 0))
	l.answers(tooLate, lateSteps-1)
	require.True(t, l.passes(8191, 0))
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

// Where each answer takes long, by the distance of the sites or by the disk, that is no overload.
func TestSlowClusterIsNotLimited(t *testing.T) {
	const slow = lateMost / lateTimes / 2
	l := &limited{now: time.Unix(1, 0), onTheWay: load{1000, 0}}
	l.answers(slow, 100)
	l.answers(slow*lateTimes-1, 100)
	require.True(t, l.passes(8191, 0))
	l.answers(slow*lateTimes, 100)
	require.False(t, l.passes(8191, 0))

	l = &limited{now: time.Unix(1, 0), onTheWay: load{1000, 0}}
	l.answers(lateMost, 100)
	require.False(t, l.passes(8191, 0), "but there are bounds")
}

// A node that was fast once learns that it is slow now, when it sees answers to little.
func TestFastestAnswerIsForgotten(t *testing.T) {
	minute := int(fastestTime / stepTime)
	for name, c := range map[string]struct {
		pass    func(*limited)
		limited bool
	}{
		"one period":  {func(l *limited) { l.answers(tooLate, minute+1) }, true},
		"two periods": {func(l *limited) { l.answers(tooLate, 2*minute+1) }, false},
		"idle time":   {func(l *limited) { l.now = l.now.Add(2 * fastestTime); l.answers(tooLate, 1) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLimited()
			l.onTheWay = load{1, 1}
			c.pass(l)
			l.onTheWay = load{1000, 0}
			l.lowest()
			require.Equal(t, c.limited, !l.passes(8191, 0))
		})
	}
}

// An overload that lasts, or one that comes by and by, does not become the measure of what is fast.
func TestLastingOverloadStaysLimited(t *testing.T) {
	l := newLimited()
	for range int(10 * fastestTime / stepTime) {
		l.answers(tooLate, 1)
		l.passes(1000, 0)
	}
	require.False(t, l.passes(leastCommands, 0))

	l = newLimited()
	for took := soonEnough; took < tooLate; took *= 2 {
		l.answers(took, int(2*fastestTime/stepTime))
	}
	l.lowest()
	require.False(t, l.passes(leastCommands, 0))
}
