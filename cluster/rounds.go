package cluster

import (
	"context"
	"sync"

	"dapple/command"
)

// rounds lets callers share the runs of one question. Runs follow one another; a caller gets the outcome of the first run that
// begins after the call, never of the one that is under way: its answer may be older than the call.
type rounds struct {
	mu   sync.Mutex
	next *round        // gathers callers until it begins; nil for none
	wake chan struct{} // holds a token while there is a next round
}

// round is one run. index and err are set before done is closed.
type round struct {
	callers int
	done    chan struct{}
	index   uint64
	err     *Error
}

func newRounds() *rounds { return &rounds{wake: make(chan struct{}, 1)} }

// enter counts a caller into the next round.
func (r *rounds) enter() *round {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil {
		r.next = &round{done: make(chan struct{})}
		r.wake <- struct{}{} // has room: the token of the round before was taken with it
	}
	r.next.callers++
	return r.next
}

// begin closes the next round to callers and returns it.
func (r *rounds) begin() *round {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.next
	r.next = nil
	return b
}

// run asks again and again, once for each round, until ctx ends.
func (r *rounds) run(ctx context.Context, ask func() (uint64, *Error), seen func(*round)) {
	for {
		select {
		case <-r.wake:
		case <-ctx.Done():
			return
		}
		b := r.begin()
		b.index, b.err = ask()
		seen(b)
		close(b.done)
	}
}

// join waits for the outcome of the next round, until either context ends.
func (r *rounds) join(ctx, node context.Context) (uint64, *Error) {
	b := r.enter()
	select {
	case <-b.done:
		return b.index, b.err
	case <-ctx.Done():
		return 0, errorf(command.CodeDeadline, "the deadline passed before a leader was confirmed")
	case <-node.Done():
		return 0, errorf(command.CodeNotReady, "the node is stopping")
	}
}
