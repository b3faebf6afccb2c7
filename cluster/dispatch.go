package cluster

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"dapple/command"
)

// dispatcher sends what waits in the queue, in groups: into this node's own log where it leads, to the leader otherwise.
type dispatcher struct {
	n        *Node
	local    chan struct{}   // a token for each group in this node's log
	answered chan struct{}   // holds a token when one of these is over
	remote   chan struct{}   // a token for each group on its way to the leader
	failures atomic.Int32    // groups in a row that came back
	epoch    context.Context // of the leader that they came back from
	sending  sync.WaitGroup
}

// dispatch runs until the node ends.
func (n *Node) dispatch() {
	d := &dispatcher{
		n: n, local: make(chan struct{}, n.cfg.GroupsInFlight), remote: make(chan struct{}, n.cfg.ForwardsInFlight),
		answered: make(chan struct{}, 1),
	}
	defer d.sending.Wait()
	for n.ctx.Err() == nil {
		d.step()
	}
}

// step sends at most one group, or waits for something to change.
func (d *dispatcher) step() {
	n := d.n
	v := n.views.get()
	s := n.session.Load()
	if d.epoch != v.epoch { // a new leader does not inherit the waits that the old one has earned, nor its speed
		d.epoch = v.epoch
		d.failures.Store(0)
		n.queue.newLeader()
	}
	slots := d.remote
	switch {
	case v.leading && v.ready && v.open && !n.reach.cut.Load():
		slots = d.local
	case v.leading:
		n.queue.relax()
		d.wait(v, false)
		return
	default:
		// Never forwarded again: the node that they came from finds the leader itself.
		for _, p := range n.queue.takeForwarded() {
			p.fail(errorf(command.CodeNotLeader, "this node does not lead"))
		}
		if v.leaderAddr == "" || s == nil {
			n.queue.relax()
			d.wait(v, true)
			return
		}
	}
	if k := d.failures.Load(); k > 0 && !n.sleep(jitter(min(10*time.Millisecond<<min(k, 6), 300*time.Millisecond)), v.changed) {
		return
	}
	if !d.enter(v, slots) {
		return
	}
	ps := n.queue.take(n.cfg.GroupCommands, n.cfg.GroupBytes, s != nil)
	if len(ps) == 0 {
		<-slots
		d.wait(v, true)
		return
	}
	ps, commands := prepareAll(ps, s)
	if v.leading {
		ps, commands = d.passGate(ps, commands)
	}
	if len(ps) == 0 {
		<-slots
		return
	}
	if v.leading {
		d.append(ps, commands)
	} else {
		d.forward(v, ps, commands)
	}
}

// wait returns when the view changes or, where added is set, something was added to the queue.
func (d *dispatcher) wait(v view, added bool) {
	wake := d.n.queue.wake
	if !added {
		wake = nil
	}
	select {
	case <-wake:
	case <-v.changed:
	case <-d.n.ctx.Done():
	}
}

// enter takes a slot for a group. It returns false where something has changed meanwhile and the step is to begin anew.
func (d *dispatcher) enter(v view, slots chan<- struct{}) bool {
	if v.leading && len(d.local) > 0 && !d.n.queue.worthEntry() {
		d.gather(v)
		return false
	}
	select {
	case slots <- struct{}{}:
		return true
	case <-v.changed:
	case <-d.n.ctx.Done():
	}
	return false
}

// gather lets commands come together while a group is in flight: each entry costs every node a sync.
func (d *dispatcher) gather(v view) {
	select {
	case <-d.answered:
	case <-d.n.queue.filled:
	case <-v.changed:
	case <-d.n.ctx.Done():
	}
}

// prepareAll makes the copies that are sent; proposals that were given up fall out.
func prepareAll(ps []*proposal, s *session) ([]*proposal, []command.Command) {
	live := ps[:0]
	commands := make([]command.Command, 0, len(ps))
	for _, p := range ps {
		if c, ok := p.prepare(s); ok {
			live, commands = append(live, p), append(commands, c)
		}
	}
	return live, commands
}

// append puts a group into this node's log. Entries are stamped and handed to Raft in one order; only the wait for their
// outcome goes on in the background.
func (d *dispatcher) append(ps []*proposal, commands []command.Command) {
	n := d.n
	c := n.consensus.Load()
	var waits []func()
	for _, e := range encodeGroup(n.clock.stamp, commands) {
		part := ps[:e.count]
		ps = ps[e.count:]
		if e.err != nil {
			d.bounce(part, true, e.err)
			continue
		}
		n.metrics.entry(e)
		future := c.applyEntry(e.data)
		waits = append(waits, func() {
			results, sure, failure := c.outcome(future, len(part))
			if failure != nil {
				d.bounce(part, sure, failure)
				return
			}
			n.queue.answered(part)
			for i, p := range part {
				d.settle(p, results[i])
			}
		})
	}
	d.sending.Go(func() {
		defer func() {
			<-d.local
			signal(d.answered)
		}()
		for _, wait := range waits {
			wait()
		}
	})
}

// forward sends a group to the leader. The call is abandoned when another leader is seen, since an old one may never answer.
func (d *dispatcher) forward(v view, ps []*proposal, commands []command.Command) {
	n := d.n
	n.metrics.forwardedOut.Add(float64(len(commands)))
	d.sending.Go(func() {
		defer func() { <-d.remote }()
		ctx, cancel := context.WithTimeout(v.epoch, callTime(ps, n.cfg.ForwardTimeout))
		defer cancel()
		outcomes, sure, failure := n.callPropose(ctx, v, commands)
		if failure != nil {
			d.bounce(ps, sure, failure)
			return
		}
		n.queue.answered(done(ps, outcomes))
		for i, p := range ps {
			if err := outcomes[i].err; err != nil {
				if err.Code == command.CodeQueueFull {
					n.queue.leaderRefused()
				}
				d.bounce(ps[i:i+1], err.Code != command.CodeUnknownOutcome && err.Code != command.CodeInternal, err)
				continue
			}
			d.settle(p, outcomes[i].result)
		}
	})
}

// done returns the proposals that the leader has answered: how soon it refuses one says nothing of how long answers take.
func done(ps []*proposal, outcomes []proposed) (answered []*proposal) {
	for i, p := range ps {
		if outcomes[i].err == nil {
			answered = append(answered, p)
		}
	}
	return answered
}

// callTime is as long as one of the callers still waits, and at most limit.
func callTime(ps []*proposal, limit time.Duration) time.Duration {
	var last time.Time
	for _, p := range ps {
		if p.deadline.After(last) {
			last = p.deadline
		}
	}
	return min(max(time.Until(last), time.Millisecond), limit)
}

// settle gives a proposal its result.
func (d *dispatcher) settle(p *proposal, r command.Result) {
	d.failures.Store(0)
	again, lost := p.answered(r)
	d.n.loseSession(lost)
	if again {
		d.n.queue.again([]*proposal{p})
	}
}

// bounce sends proposals again that brought no result, or ends them where that is no use.
func (d *dispatcher) bounce(ps []*proposal, sure bool, why *Error) {
	var again []*proposal
	for _, p := range ps {
		if p.bounced(sure, why) {
			again = append(again, p)
		}
	}
	if len(again) > 0 {
		d.failures.Add(1)
	}
	d.n.queue.again(again)
}
