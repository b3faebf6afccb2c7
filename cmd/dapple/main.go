// Command dapple is the one binary of Dapple: a node of a cluster, a whole cluster for development, and the commands that
// look after them. It parses flags, prints and sets the exit code; everything else is in the packages beside it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the whole command line.
type cli struct {
	Serve      serveCmd      `cmd:"" help:"Run one node of a cluster."`
	Dev        devCmd        `cmd:"" help:"Run a whole cluster in one process, for development and for trying it out."`
	Health     healthCmd     `cmd:"" help:"Ask a node whether it is ready; exit status 0 if so."`
	Bench      benchCmd      `cmd:"" help:"Measure how fast a server of the API answers."`
	Import     importCmd     `cmd:"" help:"Register files, replicas and datasets from lines of JSON."`
	Account    accountCmd    `cmd:"" help:"Change how accounts log in."`
	Token      tokenCmd      `cmd:"" help:"Revoke tokens, and change the keys that sign them."`
	ClusterKey clusterKeyCmd `cmd:"" help:"Print a new key for --cluster-key-file."`
	JoinToken  joinTokenCmd  `cmd:"" help:"Print a token that lets one new node join a cluster, once."`
	Version    versionCmd    `cmd:"" help:"Print the version."`

	SkipEntry skipEntryCmd `cmd:"" help:"Show an entry of a stopped node's log, and have the node pass over it. See docs/runbook.md first."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run parses the arguments, runs the command and returns the exit code. It ends soon after ctx does.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	var c cli
	done := false
	parser, err := newParser(&c,
		kong.Writers(stdout, stderr),
		kong.Exit(func(status int) { done, code = true, status }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(&streams{out: stdout, err: stderr}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "dapple:", err)
		return exitFailure
	}
	parsed, err := parser.Parse(args)
	if done { // help was asked for and printed
		return code
	}
	// A misspelt variable is the likelier cause where a required flag is missing, so it comes first.
	if parsed == nil || parsed.Command() != "version" {
		if unknown := checkEnvironment(parser.Model.Node, os.Environ()); unknown != nil {
			err = unknown
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "dapple: %v\nRun \"dapple --help\" for the flags.\n", err)
		return exitUsage
	}
	if err := parsed.Run(); err != nil {
		fmt.Fprintln(stderr, "dapple:", err)
		var exit *exitError
		if errors.As(err, &exit) {
			return exit.code
		}
		return exitFailure
	}
	return 0
}

// newParser returns the parser of the command line. Each flag has an environment variable and a key of the configuration
// file; the help shows only the first variable of a flag, further ones are spellings of earlier versions.
func newParser(c *cli, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(c, append([]kong.Option{
		kong.Name("dapple"),
		kong.Description("A replicated catalogue of file replicas that speaks Rucio's REST API."),
		kong.DefaultEnvars("DAPPLE"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.ValueFormatter(helpText),
	}, options...)...)
}

// helpText is the help of a flag with its variable.
func helpText(value *kong.Value) string {
	if len(value.Tag.Envs) > 1 {
		shown, tag := *value, *value.Tag
		tag.Envs = tag.Envs[:1]
		shown.Tag = &tag
		value = &shown
	}
	return kong.DefaultHelpValueFormatter(value)
}

// streams are where commands print.
type streams struct{ out, err io.Writer }
