package httpapi

import (
	"context"
	"math"
	"time"

	"dapple/catalogue"
	"dapple/command"
)

// Proposer carries a command through the log. It is called by many goroutines at once.
type Proposer interface {
	// Propose returns what the state machine answered, a refusal included: that is a result whose code is not CodeOK. An
	// error means that there is no such answer; it has a method Code() command.Code, found by errors.As, that tells whether
	// the command is surely not done or of unknown outcome. The context's deadline bounds the call.
	Propose(ctx context.Context, t command.Type, issuer string, payload []byte) (command.Result, error)
	// Admit returns nil where commands are taken in now, and otherwise the error that Propose would return at once. It is asked
	// before the body of a request is read; requests and bytes are those of bodies that have been let in and are no commands yet.
	Admit(requests, bytes int) error
}

// View is a consistent view of the catalogue as of one index of the log. It is used by one goroutine and closed by whoever
// opened it.
type View interface {
	catalogue.View
	// Index is the log index of the last entry in the view.
	Index() uint64
	// Generation is Reader's as of the view, 0 where it is not known.
	Generation() uint64
	// Close releases the view; it is not used afterwards.
	Close()
}

// Reader opens views of this node's own copy of the catalogue.
type Reader interface {
	// View opens a view of the present state. An error has a Code() or means that the node is broken.
	View() (View, error)
	// AppliedIndex is the index of the last entry that this node has applied; it never goes back.
	AppliedIndex() uint64
	// Generation numbers what this node holds of accounts, identities, scopes, tokens and RSEs: while it stays the same, none of
	// them has changed. 0 means that nothing can be said.
	Generation() uint64
	// WaitApplied returns nil once AppliedIndex is at least index, or the context's error.
	WaitApplied(ctx context.Context, index uint64) error
}

// Freshness tells how far this node's state can be behind the cluster's. Errors have a method Code() command.Code.
type Freshness interface {
	// ReadIndex returns an index that is no lower than that of any state which a node had shown when it was called: a state that
	// has applied it is linearizable. It tries within the context's deadline.
	ReadIndex(ctx context.Context) (uint64, error)
	// HeardWithin returns nil where this node has heard from a leader within limit, or is one that a majority of voters has confirmed
	// within limit. The state may be shown once it has applied the index.
	HeardWithin(ctx context.Context, limit time.Duration) (index uint64, err error)
	// LeaderContact is the age of the leader's last word, on the leader of its last confirmation by a majority of voters, and false
	// where there never was one.
	LeaderContact() (age time.Duration, known bool)
}

// Cluster tells the operator's endpoints about this node and the others.
type Cluster interface {
	// Status describes the cluster as this node sees it. It answers within the context's deadline.
	Status(ctx context.Context) ClusterStatus
	// Ready returns nil where the node can serve reads and knows a leader that takes writes; otherwise the reason. Without an
	// error it also returns the members that the leader cannot reach.
	Ready(ctx context.Context) (missing []MissingMember, err error)
	// Digest waits until this node has digested its state as of the entry at index and returns the digest.
	Digest(ctx context.Context, index uint64) (digest string, err error)
}

// ClusterStatus is the answer of /cluster/status.
type ClusterStatus struct {
	NodeID       string         `json:"node_id"`
	ClusterID    string         `json:"cluster_id"`
	Version      string         `json:"version"`
	Role         string         `json:"role"`
	Leader       *ClusterLeader `json:"leader"`
	Term         uint64         `json:"term"`
	CommitIndex  uint64         `json:"commit_index"`
	AppliedIndex uint64         `json:"applied_index"`
	Members      []Member       `json:"members"`
	Alarms       []Alarm        `json:"alarms"`
}

// Alarm is a fault of a member that an operator has to look at.
type Alarm struct {
	// Reason is the label of dapple_cluster_alarms, Member the Raft server id.
	Reason string `json:"reason"`
	Member string `json:"member"`
	// Message says what is wrong and what to do.
	Message string `json:"message"`
	Since   string `json:"since"`
}

// NewAlarm returns an alarm that was raised at a time.
func NewAlarm(reason, member, message string, since time.Time) Alarm {
	return Alarm{Reason: reason, Member: member, Message: message, Since: since.UTC().Format(timeLayout)}
}

// ClusterLeader names the leader, where one is known.
type ClusterLeader struct {
	ID string `json:"id"`
	// HTTP is where clients reach it, as a URL.
	HTTP string `json:"http"`
}

// Member is one node of the cluster.
type Member struct {
	// ID is the Raft server id, Name the stable name of the node.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Address is where the other nodes reach it, HTTP where clients do, as a URL.
	Address string `json:"address"`
	HTTP    string `json:"http"`
	// Role is leader, follower, learner or unknown.
	Role string `json:"role"`
	// Lag is how many entries of the log the member has yet to take, where this node knows it.
	Lag *uint64 `json:"lag,omitempty"`
	// LastContact is the age of the last sign of life in seconds, where this node knows it.
	LastContact *float64 `json:"last_contact_seconds,omitempty"`
	// Reachable tells whether the leader reaches the member or, without a leader, whether this node does.
	Reachable bool `json:"reachable"`
	// UnreachableSince is since when it has not answered, UnreachableSeconds how long that is; both only where it does not.
	UnreachableSince   string   `json:"unreachable_since,omitempty"`
	UnreachableSeconds *float64 `json:"unreachable_seconds,omitempty"`
}

// MissingMember is a member that does not answer.
type MissingMember struct {
	Name  string
	Since time.Time
}

// SetUnreachable says since when the member has not answered.
func (m *Member) SetUnreachable(since time.Time) {
	seconds := math.Round(time.Since(since).Seconds()*10) / 10
	m.UnreachableSince, m.UnreachableSeconds = since.UTC().Format(timeLayout), &seconds
}
