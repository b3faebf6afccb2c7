package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"dapple/internal/environ"
	"dapple/internal/ports"
)

const (
	user     = "capacity"
	password = "capacity"
	// readyTime bounds the wait for a node; a node that has to catch up with a large catalogue gets all of it.
	readyTime = 30 * time.Minute
	readyPoll = 20 * time.Millisecond
)

// process is one `dapple serve` with its folder.
type process struct {
	name, dir, http, cluster string
	join                     []string
	fleet                    *fleet
	cmd                      *exec.Cmd
	exited                   chan error
}

// fleet are the nodes of a cluster.
type fleet struct {
	common
	nodes []*process
	web   *http.Client
	// reserved are the ports of the nodes. They are kept until the fleet stops, since a node may restart.
	reserved []*ports.Reservation
}

// startFleet starts a cluster and waits until all nodes are ready.
func startFleet(ctx context.Context, c common, count int) (*fleet, error) {
	f := &fleet{common: c, web: &http.Client{Timeout: time.Minute}}
	var join []string
	for range count {
		p, err := f.add()
		if err != nil {
			return nil, errors.Join(err, f.stop())
		}
		join = append(join, p.cluster)
	}
	for _, p := range f.nodes {
		p.join = join
		if err := p.start(); err != nil {
			return nil, errors.Join(err, f.stop())
		}
	}
	for _, p := range f.nodes {
		if _, err := p.awaitReady(ctx); err != nil {
			return nil, errors.Join(err, f.stop())
		}
	}
	return f, nil
}

// add makes a node that is not started yet.
func (f *fleet) add() (*process, error) {
	p := &process{name: fmt.Sprintf("n%d", len(f.nodes)+1), fleet: f}
	p.dir = filepath.Join(f.Dir, p.name)
	for _, address := range []*string{&p.http, &p.cluster} {
		reserved, err := ports.Reserve()
		if err != nil {
			return nil, err
		}
		f.reserved = append(f.reserved, reserved)
		*address = reserved.Address
	}
	f.nodes = append(f.nodes, p)
	return p, os.MkdirAll(f.Dir, 0o755)
}

func (f *fleet) urls() (urls []string) {
	for _, p := range f.nodes {
		urls = append(urls, p.url())
	}
	return urls
}

// stop stops all nodes that run and gives their ports back.
func (f *fleet) stop() error {
	for _, p := range f.nodes {
		if p.exited != nil {
			_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may be gone
		}
	}
	var errs []error
	for _, p := range f.nodes {
		if p.exited != nil {
			errs = append(errs, p.end(syscall.SIGTERM))
		}
	}
	for _, r := range f.reserved {
		errs = append(errs, r.Release())
	}
	f.reserved = nil
	return errors.Join(errs...)
}

func (p *process) url() string { return "http://" + p.http }

func (p *process) logFile() string { return p.dir + ".log" }

func (p *process) start() error {
	args := append([]string{
		"serve", "--node-id", p.name, "--data-dir", p.dir, "--http-addr", p.http, "--http-advertise", p.url(),
		"--cluster-addr", p.cluster, "--cluster-advertise", p.cluster, "--join", strings.Join(p.join, ","), "--log-format", "json",
	}, p.fleet.Serve...)
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	p.cmd = exec.Command(p.fleet.Binary, args...)
	p.cmd.Env = environ.Dapple("DAPPLE_ROOT_USER="+user, "DAPPLE_ROOT_PASSWORD="+password)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return errors.Join(err, log.Close())
	}
	cmd, exited := p.cmd, make(chan error, 1)
	p.exited = exited
	go func() {
		defer log.Close()
		exited <- cmd.Wait()
	}()
	return nil
}

// end sends a signal and waits for the end of the process.
func (p *process) end(signal os.Signal) error {
	_ = p.cmd.Process.Signal(signal) // it may be gone
	err := <-p.exited
	p.exited = nil
	if signal == syscall.SIGKILL {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w; its log is %s", p.name, err, p.logFile())
	}
	return nil
}

// awaitReady waits until the node is ready, as `dapple health` asks it, and returns how long that took.
func (p *process) awaitReady(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		if p.ready(ctx) {
			return time.Since(start), nil
		}
		select {
		case <-ticker.C:
		case err := <-p.exited:
			p.exited <- err
			return 0, fmt.Errorf("%s has ended: %w; its log is %s", p.name, err, p.logFile())
		case <-ctx.Done():
			return 0, fmt.Errorf("%s is not ready: %w; its log is %s", p.name, ctx.Err(), p.logFile())
		}
	}
}

func (p *process) ready(ctx context.Context) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url()+"/readyz", nil)
	if err != nil {
		return false
	}
	answer, err := p.fleet.web.Do(r)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}
