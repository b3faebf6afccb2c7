package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"dapple/internal/httpload"
)

// comparison measures all systems with all workloads, round by round, one after another.
type comparison struct {
	systems   []system
	workloads []workload
	rounds    int
	duration  time.Duration
	folder    string // where the folders of nodes are made, empty for the system's temporary folder
	progress  io.Writer
	floors    []floor
	figures   map[cell][]figure
	notes     []string
}

// cell is where a figure belongs: a row and a column; that of a floor has no system.
type cell struct{ workload, system string }

// figure is what one measurement came to.
type figure struct{ value, p99 float64 }

// run measures. What could not be measured is an error at the end; the others are measured all the same.
func (c *comparison) run(ctx context.Context) error {
	var failed []error
	for round := 1; round <= c.rounds && ctx.Err() == nil; round++ {
		fmt.Fprintf(c.progress, "round %d of %d\n", round, c.rounds)
		failed = append(failed, c.measureFloors(ctx))
		for _, w := range c.workloads {
			for _, s := range c.systems {
				if !s.slow {
					failed = append(failed, c.measure(ctx, s, []workload{w}))
				}
			}
		}
		for _, s := range c.systems {
			if s.slow {
				failed = append(failed, c.measure(ctx, s, c.workloads))
			}
		}
	}
	return errors.Join(append(failed, ctx.Err())...)
}

// measure starts a system, runs those of the workloads that it can take, and ends it.
func (c *comparison) measure(ctx context.Context, s system, workloads []workload) error {
	workloads = slices.DeleteFunc(slices.Clone(workloads), func(w workload) bool { return !slices.Contains(s.runs, w.name) })
	if len(workloads) == 0 || ctx.Err() != nil {
		return nil
	}
	return c.inFolder(func(folder string) error {
		n, err := s.start(ctx, folder)
		if n != nil {
			defer n.stop()
		}
		if err != nil {
			return fmt.Errorf("start %s: %w", s.name, err)
		}
		var failed []error
		for _, w := range workloads {
			result, err := s.measure(ctx, n, w, c.duration)
			if err == nil && result.Requests == 0 {
				err = fmt.Errorf("no request succeeded: %s", result.Example)
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("%s %s: %w", s.name, w.name, err))
				continue
			}
			c.note(s, w, result)
		}
		return errors.Join(failed...)
	})
}

// note keeps what a measurement came to.
func (c *comparison) note(s system, w workload, result httpload.Result) {
	at, f := cell{w.name, s.name}, figure{value: w.metric.of(result), p99: result.P99}
	c.figures[at] = append(c.figures[at], f)
	fmt.Fprintf(c.progress, "%s %s: %s %s, p99 %s ms\n", s.name, w.name, number(f.value), w.metric.unit, number(f.p99))
	if result.Failed() > 0 || result.Rejected > 0 {
		c.notes = append(c.notes, fmt.Sprintf("%s, %s: %d of %d requests failed and %d were rejected: %s",
			s.name, w.name, result.Failed(), result.Requests+result.Failed(), result.Rejected, result.Example))
	}
}

func (c *comparison) measureFloors(ctx context.Context) error {
	return c.inFolder(func(folder string) error {
		for _, f := range c.floors {
			value, err := f.measure(ctx, folder)
			if err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			at := cell{workload: f.name}
			c.figures[at] = append(c.figures[at], figure{value: value})
			fmt.Fprintf(c.progress, "%s: %s\n", f.name, number(value))
		}
		return nil
	})
}

// inFolder does something in a folder that is removed after it.
func (c *comparison) inFolder(do func(folder string) error) error {
	folder, err := os.MkdirTemp(c.folder, "dapple-compare-")
	if err != nil {
		return err
	}
	return errors.Join(do(folder), os.RemoveAll(folder))
}
