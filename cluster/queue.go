package cluster

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dapple/command"
)

const (
	// leaderPause is how long a node takes no commands in after the leader has refused some of it because its queue is full.
	leaderPause = 50 * time.Millisecond
	// A group of so much is worth a log entry of its own beside the one in flight.
	worthCommands = 32
	worthBytes    = 64 << 10
)

// queue holds proposals that wait to be sent. Its limits count every proposal until it is finished, also those that have
// been sent, so that what the node holds is bounded.
type queue struct {
	maxCommands, maxBytes int
	wake                  chan struct{} // holds a token when something was added
	filled                chan struct{} // holds a token when what waits has become worth an entry

	mu    sync.Mutex
	lanes []*lane // own proposals, then those of each other node that has some here
	turn  int     // the lane that is next
	count int     // of what waits
	bytes int
	limit limiter // of own proposals
	// refused is when the leader last refused proposals of this node because its own queue was full.
	refused time.Time

	all, own unfinished // proposals, and those of this node's clients alone
}

// unfinished counts proposals that are not finished. Not under the queue's mu: it goes down while a proposal's own lock is held, and that
// one may be taken under mu.
type unfinished struct{ commands, bytes atomic.Int64 }

func (u *unfinished) add(p *proposal, times int) {
	u.commands.Add(int64(times))
	u.bytes.Add(int64(times * p.size))
}

func (u *unfinished) load() load { return load{int(u.commands.Load()), int(u.bytes.Load())} }

// lane holds the proposals of one node, which take turns with those of the others.
type lane struct {
	from command.SessionID // zero for this node's own
	list []*proposal
}

func newQueue(maxCommands, maxBytes int) *queue {
	return &queue{
		maxCommands: maxCommands, maxBytes: maxBytes, lanes: []*lane{{}},
		wake: make(chan struct{}, 1), filled: make(chan struct{}, 1),
	}
}

// admit returns the CodeQueueFull error that a new proposal of this node would meet, nil where it would be taken in. coming is on its way
// to become proposals.
func (q *queue) admit(coming load) *Error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.refusal(time.Now(), 0, coming, false)
}

// refusal returns why a proposal of this size is not taken in, nil where it is. q.mu is held.
func (q *queue) refusal(now time.Time, size int, coming load, forwarded bool) *Error {
	// A single command is taken in at any size while nothing else is there.
	all, own := q.all.load(), q.own.load()
	switch {
	case all.commands >= q.maxCommands || (all.commands > 0 && all.bytes+size > q.maxBytes):
		return errorf(command.CodeQueueFull, "%d commands of %d bytes are waiting", all.commands, all.bytes)
	case forwarded:
		return nil
	case now.Sub(q.refused) < leaderPause:
		return errorf(command.CodeQueueFull, "more is asked of the cluster than it does: the leader takes no commands in")
	case q.limit.refuses(now, own, coming):
		sum := own.plus(coming)
		return errorf(command.CodeQueueFull, "more is asked of the cluster than it does: %d commands of %d bytes are waiting", sum.commands, sum.bytes)
	}
	return nil
}

// leaderRefused takes note that the leader's queue is full.
func (q *queue) leaderRefused() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refused = time.Now()
}

// add takes a new proposal in, or returns a CodeQueueFull error.
func (q *queue) add(p *proposal) *Error {
	q.mu.Lock()
	defer q.mu.Unlock()
	p.added = time.Now()
	if err := q.refusal(p.added, p.size, load{}, p.forwarded); err != nil {
		return err
	}
	q.all.add(p, 1)
	if !p.forwarded {
		q.own.add(p, 1)
	}
	p.onFinish = q.release
	l := q.laneOf(p)
	if len(l.list) > 2*q.maxCommands { // given up while nothing could be sent
		q.drop(l, (*proposal).over)
	}
	l.list = append(l.list, p)
	q.waits(p, 1)
	signal(q.wake)
	if q.isWorth() {
		signal(q.filled)
	}
	return nil
}

// relax ends the limit of own proposals: nothing could be sent, whoever would have asked for how much.
func (q *queue) relax() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limit.forget()
}

// newLeader ends the limit, too, and forgets how fast the leader before answered.
func (q *queue) newLeader() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limit = limiter{}
}

// answered takes note of how long the oldest of a group has waited for its answer.
func (q *queue) answered(ps []*proposal) {
	if len(ps) == 0 {
		return
	}
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	oldest := now
	for _, p := range ps {
		if p.added.Before(oldest) {
			oldest = p.added
		}
	}
	q.limit.answered(now, now.Sub(oldest), q.own.load())
}

// laneOf returns the lane of a proposal, a new one where its node has none.
func (q *queue) laneOf(p *proposal) *lane {
	if !p.forwarded {
		return q.lanes[0]
	}
	for _, l := range q.lanes[1:] {
		if l.from == p.cmd.Session {
			return l
		}
	}
	l := &lane{from: p.cmd.Session}
	q.lanes = append(q.lanes, l)
	return l
}

func (q *queue) waits(p *proposal, times int) {
	q.count += times
	q.bytes += times * p.size
}

func (q *queue) drop(l *lane, condition func(*proposal) bool) {
	l.list = slices.DeleteFunc(l.list, func(p *proposal) bool {
		if !condition(p) {
			return false
		}
		q.waits(p, -1)
		return true
	})
}

func (q *queue) isWorth() bool { return q.count >= worthCommands || q.bytes >= worthBytes }

// worthEntry reports whether what waits is worth a log entry beside the one in flight.
func (q *queue) worthEntry() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.isWorth()
}

func (q *queue) release(p *proposal) {
	q.all.add(p, -1)
	if !p.forwarded {
		q.own.add(p, -1)
	}
}

// again puts own proposals back to the front.
func (q *queue) again(ps []*proposal) {
	if len(ps) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lanes[0].list = append(slices.Clone(ps), q.lanes[0].list...)
	for _, p := range ps {
		p.added = time.Now() // the time until now is not the queue's
		q.waits(p, 1)
	}
	signal(q.wake)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take removes the next proposals, at most count of them and at most size bytes unless the first alone has more. The nodes that
// they came from take turns; own ones are left where own is false.
func (q *queue) take(count, size int, own bool) []*proposal {
	q.mu.Lock()
	defer q.mu.Unlock()
	var taken []*proposal
	bytes := 0
	for len(taken) < count {
		l := q.nextLane(own)
		if l == nil {
			break
		}
		p := l.list[0]
		if len(taken) > 0 && bytes+p.size > size {
			break
		}
		l.list = l.list[1:]
		q.waits(p, -1)
		bytes += p.size
		taken = append(taken, p)
		q.turn++
	}
	q.lanes = append(q.lanes[:1], slices.DeleteFunc(q.lanes[1:], func(l *lane) bool { return len(l.list) == 0 })...)
	return taken
}

// nextLane returns the lane whose turn it is among those that have a proposal, nil for none.
func (q *queue) nextLane(own bool) *lane {
	for range q.lanes {
		q.turn %= len(q.lanes)
		if l := q.lanes[q.turn]; len(l.list) > 0 && (own || q.turn > 0) {
			return l
		}
		q.turn++
	}
	return nil
}

// takeForwarded removes all forwarded proposals.
func (q *queue) takeForwarded() (taken []*proposal) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range q.lanes[1:] {
		for _, p := range l.list {
			q.waits(p, -1)
		}
		taken = append(taken, l.list...)
	}
	q.lanes = q.lanes[:1]
	return taken
}
