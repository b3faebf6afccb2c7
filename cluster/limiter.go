package cluster

import "time"

const (
	// The answers of a step, which is stepTime and lasts to the next answer, are late when the soonest of them took lateAge and more, and
	// lateTimes as long as the fastest that was seen of late: between far sites or on slow disks every answer takes long. What took
	// lateMost is late in any case.
	stepTime  = 100 * time.Millisecond
	lateAge   = 10 * time.Millisecond
	lateTimes = 4
	lateMost  = 500 * time.Millisecond
	// fastestTime is how long a fastest answer counts, to twice as long, and for as long as much is on the way.
	fastestTime = time.Minute
	// A limit begins after lateSteps on end, none of them longer than calmTime: a burst or a stall of the disk is shorter.
	lateSteps = 5
	// After each step the limit is lessTimes of itself where answers were late, and else more by moreCommands and moreBytes.
	lessTimes    = 0.8
	moreCommands = 16
	moreBytes    = 48 << 10
	// calmTime without a late step or a refusal ends the limit.
	calmTime = time.Second
	// No limit is lower than leastCommands and leastBytes, which keep the log busy, nor than fewCommands of any size, since large ones are
	// late without any overload.
	leastCommands = 128
	leastBytes    = 384 << 10
	fewCommands   = 6
)

// load is an amount of commands.
type load struct{ commands, bytes int }

func (l load) plus(m load) load { return load{l.commands + m.commands, l.bytes + m.bytes} }

func (l load) less() load {
	return load{max(int(lessTimes*float64(l.commands)), leastCommands), max(int(lessTimes*float64(l.bytes)), leastBytes)}
}

// reaches reports whether a command is one too many beside this load.
func (l load) reaches(limit load) bool {
	return l.commands >= limit.commands || (l.commands >= fewCommands && l.bytes >= limit.bytes)
}

// limiter bounds what this node's own clients may have on the way, so that under overload the answers to what is taken in are not late: what
// waits behind more than keeps the log busy makes every answer late and few of them sooner. The limit goes down by a factor while answers are
// late and up by a constant while they are not, as a window of TCP does (Chiu and Jain, Analysis of the increase and decrease algorithms for
// congestion avoidance, 1989).
type limiter struct {
	limit load      // counts for calmTime after hot
	hot   time.Time // when the limit last began, went down or refused something

	began   time.Time     // of this step
	soonest time.Duration // of its answers, 0 for none yet
	late    int           // steps on end with late answers

	period          time.Time     // when this period of fastestTime began
	fastest, before time.Duration // of its answers and of those in the period before, 0 for none
}

// answered takes note of an answer that took so long. onTheWay is what this node's clients have on the way: with less than the least limit
// they have no part in an overload, and with less than twice as much they begin no limit.
func (l *limiter) answered(now time.Time, took time.Duration, onTheWay load) {
	least := load{leastCommands, leastBytes}
	l.learn(now, took, onTheWay.reaches(least))
	l.soonest = sooner(l.soonest, took)
	step := now.Sub(l.began)
	if step < stepTime {
		return
	}
	late := l.soonest >= min(max(lateAge, lateTimes*sooner(l.before, l.fastest)), lateMost)
	l.began, l.soonest = now, 0
	switch {
	case !late:
		l.late = 0
	case step >= calmTime:
		l.late = 1
	default:
		l.late++
	}
	switch {
	case l.limited(now) && late:
		l.limit = l.limit.less()
		if onTheWay.reaches(least) {
			l.hot = now
		}
	case l.limited(now):
		l.limit = l.limit.plus(load{moreCommands, moreBytes})
	case l.late >= lateSteps && onTheWay.reaches(least.plus(least)):
		l.limit, l.hot = onTheWay.less(), now
	}
}

// learn remembers the fastest answers. While much is on the way none is forgotten, for all that come may have waited.
func (l *limiter) learn(now time.Time, took time.Duration, much bool) {
	switch age := now.Sub(l.period); {
	case much || l.limited(now):
	case age >= 2*fastestTime:
		l.period, l.before, l.fastest = now, 0, 0
	case age >= fastestTime:
		l.period, l.before, l.fastest = now, l.fastest, 0
	}
	l.fastest = sooner(l.fastest, took)
}

// sooner returns the smaller of two times, of which 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || (b > 0 && b < a) {
		return b
	}
	return a
}

// refuses reports whether a command is one too many beside those that are on the way and the requests that are coming to be commands. Only
// commands on the way prolong the limit: the answers to them end it, while a body may take any time to come.
func (l *limiter) refuses(now time.Time, onTheWay, coming load) bool {
	if !l.limited(now) || !onTheWay.plus(coming).reaches(l.limit) {
		return false
	}
	if onTheWay.commands >= fewCommands {
		l.hot = now
	}
	return true
}

func (l *limiter) limited(now time.Time) bool { return now.Sub(l.hot) < calmTime }

// forget ends the limit: answers were late for another reason.
func (l *limiter) forget() { l.hot, l.late = time.Time{}, 0 }
