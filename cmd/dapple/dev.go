package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"dapple/internal/version"
	"dapple/node"
)

// devDrainTime is how long a development node lets requests go on when it is told to stop.
const devDrainTime = 200 * time.Millisecond

// devCmd runs a whole cluster on the loopback interface in one process.
type devCmd struct {
	Nodes    int    `default:"3" help:"Number of nodes."`
	HTTPPort int    `default:"8080" name:"http-port" help:"HTTP port of the first node; each further node takes the next. A node's cluster port is its HTTP port + 10000. With 0 each node takes free ports; the URLs that are printed name them."`
	DataDir  string `help:"Folder of all nodes' data, kept at the end; by default a temporary one that is removed." placeholder:"DIR"`
	User     string `default:"ddmlab" help:"User name of root's identity, used when the cluster is formed."`
	Password string `default:"secret" help:"Its password, for trying out: every user of the host can see it in the list of processes."`

	NameSchema string `help:"Syntax of names in a new cluster: generic, atlas, belleii, cms, dune, lsst and others." placeholder:"SCHEMA"`

	LogLevel slog.Level `default:"warn" help:"debug, info, warn or error."`

	Tuning tuning `embed:""`

	places []place
}

// Run starts the nodes, says ready once each of them answers logins, and stops them when ctx ends.
func (d *devCmd) Run(ctx context.Context, s *streams) (err error) {
	if err = d.checkPorts(); err != nil {
		return err
	}
	defer d.closePlaces()
	if err = d.choosePlaces(); err != nil {
		return err
	}
	dir, cleanup, err := d.dataDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanup()) }()

	logger := newLogger(s.err, d.LogLevel, "text")
	var nodes []*node.Node
	defer func() { err = withExitCode(errors.Join(err, closeAll(ctx, nodes)), dir) }()
	for i := range d.Nodes {
		n, startErr := node.Start(ctx, d.nodeConfig(i, dir, logger))
		if startErr != nil {
			return startErr
		}
		nodes = append(nodes, n)
		fmt.Fprintf(s.out, "node %d: %s\n", i+1, d.url(i))
	}
	return d.serve(ctx, s, nodes)
}

// serve waits until every node is ready, and then for the end of ctx or the failure of a node.
func (d *devCmd) serve(ctx context.Context, s *streams, nodes []*node.Node) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, n := range nodes {
		group.Go(func() error {
			select {
			case <-ctx.Done():
				return nil
			case <-n.Done():
				return n.Err()
			}
		})
	}
	group.Go(func() error {
		for i := range nodes {
			if !d.waitLogin(ctx, d.url(i)) {
				return nil // interrupted
			}
		}
		fmt.Fprintln(s.out, "ready")
		fmt.Fprint(s.out, d.nextSteps())
		return nil
	})
	return group.Wait()
}

// nextSteps are three lines to go on with, of which the first two can be pasted into a shell.
func (d *devCmd) nextSteps() string {
	url := d.url(0)
	return fmt.Sprintf("export AUTH=$(curl -s -o /dev/null -D - -H 'X-Rucio-Account: root' -H %s -H %s %s/auth/userpass"+
		" | tr -d '\\r' | awk 'tolower($1) == \"x-rucio-auth-token:\" {print $2}')\n"+
		"curl -H \"X-Rucio-Auth-Token: $AUTH\" %s/accounts/whoami\n"+
		"docs: %s/\n", quoted("X-Rucio-Username: "+d.User), quoted("X-Rucio-Password: "+d.Password), url, url, url)
}

// quoted is a word of a shell.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

func (d *devCmd) dataDir() (dir string, cleanup func() error, err error) {
	if d.DataDir != "" {
		return d.DataDir, func() error { return nil }, nil
	}
	dir, err = os.MkdirTemp("", "dapple-dev-")
	return dir, func() error { return os.RemoveAll(dir) }, err
}

func (d *devCmd) url(i int) string {
	return "http://" + d.places[i].http
}

func (d *devCmd) nodeConfig(i int, dir string, logger *slog.Logger) node.Config {
	name := "node" + strconv.Itoa(i+1)
	var join []string
	for _, p := range d.places {
		join = append(join, p.cluster)
	}
	at := d.places[i]
	cfg := node.Config{
		NodeID: name, DataDir: filepath.Join(dir, name),
		HTTPAddr: at.http, HTTPAdvertise: d.url(i), HTTPListener: at.httpListener,
		ClusterAddr: at.cluster, ClusterAdvertise: at.cluster, ClusterListener: at.clusterListener,
		BootstrapExpect: d.Nodes, Join: join,
		RootUser: d.User, RootPassword: d.Password, NameSchema: d.NameSchema, DrainTime: devDrainTime,
		Logger: logger.With("node", name), Version: version.String(),
	}
	d.Tuning.apply(&cfg)
	return cfg
}

// waitLogin waits until root can log in at a node; false where ctx ends before. A folder of an earlier start may hold
// another password: then any proper answer to the login will do.
func (d *devCmd) waitLogin(ctx context.Context, url string) bool {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		if d.login(ctx, url) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
}

func (d *devCmd) login(ctx context.Context, url string) bool {
	if !answers(ctx, url+"/readyz", nil, http.StatusOK) {
		return false
	}
	header := http.Header{"X-Rucio-Account": {"root"}, "X-Rucio-Username": {d.User}, "X-Rucio-Password": {d.Password}}
	return answers(ctx, url+"/auth/userpass", header, http.StatusOK, http.StatusUnauthorized)
}

// answers reports whether a GET is answered with one of the statuses.
func answers(ctx context.Context, url string, header http.Header, statuses ...int) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	if header != nil {
		request.Header = header
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	for _, status := range statuses {
		if response.StatusCode == status {
			return true
		}
	}
	return false
}

// closeAll stops the nodes one after the other, so that each can hand its leadership over to one that still runs.
func closeAll(ctx context.Context, nodes []*node.Node) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 8*time.Second)
	defer cancel()
	var errs []error
	for _, n := range nodes {
		errs = append(errs, n.Close(ctx))
	}
	return errors.Join(errs...)
}
