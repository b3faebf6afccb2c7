package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"dapple/internal/halt"
)

// TestChangedByteStopsTheNode changes a letter of a command in a stopped node's log. Started again, the node stops before it
// applies the entry and names it, with the cause of a damaged log; the others go on.
func TestChangedByteStopsTheNode(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	index := f.add("a", "name-of-a-file").Index
	for _, name := range f.names {
		f.counted(name, "name-of-a-file", 1)
	}
	f.close(f.nodes["a"])
	path := filepath.Join(f.dirs["a"], raftStoreName)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(content), "name-of-a-file")
	require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(content, []byte("name-of-a-file"), []byte("name-of-a-filf")), 0o600))

	m := f.start("a")
	select {
	case err = <-m.Failed():
	case <-deadline(t).Done():
		t.Fatal("the node goes on")
	}
	require.ErrorIs(t, err, halt.ErrLogDamaged)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, fmt.Sprintf("entry %d ", index))
	require.Zero(t, m.machine.counter("name-of-a-filf"))
	require.Zero(t, m.machine.AppliedIndex())
	f.add("b", "later")
}

// TestEveryEntryIsSealed finds a checksum at each entry of each member, those of Raft itself included.
func TestEveryEntryIsSealed(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	for _, name := range f.names {
		f.add(name, "x")
	}
	for _, name := range f.names {
		f.counted(name, "x", 3)
	}
	for _, name := range f.names {
		store := f.nodes[name].store
		last, err := store.LastIndex()
		require.NoError(t, err)
		kinds := map[raft.LogType]bool{}
		for index := uint64(1); index <= last; index++ {
			var l raft.Log
			require.NoError(t, store.GetLog(index, &l))
			require.True(t, sealed(&l), "entry %d of %s at %s", index, l.Type, name)
			kinds[l.Type] = true
		}
		require.True(t, kinds[raft.LogCommand] && kinds[raft.LogConfiguration] && kinds[raft.LogNoop], kinds)
	}
}

// TestSealOnReceipt refuses an entry that was damaged on its way and seals one of an earlier version. What an earlier version
// has stored stays readable.
func TestSealOnReceipt(t *testing.T) {
	s := testStore(t, t.TempDir())
	defer s.close()
	old := &raft.Log{Index: 1, Term: 1, Data: []byte("stored by an earlier version")}
	require.NoError(t, s.bolt.StoreLogs([]*raft.Log{old}))
	var l raft.Log
	require.NoError(t, s.GetLog(1, &l))
	require.Equal(t, old.Data, l.Data)

	require.NoError(t, s.StoreLogs([]*raft.Log{{Index: 2, Term: 1, Data: []byte("sent by an earlier version")}}))
	require.NoError(t, s.GetLog(2, &l))
	require.True(t, sealed(&l))
	for what, damage := range map[string]func(*raft.Log){
		"index": func(l *raft.Log) { l.Index++ },
		"term":  func(l *raft.Log) { l.Term-- },
		"type":  func(l *raft.Log) { l.Type = raft.LogBarrier },
		"data":  func(l *raft.Log) { l.Data = []byte("sent by an earlier versioN") },
	} {
		damaged := l
		damage(&damaged)
		require.ErrorContains(t, s.StoreLogs([]*raft.Log{&damaged}), "does not match its checksum", what)
	}
	require.NoError(t, s.StoreLogs([]*raft.Log{{Index: 3, Extensions: []byte{sealVersion + 1, 0}}}), "of a later version")
	require.NoError(t, s.GetLog(3, &l))
}

// TestDamageWhileRaftRuns fails the node and ends the goroutine of Raft that reads a damaged entry, which would panic.
func TestDamageWhileRaftRuns(t *testing.T) {
	s := testStore(t, t.TempDir())
	defer s.close()
	l := &raft.Log{Index: 7, Term: 1, Data: []byte("x")}
	l.Extensions = sealOf(l)
	l.Data = []byte("y")
	require.NoError(t, s.bolt.StoreLogs([]*raft.Log{l}))
	failed := make(chan error, 1)
	ended, returned := make(chan struct{}), false
	go func() {
		defer close(ended)
		_ = raftStore{s, func(err error) { failed <- err }}.GetLog(7, &raft.Log{})
		returned = true
	}()
	<-ended
	require.False(t, returned)
	require.ErrorIs(t, <-failed, halt.ErrLogDamaged)
	require.ErrorIs(t, s.verify(context.Background(), 0, 100), halt.ErrLogDamaged)
	require.NoError(t, s.verify(context.Background(), 8, 100))
}

// TestNumbersOfRaftAreVerified changes the term of a vote in the file.
func TestNumbersOfRaftAreVerified(t *testing.T) {
	dir := t.TempDir()
	s := testStore(t, dir)
	require.NoError(t, s.Set([]byte("LastVoteTerm"), []byte{0, 0, 0, 0, 0, 0, 0, 5}))
	require.NoError(t, s.checkNumbers(), "stored by an earlier version")
	require.NoError(t, s.SetUint64([]byte("LastVoteTerm"), 6))
	term, err := s.GetUint64([]byte("LastVoteTerm"))
	require.NoError(t, err)
	require.EqualValues(t, 6, term)
	earlier, err := s.bolt.GetUint64([]byte("LastVoteTerm"))
	require.NoError(t, err)
	require.EqualValues(t, 6, earlier)
	require.NoError(t, s.close())

	db, err := bbolt.Open(filepath.Join(dir, raftStoreName), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket([]byte("conf"))
		changed := bytes.Clone(bucket.Get([]byte("LastVoteTerm")))
		changed[7]--
		return bucket.Put([]byte("LastVoteTerm"), changed)
	}))
	require.NoError(t, db.Close())
	s = testStore(t, dir)
	defer s.close()
	require.ErrorIs(t, s.checkNumbers(), halt.ErrLogDamaged)
}

// BenchmarkSeal makes and verifies the checksum of an entry of 256 KiB.
func BenchmarkSeal(b *testing.B) {
	l := &raft.Log{Index: 1, Term: 1, Data: make([]byte, 256<<10)}
	b.SetBytes(int64(len(l.Data)))
	for range b.N {
		l.Extensions = sealOf(l)
		if err := verifySeal(l); err != nil {
			b.Fatal(err)
		}
	}
}
