package cluster

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"dapple/internal/halt"
)

// backup copies the folder of a node that is stopped.
func (f *fleet) backup(name string) string {
	f.t.Helper()
	dir := filepath.Join(f.t.TempDir(), name)
	require.NoError(f.t, os.CopyFS(dir, os.DirFS(f.dirs[name])))
	return dir
}

// lose makes a cluster of three forget acknowledged writes, which only one node, now stopped, still has: another is put back to
// an older copy of its folder while the third had missed them. It returns the one that has them.
func (f *fleet) lose(writes int) (keeper string) {
	f.t.Helper()
	f.startAll()
	f.voters(3)
	keeper = f.leader()
	victim, third := f.followers()[0], f.followers()[1]
	f.add(keeper, "before")
	f.stop(third)
	f.stop(victim)
	older := f.backup(victim)
	f.start(victim)
	f.ready(victim)
	for range writes {
		f.add(keeper, "lost")
	}
	f.stop(victim)
	f.stop(keeper)
	f.dirs[victim] = older
	for _, name := range []string{victim, third} {
		f.start(name)
	}
	for _, name := range []string{victim, third} {
		f.ready(name)
		f.add(name, "after")
	}
	return keeper
}

// A node that is told to drop what it knows to be committed stops, says so, and keeps its log.
func TestCommittedEntriesAreNotDropped(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	keeper := f.lose(30)
	before := lastIndex(t, f.dirs[keeper])
	f.start(keeper)
	require.ErrorIs(t, failure(t, f.nodes[keeper]), halt.ErrDiverged)
	f.stop(keeper)
	require.Equal(t, before, lastIndex(t, f.dirs[keeper]))
	leader := f.nodes[f.leader()]
	f.add(f.followers()[0], "after") // the others go on

	// Again, with the same result.
	f.start(keeper)
	require.ErrorIs(t, failure(t, f.nodes[keeper]), halt.ErrDiverged)
	f.stop(keeper)
	require.Equal(t, before, lastIndex(t, f.dirs[keeper]))

	f.wipe(keeper)
	f.start(keeper)
	f.ready(keeper)
	f.voters(3)
	require.Zero(t, leader.alarms.count(AlarmReplication))
}

func lastIndex(t *testing.T, dir string) uint64 {
	t.Helper()
	s := testStore(t, dir)
	last, err := s.LastIndex()
	require.NoError(t, err)
	require.NoError(t, s.close())
	return last
}

// appendTail puts entries that no other node has behind the log of a stopped node.
func appendTail(t *testing.T, dir string, entries uint64) {
	t.Helper()
	s := testStore(t, dir)
	last, err := s.LastIndex()
	require.NoError(t, err)
	term, err := s.term()
	require.NoError(t, err)
	for i := uint64(1); i <= entries; i++ {
		require.NoError(t, s.StoreLog(&raft.Log{Index: last + i, Term: term, Type: raft.LogNoop}))
	}
	require.NoError(t, s.close())
}

// A tail that was never committed is dropped as ever.
func TestUncommittedEntriesAreDropped(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	f.add("a", "x")
	old := f.leader()
	for _, name := range f.names {
		if name != old {
			f.stop(name)
		}
	}
	f.stop(old)
	appendTail(t, f.dirs[old], 5)
	for _, name := range f.names {
		if name != old {
			f.start(name)
		}
	}
	for _, name := range f.names {
		if name != old {
			f.ready(name)
			f.add(name, "x")
		}
	}
	f.start(old)
	f.ready(old)
	f.counted(old, "x", 3)
}

// A log that was put back alone is refused: the rest of the folder knows better.
func TestOlderLogIsRefused(t *testing.T) {
	f := newFleet(t, "a")
	f.startAll()
	f.stop("a")
	older := f.backup("a")
	f.start("a")
	f.ready("a")
	f.add("a", "x")
	f.stop("a")
	b, err := os.ReadFile(filepath.Join(older, raftStoreName))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(f.dirs["a"], raftStoreName), b, 0o600))
	f.start("a")
	require.ErrorIs(t, failure(t, f.nodes["a"]), halt.ErrRolledBack)
}

func TestDamagedMemoryIsRefused(t *testing.T) {
	for _, content := range []string{"", "{", "null", "{}", `{"version": 99}`, `{"version":1,"commit":{"term":1,"index":9},"crc32c":"00000000"}` + "\n"} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, memoryName), []byte(content), 0o600))
		_, err := loadMemories(dir, false)
		require.ErrorIs(t, err, halt.ErrFolderIncomplete, content)
	}
}

// restoring is a state machine that takes any snapshot.
type restoring struct{ *memMachine }

func (restoring) Restore(io.ReadCloser) error { return nil }

// Snapshots that lead nowhere are bounded.
func TestInstallsInARowAreBounded(t *testing.T) {
	n := &Node{log: slog.New(slog.DiscardHandler), failed: make(chan error, 1)}
	n.ctx, n.cancel = t.Context(), func() {}
	inRow := &atomic.Int32{}
	m := installs{restoring{newMemMachine()}, n, inRow}
	for range freeInstalls {
		require.NoError(t, m.Restore(nil))
	}
	inRow.Store(0) // the log went on
	require.NoError(t, m.Restore(nil))
	inRow.Store(mostInstalls)
	err := m.Restore(nil)
	require.ErrorIs(t, err, halt.ErrDiverged)
	require.Equal(t, err, <-n.Failed())
}
