package cluster

import "time"

const (
	// An answer is late when it takes lateAge and more, and lateTimes as long as the fastest that was seen of late: between far sites or
	// on slow disks every answer takes long.
	lateAge   = 10 * time.Millisecond
	lateTimes = 3
	// fastestTime is how long a fastest answer counts, to twice as long.
	fastestTime = time.Minute
	// Every stepTime the limit changes: it becomes lessTimes of itself when all answers were late, and more by moreCommands when one was
	// not. A stall that is shorter than some of these steps changes nothing that is felt.
	stepTime     = 100 * time.Millisecond
	lessTimes    = 0.8
	moreCommands = 16
	// calmTime without a late answer or a refusal ends the limit.
	calmTime = time.Second
	// The least that a limit lets be on the way: fewCommands of any size, since few large ones are late without any overload, and
	// leastCommands of commandBytes each. They keep the log busy.
	fewCommands   = 4
	leastCommands = 128
	commandBytes  = 3 << 10
)

// load is an amount of commands.
type load struct{ commands, bytes int }

// limiter bounds what this node's own clients may have on the way, so that under overload the answers to what is taken in are not late: what
// waits behind more than keeps the log busy makes every answer late and none sooner. The bound goes down by a factor while answers are late
// and up by a constant while they are not, as a window of TCP does (Chiu and Jain, Analysis of the increase and decrease algorithms, 1989), so
// it finds by itself what this cluster can do for this node.
type limiter struct {
	most     float64   // commands, where a limit begins
	commands float64   // the limit, 0 for none; it is commandBytes times as many bytes
	hot      time.Time // when there last was a step down or a refusal

	began   time.Time     // of this step
	soonest time.Duration // of its answers, 0 for none yet

	period          time.Time     // when this period of fastestTime began
	fastest, before time.Duration // of its answers and of those in the period before, 0 for none
}

// answered takes note of an answer that took so long.
func (l *limiter) answered(now time.Time, took time.Duration) {
	if now.Sub(l.period) >= fastestTime {
		l.period, l.before, l.fastest = now, l.fastest, 0
	}
	l.fastest = sooner(l.fastest, took)
	l.soonest = sooner(l.soonest, took)
	if now.Sub(l.began) < stepTime {
		return
	}
	late := l.soonest >= max(lateAge, lateTimes*sooner(l.before, l.fastest))
	l.began, l.soonest = now, 0
	switch {
	case late:
		if l.commands == 0 {
			l.commands = l.most
		}
		l.commands = max(l.commands*lessTimes, leastCommands)
		l.hot = now
	case l.commands > 0:
		l.commands = min(l.commands+moreCommands, l.most)
	}
}

// sooner returns the smaller of two times, of which 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || (b > 0 && b < a) {
		return b
	}
	return a
}

// refuses reports whether a command is one too many beside those that are on the way.
func (l *limiter) refuses(now time.Time, onTheWay load) bool {
	if now.Sub(l.hot) >= calmTime {
		l.commands = 0
	}
	many := float64(onTheWay.commands) >= l.commands || float64(onTheWay.bytes) >= l.commands*commandBytes
	if l.commands == 0 || onTheWay.commands < fewCommands || !many {
		return false
	}
	l.hot = now
	return true
}

// forget ends the limit: answers were late for another reason.
func (l *limiter) forget() { l.commands = 0 }
