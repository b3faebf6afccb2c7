package cluster

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/halt"
	"dapple/transport/transporttest"
)

// rolledBack stops a node, and puts it back to a copy of its folder from before the writes that meanwhile makes.
func (f *fleet) rolledBack(name string, meanwhile func()) {
	f.t.Helper()
	f.stop(name)
	older := f.backup(name)
	f.start(name)
	f.ready(name)
	meanwhile()
	f.stop(name)
	f.dirs[name] = older
}

// known waits until every other node has on its disk that a node has acknowledged an entry.
func (f *fleet) known(name string, index uint64) {
	f.t.Helper()
	id := f.nodes[name].serverID()
	for _, other := range f.names {
		if other == name || f.nodes[other].stopped {
			continue
		}
		eventually(f.t, func() bool {
			m, err := loadMemories(f.dirs[other], false)
			return err == nil && m.peers()[id].Index >= index
		}, "%s does not remember %s", other, name)
	}
}

// A member that is put back rejoins as a new incarnation, whoever leads, and nothing is lost.
func TestRolledBackMemberRejoins(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	for _, name := range []string{f.followers()[0], f.leader()} {
		before := f.nodes[name].serverID()
		f.rolledBack(name, func() {
			for range 10 {
				f.add(name, "x"+name)
			}
			f.known(name, f.nodes[name].Status(t.Context()).Commit)
		})
		f.start(name)
		f.ready(name)
		f.voters(3)
		f.counted(name, "x"+name, 10)
		require.NotEqual(t, before, f.nodes[name].serverID())
		require.False(t, f.nodes[name].currentMeta().Rejoining)
		f.add(name, "x"+name)
		for _, other := range f.names {
			f.counted(other, "x"+name, 11)
			eventually(t, func() bool { return f.nodes[other].alarms.count(AlarmRolledBack) == 0 }, "the alarm stays at %s", other)
		}
	}
}

// A member that is put back to before what only it and one other have does not elect the third.
func TestRolledBackMemberElectsNobody(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	keeper := f.leader()
	victim, third := f.followers()[0], f.followers()[1]
	f.stop(third)
	f.rolledBack(victim, func() {
		f.add(keeper, "acknowledged")
		f.known(victim, f.nodes[keeper].Status(t.Context()).Commit)
	})
	id := f.nodes[victim].serverID()

	f.start(victim) // which the keeper alone can tell what it had
	eventually(t, func() bool { return f.nodes[victim].currentMeta().Rejoining }, "it does not rejoin")
	require.NotEqual(t, id, f.nodes[victim].serverID())
	require.Equal(t, 1, f.nodes[keeper].alarms.count(AlarmRolledBack))
	f.stop(keeper)
	f.start(third)
	leads := func() bool { return f.nodes[victim].IsLeader() || f.nodes[third].IsLeader() }
	require.Never(t, leads, time.Second, 20*time.Millisecond)

	f.stop(victim) // it goes on rejoining after another start
	f.start(victim)
	f.start(keeper)
	for _, name := range f.names {
		f.ready(name)
		f.counted(name, "acknowledged", 1)
	}
	f.voters(3)
}

// A folder from before the node was a member has forgotten all that it acknowledged since.
func TestFolderOfBeforeJoiningIsRenewed(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	name := f.followers()[0]
	f.add(name, "x")
	f.known(name, 1)
	m := f.nodes[name].currentMeta()
	f.stop(name)
	f.wipe(name)
	require.NoError(t, saveMeta(f.dirs[name], meta{Name: m.Name, Incarnation: m.Incarnation}))
	f.start(name)
	f.ready(name)
	f.voters(3)
	f.counted(name, "x", 1)
	require.NotEqual(t, m.Incarnation, f.nodes[name].currentMeta().Incarnation)
}

// Of two voters the other one decides: a member that is put back catches up, and nobody waits for a majority that is gone.
func TestRolledBackMemberOfTwo(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b")
	f.startAll()
	f.voters(2)
	name := f.followers()[0]
	id := f.nodes[name].serverID()
	f.rolledBack(name, func() {
		f.add(name, "x")
		f.known(name, f.nodes[name].Status(t.Context()).Commit)
	})
	f.start(name)
	f.ready(name)
	f.counted(name, "x", 1)
	require.Equal(t, id, f.nodes[name].serverID())
	f.add(name, "x")
}

// With a cluster key, a member that is put back needs consent as any new member.
func TestRolledBackMemberNeedsAToken(t *testing.T) {
	t.Parallel()
	k := newKeyed(t, "a", "b", "c")
	k.startAll()
	k.voters(3)
	name := k.followers()[0]
	k.rolledBack(name, func() {
		k.add(name, "x")
		k.known(name, k.nodes[name].Status(t.Context()).Commit)
	})
	k.start(name)
	k.waiting(name, "a new member needs a join token")
	k.give(name, "one")
	k.ready(name)
	k.voters(3)
	k.counted(name, "x", 1)
}

// A member that hears only after its start what it has forgotten is an alarm.
func TestLateReminder(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	n := f.nodes[f.followers()[0]]
	held, err := n.held()
	require.NoError(t, err)
	n.reconsider(held, "a@1")
	n.reconsider(mark{held.Term - 1, held.Index + 100}, "a@1") // a tail of an earlier term, which may have been cut
	require.Zero(t, n.alarms.count(AlarmRolledBack))
	n.reconsider(mark{held.Term, held.Index + 100}, "a@1")
	require.Equal(t, 1, n.alarms.count(AlarmRolledBack))
}

// A node that stops because the cluster has lost what it has is an alarm at the others.
func TestDivergedMemberIsAnAlarm(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	keeper := f.lose(5) // which may lead to two histories of one term
	f.start(keeper)
	require.ErrorIs(t, failure(t, f.nodes[keeper]), halt.ErrDiverged)
	f.close(f.nodes[keeper])
	eventually(t, func() bool { return f.nodes[f.leader()].alarms.count(AlarmDiverged) == 1 }, "no alarm")
	f.wipe(keeper)
	f.start(keeper)
	f.ready(keeper)
	f.voters(3)
	eventually(t, func() bool { return f.nodes[f.leader()].alarms.count(AlarmDiverged) == 0 }, "the alarm stays")
}

// from is the network as another node sees it than the one that it is named after.
type from struct {
	*transporttest.Network
	name string
}

func (h from) Dial(ctx context.Context, _, to string) error { return h.Network.Dial(ctx, h.name, to) }

func (h from) Wrap(_, to string, c net.Conn) net.Conn { return h.Network.Wrap(h.name, to, c) }

// copyOf starts a process with a copy of a node's folder at another address; it returns the node.
func (f *fleet) copyOf(name, folder string) *member {
	f.t.Helper()
	dir := filepath.Join(f.t.TempDir(), name)
	require.NoError(f.t, os.CopyFS(dir, os.DirFS(folder)))
	cfg := f.config(name)
	cfg.Hook = from{f.net, "copy"}
	cfg.DataDir, cfg.ClusterAddr, cfg.ClusterAdvertise = dir, f.addrs["copy"], f.addrs["copy"]
	n, err := Start(f.t.Context(), cfg)
	require.NoError(f.t, err)
	m := &member{Node: n, machine: cfg.Machine.(*memMachine)}
	f.nodes["copy"] = m
	return m
}

func (f *fleet) addressKnown(name, address string) {
	f.t.Helper()
	eventually(f.t, func() bool {
		for _, s := range f.nodes[f.leader()].servers() {
			if nameOf(string(s.ID)) == name && string(s.Address) == address {
				return true
			}
		}
		return false
	}, "%s is not known at %s", name, address)
}

// A process with a copy of the folder of a member that is running ends; the member keeps its place.
func TestCopyOfALiveMemberIsRefused(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	for _, name := range []string{f.followers()[0], f.leader()} {
		f.stop(name)
		older := f.backup(name)
		f.start(name)
		f.ready(name)
		id := f.nodes[name].serverID()
		f.place("copy")
		second := f.copyOf(name, older)
		require.ErrorIs(t, failure(t, second), halt.ErrDuplicate)
		f.close(second)
		delete(f.nodes, "copy")
		f.addressKnown(name, f.addrs[name])
		f.add(name, "x")
		require.Equal(t, id, f.nodes[name].serverID())
	}
}

// A copy may take the place of a member that cannot be reached. Then that one is refused when it is back, or takes its place back
// where the copy is gone.
func TestPlaceOfAMember(t *testing.T) {
	for name, copyStays := range map[string]bool{"the copy stays": true, "the copy is gone": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, "a", "b", "c")
			f.startAll()
			f.voters(3)
			name := f.followers()[0]
			f.stop(name)
			same := f.backup(name)
			f.place("copy")
			f.net.Isolate(name)
			n := f.start(name)
			eventually(t, func() bool { return n.consensus.Load() != nil }, "it does not start alone")
			second := f.copyOf(name, same)
			f.addressKnown(name, f.addrs["copy"])
			f.addOnceReached(f.leader(), "x")
			if !copyStays {
				f.close(second)
				delete(f.nodes, "copy")
			}
			f.net.Rejoin(name)
			if copyStays {
				require.ErrorIs(t, failure(t, n), halt.ErrDuplicate)
				f.addressKnown(name, f.addrs["copy"])
				return
			}
			// What the copy has acknowledged this one has not: it may be the same server no more.
			f.voters(3)
		})
	}
}

func TestIsLost(t *testing.T) {
	require.True(t, isLost(mark{3, 10}, recallAnswer{Had: mark{3, 11}}))
	require.True(t, isLost(mark{3, 10}, recallAnswer{Had: mark{4, 2}, Voters: 3}))
	require.False(t, isLost(mark{3, 10}, recallAnswer{Had: mark{3, 11}, Voters: 2}))
	require.False(t, isLost(mark{3, 10}, recallAnswer{Had: mark{2, 11}}))
	require.False(t, isLost(mark{3, 10}, recallAnswer{Had: mark{3, 10}}))
	require.False(t, isLost(mark{3, 10}, recallAnswer{}), "a member of an earlier version does not know")
}
