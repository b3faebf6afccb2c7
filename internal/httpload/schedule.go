package httpload

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// schedule says when requests start. All clients take their turns from it.
type schedule struct {
	start, measured, end time.Time
	rate                 float64 // requests a second, 0 for a closed loop
	limit                int64   // number of requests, 0 for no limit
	lateness             time.Duration
	taken, missed        atomic.Int64 // missed are measured turns that nobody took in time
}

func newSchedule(now time.Time, l Load) *schedule {
	return &schedule{
		start: now, measured: now.Add(l.Warmup), end: now.Add(l.Warmup + l.Duration), rate: l.Rate, limit: l.Requests, lateness: l.Lateness,
	}
}

// next waits for the next turn and returns when the request was to start: latency counts from there, so that a server which falls
// behind is not asked later and seen as fast. False says that the run is over.
func (s *schedule) next(ctx context.Context) (time.Time, bool) {
	for {
		at, ok := s.turn(ctx)
		if !ok || s.lateness == 0 || time.Since(at) <= s.lateness {
			return at, ok
		}
		if !at.Before(s.measured) {
			s.missed.Add(1)
		}
	}
}

// turn waits for a turn, unless it is past already.
func (s *schedule) turn(ctx context.Context) (time.Time, bool) {
	k := s.taken.Add(1) - 1
	now := time.Now()
	at := now
	if s.rate > 0 {
		at = s.start.Add(time.Duration(float64(k) / s.rate * float64(time.Second)))
	}
	if (s.limit > 0 && k >= s.limit) || !at.Before(s.end) || !now.Before(s.end) {
		s.taken.Add(-1)
		return at, false
	}
	return at, Pause(ctx, at.Sub(now)) == nil
}

// unsent returns how many requests of a fixed rate were due between the warm-up and the end and never sent.
func (s *schedule) unsent() int64 {
	if s.rate == 0 {
		return 0
	}
	return max(s.due(s.end)-max(s.taken.Load(), s.due(s.measured)), 0) + s.missed.Load()
}

// due returns how many turns there are before a time.
func (s *schedule) due(before time.Time) int64 {
	turns := int64(math.Ceil(before.Sub(s.start).Seconds() * s.rate))
	if s.limit > 0 {
		turns = min(turns, s.limit)
	}
	return turns
}

// part returns how much of the run is over, and whether that is the warm-up.
func (s *schedule) part(now time.Time) (part float64, warmup bool) {
	if now.Before(s.measured) {
		return float64(now.Sub(s.start)) / float64(s.measured.Sub(s.start)), true
	}
	part = float64(now.Sub(s.measured)) / float64(s.end.Sub(s.measured))
	if s.limit > 0 {
		part = max(part, float64(s.taken.Load())/float64(s.limit))
	}
	return min(part, 1), false
}

// watch tells the progress until ctx ends.
func (s *schedule) watch(ctx context.Context, progress func(stage string, part float64)) {
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			part, warmup := s.part(now)
			stage := "run"
			if warmup {
				stage = "warm-up"
			}
			progress(stage, part)
		}
	}
}
