package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"dapple/internal/httpload"
)

// system is something to measure. Only one of them runs at a time.
type system struct {
	name string
	// runs lists the workloads that it can take.
	runs []string
	// slow to start: it is started once a round, not for each workload.
	slow bool
	// start starts it with its data in a folder of its own.
	start func(ctx context.Context, folder string) (*nodes, error)
	// measure runs a workload against nodes that have just been started, or have run others where it is slow.
	measure func(ctx context.Context, n *nodes, w workload, d time.Duration) (httpload.Result, error)
}

// systems returns those that are asked for and can be had, and says why another is left out.
func (c *options) systems(ctx context.Context) (systems []system, left []string, err error) {
	available := []struct {
		name string
		make func(context.Context) (system, error)
	}{
		{"dapple", func(context.Context) (system, error) { return dapple(c.Binary), nil }},
		{"parts", func(context.Context) (system, error) { return parts() }},
		{"etcd", etcd},
		{"rqlite", func(context.Context) (system, error) { return rqlite() }},
		{"rucio", func(context.Context) (system, error) { return rucio(c.Scripts) }},
	}
	var names []string
	for _, a := range available {
		names = append(names, a.name)
		if len(c.Systems) > 0 && !slices.Contains(c.Systems, a.name) {
			continue
		}
		s, err := a.make(ctx)
		if err != nil {
			left = append(left, fmt.Sprintf("%s: %v", a.name, err))
			continue
		}
		systems = append(systems, s)
	}
	for _, name := range c.Systems {
		if !slices.Contains(names, name) {
			return nil, nil, fmt.Errorf("no system %q: there are %s", name, strings.Join(names, ", "))
		}
	}
	return systems, left, nil
}

// variable returns the value of an environment variable that must be set for a system to be measured.
func variable(name, what string) (string, error) {
	value := os.Getenv(name)
	if value == "" {
		return "", fmt.Errorf("%s names no %s", name, what)
	}
	return value, nil
}

// targets returns the nodes that the clients of a workload ask.
func (w workload) targets(urls []string) []string {
	if w.oneNode {
		return urls[:1]
	}
	return urls
}

// load is a closed loop.
func load(d time.Duration) httpload.Load { return httpload.Load{Duration: d, Warmup: warmup} }

// run runs a workload, where it says so once more at half of the rate that the first run came to, with other clients.
func (w workload) run(ctx context.Context, urls []string, d time.Duration, check func([]byte) error, generate func(client int) httpload.Generator) (httpload.Result, error) {
	result, err := httpload.Run(ctx, load(d), w.users(urls, check, generate))
	if err != nil || !w.half {
		return result, err
	}
	half := load(d)
	half.Rate = cmp.Or(result.RequestsPerSecond/2, 1)
	return httpload.Run(ctx, half, w.users(urls, check, func(client int) httpload.Generator { return generate(w.clients + client) }))
}

// users makes a workload's clients, spread over the targets.
func (w workload) users(urls []string, check func([]byte) error, generate func(client int) httpload.Generator) (clients []httpload.Client) {
	targets := w.targets(urls)
	for i := range w.clients {
		clients = append(clients, httpload.Client{Target: targets[i%len(targets)], Generate: generate(i), Check: check})
	}
	return clients
}
