package bench

import (
	"context"
	"errors"
	"fmt"

	"dapple/internal/httpload"
)

// ErrConfig is what Run returns, wrapped, for a configuration that cannot be run.
var ErrConfig = errors.New("wrong setting")

// Run sets up, warms up, runs and reports. Requests that fail are part of the report; an error is what made a run impossible or
// ended it, the end of ctx for one.
func Run(ctx context.Context, cfg Config) (Report, error) {
	cfg, w, err := cfg.withDefaults()
	if err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string, float64) {}
	}
	p := &plan{Config: cfg, workload: w, run: newRun()}
	if err := p.setUp(ctx, func(part float64) { cfg.Progress("setup", part) }); err != nil {
		return Report{}, err
	}
	shared := &passes{user: p.User, password: p.Password, account: p.Account}
	if _, err := shared.get(ctx, p.Targets[0]); err != nil {
		return Report{}, err
	}
	load := httpload.Load{Duration: p.Duration, Warmup: p.Warmup, Requests: p.Requests, Rate: p.Rate, Lateness: p.Lateness, Progress: p.Progress}
	result, err := httpload.Run(ctx, load, p.clients(shared))
	if err != nil {
		return Report{}, err
	}
	return p.report(result), nil
}

// clients makes all clients, each on the next target.
func (p *plan) clients(shared *passes) (clients []httpload.Client) {
	for i := range p.Clients {
		target := p.Targets[i%len(p.Targets)]
		clients = append(clients, httpload.Client{Target: target, Generate: p.workload.generate(p, i), Prepare: shared.preparing(target)})
	}
	return clients
}
