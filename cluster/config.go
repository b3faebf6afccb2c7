package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"dapple/command"
	"dapple/transport"
)

// StateMachine is what the package needs of the state machine. Its methods but Apply, ApplyBatch, Snapshot and Restore
// may be called at any time and concurrently.
type StateMachine interface {
	// ApplyBatch and Apply answer a command entry with []command.Result, one per command in the order of the entry, or
	// with an error once the state machine has failed.
	raft.BatchingFSM
	// Snapshots lists what is durable without the log; empty for an empty state machine.
	Snapshots() raft.SnapshotStore
	// AppliedIndex is the log index up to which commands have taken effect.
	AppliedIndex() uint64
	// WaitApplied returns when AppliedIndex has reached index, or with the error of ctx or of the state machine.
	WaitApplied(ctx context.Context, index uint64) error
	// Position is AppliedIndex with the term of that entry.
	Position() (index, term uint64)
	// Contradicts reports whether another entry than that of the term was applied at an index; false where that is not known.
	Contradicts(index, term uint64) bool
	// ClusterID returns the cluster that Genesis named; false before Genesis.
	ClusterID() ([16]byte, bool)
	// Err returns why the state machine has stopped, nil while it works.
	Err() error
	// Registered returns the latest session of each node name.
	Registered() ([]*command.RegisterSession, error)
}

// Digests is what the package needs to compare the states of members. Its methods may be called at any time and concurrently.
type Digests interface {
	// LatestDigest returns the last digest that was made and the index of its entry; 0 for none.
	LatestDigest() (index uint64, digest string)
	// DigestAt returns the digest at an index, as long as it is kept.
	DigestAt(index uint64) (digest string, found bool)
	// Disown stops the state machine for good, because its state is not that of the cluster: it applies nothing more.
	Disown(err error)
}

// Config says what a node is and how it works. Zero limits and times mean the defaults given.
type Config struct {
	// NodeID is the stable name of the node: 1 to 63 letters, digits, dots, underscores and hyphens.
	NodeID string
	// DataDir is the folder of the node's own files; it must exist.
	DataDir string
	// ClusterAddr is the address to listen on for other nodes, host:port.
	ClusterAddr string
	// Listener is used in place of ClusterAddr where it is given.
	Listener net.Listener
	// ClusterAdvertise is the address at which other nodes reach this one; a name is resolved at each connection.
	// Empty is the address listened on.
	ClusterAdvertise string
	// HTTPAdvertise is the URL at which clients reach the node.
	HTTPAdvertise string
	// Version is the program's version.
	Version string
	// Features is the newest feature level that the program knows.
	Features uint64
	// Join holds the cluster addresses of other nodes; this node's own may be among them.
	Join []string
	// BootstrapExpect is how many nodes must take part in forming a cluster, the same on every node: more than half of the
	// distinct addresses of Join and this node, and more than those where not every node is told of all. 0 means all of them.
	BootstrapExpect int
	// Genesis makes the first command of a cluster that this node forms. A nil function, or an error, refuses to form one.
	Genesis func(clusterID [16]byte) (*command.Genesis, error)
	// Machine is the state machine; the caller closes it after Shutdown.
	Machine StateMachine
	// Check returns why an entry with the command would stop the state machine of a member, nil where it would not. The leader
	// asks before it appends a command, concurrently. A nil function lets all pass.
	Check func(*command.Command) *Error
	// Digests has the digests of the state, which members compare; nil compares none.
	Digests Digests
	// TLS makes connections between nodes mutual TLS.
	TLS *transport.TLSFiles
	// Key makes both sides of a connection between nodes prove a cluster key; not together with TLS.
	Key *transport.KeyFile
	// Insecure allows a port that other hosts reach without TLS or a cluster key.
	Insecure bool
	// JoinToken returns the token with which this node asks to become a member, "" for none. It is called at each try.
	JoinToken func() (string, error)
	// CheckJoinToken returns, on the leader, why the token of that digest does not let a server in; nil if it does. With no
	// function none does.
	CheckJoinToken func(digest [32]byte, serverID string) error
	// Hook disturbs the network in tests.
	Hook   transport.Hook
	Logger *slog.Logger

	Heartbeat  time.Duration // a follower without word from its leader for this long, to three times of it, stands for election: 500 ms
	Election   time.Duration // a candidate that is not elected in this long, to twice of it, tries again, at least Heartbeat: 500 ms
	Commit     time.Duration // a follower learns of a commit that nothing follows after this long, to twice of it: 10 ms
	Lease      time.Duration // a leader without word from a majority for this long steps down: 375 ms
	RPCTimeout time.Duration // one of Raft's calls between nodes, by 256 KiB for a snapshot: 5 s

	ProposeTimeout time.Duration // deadline of a proposal that has none: 10 s
	ForwardTimeout time.Duration // one call that brings commands to the leader: 5 s
	PollInterval   time.Duration // how often the leader asks every member how far it is: 500 ms
	RecallTime     time.Duration // how long a start waits at most for what the others remember of this node: 3 s
	StallLimit     time.Duration // a write of the log that takes longer is a failure of the node: 10 s
	PledgeTime     time.Duration // how long a pledge to let another node form the cluster holds: 10 s

	QueueCommands    int // commands proposed and not answered yet: 8192
	QueueBytes       int // bytes of them: 64 MiB
	GroupCommands    int // commands in one log entry: 512
	GroupBytes       int // bytes in one log entry before compression, unless one command has more: 256 KiB
	GroupsInFlight   int // entries that the leader has in work at a time: 2
	ForwardsInFlight int // calls with commands to the leader at a time: 4
	MaxCommand       int // bytes of one command's payload: 8 MiB
	LogBytes         int // size at which the log is cut, about: 64 MiB

	SnapshotInterval time.Duration // how often Raft looks, at most twice as long, whether the log is to be cut: 10 s

	// ReplicationStall is how long a member that answers may take no entries, while some wait, before an alarm is raised and, where
	// this node sends none, its replication is restarted. It is longer than Raft's longest pause after failures, 10 s: 30 s.
	ReplicationStall time.Duration

	// MinFreeDisk is how many bytes the file system of DataDir must have free before it counts as nearly full. 0 is 5 % of it, at
	// most 1 GiB; a negative value turns the watch off.
	MinFreeDisk int64
	// FreeDisk returns what the file system of DataDir has; nil asks the operating system.
	FreeDisk func() (DiskSpace, error)

	refuse func() error                                                 // of tests: makes appends to the log fail
	wrap   func(raft.ServerID, raft.AppendPipeline) raft.AppendPipeline // of tests: may replace a pipeline
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (c *Config) setDefaults() {
	setDefault(&c.Heartbeat, 500*time.Millisecond)
	setDefault(&c.Election, c.Heartbeat)
	setDefault(&c.Lease, c.Heartbeat*3/4)
	setDefault(&c.Commit, 10*time.Millisecond)
	setDefault(&c.RPCTimeout, 5*time.Second)
	setDefault(&c.ProposeTimeout, 10*time.Second)
	setDefault(&c.ForwardTimeout, 5*time.Second)
	setDefault(&c.PollInterval, 500*time.Millisecond)
	setDefault(&c.StallLimit, 10*time.Second)
	setDefault(&c.RecallTime, 3*time.Second)
	setDefault(&c.PledgeTime, 10*time.Second)
	setDefault(&c.QueueCommands, 8192)
	setDefault(&c.QueueBytes, 64<<20)
	setDefault(&c.GroupCommands, 512)
	setDefault(&c.GroupBytes, 256<<10)
	setDefault(&c.GroupsInFlight, 2)
	setDefault(&c.ForwardsInFlight, 4)
	setDefault(&c.MaxCommand, 8<<20)
	setDefault(&c.LogBytes, 64<<20)
	setDefault(&c.SnapshotInterval, 10*time.Second)
	setDefault(&c.ReplicationStall, 30*time.Second)
	if dir := c.DataDir; c.FreeDisk == nil {
		c.FreeDisk = func() (DiskSpace, error) { return freeDisk(dir) }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// validate checks what the defaults do not settle. ClusterAdvertise is known by now.
func (c *Config) validate() error {
	if !validName.MatchString(c.NodeID) {
		return fmt.Errorf("node id %q: 1 to 63 letters, digits, dots, underscores and hyphens are allowed", c.NodeID)
	}
	if c.DataDir == "" || c.Machine == nil {
		return errors.New("a data folder and a state machine are needed")
	}
	for _, address := range append(slices.Clone(c.Join), c.ClusterAdvertise) {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("cluster address %q: %w", address, err)
		}
	}
	n := len(c.addresses())
	setDefault(&c.BootstrapExpect, n)
	// It may be more than n: nodes that ask this one become known too.
	if 2*c.BootstrapExpect <= n {
		return fmt.Errorf("bootstrap-expect %d: with %d addresses, this node's included, it must be at least %d",
			c.BootstrapExpect, n, n/2+1)
	}
	return nil
}

// addresses returns the distinct addresses of Join and of this node, in order.
func (c *Config) addresses() []string {
	all := append(slices.Clone(c.Join), c.ClusterAdvertise)
	slices.Sort(all)
	return slices.Compact(all)
}

// raftConfig is Raft's configuration for a server id.
func (c *Config) raftConfig(id raft.ServerID, logger hclog.Logger) *raft.Config {
	r := raft.DefaultConfig()
	r.LocalID = id
	r.HeartbeatTimeout = c.Heartbeat
	r.ElectionTimeout = c.Election
	r.LeaderLeaseTimeout = c.Lease
	r.CommitTimeout = c.Commit
	r.MaxAppendEntries = 16 // entries may be 2 MiB
	r.BatchApplyCh = true
	r.NoSnapshotRestoreOnStart = true // the state machine is on disk already
	r.ShutdownOnRemove = false        // a removed node goes on answering reads until it is stopped
	r.SnapshotInterval = c.SnapshotInterval
	r.NoLegacyTelemetry = true
	r.Logger = logger
	return r
}
