package httpload

import "time"

// Result is what a run came to. Latencies are those of successes, in milliseconds; with a rate they count from when the request
// was to start.
type Result struct {
	// Seconds is from the end of the warm-up to the last answer.
	Seconds           float64 `json:"seconds"`
	Requests          int64   `json:"requests"`
	Items             int64   `json:"items"`
	RequestsPerSecond float64 `json:"requests_per_second"`
	ItemsPerSecond    float64 `json:"items_per_second"`

	P50  float64 `json:"p50_ms"`
	P90  float64 `json:"p90_ms"`
	P99  float64 `json:"p99_ms"`
	Max  float64 `json:"max_ms"`
	Mean float64 `json:"mean_ms"`

	// Rejected were answered 503 with Retry-After, Unsent are those of a fixed rate that no client was free for after the warm-up.
	Rejected int64 `json:"rejected"`
	Unsent   int64 `json:"unsent"`
	// Errors are all other failures, by status or by what was wrong; Example is one of them.
	Errors  map[string]int64 `json:"errors"`
	Example string           `json:"example,omitempty"`
}

func newResult(r *record, s *schedule) Result {
	result := Result{
		Seconds: max(r.last.Sub(s.measured), 0).Seconds(), Requests: r.requests, Items: r.items,
		P50: quantile(r, 50), P90: quantile(r, 90), P99: quantile(r, 99),
		Max: milliseconds(float64(r.latency.Max())), Mean: milliseconds(r.latency.Mean()),
		Rejected: r.rejected, Unsent: s.unsent(), Errors: r.failed, Example: r.example,
	}
	if result.Seconds > 0 {
		result.RequestsPerSecond = float64(r.requests) / result.Seconds
		result.ItemsPerSecond = float64(r.items) / result.Seconds
	}
	return result
}

func quantile(r *record, q float64) float64 {
	return milliseconds(float64(r.latency.ValueAtQuantile(q)))
}

func milliseconds(us float64) float64 {
	return us * float64(time.Microsecond) / float64(time.Millisecond)
}

// Failed returns how many requests failed; those that were rejected are not among them.
func (r Result) Failed() (n int64) {
	for _, count := range r.Errors {
		n += count
	}
	return n
}
