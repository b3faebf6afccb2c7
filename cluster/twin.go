package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"dapple/command"
)

// A copy of a member's folder, started elsewhere, is the same server to all others: it could vote once more in a term, and take
// over the member's address. Each process has a number of its own, by which two of one server are told apart.

// twinMessage says that a server runs twice.
func twinMessage(name, address string) string {
	return fmt.Sprintf("%s runs already at %s: one of the two data folders is a copy of the other. Keep one of the nodes, and let the other start with an empty folder and a node id of its own",
		name, address)
}

// answersAsOther reports whether a server answers at an address, by another process than the one given.
func (n *Node) answersAsOther(ctx context.Context, serverID, address, process string) bool {
	if serverID == n.serverID() && address == n.cfg.ClusterAdvertise {
		return process != n.process
	}
	var a pollMessage
	code, err := n.ask(ctx, address, methodPoll, nil, &a)
	known := process != "" && a.Process != "" // not of earlier versions
	return err == nil && code == command.CodeOK && a.ServerID == serverID && known && a.Process != process
}

// checkTwin refuses to start where this folder's server answers at the address that it had before. It is asked before Raft runs.
func (n *Node) checkTwin() error {
	before := n.currentMeta().Address
	if before == n.cfg.ClusterAdvertise {
		return nil
	}
	if before != "" && n.answersAsOther(n.ctx, n.serverID(), before, n.process) {
		return fmt.Errorf("the node does not start: %s", twinMessage(n.cfg.NodeID, before))
	}
	return n.updateMeta(func(m *meta) { m.Address = n.cfg.ClusterAdvertise })
}

// refuseTwin returns what is said to a server that wants another address while it answers at the one that it has, "" otherwise.
func (n *Node) refuseTwin(ctx context.Context, q joinMessage, s raft.Server) string {
	if !n.answersAsOther(ctx, string(s.ID), string(s.Address), q.Process) {
		return ""
	}
	return twinMessage(q.Name, string(s.Address))
}

// twinPatience is for how many heartbeat timeouts a member may know no leader before it makes its address known again: the leader
// may be sending to a copy of it.
const twinPatience = 20

// missesLeader returns when this node has known no leader for so long, or false when the node ends.
func (n *Node) missesLeader(patience time.Duration) bool {
	var since time.Time
	for n.ctx.Err() == nil {
		v := n.views.get()
		var over <-chan time.Time
		if v.leading || v.leaderID != "" {
			since = time.Time{}
		} else {
			if since.IsZero() {
				since = time.Now()
			}
			over = time.After(patience - time.Since(since))
		}
		select {
		case <-over:
			return true
		case <-v.changed:
		case <-n.ctx.Done():
		}
	}
	return false
}
