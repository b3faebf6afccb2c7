package cluster

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"dapple/command"
	"dapple/internal/halt"
	"dapple/transport"
)

// consensus is a running Raft with what belongs to it.
type consensus struct {
	raft     *raft.Raft
	layer    *transport.RaftLayer
	trans    *raft.NetworkTransport
	id       raft.ServerID
	pending  sync.WaitGroup // futures that Raft has not answered
	gate     sync.RWMutex   // held for writing while stopping is set: nothing is added to pending afterwards
	stopping bool
	down     chan struct{} // closed when Raft has stopped
	once     sync.Once
}

// answerTimeout bounds how long a stop waits for Raft to answer what it was given. A leader that has lost its followers
// gives up, and answers, when its lease ends, which is sooner.
const answerTimeout = 2 * time.Second

// lonelyTimeout is answerTimeout where a majority has stopped before: what is in the log is not committed any more, and only
// what Raft has yet to read is waited for, since it would never answer that after its end.
const lonelyTimeout = 50 * time.Millisecond

// named is Raft's transport; every connection is made to a server id, not just to whoever answers at an address. It takes
// down what the peers acknowledge.
type named struct {
	*raft.NetworkTransport
	progress *progress
	wrap     func(raft.ServerID, raft.AppendPipeline) raft.AppendPipeline // of tests; else nil
}

var (
	_ raft.WithPreVote = named{}
	_ raft.WithClose   = named{}
)

func (t named) AppendEntriesPipeline(id raft.ServerID, a raft.ServerAddress) (raft.AppendPipeline, error) {
	inner, err := t.NetworkTransport.AppendEntriesPipeline(id, transport.RaftTarget(id, a))
	if err != nil {
		return nil, err
	}
	if t.wrap != nil {
		inner = t.wrap(id, inner)
	}
	return t.progress.pipelined(id, inner), nil
}

func (t named) AppendEntries(id raft.ServerID, a raft.ServerAddress, q *raft.AppendEntriesRequest, r *raft.AppendEntriesResponse) error {
	err := t.NetworkTransport.AppendEntries(id, transport.RaftTarget(id, a), q, r)
	t.progress.appended(id, q, err == nil && r.Success)
	return err
}

func (t named) RequestVote(id raft.ServerID, a raft.ServerAddress, q *raft.RequestVoteRequest, r *raft.RequestVoteResponse) error {
	return t.NetworkTransport.RequestVote(id, transport.RaftTarget(id, a), q, r)
}

func (t named) RequestPreVote(id raft.ServerID, a raft.ServerAddress, q *raft.RequestPreVoteRequest, r *raft.RequestPreVoteResponse) error {
	return t.NetworkTransport.RequestPreVote(id, transport.RaftTarget(id, a), q, r)
}

func (t named) InstallSnapshot(id raft.ServerID, a raft.ServerAddress, q *raft.InstallSnapshotRequest, r *raft.InstallSnapshotResponse, data io.Reader) error {
	defer t.progress.installing(id)()
	err := t.NetworkTransport.InstallSnapshot(id, transport.RaftTarget(id, a), q, r, data)
	t.progress.ended(id, mark{q.Term, q.LastLogIndex}, err == nil && r.Success)
	return err
}

func (t named) TimeoutNow(id raft.ServerID, a raft.ServerAddress, q *raft.TimeoutNowRequest, r *raft.TimeoutNowResponse) error {
	return t.NetworkTransport.TimeoutNow(id, transport.RaftTarget(id, a), q, r)
}

// startRaft opens the port for Raft and runs it on the store.
func (n *Node) startRaft() error {
	if err := checkLog(n.store, n.cfg.Machine.Snapshots()); err != nil {
		return err
	}
	if err := n.checkEntries(); err != nil {
		return err
	}
	if err := n.checkMemory(); err != nil {
		return err
	}
	n.store.refuse, n.store.keep = n.cfg.refuse, n.guardLog
	id := raft.ServerID(n.serverID())
	conf := n.cfg.raftConfig(id, newRaftLogger(n.cfg.Logger, n.raftLevelOnce))
	layer := n.transport.OpenRaft(string(id), n.cfg.ClusterAdvertise, n.lostConnection)
	trans := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:  layer,
		MaxPool: 3,
		Timeout: n.cfg.RPCTimeout,
		Logger:  conf.Logger,
	})
	store := raftStore{n.store, n.fail}
	cache, err := raft.NewLogCache(64, store)
	if err != nil {
		_ = trans.Close()
		return err
	}
	r, err := raft.NewRaft(conf, installs{n.cfg.Machine, n, &n.store.inRow}, cache, store, n.cfg.Machine.Snapshots(), named{trans, n.progress, n.cfg.wrap})
	if err != nil {
		_ = trans.Close()
		return fmt.Errorf("raft: %w", err)
	}
	now := time.Now()
	n.raftSince.Store(&now)
	n.consensus.Store(&consensus{raft: r, layer: layer, trans: trans, id: id, down: make(chan struct{})})
	return nil
}

// checkLog refuses a log that begins after what the state machine holds: the entries in between are lost here.
func checkLog(store *logStore, snapshots raft.SnapshotStore) error {
	first, err := store.FirstIndex()
	if err != nil || first <= 1 {
		return err
	}
	list, err := snapshots.List()
	if err != nil {
		return err
	}
	var held uint64
	if len(list) > 0 {
		held = list[0].Index
	}
	if held+1 < first {
		return fmt.Errorf("%w: the log begins at index %d but the state ends at %d, and the entries in between are lost", halt.ErrFolderIncomplete, first, held)
	}
	return nil
}

// bootstrap writes the first configuration, this node alone as voter, into an empty store. A store that a crash left
// between term and first entry is made anew.
func (n *Node) bootstrap() error {
	last, err := n.store.LastIndex()
	if err != nil || last > 0 {
		return err
	}
	if term, err := n.store.term(); err != nil {
		return err
	} else if term > 0 {
		if err := n.store.close(); err != nil {
			return err
		}
		if err := removeLogStore(n.cfg.DataDir); err != nil {
			return err
		}
		if n.store, err = openLogStore(n.cfg.DataDir, n.metrics.logStore); err != nil {
			return err
		}
	}
	id := raft.ServerID(n.serverID())
	_, trans := raft.NewInmemTransport(raft.ServerAddress(n.cfg.ClusterAdvertise))
	servers := raft.Configuration{Servers: []raft.Server{{ID: id, Address: raft.ServerAddress(n.cfg.ClusterAdvertise), Suffrage: raft.Voter}}}
	store := &causeStore{logStore: n.store}
	err = raft.BootstrapCluster(n.cfg.raftConfig(id, newRaftLogger(n.cfg.Logger, n.raftLevel)), store, store, n.cfg.Machine.Snapshots(), trans, servers)
	if err != nil && store.err != nil {
		return store.err
	}
	return err
}

// applyEntry starts an encoded entry on its way; outcome, which must be called, waits for it.
func (c *consensus) applyEntry(data []byte) raft.ApplyFuture {
	if !c.enter() {
		return nil
	}
	return c.raft.Apply(data, time.Second)
}

// enter counts a future in pending; who waits for it takes it off again. It refuses once the stop has begun.
func (c *consensus) enter() bool {
	c.gate.RLock()
	defer c.gate.RUnlock()
	if c.stopping {
		return false
	}
	c.pending.Add(1)
	return true
}

// outcome waits for the results of an entry of that many commands. Where there are none, sure tells that the entry was
// surely not appended.
func (c *consensus) outcome(f raft.ApplyFuture, commands int) (results []command.Result, sure bool, failure *Error) {
	if f == nil {
		return nil, true, errorf(command.CodeNotLeader, "this node is stopping")
	}
	defer c.pending.Done()
	if err := c.wait(f); err != nil {
		return nil, surelyNotDone(err), &Error{Code: command.CodeNotLeader, Message: "the leader changed", Err: err}
	}
	switch v := f.Response().(type) {
	case []command.Result:
		if len(v) == commands {
			return v, false, nil
		}
		return nil, false, errorf(command.CodeInternal, "%d results for %d commands", len(v), commands)
	case error:
		return nil, false, &Error{Code: command.CodeFailed, Message: "the state machine has stopped", Err: v}
	default:
		return nil, false, errorf(command.CodeInternal, "the state machine answered with a %T", v)
	}
}

// wait returns the error of a future that enter has counted. Raft never answers what lay in one of its channels when it
// was stopped; stop therefore waits for the answers first, and where even that was too short, this wait ends with Raft.
func (c *consensus) wait(f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-c.down:
	}
	select {
	case err := <-done:
		return err
	case <-time.After(100 * time.Millisecond):
		return raft.ErrRaftShutdown
	}
}

// surelyNotDone tells the errors of Raft after which the entry is in no log. After all others it may be, or come to be.
func surelyNotDone(err error) bool {
	return errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrEnqueueTimeout) ||
		errors.Is(err, raft.ErrLeadershipTransferInProgress)
}

// stop ends Raft and its connections, and waits for its goroutines and, for so long at most, for its answers. It may be called
// again.
func (c *consensus) stop(wait time.Duration) error {
	c.gate.Lock()
	c.stopping = true
	c.gate.Unlock()
	c.layer.StopWaiting()
	c.awaitAnswers(wait)
	err := c.raft.Shutdown().Error()
	c.once.Do(func() { close(c.down) })
	c.trans.CloseStreams()
	return errors.Join(err, c.trans.Close())
}

// awaitAnswers returns when Raft has answered every future, or after the time given.
func (c *consensus) awaitAnswers(wait time.Duration) {
	answered := make(chan struct{})
	go func() {
		c.pending.Wait()
		close(answered)
	}()
	select {
	case <-answered:
	case <-time.After(wait):
	}
}
