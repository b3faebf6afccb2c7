package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// handOverTime bounds how long a stop waits for another voter to lead: a transfer takes an election at most, and a stall of the
// disk may come before it. What is left of the time for the stop is for requests and the store.
const handOverTime = 2 * time.Second

// Shutdown hands over the leadership where this node has it, tells the other members that it stops, and stops everything. It
// returns early, with what it waited for, when ctx ends first.
func (n *Node) Shutdown(ctx context.Context) error {
	n.mu.Lock()
	if n.stopped {
		n.mu.Unlock()
		return nil
	}
	n.stopped = true
	n.mu.Unlock()
	n.stopping.Store(true)
	done := make(chan error, 1)
	go func() {
		n.handOver(ctx)
		n.leaving.Store(true) // an answer to a poll would say that this node is back
		n.notify(ctx, true)
		n.cancel()
		done <- n.closeParts()
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		n.cancel()
		return fmt.Errorf("cluster: shutdown: %w", ctx.Err())
	}
}

// HandOver begins a stop: it lets another voter lead where this node does. The node goes on as a follower until Shutdown: it
// can still take commands, and so finish what it has begun. It waits for ctx at most.
func (n *Node) HandOver(ctx context.Context) {
	n.stopping.Store(true)
	n.handOver(ctx)
}

// handOver lets another voter lead, so that writes go on at once: the one that answers and is furthest.
func (n *Node) handOver(ctx context.Context) {
	c := n.consensus.Load()
	if c == nil || c.raft.State() != raft.Leader || n.ctx.Err() != nil {
		return
	}
	n.transferTo(ctx, n.successor(""))
}

// successor returns the voter, other than this node and the one excepted, that answers and is furthest; none where no other is left.
func (n *Node) successor(except raft.ServerID) (to raft.Server) {
	var best poll
	for _, s := range n.servers() {
		id := string(s.ID)
		if s.Suffrage != raft.Voter || s.ID == except || id == n.serverID() || n.reach.isAway(id) {
			continue
		}
		if p := n.polled(id); to.ID == "" || (p.ok && (!best.ok || p.applied > best.applied)) {
			to, best = s, p
		}
	}
	return to
}

// transferTo hands the leadership to a voter, where there is one, and waits until that has worked or not.
func (n *Node) transferTo(ctx context.Context, to raft.Server) {
	if to.ID == "" {
		return
	}
	c := n.consensus.Load()
	// Raft answers when it comes to it: not while it writes its log, and never once it has stopped.
	ctx, cancel := context.WithTimeout(ctx, max(handOverTime, 2*n.cfg.Election))
	defer cancel()
	transfer := c.raft.LeadershipTransferToServer(to.ID, to.Address)
	done := make(chan error, 1)
	go func() { done <- transfer.Error() }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		n.log.Warn("leadership was not handed over", "to", to.ID, "error", err)
		return
	}
	n.log.Info("leadership was handed over", "to", to.ID)
}

// closeParts stops what runs, in this order: Raft first, since calls and tasks may wait for its answers; the tasks; the port,
// whose handlers may use all of it; the store last.
func (n *Node) closeParts() error {
	var errs []error
	wait := answerTimeout
	if n.voters() > 1 && n.majorityLeft() {
		wait = lonelyTimeout
	}
	if c := n.consensus.Load(); c != nil {
		errs = append(errs, c.stop(wait))
	}
	if n.transport != nil {
		errs = append(errs, n.transport.Close())
	}
	n.tasks.Wait()
	// A node that was just becoming a member may have started Raft meanwhile.
	if c := n.consensus.Load(); c != nil {
		errs = append(errs, c.stop(wait))
	}
	n.views.stop()
	if n.store != nil {
		errs = append(errs, n.store.close())
	}
	return errors.Join(errs...)
}
