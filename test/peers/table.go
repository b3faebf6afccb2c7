package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

const own = "dapple"

// writeTables prints what was measured as Markdown: figures with ratios, latencies, floors, and what went wrong.
func (c *comparison) writeTables(w io.Writer) error {
	var b strings.Builder
	c.appendFigures(&b)
	c.appendLatencies(&b)
	fmt.Fprintf(&b, "\n| the machine | |\n|---|---|\n")
	for _, f := range c.floors {
		fmt.Fprintf(&b, "| %s | %s |\n", f.name, spread(c.values(cell{workload: f.name})))
	}
	fmt.Fprintf(&b, "\nRounds: %d; medians (lowest to highest). A measurement: %s.\n", c.rounds, c.duration)
	for _, note := range c.notes {
		fmt.Fprintf(&b, "\n%s\n", note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// appendFigures appends the table of figures. A ratio says how much better Dapple is.
func (c *comparison) appendFigures(b *strings.Builder) {
	others := c.others()
	columns := append([]string{"workload", own}, others...)
	for _, s := range others {
		columns = append(columns, own+" to "+s)
	}
	appendRow(b, columns)
	appendRow(b, slices.Repeat([]string{"---"}, len(columns)))
	for _, w := range c.workloads {
		mine := c.values(cell{w.name, own})
		row := []string{fmt.Sprintf("`%s`: %s, %s", w.name, w.title, w.metric.unit), spread(mine)}
		for _, s := range others {
			row = append(row, spread(c.values(cell{w.name, s})))
		}
		for _, s := range others {
			row = append(row, ratio(mine, c.values(cell{w.name, s}), w.metric.less))
		}
		appendRow(b, row)
	}
}

// appendLatencies appends the 99th percentiles of the same runs.
func (c *comparison) appendLatencies(b *strings.Builder) {
	columns := append([]string{"p99, ms", own}, c.others()...)
	b.WriteByte('\n')
	appendRow(b, columns)
	appendRow(b, slices.Repeat([]string{"---"}, len(columns)))
	for _, w := range c.workloads {
		row := []string{"`" + w.name + "`"}
		for _, s := range columns[1:] {
			var values []float64
			for _, f := range c.figures[cell{w.name, s}] {
				values = append(values, f.p99)
			}
			row = append(row, spread(values))
		}
		appendRow(b, row)
	}
}

// others returns the columns but Dapple's.
func (c *comparison) others() (names []string) {
	for _, s := range c.systems {
		if s.name != own {
			names = append(names, s.name)
		}
	}
	return names
}

func (c *comparison) values(at cell) (values []float64) {
	for _, f := range c.figures[at] {
		values = append(values, f.value)
	}
	return values
}

func appendRow(b *strings.Builder, cells []string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

// spread is the median with the lowest and the highest.
func spread(values []float64) string {
	switch len(values) {
	case 0:
		return ""
	case 1:
		return number(values[0])
	default:
		return fmt.Sprintf("%s (%s to %s)", number(middle(values)), number(slices.Min(values)), number(slices.Max(values)))
	}
}

func ratio(mine, other []float64, less bool) string {
	if len(mine) == 0 || len(other) == 0 {
		return ""
	}
	a, b := middle(mine), middle(other)
	if less {
		a, b = b, a
	}
	return fmt.Sprintf("%.2f", a/b)
}

// middle returns the median.
func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// number is a figure for people: no more digits than it is worth.
func number(v float64) string {
	digits := 0
	switch {
	case v < 10:
		digits = 2
	case v < 100:
		digits = 1
	}
	return message.NewPrinter(language.English).Sprintf("%.*f", digits, v)
}
