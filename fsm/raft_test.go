package fsm

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"dapple/command"
)

// raftTimeout is short, and long enough for a slow machine.
const raftTimeout = 200 * time.Millisecond

// peer is a raft node over a machine; logs and disk outlive its crashes.
type peer struct {
	name    string
	fs      *vfs.MemFS
	logs    *raft.InmemStore
	address raft.ServerAddress
	trans   *raft.InmemTransport
	machine *Machine
	raft    *raft.Raft
}

func newPeer(name string) *peer {
	return &peer{name: name, fs: vfs.NewCrashableMem(), logs: raft.NewInmemStore(), address: raft.ServerAddress(name)}
}

func (p *peer) config() *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(p.name)
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = raftTimeout, raftTimeout, raftTimeout
	c.CommitTimeout = 5 * time.Millisecond
	c.SnapshotInterval, c.SnapshotThreshold, c.TrailingLogs = time.Hour, 1<<40, 2
	c.NoSnapshotRestoreOnStart = true
	c.LogOutput = io.Discard
	return c
}

// start opens the machine and begins to take part. Without members the node does not form a cluster.
func (p *peer) start(t *testing.T, members ...string) {
	t.Helper()
	_, p.trans = raft.NewInmemTransport(p.address)
	p.machine = mustOpen(t, testConfig(p.fs))
	if len(members) > 0 {
		require.NoError(t, raft.BootstrapCluster(p.config(), p.logs, p.logs, p.machine.Snapshots(), p.trans, servers(members...)))
	}
	r, err := raft.NewRaft(p.config(), p.machine, p.logs, p.logs, p.machine.Snapshots(), p.trans)
	require.NoError(t, err)
	p.raft = r
	t.Cleanup(func() { p.stop(t) })
}

func (p *peer) stop(t *testing.T) {
	t.Helper()
	if p.raft == nil {
		return
	}
	require.NoError(t, p.raft.Shutdown().Error())
	p.raft = nil
	require.NoError(t, p.trans.Close())
	require.NoError(t, p.machine.Close())
}

// crash stops the node and leaves on its disk only what was synced.
func (p *peer) crash(t *testing.T) {
	t.Helper()
	left := p.fs.CrashClone(vfs.CrashCloneCfg{})
	p.stop(t)
	p.fs = left
}

func servers(names ...string) raft.Configuration {
	var c raft.Configuration
	for _, name := range names {
		c.Servers = append(c.Servers, raft.Server{ID: raft.ServerID(name), Address: raft.ServerAddress(name)})
	}
	return c
}

func (p *peer) lead(t *testing.T) {
	t.Helper()
	leader(t, p)
}

// leader waits until one of the peers leads and its machine holds everything before.
func leader(t *testing.T, peers ...*peer) (found *peer) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, p := range peers {
			if p.raft.State() == raft.Leader && p.raft.Barrier(waitLong).Error() == nil {
				found = p
				return true
			}
		}
		return false
	}, waitLong, waitStep)
	return found
}

// propose puts commands into the log and returns the results and the index.
func (p *peer) propose(t *testing.T, commands ...command.Command) ([]command.Result, uint64) {
	t.Helper()
	data, err := command.EncodeEntry(command.Entry{Time: 1, Commands: commands})
	require.NoError(t, err)
	future := p.raft.Apply(data, waitLong)
	require.NoError(t, future.Error())
	results, ok := future.Response().([]command.Result)
	require.True(t, ok, "%v", future.Response())
	return results, future.Index()
}

func connect(peers ...*peer) {
	for _, a := range peers {
		for _, b := range peers {
			a.trans.Connect(b.address, b.trans)
		}
	}
}

func TestRaftReplaysAfterACrash(t *testing.T) {
	p := newPeer("a")
	p.start(t, "a")
	p.lead(t)
	want := ""
	for round := range 4 {
		for i := range 5 {
			p.propose(t, script(t, fmt.Sprintf("append x %d%d,", round, i)))
			want += fmt.Sprintf("%d%d,", round, i)
			if i == 2 && round != 2 {
				require.NoError(t, p.raft.Snapshot().Error())
			}
		}
		require.NoError(t, p.raft.Barrier(waitLong).Error())
		p.crash(t)
		p.start(t)
		p.lead(t)
		require.Equal(t, want, get(t, p.machine, "x"), "round %d", round)
	}
}

func TestSnapshotBehindABarrierCutsNothingThatIsNeeded(t *testing.T) {
	p := newPeer("a")
	p.start(t, "a")
	p.lead(t)
	p.propose(t, script(t, "append x 1"))
	for range 5 {
		require.NoError(t, p.raft.Barrier(waitLong).Error())
	}
	require.NoError(t, p.raft.Snapshot().Error())
	first, err := p.logs.FirstIndex()
	require.NoError(t, err)
	require.LessOrEqual(t, first, listed(t, p.machine).Index+1)
	p.crash(t)
	p.start(t)
	p.lead(t)
	require.Equal(t, "1", get(t, p.machine, "x"))
	p.propose(t, script(t, "append x 2"))
	require.Equal(t, "12", get(t, p.machine, "x"))
}

// TestFollowerGetsTheSnapshot lets a new node come when the log it needs is gone, crash, and come again.
func TestFollowerGetsTheSnapshot(t *testing.T) {
	a, b := newPeer("a"), newPeer("b")
	a.start(t, "a")
	a.lead(t)
	id := sessionID(1)
	a.propose(t, register(t, "a", id))
	for i := uint64(1); i <= 30; i++ {
		a.propose(t, in(id, i, max(1, i-min(i, 3)), script(t, fmt.Sprintf("append x %d,", i))))
	}
	require.NoError(t, a.raft.Snapshot().Error())
	b.start(t)
	connect(a, b)
	require.NoError(t, a.raft.AddVoter("b", "b", 0, waitLong).Error())
	_, index := a.propose(t, script(t, "append x end"), digestCommand())

	same := func() {
		t.Helper()
		require.NoError(t, b.machine.WaitApplied(within(t), index))
		want, err := a.machine.WaitDigest(within(t), index)
		require.NoError(t, err)
		got, err := b.machine.WaitDigest(within(t), index)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	same()
	require.Equal(t, "store-2", b.machine.stores.live.name, "it came as a snapshot")
	require.NoError(t, b.raft.Snapshot().Error())
	require.Len(t, listed(t, b.machine).Configuration.Servers, 2)

	b.crash(t)
	b.start(t)
	connect(a, b)
	now := leader(t, a, b) // a was alone for a moment: either may be elected
	repeated, _ := now.propose(t, in(id, 30, 28, script(t, "append x no")))
	require.Equal(t, command.CodeOK, repeated[0].Code)
	_, index = now.propose(t, script(t, "append x again"), digestCommand())
	same()
	require.True(t, strings.HasSuffix(get(t, b.machine, "x"), "30,endagain"))
}

// TestRecoverCluster forces a membership onto what a node has on disk and in its log, as an operator does who has lost the
// other nodes: RecoverCluster calls Restore, Apply and Snapshot of a machine that is then closed.
func TestRecoverCluster(t *testing.T) {
	for _, flushed := range []bool{true, false} {
		t.Run(fmt.Sprint("flushed ", flushed), func(t *testing.T) {
			a, b := newPeer("a"), newPeer("b")
			a.start(t, "a")
			a.lead(t)
			b.start(t)
			connect(a, b)
			require.NoError(t, a.raft.AddVoter("b", "b", 0, waitLong).Error())
			a.lead(t)
			a.propose(t, script(t, "append x 1"))
			if flushed {
				require.NoError(t, a.raft.Snapshot().Error())
			}
			a.propose(t, script(t, "append x 2"))
			require.NoError(t, a.raft.Barrier(waitLong).Error())
			b.stop(t)
			a.crash(t)

			_, trans := raft.NewInmemTransport(a.address)
			m := mustOpen(t, testConfig(a.fs))
			require.NoError(t, raft.RecoverCluster(a.config(), m, a.logs, a.logs, m.Snapshots(), trans, servers("a")))
			require.NoError(t, m.Close())
			require.NoError(t, trans.Close())

			a.start(t)
			a.lead(t)
			require.Equal(t, "12", get(t, a.machine, "x"))
			require.Len(t, a.raft.GetConfiguration().Configuration().Servers, 1)
			a.propose(t, script(t, "append x 3"))
			require.NoError(t, a.raft.Snapshot().Error())
			require.Len(t, listed(t, a.machine).Configuration.Servers, 1, "the forced membership stays")
			a.crash(t)
			a.start(t)
			a.lead(t)
			require.Equal(t, "123", get(t, a.machine, "x"))
		})
	}
}

func TestFailedMachineAnswersRaft(t *testing.T) {
	p := newPeer("a")
	p.start(t, "a")
	p.lead(t)
	future := p.raft.Apply([]byte("rubbish"), waitLong)
	require.NoError(t, future.Error())
	require.ErrorIs(t, future.Response().(error), ErrFailed)
	require.Error(t, p.raft.Snapshot().Error())
}
