package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	progressInterval = 200 * time.Millisecond
	lastAnswers      = answerTimeout // that requests under way at the end may take
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
	clients, err := p.clients()
	if err != nil {
		return Report{}, err
	}
	s, err := p.drive(ctx, clients)
	if err != nil {
		return Report{}, err
	}
	total := newRecord()
	for _, c := range clients {
		total.merge(c.record)
	}
	return p.report(total, s), nil
}

// benchClient is one client: a connection with one request at a time.
type benchClient struct {
	sender   *sender
	generate generator
	record   *record
}

// clients makes all clients, each on the next target.
func (p *plan) clients() ([]*benchClient, error) {
	shared := &passes{user: p.User, password: p.Password, account: p.Account}
	var clients []*benchClient
	for i := range p.Clients {
		s, err := newSender(p.Targets[i%len(p.Targets)], shared)
		if err != nil {
			return nil, err
		}
		clients = append(clients, &benchClient{sender: s, generate: p.workload.generate(p, i), record: newRecord()})
	}
	return clients, nil
}

// drive lets all clients run to the end of the schedule.
func (p *plan) drive(ctx context.Context, clients []*benchClient) (*schedule, error) {
	if err := clients[0].sender.authorize(ctx); err != nil {
		return nil, err
	}
	clients[0].sender.close() // so that it, too, sends within the bound
	s := newSchedule(time.Now(), p.Config)
	bounded, cancel := context.WithDeadline(ctx, s.end.Add(lastAnswers))
	defer cancel()
	var group errgroup.Group
	for _, c := range clients {
		group.Go(func() error {
			defer c.sender.close()
			c.run(bounded, s)
			return nil
		})
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		p.watch(bounded, s)
	}()
	err := group.Wait()
	cancel()
	<-watched
	return s, errors.Join(err, ctx.Err())
}

// run sends requests until the schedule ends, nothing is left to do, or ctx ends.
func (c *benchClient) run(ctx context.Context, s *schedule) {
	var r request
	for c.generate(&r) {
		at, ok := s.next(ctx)
		if !ok {
			return
		}
		o := c.sender.send(ctx, &r)
		done := time.Now()
		if !at.Before(s.measured) {
			c.record.add(at, done, r.items, o)
		}
		if s.rate == 0 && pause(ctx, min(o.pause(), s.end.Sub(done))) != nil {
			return
		}
	}
}

// pause returns how long a client of a closed loop rests after an answer.
func (o outcome) pause() time.Duration {
	switch {
	case o.rejected():
		return o.retryAfter
	case o.status == 0:
		return failurePause // nobody there: do not spin
	default:
		return 0
	}
}

// watch tells the progress until ctx ends.
func (p *plan) watch(ctx context.Context, s *schedule) {
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			part, warmup := s.part(now)
			stage := "run"
			if warmup {
				stage = "warm-up"
			}
			p.Progress(stage, part)
		}
	}
}
