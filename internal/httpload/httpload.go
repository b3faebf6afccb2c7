// Package httpload sends requests to HTTP servers as fast as they are answered, or at a fixed rate, and says how fast that was. It
// knows nothing of what it asks, and it is frugal: often it shares its processors with the servers.
package httpload

import (
	"context"
	"errors"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"
)

const (
	progressInterval = 200 * time.Millisecond
	lastAnswers      = answerTimeout // that requests under way at the end may take
)

// Request is one request. Its path and body are in buffers that the client's next one reuses.
type Request struct {
	Method string
	// Path follows the target's; it is escaped already.
	Path, Body []byte
	// Items is how much a success does.
	Items int
	// Lines is how many an answer must have, 0 where that does not matter.
	Lines int
}

// Set makes it a request without a body so far.
func (r *Request) Set(method string, items, lines int, path string) {
	r.Method, r.Items, r.Lines = method, items, lines
	r.Path, r.Body = append(r.Path[:0], path...), r.Body[:0]
}

// Generator makes the next request of one client; false where there is nothing left to do.
type Generator func(r *Request) bool

// Client is one client: a connection with one request at a time.
type Client struct {
	// Target is a base URL, http://host:port.
	Target   string
	Generate Generator
	// Prepare, where it is set, is called before each request; what it changes in the headers stays for the requests after it.
	Prepare func(ctx context.Context, header *fasthttp.RequestHeader) error
	// Check, where it is set, is shown the beginning of each success and says what is wrong with it.
	Check func(head []byte) error
}

// Load says for how long and how fast to send.
type Load struct {
	// Warmup runs before Duration and is not reported.
	Duration, Warmup time.Duration
	// Requests ends the run after so many, those of the warm-up among them. 0 is no such bound.
	Requests int64
	// Rate is how many requests a second are started, by all clients together. 0 is a closed loop: each client sends its next
	// request when it has the answer to the last.
	Rate float64
	// Lateness is how late a request of a fixed rate may begin: one that no client was free for by then is never sent, so that latency
	// is the server's and not of a queue in here. 0 is no bound.
	Lateness time.Duration
	// Progress, where it is set, is told now and then how much of a stage is done, from 0 to 1.
	Progress func(stage string, part float64)
}

// Run lets all clients send until the load's end. Requests that fail are part of the result; an error is what made a run impossible
// or ended it, the end of ctx for one.
func Run(ctx context.Context, load Load, clients []Client) (Result, error) {
	var runners []*runner
	for _, c := range clients {
		s, err := newSender(c)
		if err != nil {
			return Result{}, err
		}
		defer s.close()
		runners = append(runners, &runner{sender: s, generate: c.Generate, record: newRecord()})
	}
	s := newSchedule(time.Now(), load)
	bounded, cancel := context.WithDeadline(ctx, s.end.Add(lastAnswers))
	defer cancel()
	var group errgroup.Group
	for _, r := range runners {
		group.Go(func() error {
			r.run(bounded, s)
			return nil
		})
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if load.Progress != nil {
			s.watch(bounded, load.Progress)
		}
	}()
	err := group.Wait()
	cancel()
	<-watched
	total := newRecord()
	for _, r := range runners {
		total.merge(r.record)
	}
	return newResult(total, s), errors.Join(err, ctx.Err())
}

// runner is a client that runs.
type runner struct {
	sender   *sender
	generate Generator
	record   *record
}

// run sends requests until the schedule ends, nothing is left to do, or ctx ends.
func (c *runner) run(ctx context.Context, s *schedule) {
	var r Request
	for c.generate(&r) {
		at, ok := s.next(ctx)
		if !ok {
			return
		}
		o := c.sender.send(ctx, &r)
		done := time.Now()
		if !at.Before(s.measured) {
			c.record.add(at, done, r.Items, o)
		}
		if s.rate == 0 && Pause(ctx, min(o.pause(), s.end.Sub(done))) != nil {
			return
		}
	}
}

// Pause waits, and returns early with the error of a context that ends.
func Pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
