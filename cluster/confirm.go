package cluster

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/hashicorp/raft"

	"dapple/command"
)

// confirmPause is how long a voter is left alone after a call to it has failed, so that rounds which can do without it do not dial it
// each time.
const confirmPause = 20 * time.Millisecond

// confirmation is a moment at which this node surely led.
type confirmation struct {
	term  uint64
	at    time.Time // before any voter was asked
	index uint64    // what was committed then
}

// confirmer asks the voters whether this node leads. It belongs to the goroutine that runs its rounds.
type confirmer struct {
	n *Node
	// turns hold, for each voter, the one call that may be on its way.
	turns map[raft.ServerID]chan struct{}
}

// round returns what is committed, once a majority of the voters has answered that it knows no later term than this leader's.
//
// A later leader would have been elected by a majority, which stores its term before it grants a vote and never goes back; two
// majorities have a voter in common. So no later leader had been elected when the round began, and what is committed here is all
// that any node can have answered from. See DESIGN.md.
func (f *confirmer) round() (uint64, *Error) {
	n := f.n
	v, c := n.views.get(), n.consensus.Load()
	if !v.leading {
		return 0, errorf(command.CodeNotLeader, "this node does not lead")
	}
	if !v.ready {
		return 0, errorf(command.CodeNotReady, "the new leader has not caught up")
	}
	now := confirmation{term: v.term, at: time.Now(), index: c.raft.CommitIndex()}
	ctx, cancel := context.WithTimeout(v.epoch, n.cfg.Heartbeat)
	defer cancel()
	if err := f.ask(ctx, c.id, v.term); err != nil {
		return 0, err
	}
	// This node's own answer, the last of them.
	if c.raft.CurrentTerm() != v.term || c.raft.State() != raft.Leader {
		return 0, errorf(command.CodeNotLeader, "the leader changed")
	}
	n.confirmed.Store(&now)
	return now.index, nil
}

// ask returns nil once a majority of the voters, this node among them where it is one, has the term. It does not wait for the
// others.
func (f *confirmer) ask(ctx context.Context, own raft.ServerID, term uint64) *Error {
	servers := f.n.servers()
	terms := make(chan uint64, len(servers))
	voters, have := 0, 0
	for _, s := range servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		voters++
		if s.ID == own {
			have++
		}
	}
	need := voters/2 + 1
	if have >= need {
		return nil
	}
	for _, s := range servers {
		if s.Suffrage == raft.Voter && s.ID != own {
			turn := f.turn(s.ID)
			f.n.tasks.Go(func() { f.n.askTerm(ctx, turn, s, terms) })
		}
	}
	return count(ctx, terms, term, need-have, voters-have)
}

// count takes the answers of so many voters, 0 for one that gave none, until enough have the term or cannot any more.
func count(ctx context.Context, terms <-chan uint64, term uint64, need, voters int) *Error {
	for need > 0 {
		if voters < need {
			return errorf(command.CodeNotLeader, "too few voters confirm the leader")
		}
		select {
		case got := <-terms:
			voters--
			switch {
			case got > term:
				return errorf(command.CodeNotLeader, "a voter is in term %d, later than the leader's %d", got, term)
			case got == term:
				need--
			}
		case <-ctx.Done():
			return errorf(command.CodeNotLeader, "too few voters confirm the leader in time")
		}
	}
	return nil
}

func (f *confirmer) turn(id raft.ServerID) chan struct{} {
	if f.turns[id] == nil {
		f.turns[id] = make(chan struct{}, 1)
	}
	return f.turns[id]
}

// askTerm asks one voter, unless the round ends before its turn comes. The call itself outlives the round: cutting it off would cost
// a connection each time that a voter is the slower one.
func (n *Node) askTerm(ctx context.Context, turn chan struct{}, s raft.Server, terms chan<- uint64) {
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-turn }()
	call, cancel := context.WithTimeout(n.ctx, n.cfg.Heartbeat)
	defer cancel()
	term, ok := n.callConfirm(call, s)
	terms <- term
	if !ok {
		n.sleep(confirmPause, nil)
	}
}

// callConfirm returns the term of a voter; false where it, and no other server at its address, gave none.
func (n *Node) callConfirm(ctx context.Context, s raft.Server) (term uint64, ok bool) {
	code, body, err := n.transport.Call(ctx, string(s.Address), methodConfirm, nil)
	if err != nil || code != command.CodeOK {
		return 0, false
	}
	term, k := binary.Uvarint(body)
	if k <= 0 || string(body[k:]) != string(s.ID) {
		return 0, false
	}
	return term, true
}

// handleConfirm answers with this server's current term and its id. Raft keeps the term on disk before it can be seen here.
func (n *Node) handleConfirm(context.Context, []byte) (command.Code, []byte) {
	c := n.consensus.Load()
	if c == nil {
		return command.CodeNotReady, nil
	}
	return command.CodeOK, append(binary.AppendUvarint(nil, c.raft.CurrentTerm()), c.id...)
}
