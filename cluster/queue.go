package cluster

import (
	"slices"
	"sync"
	"sync/atomic"

	"dapple/command"
)

// queue holds proposals that wait to be sent. Its limits count every proposal until it is finished, also those that have
// been sent, so that what the node holds is bounded.
type queue struct {
	maxCommands, maxBytes int
	wake                  chan struct{} // holds a token when something was added

	mu             sync.Mutex
	own, forwarded []*proposal

	// Not under mu: they go down while a proposal's own lock is held, and that one may be taken under mu.
	commands, bytes atomic.Int64
}

func newQueue(maxCommands, maxBytes int) *queue {
	return &queue{maxCommands: maxCommands, maxBytes: maxBytes, wake: make(chan struct{}, 1)}
}

// add takes a new proposal in, or returns a CodeQueueFull error.
func (q *queue) add(p *proposal) *Error {
	q.mu.Lock()
	defer q.mu.Unlock()
	// A single command is taken in at any size while nothing else is there.
	commands, bytes := q.size()
	if commands >= q.maxCommands || (commands > 0 && bytes+p.size > q.maxBytes) {
		return errorf(command.CodeQueueFull, "%d commands of %d bytes are waiting", commands, bytes)
	}
	q.commands.Add(1)
	q.bytes.Add(int64(p.size))
	p.onFinish = q.release
	list := &q.own
	if p.forwarded {
		list = &q.forwarded
	}
	if len(*list) > 2*q.maxCommands { // given up while nothing could be sent
		*list = slices.DeleteFunc(*list, (*proposal).over)
	}
	*list = append(*list, p)
	q.signal()
	return nil
}

func (q *queue) release(p *proposal) {
	q.commands.Add(-1)
	q.bytes.Add(int64(-p.size))
}

// again puts own proposals back to the front.
func (q *queue) again(ps []*proposal) {
	if len(ps) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.own = append(slices.Clone(ps), q.own...)
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take removes the next proposals, at most count of them and at most size bytes unless the first alone has more. Own and
// forwarded ones take turns; own ones are left where own is false.
func (q *queue) take(count, size int, own bool) []*proposal {
	q.mu.Lock()
	defer q.mu.Unlock()
	var taken []*proposal
	bytes := 0
	turn := false
	for len(taken) < count {
		turn = !turn
		list := &q.forwarded
		if own && len(q.own) > 0 && (turn || len(q.forwarded) == 0) {
			list = &q.own
		}
		if len(*list) == 0 {
			break
		}
		p := (*list)[0]
		if len(taken) > 0 && bytes+p.size > size {
			break
		}
		*list = (*list)[1:]
		bytes += p.size
		taken = append(taken, p)
	}
	return taken
}

// takeForwarded removes all forwarded proposals.
func (q *queue) takeForwarded() []*proposal {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.forwarded
	q.forwarded = nil
	return taken
}

// size returns the commands and bytes that are not finished.
func (q *queue) size() (commands, bytes int) {
	return int(q.commands.Load()), int(q.bytes.Load())
}
