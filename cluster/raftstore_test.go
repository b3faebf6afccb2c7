package cluster

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"dapple/internal/halt"
)

// filledStore returns a store with entries and the numbers of Raft.
func filledStore(t *testing.T, dir string, entries int) *logStore {
	t.Helper()
	s := testStore(t, dir)
	require.NoError(t, s.SetUint64([]byte("CurrentTerm"), 3))
	require.NoError(t, s.SetUint64([]byte("LastVoteTerm"), 3))
	for i := range entries {
		require.NoError(t, s.StoreLog(&raft.Log{Index: uint64(i + 1), Term: 3, Data: bytes.Repeat([]byte{byte(i)}, 300)}))
	}
	return s
}

// TestDamageBelowAnOpenStore overwrites the pages of a store that is open. bbolt panics at them; everything that the node does
// with the store must come to an error with its cause, before Raft runs too.
func TestDamageBelowAnOpenStore(t *testing.T) {
	for name, use := range map[string]func(n *Node, s *logStore) error{
		"first index": func(_ *Node, s *logStore) error { _, err := s.FirstIndex(); return err },
		"last index":  func(_ *Node, s *logStore) error { _, err := s.LastIndex(); return err },
		"entry":       func(_ *Node, s *logStore) error { return s.GetLog(7, &raft.Log{}) },
		"append":      func(_ *Node, s *logStore) error { return s.StoreLog(&raft.Log{Index: 1000, Term: 3}) },
		"cut":         func(_ *Node, s *logStore) error { return s.DeleteRange(1, 50) },
		"get":         func(_ *Node, s *logStore) error { _, err := s.Get([]byte("LastVoteCand")); return err },
		"set":         func(_ *Node, s *logStore) error { return s.Set([]byte("LastVoteCand"), []byte("a")) },
		"term":        func(_ *Node, s *logStore) error { _, err := s.term(); return err },
		"numbers":     func(_ *Node, s *logStore) error { return s.checkNumbers() },
		"verify":      func(_ *Node, s *logStore) error { return s.verify(context.Background(), 0, 1000) },
		"begin":       func(_ *Node, s *logStore) error { return checkLog(s, raft.NewInmemSnapshotStore()) },
		"bootstrap":   func(n *Node, _ *logStore) error { return n.bootstrap() },
		"memory":      func(n *Node, _ *logStore) error { return n.checkMemory() },
		"skip":        func(_ *Node, s *logStore) error { _, _, err := s.stored(7); return err },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := filledStore(t, dir, 200)
			defer s.close() //nolint:errcheck // it is damaged
			path := filepath.Join(dir, raftStoreName)
			info, err := os.Stat(path)
			require.NoError(t, err)
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			require.NoError(t, err)
			begin := int64(2 * os.Getpagesize())
			_, err = f.WriteAt(bytes.Repeat([]byte("garbage!"), int(info.Size()-begin)/8), begin)
			require.NoError(t, err)
			require.NoError(t, f.Close())

			memories, err := loadMemories(dir, false)
			require.NoError(t, err)
			memories.committed(mark{3, 9})
			n := &Node{store: s, memories: memories, cfg: Config{Machine: newMemMachine(), DataDir: dir}}
			err = use(n, s)
			require.ErrorIs(t, err, halt.ErrLogDamaged)
			require.ErrorContains(t, err, raftStoreName)
		})
	}
}

// TestCauseOfFailedBootstrap finds a full disk in the error of a bootstrap, where Raft drops it.
func TestCauseOfFailedBootstrap(t *testing.T) {
	s := &causeStore{logStore: testStore(t, t.TempDir())}
	defer s.close() //nolint:errcheck // of a test
	s.refuse = func() error { return halt.ErrDiskFull }
	_, trans := raft.NewInmemTransport("a")
	conf := raft.DefaultConfig()
	conf.LocalID = "a"
	servers := raft.Configuration{Servers: []raft.Server{{ID: "a", Address: "a"}}}
	err := raft.BootstrapCluster(conf, s, s, raft.NewInmemSnapshotStore(), trans, servers)
	require.Error(t, err)
	require.NotErrorIs(t, err, halt.ErrDiskFull)
	require.ErrorIs(t, s.err, halt.ErrDiskFull)
}

// TestEveryChangedByteOfTheLog changes one byte in many places of the file. The store is refused as damaged, or nothing in it differs.
func TestEveryChangedByteOfTheLog(t *testing.T) {
	const entries = 30
	dir := t.TempDir()
	require.NoError(t, filledStore(t, dir, entries).close())
	whole, err := os.ReadFile(filepath.Join(dir, raftStoreName))
	require.NoError(t, err)
	step, refused := 211, 0
	for at := 0; at < len(whole); at += step {
		dir := t.TempDir()
		b := bytes.Clone(whole)
		b[at] ^= 0x5a
		require.NoError(t, os.WriteFile(filepath.Join(dir, raftStoreName), b, 0o600))
		if err := readWhole(t, dir, entries); err != nil {
			require.ErrorIs(t, err, halt.ErrLogDamaged, "byte %d", at)
			refused++
		}
	}
	require.Greater(t, refused, entries*300/step, "%d of %d", refused, len(whole)/step)
}

// readWhole reads what filledStore has stored, as a start of a node does, and wants it unchanged.
func readWhole(t *testing.T, dir string, entries int) error {
	t.Helper()
	s, err := openLogStore(dir, nil)
	if err != nil {
		return err
	}
	defer s.close() //nolint:errcheck // it may be damaged
	if err := s.checkNumbers(); err != nil {
		return err
	}
	if err := s.verify(context.Background(), 0, 1000); err != nil {
		return err
	}
	term, err := s.term()
	require.NoError(t, err)
	require.EqualValues(t, 3, term)
	last, err := s.LastIndex()
	require.NoError(t, err)
	require.EqualValues(t, entries, last)
	for i := range entries {
		var l raft.Log
		require.NoError(t, s.GetLog(uint64(i+1), &l))
		require.Equal(t, bytes.Repeat([]byte{byte(i)}, 300), l.Data)
	}
	return nil
}
