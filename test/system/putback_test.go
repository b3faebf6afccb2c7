package system

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
)

// serverID returns under which id a node is a member.
func (c *client) serverID(t *testing.T, p *process) string {
	t.Helper()
	s, err := c.status(t.Context())
	require.NoError(t, err)
	for _, m := range s.Members {
		if m.Name == p.name {
			return m.ID
		}
	}
	t.Fatalf("%s is no member", p.name)
	return ""
}

// exitCode waits for the end of a process.
func (p *process) exitCode() int {
	p.t.Helper()
	<-p.exited
	p.exited = nil
	return p.cmd.ProcessState.ExitCode()
}

// A node whose folder was put back to an older copy rejoins as a new member, with all that was written since. A process with a
// copy of the folder of a running node is refused, and the node keeps its place.
func TestFolderThatWasPutBack(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	root := login(t, c.nodes[0])
	root.prepare(t, "back", "BACK")
	c.waitVoters(root, 3)
	victim := c.nodes[2]
	victim.terminate()
	older := victim.dir + ".older"
	require.NoError(t, os.CopyFS(older, os.DirFS(victim.dir)))
	victim.start()
	c.waitReady(victim)
	for _, name := range []string{"one", "two"} {
		root.at(victim).must(t, http.MethodPost, "/replicas", registration("BACK", "back", name), 201)
	}
	before := root.serverID(t, victim)

	twin := &process{t: t, name: victim.name, dir: older + ".twin", http: testcluster.FreeAddress(t), cluster: testcluster.FreeAddress(t), join: victim.join}
	t.Cleanup(twin.kill)
	require.NoError(t, os.CopyFS(twin.dir, os.DirFS(older)))
	twin.start()
	require.Equal(t, 18, twin.exitCode())
	log, err := os.ReadFile(twin.dir + ".log")
	require.NoError(t, err)
	require.Contains(t, string(log), "answers at "+victim.cluster)
	require.Equal(t, before, root.serverID(t, victim))
	root.at(victim).must(t, http.MethodPost, "/replicas", registration("BACK", "back", "three"), 201)

	victim.kill()
	victim.wipe()
	require.NoError(t, os.Rename(older, victim.dir))
	victim.start()
	c.waitReady(victim)
	c.waitVoters(root, 3)
	require.NotEqual(t, before, root.serverID(t, victim))
	held := root.at(victim).existing(t, "back", []string{"one", "two", "three"})
	require.Equal(t, map[string]bool{"one": true, "two": true, "three": true}, held)
	c.requireEqualDigests(root)
	node, err := os.ReadFile(filepath.Join(victim.dir, "node.json"))
	require.NoError(t, err)
	require.NotContains(t, string(node), "rejoining")
}
