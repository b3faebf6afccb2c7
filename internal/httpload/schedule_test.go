package httpload

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// At a fixed rate requests start when they are due, and one that had to wait keeps the time it was due at.
func TestFixedRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := newSchedule(start, Load{Rate: 10, Warmup: time.Second, Duration: time.Second})
		for k := range 3 {
			at, ok := s.next(t.Context())
			require.True(t, ok)
			require.Equal(t, time.Duration(k)*100*time.Millisecond, at.Sub(start))
			require.Equal(t, at, time.Now(), "it waited until then")
		}
		time.Sleep(1500 * time.Millisecond) // a slow answer: the fake clock is at 1.7 s
		at, ok := s.next(t.Context())
		require.True(t, ok)
		require.Equal(t, 300*time.Millisecond, at.Sub(start), "latency counts from here")
		require.Equal(t, 1700*time.Millisecond, time.Since(start), "and it is sent at once")
		time.Sleep(300 * time.Millisecond)
		_, ok = s.next(t.Context())
		require.False(t, ok, "the end")
		require.EqualValues(t, 10, s.unsent(), "10 were due after the warm-up, none sent")
	})
}

// Turns that nobody was free for in time are not taken later.
func TestLateness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := newSchedule(start, Load{Rate: 10, Duration: 2 * time.Second, Lateness: 500 * time.Millisecond})
		_, ok := s.next(t.Context())
		require.True(t, ok)
		time.Sleep(time.Second) // a slow answer
		at, ok := s.next(t.Context())
		require.True(t, ok)
		require.Equal(t, 500*time.Millisecond, at.Sub(start), "the first that is not too late")
		time.Sleep(time.Second)
		_, ok = s.next(t.Context())
		require.False(t, ok)
		require.EqualValues(t, 18, s.unsent(), "20 were due, 2 sent")
	})
}

// What was missed in the warm-up is not counted, be it that nobody took the turn or that it was too late.
func TestUnsentWithoutWarmup(t *testing.T) {
	for _, lateness := range []time.Duration{0, 500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			s := newSchedule(time.Now(), Load{Rate: 10, Warmup: 2 * time.Second, Duration: time.Second, Lateness: lateness})
			time.Sleep(1900 * time.Millisecond) // in the warm-up
			for ok := true; ok; {
				_, ok = s.next(t.Context()) // answered at once
			}
			require.Zero(t, s.unsent())
		})
	}
}

func TestClosedLoopAndLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(time.Now(), Load{Duration: time.Minute, Requests: 2})
		for range 2 {
			at, ok := s.next(t.Context())
			require.True(t, ok)
			require.Equal(t, time.Now(), at)
		}
		_, ok := s.next(t.Context())
		require.False(t, ok)
		require.Zero(t, s.unsent())
		part, warmup := s.part(time.Now())
		require.InDelta(t, 1, part, 0)
		require.False(t, warmup)
	})
}

// A turn far away is not waited for when the context ends.
func TestScheduleEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(time.Now(), Load{Rate: 0.01, Duration: time.Hour})
		_, ok := s.next(t.Context())
		require.True(t, ok)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, ok = s.next(ctx)
		require.False(t, ok)
	})
}
