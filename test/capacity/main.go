// Command capacity measures a cluster of three processes on this machine at size and under more load than it can take. scripts/capacity
// and scripts/overload run it; docs/performance.md says what its figures mean.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the whole command line.
type cli struct {
	Size     sizeCmd     `cmd:"" help:"Load files with two replicas each and measure on the way: rate, memory, disk, latency, stalls, restarts, a join."`
	Overload overloadCmd `cmd:"" help:"Offer twice the requests that the cluster can take, and watch what it accepts, refuses and holds in memory."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var c cli
	parsed := kong.Parse(&c, kong.Name("capacity"), kong.BindTo(ctx, (*context.Context)(nil)))
	err := parsed.Run()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "capacity:", err)
		os.Exit(1)
	}
}

// common are the flags of all commands.
type common struct {
	Binary string   `required:"" help:"The dapple binary to measure."`
	Dir    string   `required:"" help:"Folder for the nodes' data; it is made and left." placeholder:"DIR"`
	JSON   string   `name:"json" required:"" help:"File for the report." placeholder:"FILE"`
	Serve  []string `name:"serve" sep:"none" help:"A further argument of dapple serve, as --serve=--cache-bytes=1000000." placeholder:"ARG"`
}
