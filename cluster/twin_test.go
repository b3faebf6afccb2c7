package cluster

import (
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// copyFolder copies the folder of a member, which is stopped for it and runs again.
func (f *fleet) copyFolder(name string) (dir string) {
	f.t.Helper()
	f.stop(name)
	dir = f.t.TempDir()
	require.NoError(f.t, os.CopyFS(dir, os.DirFS(f.dirs[name])))
	f.start(name)
	f.ready(name)
	return dir
}

// startCopy runs a copy of a member's folder at another address. The disturbances of the network are the member's alone.
func (f *fleet) startCopy(name, dir string) *member {
	f.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(f.t, err)
	cfg := f.config(name)
	cfg.DataDir, cfg.Listener, cfg.ClusterAddr, cfg.ClusterAdvertise, cfg.Hook = dir, l, "", l.Addr().String(), nil
	n, err := Start(f.t.Context(), cfg)
	require.NoError(f.t, err)
	m := &member{Node: n, machine: cfg.Machine.(*memMachine)}
	f.t.Cleanup(func() { f.close(m) })
	return m
}

// forgetAddress makes a folder one of before nodes kept their address.
func (f *fleet) forgetAddress(dir string) {
	f.t.Helper()
	m, err := loadMeta(dir)
	require.NoError(f.t, err)
	m.Address = ""
	require.NoError(f.t, saveMeta(dir, m))
}

// address returns where the leader reaches a member.
func (f *fleet) address(name string) string {
	for _, s := range f.nodes[f.leader()].servers() {
		if nameOf(string(s.ID)) == name {
			return string(s.Address)
		}
	}
	return ""
}

// A copy of a running member's folder that is started elsewhere does not start Raft, or is refused by the leader if it
// cannot know. The member keeps its address.
func TestCopiedFolder(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]bool{"by itself": false, "by the leader": true} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, "a", "b", "c")
			f.startAll()
			f.voters(3)
			for _, of := range []string{f.leader(), f.followers()[0]} {
				dir := f.copyFolder(of)
				if forget {
					f.forgetAddress(dir)
				}
				twin := f.startCopy(of, dir)
				require.ErrorContains(t, failure(t, twin), "runs already at "+f.addrs[of])
				require.Equal(t, forget, twin.consensus.Load() != nil)
				require.Equal(t, f.addrs[of], f.address(of))
				f.add(of, "x")
			}
		})
	}
}

// A member whose copy took over its address while it was cut off stops when it is back, and says why.
func TestCopyTookOver(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	name := f.followers()[0]
	dir := f.copyFolder(name)
	f.forgetAddress(dir) // the copy reaches the member, other than the others do
	eventually(t, func() bool {
		m := f.nodes[name]
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.hosts) > 0
	}, "the member has not made its address known")
	f.net.Isolate(name)
	twin := f.startCopy(name, dir)
	address := twin.cfg.ClusterAdvertise
	eventually(t, func() bool { return f.address(name) == address }, "the copy is not known at its address")
	f.net.Rejoin(name)
	require.ErrorContains(t, failure(t, f.nodes[name]), "runs already at "+address)
	f.close(f.nodes[name])
	f.add(f.leader(), "x")
}
