package cluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"dapple/command"
	"dapple/internal/halt"
	"dapple/transport"
)

// Node is one member of a cluster, or on its way to become one. Its methods may be called concurrently.
type Node struct {
	cfg       Config
	log       *slog.Logger
	run       string // of this process: two may have copies of one folder
	metrics   *metrics
	transport *transport.Transport
	store     *logStore // the life of the node owns it until Raft runs
	queue     *queue
	views     views
	clock     clock
	consensus atomic.Pointer[consensus] // nil until the node is a member
	session   atomic.Pointer[session]   // nil until one is registered
	directory directory
	confirms  *rounds                      // of this node as leader, asking the voters
	asks      *rounds                      // of this node as follower, asking the leader
	confirmed atomic.Pointer[confirmation] // the last of this node's leaderships; nil for none

	ctx    context.Context // ends with Shutdown or a failure
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	failed chan error
	once   sync.Once // of failed

	reach     *reach
	progress  *progress
	alarms    alarms
	memories  *memories
	repeats   repeats                   // of messages about members that do not answer, or may not join
	stopping  atomic.Bool               // Shutdown has begun
	leaving   atomic.Bool               // and the others are told
	raftSince atomic.Pointer[time.Time] // when Raft was started
	leadSince atomic.Pointer[time.Time] // when this node last began to lead
	sawLeader atomic.Bool               // a leader has been known since the start

	space       space
	digests     comparison
	unfitLogged atomic.Int64 // second in which a refusal of the gate was last logged

	membership sync.Mutex // one change of the membership at a time
	tuning     sync.Mutex // of the bounds of Raft's log; within membership where both are held

	mu      sync.Mutex
	meta    meta
	phase   string   // what a node that is no member yet is doing
	callers []string // addresses of nodes without a cluster that said hello
	hosts   []string // addresses of the members, as the leader told them when this node joined
	pledge  pledge
	failure error
	stopped bool
	polls   map[string]poll // by server id, kept by the leader
}

// Start opens the node's folder and its port, and returns; forming, joining and everything after go on in the background,
// until Shutdown. ctx bounds only the start itself.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	cfg.setDefaults()
	n := &Node{cfg: cfg, log: cfg.Logger, run: rand.Text(), failed: make(chan error, 1), phase: "starting", polls: map[string]poll{}}
	n.confirms, n.asks, n.reach = newRounds(), newRounds(), newReach()
	n.progress = newProgress()
	n.queue = newQueue(cfg.QueueCommands, cfg.QueueBytes)
	n.metrics = newMetrics(n)
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.views.init(n.ctx)
	if err := n.open(); err != nil {
		n.cancel()
		return nil, fmt.Errorf("cluster: %w", errors.Join(err, n.closeParts()))
	}
	n.measureDisk()
	n.transport.Start()
	n.tasks.Go(n.watchDisk)
	n.tasks.Go(n.live)
	return n, nil
}

// open listens and reads the folder.
func (n *Node) open() error {
	var err error
	n.transport, err = transport.New(transport.Config{
		Listen: n.cfg.ClusterAddr, Listener: n.cfg.Listener, Name: n.cfg.NodeID, Methods: n.methods(),
		TLS: n.cfg.TLS, Key: n.cfg.Key, Insecure: n.cfg.Insecure, IsMember: n.isMember, Hook: n.cfg.Hook, Logger: n.log,
	})
	if err != nil {
		return err
	}
	setDefault(&n.cfg.ClusterAdvertise, n.transport.Addr().String())
	if err := n.cfg.validate(); err != nil {
		return err
	}
	// The store is locked by who has it open, so a second process on the same folder ends here.
	if n.store, err = openLogStore(n.cfg.DataDir, n.metrics.logStore); err != nil {
		return err
	}
	if n.meta, err = loadMeta(n.cfg.DataDir); errors.Is(err, errNoMeta) {
		if n.meta, err = newMeta(n.cfg.NodeID); err == nil {
			err = saveMeta(n.cfg.DataDir, n.meta)
		}
	}
	if err != nil {
		return err
	}
	if n.memories, err = loadMemories(n.cfg.DataDir, n.meta.Remembers); err != nil {
		return err
	}
	n.transport.Identify(n.serverID())
	return n.checkFolder()
}

// checkFolder refuses a folder whose parts do not belong together: a node that lost a part of its state must come back as
// a new incarnation, not under an identity that has voted and acknowledged.
func (n *Node) checkFolder() error {
	if err := n.store.checkNumbers(); err != nil {
		return err
	}
	term, err := n.store.term()
	if err != nil {
		return err
	}
	held, has := n.cfg.Machine.ClusterID()
	own := n.meta.clusterID()
	switch {
	case n.meta.Name != n.cfg.NodeID:
		return fmt.Errorf("%w: it belongs to node %q, not to %q", halt.ErrFolderIncomplete, n.meta.Name, n.cfg.NodeID)
	case own == transport.ClusterID{} && (term > 0 || has):
		return fmt.Errorf("%w: it has state but no cluster in %s", halt.ErrFolderIncomplete, metaName)
	case n.meta.Started && term == 0:
		return fmt.Errorf("%w: %s is lost", halt.ErrFolderIncomplete, raftStoreName)
	case has && transport.ClusterID(held) != own:
		return fmt.Errorf("%w: the state belongs to cluster %x, the node to %x", halt.ErrFolderIncomplete, held, own[:])
	}
	return nil
}

func (n *Node) methods() map[byte]transport.Method {
	return map[byte]transport.Method{
		methodHello:     {Name: "hello", Forming: true, Handle: n.handleHello},
		methodPledge:    {Name: "pledge", Forming: true, Handle: n.handlePledge},
		methodJoin:      {Name: "join", Forming: true, Handle: n.handleJoin},
		methodPropose:   {Name: "propose", Handle: n.handlePropose},
		methodPoll:      {Name: "poll", Handle: n.handlePoll},
		methodCommit:    {Name: "commit", Handle: n.handleCommit},
		methodStatus:    {Name: "status", Handle: n.handleStatus},
		methodConfirm:   {Name: "confirm", Handle: n.handleConfirm},
		methodReadIndex: {Name: "read_index", Handle: n.handleReadIndex},
		methodNotice:    {Name: "notice", Handle: n.handleNotice},
		methodRecall:    {Name: "recall", Handle: n.handleRecall},
	}
}

// live is the life of the node: become a member, then work as one.
func (n *Node) live() {
	if err := n.becomeMember(); err != nil {
		if n.ctx.Err() == nil {
			n.fail(err)
		}
		return
	}
	n.setPhase("")
	n.tasks.Go(n.watchRaft)
	n.tasks.Go(n.watchHealth)
	n.tasks.Go(n.watchReach)
	n.tasks.Go(n.watchPlace)
	n.tasks.Go(n.keepMemory)
	n.tasks.Go(n.watchHeartbeats)
	n.tasks.Go(n.notifyStart)
	n.tasks.Go(n.keepSession)
	n.tasks.Go(n.announce)
	n.tasks.Go(func() {
		f := &confirmer{n: n, turns: map[raft.ServerID]chan struct{}{}}
		n.confirms.run(n.ctx, f.round, n.metrics.round("confirm"))
	})
	n.tasks.Go(func() { n.asks.run(n.ctx, n.askLeader, n.metrics.round("ask")) })
	n.dispatch()
}

// becomeMember returns when Raft runs, or why it never will.
func (n *Node) becomeMember() error {
	if (n.currentMeta().clusterID() == transport.ClusterID{}) {
		if err := n.discover(); err != nil {
			return err
		}
	}
	m := n.currentMeta()
	n.transport.SetCluster(m.clusterID())
	if m.Forming > 0 {
		if err := n.bootstrap(); err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
	} else if err := n.resume(); err != nil {
		return err
	}
	return n.startRaft()
}

// resume prepares a node that has been a member before.
func (n *Node) resume() error {
	if m := n.currentMeta(); m.Started && !m.Rejoining {
		if err := n.recall(); err != nil {
			return err
		}
	}
	if n.currentMeta().Rejoining {
		return n.rejoin()
	}
	return nil
}

func (n *Node) currentMeta() meta {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.meta
}

// updateMeta changes the node file, durably before it returns.
func (n *Node) updateMeta(change func(*meta)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	next := n.meta
	change(&next)
	if next == n.meta {
		return nil
	}
	if err := saveMeta(n.cfg.DataDir, next); err != nil {
		return err
	}
	n.meta = next
	return nil
}

func (n *Node) serverID() string { return n.currentMeta().serverID() }

func (n *Node) setPhase(phase string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.phase != phase && phase != "" {
		n.log.Info("not a member yet", "state", phase)
	}
	n.phase = phase
}

func (n *Node) currentPhase() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.phase
}

// fail reports that the node cannot go on. What still runs is ended by Shutdown.
func (n *Node) fail(err error) {
	n.once.Do(func() {
		n.mu.Lock()
		n.failure = err
		n.mu.Unlock()
		n.log.Error("the node cannot go on", "error", err)
		n.failed <- err
		n.cancel()
	})
}

// Failed delivers the error after which the node does nothing more, once; the process should end.
func (n *Node) Failed() <-chan error { return n.failed }

// gone returns the error for calls to a node that has stopped or failed, nil while it runs.
func (n *Node) gone() *Error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.failure != nil:
		return &Error{Code: command.CodeFailed, Message: "the node has failed", Err: n.failure}
	case n.stopped || n.ctx.Err() != nil:
		return errorf(command.CodeNotReady, "the node is stopping")
	}
	return nil
}

// watchRaft turns what Raft observes into views, and starts the work of a leader.
func (n *Node) watchRaft() {
	c := n.consensus.Load()
	events := make(chan raft.Observation, 16)
	observer := raft.NewObserver(events, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.RaftState, raft.LeaderObservation:
			return true
		}
		return false
	})
	c.raft.RegisterObserver(observer)
	defer c.raft.DeregisterObserver(observer)
	for {
		// Events may be dropped when there are many, so each makes the whole state be read again.
		address, id := c.raft.LeaderWithID()
		heard := n.lastHeard(n.views.get())
		v, changed := n.views.observe(n.ctx, c.raft.CurrentTerm(), c.raft.State() == raft.Leader, id, address, heard)
		if changed {
			n.log.Info("leadership", "term", v.term, "leader", v.leaderID, "leading", v.leading)
		}
		if v.leaderID != "" {
			n.sawLeader.Store(true)
		}
		if changed && v.leading {
			n.tasks.Go(func() { n.lead(v.epoch) })
		}
		if v.term > 0 {
			if err := n.updateMeta(func(m *meta) { m.Started = true }); err != nil {
				n.fail(err)
			}
		}
		select {
		case <-events:
		case <-n.ctx.Done():
			return
		}
	}
}

// watchHealth fails the node when its disk hangs or its state machine has stopped, and keeps the log's size in bounds.
func (n *Node) watchHealth() {
	r := n.consensus.Load().raft
	tick := time.NewTicker(min(time.Second, n.cfg.StallLimit/4))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-n.ctx.Done():
			return
		}
		if d := n.store.stuck(); d > n.cfg.StallLimit {
			// Heartbeats go on while the disk hangs, so nobody else would ever take over.
			n.fail(fmt.Errorf("a write of the log has been stuck for %s", d.Round(time.Second)))
			return
		}
		if err := n.cfg.Machine.Err(); err != nil {
			n.fail(fmt.Errorf("the state machine has stopped: %w", err))
			return
		}
		if err := n.checkJoinedForming(); err != nil {
			n.fail(err)
			return
		}
		n.tuneLog(r)
	}
}

// tuneLog sets the counts of entries that bound the log by its bytes.
func (n *Node) tuneLog(r *raft.Raft) {
	if !n.tuning.TryLock() {
		return // the log is being cut for a new member
	}
	defer n.tuning.Unlock()
	want := entriesFor(n.cfg.LogBytes, n.store.meanEntry())
	have := r.ReloadableConfig()
	if d := float64(want) / float64(have.TrailingLogs); d > 0.9 && d < 1.1 {
		return
	}
	have.TrailingLogs, have.SnapshotThreshold = want, want
	if err := r.ReloadConfig(have); err != nil {
		n.log.Warn("cannot tune the log", "error", err)
	}
}

// clock gives the log its time: never the same or an earlier one twice.
type clock struct {
	mu   sync.Mutex
	last int64
}

// stamp returns the time in microseconds since 1970.
func (c *clock) stamp() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(time.Now().UnixMicro(), c.last+1)
	return c.last
}

func hexOf(id transport.ClusterID) string {
	if (id == transport.ClusterID{}) {
		return ""
	}
	return hex.EncodeToString(id[:])
}
