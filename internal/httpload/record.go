package httpload

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// highest is the longest latency that is told apart.
const highest = 10 * time.Minute

// record is what one client has seen in the measured time.
type record struct {
	latency         *hdrhistogram.Histogram // of successes, in microseconds
	requests, items int64                   // that succeeded
	rejected        int64
	failed          map[string]int64 // by status, or what else was wrong
	example         string           // of a failure
	last            time.Time        // when the last answer had come
}

func newRecord() *record {
	return &record{latency: hdrhistogram.New(1, highest.Microseconds(), 3), failed: map[string]int64{}}
}

// add counts a request that was to start at a time and was over at another.
func (r *record) add(at, done time.Time, items int, o outcome) {
	r.last = done
	switch {
	case o.ok():
		r.requests++
		r.items += int64(items)
		_ = r.latency.RecordValue(min(max(done.Sub(at).Microseconds(), 1), highest.Microseconds())) // within its bounds
	case o.rejected():
		r.rejected++
	default:
		r.failed[o.kind()]++
		if r.example == "" {
			r.example = o.describe()
		}
	}
}

// kind names what was wrong: a status, or that there was none.
func (o outcome) kind() string {
	switch {
	case errors.Is(o.err, errShort):
		return "wrong number of lines"
	case errors.Is(o.err, errRefused):
		return "wrong answer"
	case o.err != nil && o.status != 0:
		return "answer cut off"
	case o.err != nil:
		return "no answer"
	default:
		return strconv.Itoa(o.status)
	}
}

func (o outcome) describe() string {
	if o.err != nil {
		return o.err.Error()
	}
	return fmt.Sprintf("%d: %s", o.status, o.text)
}

// merge adds what another client has seen.
func (r *record) merge(other *record) {
	r.latency.Merge(other.latency)
	r.requests += other.requests
	r.items += other.items
	r.rejected += other.rejected
	for kind, n := range other.failed {
		r.failed[kind] += n
	}
	if r.example == "" {
		r.example = other.example
	}
	if other.last.After(r.last) {
		r.last = other.last
	}
}

// pause returns how long a client of a closed loop rests after an answer.
func (o outcome) pause() time.Duration {
	switch {
	case o.rejected():
		return o.retryAfter
	case o.status == 0:
		return failurePause // nobody there: do not spin
	default:
		return 0
	}
}
