package cluster

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// A node that lost its folder must not help to elect a leader that lacks what it had acknowledged.
func TestWipedNodeElectsNobody(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	f.stop("c")
	f.add("a", "acknowledged") // by a and b
	f.counted("b", "acknowledged", 1)
	before := f.nodes["b"].serverID()
	f.stop("b")
	f.wipe("b")
	f.stop("a")

	f.start("b")
	f.start("c")
	// Several election timeouts long, nobody may lead.
	leads := func() bool { return f.nodes["b"].IsLeader() || f.nodes["c"].IsLeader() }
	require.Never(t, leads, time.Second, 20*time.Millisecond)
	_, err := proposeFor(f.nodes["c"], 200*time.Millisecond, "x")
	require.Equal(t, command.CodeNoLeader, CodeOf(err), "%v", err)
	_, err = proposeFor(f.nodes["b"], 200*time.Millisecond, "x")
	require.Equal(t, command.CodeNotReady, CodeOf(err), "%v", err)
	require.Equal(t, RoleJoining, f.nodes["b"].Status(t.Context()).Role)

	f.start("a")
	for _, name := range f.names {
		f.ready(name)
		f.counted(name, "acknowledged", 1)
	}
	f.voters(3)
	require.NotEqual(t, before, f.nodes["b"].serverID())
	f.add("b", "x")
	f.counted("c", "x", 1)
}

// A node of another name joins a cluster that runs, learns what was written before, and becomes a voter.
func TestJoinRunningCluster(t *testing.T) {
	f := newFleet(t, "a", "d")
	f.tweak = func(c *Config) {
		if c.NodeID == "a" {
			c.Join = nil
		}
	}
	f.start("a")
	f.ready("a")
	for range 20 {
		f.add("a", "x")
	}
	f.start("d")
	f.ready("d")
	f.counted("d", "x", 20)
	f.voters(2)
	f.add("d", "x")
	s := f.nodes["d"].Status(t.Context())
	require.Equal(t, RoleFollower, s.Role)
	require.Equal(t, "http://a", s.LeaderHTTP)
	require.Equal(t, "http://a", f.nodes["d"].LeaderHTTP())
	require.Len(t, s.Members, 2)
	for _, m := range s.Members {
		require.True(t, m.Reachable, members(s.Members))
		require.Equal(t, "http://"+m.Name, m.HTTP)
		require.Equal(t, "test", m.Version)
	}
}

// A learner that cannot apply is not promoted.
func TestLearnerThatLagsIsNotPromoted(t *testing.T) {
	f := newFleet(t, "a", "d")
	machine := newMemMachine()
	f.tweak = func(c *Config) {
		if c.NodeID == "a" {
			c.Join = nil
		} else {
			c.Machine = machine
		}
	}
	f.start("a")
	f.ready("a")
	f.add("a", "x")
	release := machine.hold()
	f.start("d")
	a := f.nodes["a"]
	eventually(t, func() bool { return len(a.servers()) == 2 }, "d is no learner")
	id := f.nodes["d"].serverID()
	eventually(t, func() bool { p := a.polled(id); return p.ok && p.target > 0 }, "d is not polled")
	f.add("a", "x") // d has no vote, so this needs it not
	require.False(t, a.polled(id).caughtUp)
	require.Equal(t, 1, a.voters())
	release()
	f.voters(2)
}

// A member that comes back at another address is reached there.
func TestAddressChange(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	for _, name := range []string{f.followers()[0], f.leader()} {
		f.stop(name)
		f.place(name)
		f.start(name)
		f.ready(name)
		eventually(t, func() bool {
			for _, m := range f.nodes[f.leader()].Status(context.Background()).Members {
				if m.Name == name {
					return m.Address == f.addrs[name] && m.Reachable
				}
			}
			return false
		}, "%s is not known at its new address", name)
		f.add(name, "x")
	}
}

// A folder that a later incarnation of the name has replaced is refused with a message, also at the old address.
func TestReplacedIncarnationIsRefused(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	name := f.followers()[0]
	old := f.dirs[name]
	f.stop(name)
	f.wipe(name)
	f.start(name)
	f.ready(name)
	f.voters(3)
	f.stop(name)
	f.dirs[name] = old
	f.start(name)
	err := failure(t, f.nodes[name])
	require.ErrorContains(t, err, "later incarnation")
	_, err = proposeFor(f.nodes[name], time.Second, "x")
	require.Equal(t, command.CodeFailed, CodeOf(err))
}

func failure(t *testing.T, m *member) error {
	t.Helper()
	select {
	case err := <-m.Failed():
		return err
	case <-deadline(t).Done():
		require.Fail(t, "the node did not fail")
		return nil
	}
}

// A second node with the name of a running one is not taken in.
func TestNameInUse(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b")
	f.startAll()
	f.voters(2)
	twin := f.config("b")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	twin.DataDir, twin.Listener, twin.ClusterAddr, twin.ClusterAdvertise = t.TempDir(), l, "", l.Addr().String()
	n, err := Start(t.Context(), twin)
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Shutdown(deadline(t))) }()
	taken := func() bool { return n.Status(t.Context()).Role != RoleJoining }
	require.Never(t, taken, 500*time.Millisecond, 20*time.Millisecond)
	f.add("b", "x")
}

// Fewer nodes than expected form no cluster; the third makes it.
func TestFormingWaitsForExpected(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	f.start("b")
	f.start("c")
	eventually(t, func() bool { return f.nodes["b"].currentPhase() == "forming: 2 of 3 nodes are there" }, "b does not wait")
	err := f.nodes["b"].Ready(t.Context())
	require.Equal(t, command.CodeNotReady, CodeOf(err))
	require.ErrorContains(t, err, "2 of 3")
	f.start("a")
	for _, name := range f.names {
		f.ready(name)
	}
	id := f.nodes["a"].Status(t.Context()).ClusterID
	require.Len(t, id, 32)
	require.Equal(t, id, f.nodes["c"].Status(t.Context()).ClusterID)
	held, ok := f.nodes["c"].machine.ClusterID()
	require.True(t, ok)
	require.Equal(t, id, hexOf(held))
}

// Each node is told of one other only, and the one that is to form the cluster not of those that know of it.
func TestFormingFromOneKnownAddress(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.tweak = func(c *Config) {
		c.BootstrapExpect = 3
		c.Join = map[string][]string{"a": {f.addrs["c"]}, "b": {f.addrs["c"]}, "c": nil}[c.NodeID]
	}
	f.startAll()
	require.Len(t, f.nodes["b"].Status(t.Context()).Members, 3)
}

// A node that formed the cluster and is alone takes no writes, until the expected voters have been there. The folder is as a
// crash leaves it after the node file was written: without anything of Raft, or with a term only.
func TestFormingCrash(t *testing.T) {
	for _, withTerm := range []bool{false, true} {
		t.Run(map[bool]string{false: "nothing", true: "term"}[withTerm], func(t *testing.T) {
			f := newFleet(t, "a", "b", "c")
			m, err := newMeta("a")
			require.NoError(t, err)
			m.Cluster, m.Forming = "00112233445566778899aabbccddeeff", 3
			require.NoError(t, saveMeta(f.dirs["a"], m))
			if withTerm {
				s := testStore(t, f.dirs["a"])
				require.NoError(t, s.SetUint64([]byte("CurrentTerm"), 1))
				require.NoError(t, s.close())
			}
			f.start("a")
			eventually(t, func() bool { return f.nodes["a"].views.get().ready }, "a does not lead")
			err = f.nodes["a"].Ready(t.Context())
			require.ErrorContains(t, err, "forming: 1 of 3 voters")
			_, err = proposeFor(f.nodes["a"], 200*time.Millisecond, "x")
			require.Equal(t, command.CodeNotReady, CodeOf(err), "%v", err)
			f.start("b")
			f.start("c")
			for _, name := range f.names {
				f.ready(name)
			}
			f.voters(3)
			f.add("c", "x")
			require.Zero(t, f.nodes["a"].currentMeta().Forming)
			require.Equal(t, m.Cluster, f.nodes["c"].Status(t.Context()).ClusterID)
		})
	}
}

// A joiner that crashed after its node file was written comes up with an empty log and catches up.
func TestJoinCrash(t *testing.T) {
	f := newFleet(t, "a", "b")
	f.startAll()
	f.voters(2)
	f.add("a", "x")
	f.stop("b")
	// As it was between the node file and the first word of the leader.
	require.NoError(t, os.Remove(filepath.Join(f.dirs["b"], raftStoreName)))
	require.NoError(t, os.Remove(filepath.Join(f.dirs["b"], memoryName)))
	m, err := loadMeta(f.dirs["b"])
	require.NoError(t, err)
	m.Started, m.Remembers = false, false
	require.NoError(t, saveMeta(f.dirs["b"], m))
	f.start("b")
	f.ready("b")
	f.counted("b", "x", 1)
}

func TestFormingIsRefusedWithoutGenesis(t *testing.T) {
	f := newFleet(t, "a")
	f.tweak = func(c *Config) {
		c.Genesis = func([16]byte) (*command.Genesis, error) { return nil, errors.New("no password for root") }
	}
	f.start("a")
	require.ErrorContains(t, failure(t, f.nodes["a"]), "no password for root")
	_, err := loadMeta(f.dirs["a"])
	require.NoError(t, err)
	require.Empty(t, f.nodes["a"].currentMeta().Cluster)
}

func TestFolderIsChecked(t *testing.T) {
	t.Parallel()
	formed := func(t *testing.T) *fleet {
		f := newFleet(t, "a")
		f.startAll()
		f.stop("a")
		return f
	}
	cases := map[string]struct {
		spoil func(t *testing.T, f *fleet, c *Config)
		want  string
	}{
		"other name": {func(_ *testing.T, _ *fleet, c *Config) { c.NodeID = "z" }, `belongs to node "a"`},
		"lost log": {func(t *testing.T, f *fleet, _ *Config) {
			require.NoError(t, os.Remove(filepath.Join(f.dirs["a"], raftStoreName)))
		}, "raft.db is lost"},
		"lost node file": {func(t *testing.T, f *fleet, _ *Config) {
			require.NoError(t, os.Remove(filepath.Join(f.dirs["a"], metaName)))
		}, "has state but no cluster"},
		"damaged node file": {func(t *testing.T, f *fleet, _ *Config) {
			require.NoError(t, os.WriteFile(filepath.Join(f.dirs["a"], metaName), []byte("{"), 0o600))
		}, metaName},
		"other state":      {func(_ *testing.T, _ *fleet, c *Config) { c.Machine.(*memMachine).cluster = &[16]byte{1} }, "belongs to cluster"},
		"bootstrap-expect": {func(_ *testing.T, _ *fleet, c *Config) { c.Join, c.BootstrapExpect = []string{"b:1", "c:1"}, 1 }, "must be at least 2"},
		"bad name":         {func(_ *testing.T, _ *fleet, c *Config) { c.NodeID = "a@b" }, "node id"},
		"bad address":      {func(_ *testing.T, _ *fleet, c *Config) { c.Join = []string{"b"} }, "cluster address"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := formed(t)
			cfg := f.config("a")
			c.spoil(t, f, &cfg)
			_, err := Start(t.Context(), cfg)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// Two processes cannot run on one folder.
func TestFolderIsLocked(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a")
	f.startAll()
	cfg := f.config("a")
	cfg.ClusterAddr, cfg.ClusterAdvertise, cfg.Join = "127.0.0.1:0", "", nil
	_, err := Start(t.Context(), cfg)
	require.ErrorContains(t, err, "raft.db")
}
