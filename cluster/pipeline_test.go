package cluster

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
)

// tcpTransport is Raft's transport on a loopback port.
func tcpTransport(t *testing.T) *raft.NetworkTransport {
	t.Helper()
	trans, err := raft.NewTCPTransportWithLogger("127.0.0.1:0", nil, 1, patience, hclog.NewNullLogger())
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, trans.Close())
		trans.CloseStreams()
	})
	return trans
}

// refuseAll answers every request that a transport gets without success.
func refuseAll(t *testing.T, trans *raft.NetworkTransport) {
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	go func() {
		for {
			select {
			case rpc := <-trans.Consumer():
				rpc.Respond(&raft.AppendEntriesResponse{Term: 1}, nil)
			case <-done:
				return
			}
		}
	}()
}

// Raft takes no answer after the first that is no success, while its sender may go on: it must not wait for ever.
func TestPipelineEndsWithARefusal(t *testing.T) {
	from, to := tcpTransport(t), tcpTransport(t)
	refuseAll(t, to)
	inner, err := from.AppendEntriesPipeline("b", to.LocalAddr())
	require.NoError(t, err)
	seen := newProgress()
	p := seen.pipelined("b", inner)
	over := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			q := &raft.AppendEntriesRequest{Term: 1, PrevLogEntry: 1, PrevLogTerm: 1}
			_, err = p.AppendEntries(q, &raft.AppendEntriesResponse{})
		}
		over <- err
	}()
	wait := deadline(t).Done()
	select {
	case f := <-p.Consumer(): // the only one that Raft takes
		require.False(t, f.Response().Success)
	case <-wait:
		require.Fail(t, "no answer")
	}
	select {
	case err := <-over:
		require.Error(t, err)
	case <-wait:
		require.Fail(t, "the sender waits for ever")
	}
	require.NoError(t, p.Close())
	require.Empty(t, seen.get("b").pipelines)
	require.True(t, seen.get("b").refusing)
}

// fullDisk makes a log refuse an append, after a while, as often as it is told to.
type fullDisk struct{ appends chan func(error) }

var errFull = errors.New("no space left")

// check is called with each append: it is held while a test has it in hand.
func (d fullDisk) check() error {
	verdict := make(chan error, 1)
	select {
	case d.appends <- func(err error) { verdict <- err }:
		return <-verdict
	default:
		return nil
	}
}

// A follower whose log takes nothing for a while is sent everything once it does, by the same leader. Requests follow the one
// that is refused, so that Raft's sender waits for room while the refusal comes in.
func TestReplicationGoesOnAfterRefusals(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	disks := map[string]fullDisk{}
	for _, name := range f.names {
		disks[name] = fullDisk{make(chan func(error))}
	}
	f.tweak = func(c *Config) {
		patientElections(c)
		c.refuse = disks[c.NodeID].check
	}
	f.startAll()
	f.voters(3)
	leader, follower := f.leader(), f.followers()[0]
	term := f.nodes[leader].views.get().term
	count := 0
	write := func() {
		f.add(leader, "x")
		count++
	}
	for range 8 {
		held := make(chan func(error), 1)
		go func() { held <- <-disks[follower].appends }()
		var refuse func(error)
		for refuse == nil {
			write()
			select {
			case refuse = <-held:
			default:
			}
		}
		for range 5 {
			write()
		}
		refuse(errFull)
		f.counted(follower, "x", count)
	}
	require.Equal(t, term, f.nodes[leader].views.get().term, "the leader changed")
}

// patientElections keeps a busy machine from changing the leader, which would hide what a test looks for.
func patientElections(c *Config) { c.Heartbeat, c.Election = 3*time.Second, 3*time.Second }

// stuckPipeline takes nothing: AppendEntries waits until the pipeline is closed, or for longer.
type stuckPipeline struct {
	raft.AppendPipeline
	free func() <-chan struct{} // closed when AppendEntries may return
}

func (p stuckPipeline) AppendEntries(*raft.AppendEntriesRequest, *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	<-p.free()
	return nil, raft.ErrPipelineShutdown
}

// closing is a stuckPipeline that Close frees.
type closing struct {
	stuckPipeline
	once   sync.Once
	closed chan struct{}
}

func (p *closing) Close() error {
	p.once.Do(func() { close(p.closed) })
	return p.stuckPipeline.Close()
}

// A replication that stands still is restarted, without a change of the leader.
func TestStalledReplicationIsRestarted(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	var stick atomic.Pointer[raft.ServerID]
	f.tweak = func(c *Config) {
		patientElections(c)
		c.ReplicationStall = time.Second
		c.wrap = func(id raft.ServerID, inner raft.AppendPipeline) raft.AppendPipeline {
			if stuck := stick.Load(); stuck == nil || *stuck != id || !stick.CompareAndSwap(stuck, nil) {
				return inner
			}
			p := &closing{closed: make(chan struct{})}
			p.stuckPipeline = stuckPipeline{inner, func() <-chan struct{} { return p.closed }}
			return p
		}
	}
	f.startAll()
	f.voters(3)
	leader, follower := f.leader(), f.followers()[0]
	term := f.nodes[leader].views.get().term
	id := raft.ServerID(f.nodes[follower].serverID())
	stick.Store(&id)
	f.nodes[leader].progress.cut(id) // the next pipeline sticks
	eventually(t, func() bool { return stick.Load() == nil }, "no new pipeline")
	f.add(leader, "x")
	f.counted(follower, "x", 1)
	require.Equal(t, term, f.nodes[leader].views.get().term, "the leader changed")
	var restarts dto.Metric
	require.NoError(t, f.nodes[leader].metrics.restarts.Write(&restarts))
	require.Positive(t, restarts.GetCounter().GetValue())
	eventually(t, func() bool { return f.nodes[leader].alarms.count(AlarmReplication) == 0 }, "the alarm stays")
}

// Where a restart does not help, another voter leads and the follower catches up; an alarm says so meanwhile.
func TestStalledReplicationMovesLeadership(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	release := make(chan struct{})
	t.Cleanup(func() { close(release) }) // before the nodes stop, which wait for it
	var stick atomic.Pointer[raft.ServerID]
	var made atomic.Bool
	var leader string
	f.tweak = func(c *Config) {
		c.ReplicationStall = time.Second
		c.wrap = func(id raft.ServerID, inner raft.AppendPipeline) raft.AppendPipeline {
			if stuck := stick.Load(); stuck == nil || *stuck != id || c.NodeID != leader {
				return inner
			}
			made.Store(true)
			return stuckPipeline{inner, func() <-chan struct{} { return release }}
		}
	}
	f.startAll()
	f.voters(3)
	leader = f.leader()
	follower := f.followers()[0]
	old := f.nodes[leader]
	id := raft.ServerID(f.nodes[follower].serverID())
	stick.Store(&id)
	old.progress.cut(id)
	eventually(t, made.Load, "no new pipeline")
	f.add(leader, "x")
	alarmed := false
	eventually(t, func() bool {
		alarmed = alarmed || len(old.Status(t.Context()).Alarms) > 0
		return f.nodes[follower].machine.counter("x") == 1 && !old.IsLeader()
	}, "the leadership stays")
	require.True(t, alarmed)
	f.voters(3)
}
