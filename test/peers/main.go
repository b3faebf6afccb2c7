// Command peers measures Dapple beside the parts that it is made of, etcd, rqlite and Rucio on this machine and prints a table. See docs/performance.md.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// options are the command line.
type options struct {
	Workloads []string `arg:"" optional:"" name:"workload" help:"Workloads to run; all where none is named."`
	Rounds    int      `short:"r" default:"5" help:"How often each is measured."`
	Seconds   int      `short:"d" default:"10" help:"Seconds of each measurement."`
	Systems   []string `short:"s" help:"Systems to measure, with commas between them; all where none is named."`
	Binary    string   `default:"dapple" help:"The dapple binary."`
	Scripts   string   `default:"scripts" help:"The folder of scripts."`
	Hello     string   `hidden:"" help:"Measure nothing, but be the server at this address that says hello."`
	Parts     string   `hidden:"" help:"Measure nothing, but be a node of the parts with its data in this folder."`
	Addresses []string `hidden:"" help:"The addresses of that node."`
}

// Run measures, prints, and fails where something could not be measured.
func (c *options) Run(ctx context.Context) error {
	if c.Hello != "" {
		return serveHello(ctx, c.Hello)
	}
	if c.Parts != "" {
		return serveParts(ctx, c.Parts, c.Addresses)
	}
	chosen, err := chosenWorkloads(c.Workloads)
	if err != nil {
		return err
	}
	systems, left, err := c.systems(ctx)
	if err != nil {
		return err
	}
	r := &comparison{
		systems: systems, workloads: chosen, rounds: c.Rounds, duration: time.Duration(c.Seconds) * time.Second,
		folder: os.Getenv("BENCH_DIR"), progress: os.Stderr, floors: machine(), figures: map[cell][]figure{},
	}
	failed := r.run(ctx)
	if err := r.writeTables(os.Stdout); err != nil {
		return err
	}
	for _, why := range left {
		fmt.Printf("\nLeft out: %s.\n", why)
	}
	return failed
}

func main() {
	var o options
	parsed := kong.Parse(&o, kong.Name("compare"))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "compare: %v\n", err)
		stop()
		os.Exit(1)
	}
}
