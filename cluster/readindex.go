package cluster

import (
	"context"
	"encoding/binary"
	"time"

	"dapple/command"
)

// ReadIndex returns an index of the log that is no lower than that of any state which a node had shown to anybody when ReadIndex was
// called. A state that has applied it is linearizable. It is asked for again, while leaders change, until ctx ends or, without a
// deadline, Config.ProposeTimeout has passed; an error is always an *Error.
func (n *Node) ReadIndex(ctx context.Context) (uint64, error) {
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	ctx, cancel = context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.reach.enough(), cancel)()
	for {
		if err := n.mayRead(); err != nil {
			return 0, err
		}
		if err := n.noQuorum(); err != nil {
			return 0, err
		}
		v := n.views.get()
		index, err := n.readIndex(ctx, v)
		if err == nil {
			return index, nil
		}
		if !n.awaitView(ctx, v, jitter(confirmPause)) {
			if lost := n.noQuorum(); lost != nil {
				err = lost
			}
			return 0, err
		}
	}
}

// mayRead returns the error of a node that is no member, or no more.
func (n *Node) mayRead() error {
	if err := n.gone(); err != nil {
		return err
	}
	if phase := n.currentPhase(); phase != "" {
		return errorf(command.CodeNotReady, "this node is no member of a cluster yet: %s", phase)
	}
	return nil
}

// readIndex asks once: the voters where this node leads, the leader otherwise.
func (n *Node) readIndex(ctx context.Context, v view) (uint64, *Error) {
	switch {
	case v.leading:
		return n.confirms.join(ctx, n.ctx)
	case v.leaderAddr != "":
		return n.asks.join(ctx, n.ctx)
	default:
		return 0, n.noLeader()
	}
}

// awaitView returns after d or when the view changes, and false when ctx or the node has ended.
func (n *Node) awaitView(ctx context.Context, v view, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-v.changed:
	case <-ctx.Done():
	case <-n.ctx.Done():
	}
	return ctx.Err() == nil && n.ctx.Err() == nil
}

// askLeader is a round of a follower: it asks the leader for a read index, on behalf of all that came before. The call ends with the
// leader's epoch, since one that is cut off may never answer.
func (n *Node) askLeader() (uint64, *Error) {
	v := n.views.get()
	if v.leading || v.leaderAddr == "" {
		return 0, errorf(command.CodeNoLeader, "the leader has just changed")
	}
	// The leader may have a round under way and needs another one.
	ctx, cancel := context.WithTimeout(v.epoch, 2*n.cfg.Heartbeat)
	defer cancel()
	code, body, err := n.transport.Call(ctx, v.leaderAddr, methodReadIndex, nil)
	if err != nil {
		if v.epoch.Err() == nil {
			n.reach.suspect()
		}
		return 0, &Error{Code: command.CodeNotReady, Message: "the leader cannot be reached", Err: err}
	}
	if code != command.CodeOK {
		return 0, errorf(code, "the leader answers: %s", body)
	}
	index, k := binary.Uvarint(body)
	if k <= 0 || k != len(body) {
		return 0, &Error{Code: command.CodeInternal, Message: "the leader's answer cannot be read", Err: errWire}
	}
	return index, nil
}

// handleReadIndex confirms this leader and answers with its commit index. It never asks another node.
func (n *Node) handleReadIndex(ctx context.Context, _ []byte) (command.Code, []byte) {
	index, err := n.confirms.join(ctx, n.ctx)
	if err != nil {
		return err.Code, []byte(err.Message)
	}
	return command.CodeOK, binary.AppendUvarint(nil, index)
}

// HeardWithin returns an error where this node has not heard from a leader within limit. A leader has where a majority of voters
// has confirmed it within limit, or does so now; the index is then what was committed at that moment, else 0.
func (n *Node) HeardWithin(ctx context.Context, limit time.Duration) (uint64, error) {
	if err := n.mayRead(); err != nil {
		return 0, err
	}
	for {
		v := n.views.get()
		if !v.leading {
			return 0, n.heardWithin(v, limit)
		}
		if last := n.confirmed.Load(); last != nil && last.term == v.term && time.Since(last.at) <= limit {
			return last.index, nil
		}
		index, err := n.confirms.join(ctx, n.ctx)
		if err == nil {
			return index, nil
		}
		// A leader that nobody confirms is none before long.
		if !n.awaitView(ctx, v, jitter(confirmPause)) {
			return 0, err
		}
	}
}

// heardWithin is HeardWithin of a node that does not lead.
func (n *Node) heardWithin(v view, limit time.Duration) error {
	at := n.lastHeard(v)
	if at.IsZero() {
		return errorf(command.CodeNotReady, "this node has not heard from a leader yet")
	}
	if age := time.Since(at); age > limit {
		return errorf(command.CodeNotReady, "this node has not heard from a leader for %s", age.Round(time.Millisecond))
	}
	return nil
}

// LeaderContact returns the age of the leader's last word, where this node leads of the last confirmation by a majority of the
// voters, and false where there never was one.
func (n *Node) LeaderContact() (time.Duration, bool) {
	at := n.lastHeard(n.views.get())
	return time.Since(at), !at.IsZero()
}

// lastHeard returns when this node last heard from a leader, or was confirmed as one; zero for never. Raft's own time is taken
// only while there is a leader: it is set to the present by a vote and by the end of a leadership too.
func (n *Node) lastHeard(v view) time.Time {
	c := n.consensus.Load()
	switch {
	case c == nil:
		return time.Time{}
	case v.leading:
		if last := n.confirmed.Load(); last != nil && last.term == v.term {
			return last.at
		}
		return v.heard
	case v.leaderID == "" || v.leaderID == string(c.id):
		return v.heard
	default:
		return c.raft.LastContact()
	}
}
