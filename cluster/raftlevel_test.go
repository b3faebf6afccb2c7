package cluster

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// Raft's messages keep their level unless something expected explains them.
func TestRaftLevels(t *testing.T) {
	f := newFleet(t, "a", "b")
	f.startAll()
	f.voters(2)
	leader, follower := f.nodes[f.leader()], f.nodes[f.followers()[0]]
	past := time.Now().Add(-time.Hour)
	leader.raftSince.Store(&past)
	leader.leadSince.Store(&past)
	eventually(t, func() bool { return leader.reach.peer(follower.serverID()).ever }, "it is polled")
	leader.reach.of(follower.serverID()).again = past
	var peer raft.Server
	for _, s := range leader.servers() {
		if string(s.ID) == follower.serverID() {
			peer = s
		}
	}
	broken := errors.New("broken")
	failures := map[string][]any{
		"failed to appendEntries to":                       {"peer", peer, "error", broken},
		"failed to heartbeat to":                           {"peer", peer.Address, "backoff time", time.Second, "error", broken},
		"failed to pipeline appendEntries":                 {"peer", peer, "error", broken},
		"failed to make requestVote RPC":                   {"target", peer, "error", broken, "term", uint64(3)},
		"failed to contact":                                {"server-id", peer.ID, "time", time.Hour},
		"failed to contact quorum of nodes, stepping down": nil,
		"heartbeat timeout reached, starting election":     {"last-leader-addr", peer.Address, "last-leader-id", peer.ID},
		"Election timeout reached, restarting election":    nil,
		"appendEntries rejected, sending older logs":       {"peer", peer, "next", uint64(7)},
		"failed to decode incoming command":                {"error", broken},
		"rejecting vote request since we have a leader":    {"from", peer.Address, "leader", peer.Address, "leader-id", string(peer.ID)},
	}
	requireLevels := func(quiet bool, when string) {
		for message, args := range failures {
			got := leader.raftLevel(slog.LevelError, message, args)
			require.Equal(t, quiet, got < slog.LevelWarn, "%s %s: %v", when, message, got)
		}
	}
	requireLevels(false, "out of the blue")
	leader.reach.announced(follower.serverID(), true)
	requireLevels(true, "when the other has said that it stops")
	require.True(t, leader.mayLackQuorum(time.Now()), "it stops, and this node may be next")
	require.False(t, leader.mayLackQuorum(past), "it does not come back")
	leader.reach.announced(follower.serverID(), false)
	requireLevels(true, "when it is just back")
	leader.reach.of(follower.serverID()).back = past
	requireLevels(false, "when it is back for long")
	leader.raftSince.Store(nil)
	leader.sawLeader.Store(false)
	require.Equal(t, slog.LevelInfo, leader.raftLevel(slog.LevelWarn, "Election timeout reached, restarting election", nil), "at the start")
	leader.raftSince.Store(&past)

	behind := []any{"previous-index", uint64(9), "last-index", uint64(4), "error", broken}
	require.Equal(t, slog.LevelInfo, leader.raftLevel(slog.LevelWarn, "failed to get previous log", behind))
	hole := []any{"previous-index", uint64(4), "last-index", uint64(9), "error", broken}
	require.Equal(t, slog.LevelWarn, leader.raftLevel(slog.LevelWarn, "failed to get previous log", hole), "its log has a hole")
	require.Equal(t, slog.LevelWarn, leader.raftLevel(slog.LevelWarn, "skipping application of old log", nil))
	require.Equal(t, slog.LevelError, leader.raftLevel(slog.LevelError, "failed to commit logs", nil))
	require.Equal(t, slog.LevelDebug, leader.raftLevel(slog.LevelDebug, "failed to contact", nil))
}

// Every message that is lowered is one of the library: another version may word it in another way.
func TestExpectedMessagesExist(t *testing.T) {
	folder := raftSource(t)
	var source strings.Builder
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		source.Write(b)
	}
	for message := range expectations {
		require.Regexp(t, `logger\.(Warn|Error)\(`+regexp.QuoteMeta(`"`+message+`"`), source.String())
	}
}

// A member that stops says so: the others expect that it does not answer, until it is back.
func TestStopIsAnnounced(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	gone := f.followers()[0]
	id := f.nodes[gone].serverID()
	f.close(f.nodes[gone])
	for name, m := range f.nodes {
		require.Equal(t, name != gone, m.reach.isAway(id), name)
	}
	f.start(gone)
	f.ready(gone)
	for name, m := range f.nodes {
		eventually(t, func() bool { return !m.reach.isAway(id) }, "%s does not know that %s is back", name, gone)
	}

	f.stop(gone) // as if killed
	for _, m := range f.nodes {
		require.False(t, m.reach.isAway(id))
	}
}

// A follower that misses the word of a member's start hears it a little later.
func TestStartIsAnnouncedAgain(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	gone, other := f.followers()[0], f.followers()[1]
	id := f.nodes[gone].serverID()
	f.close(f.nodes[gone])
	require.True(t, f.nodes[other].reach.isAway(id))
	f.net.Cut(gone, other)
	f.start(gone)
	f.ready(gone)
	f.net.Heal(gone, other)
	eventually(t, func() bool { return !f.nodes[other].reach.isAway(id) }, "%s does not know that %s is back", other, gone)
}

// raftSource returns the folder of the library's source.
func raftSource(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/hashicorp/raft").Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}
