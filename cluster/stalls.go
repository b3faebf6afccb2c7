package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// stalls watches, through one term of a leader, the replication to members that answer its polls. It belongs to the
// goroutine that leads.
type stalls struct {
	n     *Node
	term  uint64
	peers map[raft.ServerID]*stall
}

// stall is what has been seen of one member.
type stall struct {
	match    uint64
	advanced time.Time // when match was last seen to grow, or nothing to wait
	moved    time.Time // when Raft was last seen to try
	acted    time.Time // when the replication was restarted, or the leadership was to be moved
	restarts int       // since it last moved
}

func newStalls(n *Node, term uint64) *stalls {
	return &stalls{n: n, term: term, peers: map[raft.ServerID]*stall{}}
}

// look is called after each poll of the members.
//
// A member that takes nothing raises an alarm. Where requests go out and are refused, the member is at fault and says so in
// its own log. Where none go out or come back, this node's replication stands still: it is started again, and if that does
// not help, another voter is to lead.
func (s *stalls) look(ctx context.Context, last uint64) {
	now := time.Now()
	for _, server := range s.n.servers() {
		if id := string(server.ID); id != s.n.serverID() {
			s.lookAt(ctx, now, server, last)
		}
	}
}

func (s *stalls) lookAt(ctx context.Context, now time.Time, server raft.Server, last uint64) {
	n, limit := s.n, s.n.cfg.ReplicationStall
	p := n.progress.get(server.ID)
	seen := s.of(server.ID, now)
	match := p.match.Index
	if p.match.Term != s.term {
		match = 0 // nothing was acknowledged in this term yet
	}
	if p.answered.After(seen.moved) {
		seen.moved, seen.restarts = p.answered, 0
	}
	if match > seen.match || match >= last || p.sending > 0 || !n.polled(string(server.ID)).ok {
		*seen = stall{match: match, advanced: now, moved: now}
		n.clear(AlarmReplication, string(server.ID))
		return
	}
	if now.Sub(seen.advanced) < limit {
		return
	}
	name := nameOf(string(server.ID))
	if now.Sub(seen.moved) < limit {
		n.raise(AlarmReplication, string(server.ID), fmt.Sprintf(
			"%s refuses log entries after %d and falls behind (the log ends at %d): see its log", name, match, last))
		return
	}
	n.raise(AlarmReplication, string(server.ID), fmt.Sprintf(
		"replication to %s stands still at %d (the log ends at %d)", name, match, last))
	if now.Sub(seen.acted) < limit {
		return
	}
	seen.acted = now
	if seen.restarts++; seen.restarts == 1 {
		n.log.Warn("restarting the replication to a member", "member", server.ID, "match", match, "last", last)
		n.metrics.restarts.Inc()
		n.progress.cut(server.ID)
		return
	}
	n.log.Warn("restarting the replication did not help: another voter is to lead", "member", server.ID)
	n.transferTo(ctx, n.successor(server.ID))
}

func (s *stalls) of(id raft.ServerID, now time.Time) *stall {
	if s.peers[id] == nil {
		s.peers[id] = &stall{advanced: now, moved: now}
	}
	return s.peers[id]
}
