package httpload

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A result has the successes of all clients, and tells failures apart.
func TestResult(t *testing.T) {
	start := time.Unix(1000, 0)
	one, two := newRecord(), newRecord()
	for i := 1; i <= 100; i++ {
		r := one
		if i > 50 {
			r = two
		}
		r.add(start, start.Add(time.Duration(i)*10*time.Millisecond), 3, outcome{status: 200})
	}
	two.add(start, start.Add(2*time.Second), 3, outcome{status: 409, text: "it is there"})
	two.add(start, start.Add(time.Second), 3, outcome{status: 503, retryAfter: time.Second})
	two.add(start, start.Add(time.Second), 3, outcome{status: 503})
	two.add(start, start.Add(time.Second), 3, outcome{err: errors.New("refused")})
	two.add(start, start.Add(time.Second), 3, outcome{status: 200, err: errors.New("cut")})
	two.add(start, start.Add(time.Second), 3, outcome{status: 200, err: fmt.Errorf("%w: none", errRefused)})
	two.add(start, start.Add(2*time.Second), 3, outcome{status: 200, err: fmt.Errorf("%w: 1", errShort)})
	one.merge(two)
	result := newResult(one, &schedule{measured: start})
	require.Equal(t, []int64{100, 300, 1, 6}, []int64{result.Requests, result.Items, result.Rejected, result.Failed()})
	require.Equal(t, map[string]int64{"409": 1, "503": 1, "no answer": 1, "wrong answer": 1, "answer cut off": 1, "wrong number of lines": 1}, result.Errors)
	require.InDelta(t, 2, result.Seconds, 1e-9)
	require.InDelta(t, 50, result.RequestsPerSecond, 1e-9)
	require.InDelta(t, 150, result.ItemsPerSecond, 1e-9)
	require.InEpsilonSlice(t, []float64{500, 900, 990, 1000, 505}, []float64{result.P50, result.P90, result.P99, result.Max, result.Mean}, 0.002)
}
