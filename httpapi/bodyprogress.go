package httpapi

import (
	"errors"
	"os"
	"time"
)

// bodyRate is how many bytes of a body must arrive per second, on average over each Limits.Stall. Slower links are rare; a client
// that sends a byte now and then holds memory for nothing.
const bodyRate = 16 << 10

// bodyProgress watches how fast a body arrives.
type bodyProgress struct {
	stall, most time.Duration
	begin       time.Time
	window      time.Time // since when the rate is measured
	had         int       // bytes then
}

func newBodyProgress(limits Limits) bodyProgress {
	now := time.Now()
	return bodyProgress{stall: limits.Stall, most: limits.BodyTime, begin: now, window: now}
}

// next returns until when the next bytes must arrive, or a limitError if those until now were too slow; have is how many there are.
func (p *bodyProgress) next(have int) (until time.Time, err error) {
	now := time.Now()
	if elapsed := now.Sub(p.window); elapsed >= p.stall {
		if float64(have-p.had) < bodyRate*elapsed.Seconds() {
			return now, p.tooSlow()
		}
		p.window, p.had = now, have
	}
	until, end := now.Add(p.stall), p.begin.Add(p.most)
	if end.Before(until) {
		until = end
	}
	return until, nil
}

// judge turns the end of the whole time into a limitError. A body that stalls before that stays one that is cut off.
func (p *bodyProgress) judge(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) && time.Since(p.begin) >= p.most {
		return p.tooSlow()
	}
	return err
}

func (p *bodyProgress) tooSlow() error {
	return overLimit(limitSlowBody, 0, "the body came too slowly: send at least %d bytes per second and all of it within %s", bodyRate, p.most)
}

func isSlow(err error) bool {
	var over *limitError
	return errors.As(err, &over) && over.limit == limitSlowBody
}
