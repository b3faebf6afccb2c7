package cluster

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"dapple/command"
	"dapple/transport"
)

// Roles of a node.
const (
	RoleLeader    = "leader"
	RoleFollower  = "follower"
	RoleCandidate = "candidate"
	RoleLearner   = "learner" // takes part without a vote
	RoleJoining   = "joining" // no member yet
	RoleVoter     = "voter"   // of a Member: leader, follower or candidate
)

// Status is what a node knows of itself and of its cluster.
type Status struct {
	NodeID     string `json:"node_id"`
	ServerID   string `json:"server_id"`
	ClusterID  string `json:"cluster_id,omitempty"` // in hexadecimal
	Version    string `json:"version"`
	Role       string `json:"role"`
	Phase      string `json:"phase,omitempty"` // what a node that is no member yet, or a forming cluster, waits for
	LeaderID   string `json:"leader_id,omitempty"`
	LeaderHTTP string `json:"leader_http,omitempty"`
	Term       uint64 `json:"term"`
	Commit     uint64 `json:"commit_index"`
	Applied    uint64 `json:"applied_index"`
	// LastContact is the age of the leader's last word in seconds, 0 on the leader, and negative where there was none.
	LastContact float64 `json:"last_contact_seconds"`
	// Members is as the leader sees them, without a leader as this node does.
	Members []Member `json:"members"`
	// Alarms are the faults of members that need an operator: as the leader and this node see them.
	Alarms []Alarm `json:"alarms,omitempty"`
}

// Member is one server of the membership.
type Member struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Address   string `json:"address"`
	HTTP      string `json:"http,omitempty"`
	Version   string `json:"version,omitempty"`
	Role      string `json:"role"`        // voter or learner
	Lag       uint64 `json:"lag_entries"` // committed entries that it has not applied, where Reachable
	Reachable bool   `json:"reachable"`
	// Features is the newest feature level that the member knows, 0 where it is not known.
	Features uint64 `json:"features,omitempty"`
	// UnreachableSince is since when calls to it have failed, zero where they have not.
	UnreachableSince time.Time `json:"unreachable_since,omitzero"`
}

// Missing is a member that does not answer.
type Missing struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since"`
}

// Status returns the node's state. Where another node leads, the members are asked from it, within ctx and one second.
func (n *Node) Status(ctx context.Context) Status {
	s := n.localStatus()
	v := n.views.get()
	if v.leading || v.leaderAddr == "" {
		return s
	}
	var leaders Status
	code, err := n.ask(ctx, v.leaderAddr, methodStatus, nil, &leaders)
	if err != nil && v.epoch.Err() == nil {
		n.reach.suspect()
	}
	if err == nil && code == command.CodeOK {
		s.Members = leaders.Members
		s.Alarms = mergeAlarms(leaders.Alarms, s.Alarms)
		if s.LeaderHTTP == "" {
			s.LeaderHTTP = leaders.LeaderHTTP
		}
	}
	return s
}

func (n *Node) localStatus() Status {
	m := n.currentMeta()
	s := Status{
		NodeID: m.Name, ServerID: m.serverID(), ClusterID: m.Cluster, Version: n.cfg.Version,
		Role: RoleJoining, Phase: n.currentPhase(), Applied: n.cfg.Machine.AppliedIndex(), LastContact: -1, Members: []Member{},
	}
	c := n.consensus.Load()
	if c == nil {
		return s
	}
	v := n.views.get()
	s.Alarms = n.alarms.list()
	s.Role, s.Term, s.Commit = n.role(c), c.raft.CurrentTerm(), c.raft.CommitIndex()
	s.LeaderID, s.LeaderHTTP = v.leaderID, n.directory.get(n, v.leaderID).GetHttpAddress()
	s.LastContact = n.contactSeconds()
	if v.leading && v.ready && !v.open {
		s.Phase = n.formingMessage()
	}
	for _, server := range n.servers() {
		s.Members = append(s.Members, n.member(server, v, s.Commit))
	}
	return s
}

func (n *Node) role(c *consensus) string {
	switch c.raft.State() {
	case raft.Leader:
		return RoleLeader
	case raft.Candidate:
		return RoleCandidate
	}
	for _, s := range n.servers() {
		if s.ID == c.id && s.Suffrage == raft.Voter {
			return RoleFollower
		}
	}
	return RoleLearner
}

// contactSeconds returns the age of the leader's last word, 0 on the leader and -1 for none.
func (n *Node) contactSeconds() float64 {
	if n.IsLeader() {
		return 0
	}
	age, known := n.LeaderContact()
	if !known {
		return -1
	}
	return age.Seconds()
}

func (n *Node) member(s raft.Server, v view, commit uint64) Member {
	registered := n.directory.get(n, string(s.ID))
	m := Member{
		ID: string(s.ID), Name: nameOf(string(s.ID)), Address: string(s.Address), Role: RoleVoter,
		HTTP: registered.GetHttpAddress(), Version: registered.GetVersion(),
	}
	if s.Suffrage != raft.Voter {
		m.Role = RoleLearner
	}
	applied, reachable := uint64(0), false
	switch {
	case m.ID == n.serverID():
		applied, reachable = n.cfg.Machine.AppliedIndex(), true
		m.HTTP, m.Version, m.Features = n.cfg.HTTPAdvertise, n.cfg.Version, n.cfg.Features
	case v.leading:
		p := n.polled(m.ID)
		applied, reachable, m.Features = p.applied, p.ok, p.features
		m.UnreachableSince = n.reach.peer(m.ID).failing
	default:
		p := n.reach.peer(m.ID)
		applied, reachable, m.UnreachableSince = p.applied, p.answered, p.failing
	}
	m.Reachable = reachable
	if reachable && commit > applied {
		m.Lag = commit - applied
	}
	return m
}

// IsLeader tells whether Raft says that this node leads. Another may lead already.
func (n *Node) IsLeader() bool { return n.views.get().leading }

// LeaderHTTP returns the URL at which clients reach the leader; empty where it is not known.
func (n *Node) LeaderHTTP() string {
	v := n.views.get()
	if v.leading {
		return n.cfg.HTTPAdvertise
	}
	return n.directory.get(n, v.leaderID).GetHttpAddress()
}

// Ready returns nil when the cluster takes writes and this node has applied what the leader had committed when it was asked.
// Otherwise it says why not, for people, as an *Error.
func (n *Node) Ready(ctx context.Context) error {
	_, err := n.ReadyWithout(ctx)
	return err
}

// ReadyWithout is Ready and also returns the members that the leader cannot reach.
func (n *Node) ReadyWithout(ctx context.Context) ([]Missing, error) {
	if err := n.gone(); err != nil {
		return nil, err
	}
	if phase := n.currentPhase(); phase != "" {
		return nil, errorf(command.CodeNotReady, "%s", phase)
	}
	v := n.views.get()
	var c commitMessage
	switch {
	case v.leading:
		c = n.committed()
	case v.leaderAddr == "" || n.noQuorum() != nil:
		return nil, n.noLeader()
	default:
		code, err := n.ask(ctx, v.leaderAddr, methodCommit, nil, &c)
		if err != nil {
			if v.epoch.Err() == nil {
				n.reach.suspect()
			}
			return nil, &Error{Code: command.CodeNotReady, Message: "the leader cannot be reached", Err: err}
		}
		if code != command.CodeOK {
			return nil, errorf(command.CodeNotReady, "the leader answers with %s", code)
		}
	}
	if c.NotReady != "" {
		return nil, errorf(command.CodeNotReady, "%s", c.NotReady)
	}
	if err := n.cfg.Machine.WaitApplied(ctx, c.Commit); err != nil {
		return nil, &Error{Code: command.CodeNotReady, Err: err, Message: "this node has not caught up with the leader"}
	}
	return c.Missing, nil
}

// missing returns the members that this leader cannot reach.
func (n *Node) missing() (all []Missing) {
	for _, s := range n.servers() {
		if p := n.reach.peer(string(s.ID)); string(s.ID) != n.serverID() && !p.failing.IsZero() {
			all = append(all, Missing{Name: nameOf(string(s.ID)), Since: p.failing})
		}
	}
	return all
}

// committed is the leader's own answer to methodCommit.
func (n *Node) committed() commitMessage {
	v := n.views.get()
	c := n.consensus.Load()
	switch {
	case c == nil || !v.leading:
		return commitMessage{NotReady: "the leader has just changed"}
	case !v.ready:
		return commitMessage{NotReady: "the new leader has not caught up"}
	case !v.open:
		return commitMessage{NotReady: n.formingMessage()}
	}
	return commitMessage{Commit: c.raft.CommitIndex(), Missing: n.missing()}
}

func (n *Node) handleCommit(context.Context, []byte) (command.Code, []byte) {
	return answer(n.committed())
}

func (n *Node) handlePoll(ctx context.Context, body []byte) (command.Code, []byte) {
	if n.consensus.Load() == nil || n.leaving.Load() {
		return command.CodeNotReady, nil
	}
	var q pollQuestion
	if len(body) > 0 && json.Unmarshal(body, &q) != nil {
		return command.CodeInvalidValue, nil
	}
	if leader := n.views.get().leaderID; leader != "" && transport.PeerOf(ctx).Is(leader) {
		n.memories.learn(q.Marks)
		n.reconsider(q.Marks[n.serverID()], leader)
	}
	return answer(pollMessage{
		ServerID: n.serverID(), Run: n.run, Applied: n.cfg.Machine.AppliedIndex(), Features: n.cfg.Features, Digest: n.answerDigest(q),
		Disk: n.space.own(),
	})
}

func (n *Node) handleStatus(context.Context, []byte) (command.Code, []byte) {
	if !n.IsLeader() {
		return command.CodeNotLeader, nil
	}
	return answer(n.localStatus())
}

// directory remembers for a second what the state machine knows of the members, by server id.
type directory struct {
	mu   sync.Mutex
	read time.Time
	byID map[string]*command.RegisterSession
}

// get returns nil for a server that has registered no session.
func (d *directory) get(n *Node, id string) *command.RegisterSession {
	d.mu.Lock()
	defer d.mu.Unlock()
	// A member that is not known yet may just have registered.
	if d.byID[id] == nil || time.Since(d.read) > time.Second {
		if all, err := n.cfg.Machine.Registered(); err == nil {
			d.read, d.byID = time.Now(), make(map[string]*command.RegisterSession, len(all))
			for _, r := range all {
				d.byID[r.GetServerId()] = r
			}
		}
	}
	return d.byID[id]
}
