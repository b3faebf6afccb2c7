package cluster

import (
	"log/slog"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// startGrace is how long after a start it is no news that there is no leader yet and that other members are not there: they
// may be starting too.
const startGrace = 15 * time.Second

// expectation says when a message that Raft logs as a warning or an error is an event of a healthy start, join or stop. It is
// then logged at the level given. In all other circumstances it stays what it is.
type expectation struct {
	level    slog.Level
	expected func(n *Node, a raftArgs) bool
}

// raftArgs are the arguments of one of Raft's messages.
type raftArgs []any

func (a raftArgs) get(key string) any {
	for i := 0; i+1 < len(a); i += 2 {
		if a[i] == key {
			return a[i+1]
		}
	}
	return nil
}

func (a raftArgs) index(key string) uint64 {
	v, _ := a.get(key).(uint64)
	return v
}

// expectations are Raft's messages that a healthy cluster gives rise to.
var expectations = map[string]expectation{
	// No leader: at the start, or because the leader has said that it stops.
	"heartbeat timeout reached, starting election": {slog.LevelInfo, func(n *Node, a raftArgs) bool {
		return n.starting() || n.leaderLeft(a.get("last-leader-id"))
	}},
	"heartbeat timeout reached, not part of a stable configuration or a non-voter, not triggering a leader election": {slog.LevelInfo, noLeaderYet},
	"not part of stable configuration, aborting election":                                                            {slog.LevelInfo, noLeaderYet},
	"no known peers, aborting election":                                                                              {slog.LevelInfo, noLeaderYet},
	"Election timeout reached, restarting election":                                                                  {slog.LevelInfo, noLeaderYet},
	"rejecting vote request since our last index is greater":                                                         {slog.LevelInfo, noLeaderYet},
	"rejecting pre-vote request since our last index is greater":                                                     {slog.LevelInfo, noLeaderYet},
	"rejecting vote request since our last term is greater":                                                          {slog.LevelInfo, noLeaderYet},
	"rejecting pre-vote request since our last term is greater":                                                      {slog.LevelInfo, noLeaderYet},
	// A member that has just come back may stand before the leader has found it.
	"rejecting vote request since we have a leader":     {slog.LevelInfo, fromReturned},
	"rejecting pre-vote request since we have a leader": {slog.LevelInfo, fromReturned},

	// A member that has said that it stops. These come again and again while it is away.
	"failed to make requestVote RPC":          {slog.LevelDebug, func(n *Node, a raftArgs) bool { return n.starting() || toLeaving(n, a) }},
	"failed to contact":                       {slog.LevelInfo, lateContact},
	"failed to appendEntries to":              {slog.LevelDebug, toLeaving},
	"failed to heartbeat to":                  {slog.LevelDebug, toLeaving},
	"failed to pipeline appendEntries":        {slog.LevelDebug, toLeaving},
	"failed to start pipeline replication to": {slog.LevelDebug, toLeaving},
	"failed to install snapshot":              {slog.LevelDebug, toLeaving},
	"failed to send snapshot to":              {slog.LevelDebug, toLeaving},
	"failed to contact quorum of nodes, stepping down": {slog.LevelInfo, func(n *Node, _ raftArgs) bool {
		return n.stopping.Load() || n.majorityLeft()
	}},

	// A member whose log is behind: it is new, or was away.
	"failed to get previous log": {slog.LevelInfo, func(_ *Node, a raftArgs) bool {
		return a.index("previous-index") > a.index("last-index")
	}},
	"appendEntries rejected, sending older logs": {slog.LevelInfo, func(n *Node, a raftArgs) bool { return n.mayBeBehind(a) }},

	// This node has just started, and its state holds all that is committed: Raft does not count the state before that.
	"skipping application of old log": {slog.LevelInfo, func(n *Node, _ raftArgs) bool { return n.justStarted() }},

	// This node's own stop.
	"peer has newer term, stopping replication": {slog.LevelInfo, stopping},
	"failed to decode incoming command":         {slog.LevelDebug, cutOff},
	"failed to flush response":                  {slog.LevelDebug, cutOff},
}

func stopping(n *Node, _ raftArgs) bool { return n.stopping.Load() }

func noLeaderYet(n *Node, _ raftArgs) bool {
	return n.starting() || n.majorityLeft() || n.leaderLeft(n.views.get().lastLeader)
}

// toLeaving tells that the message is of a member that stops or has not started yet, or that this node stops itself.
func toLeaving(n *Node, a raftArgs) bool {
	id := n.serverOf(a)
	return n.stopping.Load() || (id != "" && (n.reach.isLeaving(id) || n.notHereYet(id)))
}

// lateContact tells that the answer to a heartbeat is late by less than the lease. The next check finds it longer if the member
// has died.
func lateContact(n *Node, a raftArgs) bool {
	late, ok := a.get("time").(time.Duration)
	return toLeaving(n, a) || (ok && late < 2*n.cfg.Lease)
}

// cutOff tells that connections end because this node stops or another one does.
func cutOff(n *Node, _ raftArgs) bool { return n.stopping.Load() || n.someoneLeft() }

func fromReturned(n *Node, a raftArgs) bool {
	from, _ := a.get("from").(raft.ServerAddress)
	id := n.serverAt(from)
	return n.starting() || (id != "" && (n.reach.isLeaving(id) || n.reach.isBack(id)))
}

// starting tells that this node has not known a leader yet and has only just started.
func (n *Node) starting() bool { return !n.sawLeader.Load() && n.justStarted() }

func (n *Node) justStarted() bool {
	since := n.raftSince.Load()
	return since == nil || time.Since(*since) < startGrace
}

// leaderLeft tells that the leader of that id has said that it stops.
func (n *Node) leaderLeft(id any) bool {
	switch id := id.(type) {
	case raft.ServerID:
		return id != "" && n.reach.isLeaving(string(id))
	case string:
		return id != "" && n.reach.isLeaving(id)
	}
	return false
}

// mayBeBehind tells that this leader has only just begun to send its log to a member, because it leads since a moment ago, or
// the member is new or was away. Then neither knows yet where the logs part.
func (n *Node) mayBeBehind(a raftArgs) bool {
	if since := n.leadSince.Load(); since == nil || time.Since(*since) < settleTime {
		return true
	}
	if s, ok := a.get("peer").(raft.Server); ok && s.Suffrage != raft.Voter {
		return true
	}
	id := n.serverOf(a)
	return id != "" && (n.reach.isLeaving(id) || n.reach.isBack(id))
}

// isBack tells that a member does not answer, or has only just begun to answer again.
func (r *reach) isBack(id string) bool {
	p := r.peer(id)
	return p.failures > 0 || time.Since(p.again) < settleTime
}

// serverOf returns the id of the member that a message is of, empty where it names none.
func (n *Node) serverOf(a raftArgs) string {
	for _, key := range []string{"peer", "target", "server-id"} {
		switch v := a.get(key).(type) {
		case raft.Server:
			return string(v.ID)
		case raft.ServerID:
			return string(v)
		case raft.ServerAddress:
			return n.serverAt(v)
		}
	}
	return ""
}

// serverAt returns the id of the member at an address, empty for none.
func (n *Node) serverAt(address raft.ServerAddress) string {
	for _, s := range n.servers() {
		if s.Address == address {
			return string(s.ID)
		}
	}
	return ""
}

// raftLevelOnce is raftLevel, except that a warning or error about a member that is away keeps its level once per interval:
// Raft repeats them several times per second.
func (n *Node) raftLevelOnce(level slog.Level, message string, args []any) slog.Level {
	at := n.raftLevel(level, message, args)
	if at < slog.LevelWarn {
		return at
	}
	id := n.serverOf(args)
	if id == "" || n.reach.peer(id).failures == 0 {
		return at
	}
	return n.repeats.level(at, message+" "+id)
}

// raftLevel returns the level at which a message of Raft is logged.
func (n *Node) raftLevel(level slog.Level, message string, args []any) slog.Level {
	if level < slog.LevelWarn {
		return level
	}
	e, known := expectations[strings.TrimSpace(message)]
	if known && e.expected(n, args) {
		return min(level, e.level)
	}
	return level
}
