package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"dapple/internal/httpload"
)

// Report is what was run and what it came to.
type Report struct {
	Run      string   `json:"run"`
	Workload string   `json:"workload"`
	Targets  []string `json:"targets"`
	Clients  int      `json:"clients"`
	Batch    int      `json:"batch,omitempty"`
	Files    int      `json:"files,omitempty"`
	RSEs     int      `json:"rses"`
	Rate     float64  `json:"rate,omitempty"`

	httpload.Result
}

func (p *plan) report(r httpload.Result) Report {
	return Report{
		Run: p.run, Workload: p.Workload, Targets: p.Targets, Clients: p.Clients, Batch: p.Batch, Files: p.Files, RSEs: p.RSEs, Rate: p.Rate,
		Result: r,
	}
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
