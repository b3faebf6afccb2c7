package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what a run came to. Latencies are those of successes, in milliseconds; with a rate they count from when the request
// was to start.
type Report struct {
	Run      string   `json:"run"`
	Workload string   `json:"workload"`
	Targets  []string `json:"targets"`
	Clients  int      `json:"clients"`
	Batch    int      `json:"batch,omitempty"`
	Files    int      `json:"files,omitempty"`
	RSEs     int      `json:"rses"`
	Rate     float64  `json:"rate,omitempty"`

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

	// Rejected were answered 503 with Retry-After, Unsent are those of a fixed rate that no client was free for.
	Rejected int64 `json:"rejected"`
	Unsent   int64 `json:"unsent"`
	// Errors are all other failures, by status or by what was wrong; Example is one of them.
	Errors  map[string]int64 `json:"errors"`
	Example string           `json:"example,omitempty"`
}

func (p *plan) report(r *record, s *schedule) Report {
	seconds := max(r.last.Sub(s.measured), 0).Seconds()
	report := Report{
		Run: p.run, Workload: p.Workload, Targets: p.Targets, Clients: p.Clients, Batch: p.Batch, Files: p.Files, RSEs: p.RSEs, Rate: p.Rate,
		Seconds: seconds, Requests: r.requests, Items: r.items, Rejected: r.rejected, Unsent: s.unsent(), Errors: r.failed, Example: r.example,
		P50: quantile(r, 50), P90: quantile(r, 90), P99: quantile(r, 99), Max: milliseconds(float64(r.latency.Max())), Mean: milliseconds(r.latency.Mean()),
	}
	if seconds > 0 {
		report.RequestsPerSecond, report.ItemsPerSecond = float64(r.requests)/seconds, float64(r.items)/seconds
	}
	return report
}

func quantile(r *record, q float64) float64 {
	return milliseconds(float64(r.latency.ValueAtQuantile(q)))
}

func milliseconds(us float64) float64 {
	return us * float64(time.Microsecond) / float64(time.Millisecond)
}

// Failed returns how many requests failed; those that were rejected are not among them.
func (r Report) Failed() (n int64) {
	for _, count := range r.Errors {
		n += count
	}
	return n
}

// WriteTable writes the report for people.
func (r Report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "workload\tclients\tbatch\tseconds\trequests/s\titems/s\tp50 ms\tp90 ms\tp99 ms\tmax ms\tok\trejected\terrors\t")
	fmt.Fprintf(table, "%s\t%d\t%d\t%.1f\t%.1f\t%.1f\t%.2f\t%.2f\t%.2f\t%.2f\t%d\t%d\t%s\t\n",
		r.Workload, r.Clients, r.Batch, r.Seconds, r.RequestsPerSecond, r.ItemsPerSecond, r.P50, r.P90, r.P99, r.Max,
		r.Requests, r.Rejected, r.errorsText())
	if err := table.Flush(); err != nil {
		return err
	}
	if r.Unsent > 0 {
		fmt.Fprintf(w, "%d requests were due and not sent: all clients were waiting for answers\n", r.Unsent)
	}
	if r.Example != "" {
		fmt.Fprintf(w, "one of the errors: %s\n", r.Example)
	}
	return nil
}

// errorsText is the number of errors by what was wrong, 0 for none.
func (r Report) errorsText() string {
	if len(r.Errors) == 0 {
		return "0"
	}
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		parts = append(parts, fmt.Sprintf("%s: %d", kind, r.Errors[kind]))
	}
	return strings.Join(parts, ", ")
}
