package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"dapple/bench"
)

// benchCmd measures a server.
type benchCmd struct {
	Target   []string      `required:"" help:"Base URLs of the nodes; clients spread over them in turn." placeholder:"URL"`
	Login    credentials   `embed:""`
	Account  string        `default:"root" help:"Account to act for; it must be allowed to add scopes and RSEs."`
	Workload string        `required:"" help:"delete, exists, list, lookup, mixed, register, register-bulk or state."`
	Clients  int           `default:"8" help:"Number of clients, each with a connection of its own and one request at a time."`
	Batch    int           `help:"Items in a request of register-bulk, state, delete and exists; 0 is 1000."`
	Duration time.Duration `default:"30s" help:"How long to measure."`
	Warmup   time.Duration `default:"2s" help:"How long to run before that, unmeasured."`
	Requests int64         `help:"End after so many requests, those of the warm-up among them; 0 is no bound."`
	Rate     float64       `help:"Requests a second by all clients together, latency counted from when they were to start; 0 is a closed loop."`
	Files    int           `help:"Files that are registered before the run; 0 is 10000, 100000 for delete, which ends when none is left."`
	RSEs     int           `name:"rses" default:"10" help:"Storage elements that files are spread over."`
	JSON     bool          `name:"json" help:"Print the report as JSON."`
}

// Run measures and prints the report. Requests that failed are a failure of the command.
func (b *benchCmd) Run(ctx context.Context, s *streams) error {
	password, err := b.Login.password(s)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	show, done := progress(s.err)
	report, err := bench.Run(ctx, bench.Config{
		Targets: b.Target, User: b.Login.User, Password: password, Account: b.Account, Workload: b.Workload, Clients: b.Clients, Batch: b.Batch,
		Duration: b.Duration, Warmup: b.Warmup, Requests: b.Requests, Rate: b.Rate, Files: b.Files, RSEs: b.RSEs, Progress: show,
	})
	done()
	if errors.Is(err, bench.ErrConfig) {
		return &exitError{exitUsage, err}
	}
	if err != nil {
		return err
	}
	if b.JSON {
		err = json.NewEncoder(s.out).Encode(report)
	} else {
		err = report.WriteTable(s.out)
	}
	if err == nil && report.Failed() > 0 {
		err = fmt.Errorf("%d requests failed", report.Failed())
	}
	return err
}

// progress returns what shows the progress of a run, and what ends that: a bar on a terminal, elsewhere nothing.
func progress(w io.Writer) (show func(stage string, part float64), done func()) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, func() {}
	}
	const steps = 1000
	bar := progressbar.NewOptions(steps,
		progressbar.OptionSetWriter(f), progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30),
	)
	show = func(stage string, part float64) {
		bar.Describe(stage)
		_ = bar.Set(int(part * (steps - 1))) // a bar that cannot be drawn is no reason to stop
	}
	return show, func() { _ = bar.Finish() }
}
