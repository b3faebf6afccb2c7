package fsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

// takeSnapshot does what raft does for a local snapshot of everything that has been applied.
func takeSnapshot(t testing.TB, m *Machine) {
	t.Helper()
	m.mu.Lock()
	at, members := m.state.applied, m.state.members
	m.mu.Unlock()
	require.NoError(t, snapshotAt(m, at, members))
}

func snapshotAt(m *Machine, at position, members membership) error {
	snap, err := m.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Release()
	to, err := create(m, at, members)
	if err != nil {
		return err
	}
	if err := snap.Persist(to); err != nil {
		return errors.Join(err, to.Cancel())
	}
	return to.Close()
}

func create(m *Machine, at position, members membership) (raft.SnapshotSink, error) {
	return m.Snapshots().Create(raft.SnapshotVersionMax, at.index, at.term, members.configuration(), members.index, nil)
}

// listed returns the one snapshot that List reports, or nil.
func listed(t testing.TB, m *Machine) *raft.SnapshotMeta {
	t.Helper()
	all, err := m.Snapshots().List()
	require.NoError(t, err)
	if len(all) == 0 {
		return nil
	}
	require.Len(t, all, 1)
	return all[0]
}

// stream opens the live store of m and reads it to the end.
func stream(t testing.TB, m *Machine) (*raft.SnapshotMeta, []byte) {
	t.Helper()
	meta, from, err := m.Snapshots().Open(liveID)
	require.NoError(t, err)
	b, err := io.ReadAll(from)
	require.NoError(t, err)
	require.NoError(t, from.Close())
	require.EqualValues(t, meta.Size, len(b), "the announced size must be exact")
	return meta, b
}

// send does what raft does with a snapshot that another node sends, up to the restore.
func send(m *Machine, meta *raft.SnapshotMeta, b []byte) (raft.SnapshotSink, error) {
	to, err := m.Snapshots().Create(meta.Version, meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex, nil)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(to, iotest.HalfReader(bytes.NewReader(b))); err != nil {
		return nil, errors.Join(err, to.Cancel())
	}
	return to, to.Close()
}

// install sends a snapshot and restores it.
func install(m *Machine, meta *raft.SnapshotMeta, b []byte) error {
	to, err := send(m, meta, b)
	if err != nil {
		return err
	}
	_, from, err := m.Snapshots().Open(to.ID())
	if err != nil {
		return err
	}
	return errors.Join(m.Restore(wrapped{from}), from.Close())
}

// wrapped stands for the counting reader that raft puts around a stream.
type wrapped struct{ io.ReadCloser }

func (w wrapped) WrappedReadCloser() io.ReadCloser { return w.ReadCloser }

// filled returns a machine with some state on disk and the history that made it.
func filled(t testing.TB, fs vfs.FS, seed uint64, length int) (*Machine, []*raft.Log) {
	t.Helper()
	m, err := Open(testConfig(fs))
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	history := randomHistory(t, seed, length)
	apply(t, m, history...)
	takeSnapshot(t, m)
	return m, history
}

// names lists the state folder, without lock and pointer.
func names(t testing.TB, fs vfs.FS) []string {
	t.Helper()
	all, err := fs.List("/state")
	require.NoError(t, err)
	all = slices.DeleteFunc(all, func(name string) bool { return name == lockFile || name == currentFile })
	slices.Sort(all)
	return all
}

func TestListReportsWhatIsOnDisk(t *testing.T) {
	fs := vfs.NewCrashableMem()
	m := mustOpen(t, testConfig(fs))
	require.Nil(t, listed(t, m), "an empty store is no snapshot")
	apply(t, m, configuration(1, "a", "b"), entry(t, 2, script(t, "put x 1")))
	require.Nil(t, listed(t, m), "nothing has been flushed")
	takeSnapshot(t, m)
	apply(t, m, configuration(3, "a", "b", "c"), entry(t, 11, script(t, "put x 2")))

	check := func(m *Machine, index, term, configurationIndex uint64, servers int) {
		t.Helper()
		meta := listed(t, m)
		require.Equal(t, []uint64{index, term, configurationIndex}, []uint64{meta.Index, meta.Term, meta.ConfigurationIndex})
		require.Len(t, meta.Configuration.Servers, servers, "the membership is of that state, not of a later one")
	}
	check(m, 2, 1, 1, 2)
	crashed := mustOpen(t, testConfig(fs.CrashClone(vfs.CrashCloneCfg{})))
	check(crashed, 2, 1, 1, 2)
	require.EqualValues(t, 2, crashed.AppliedIndex())
	takeSnapshot(t, m)
	check(m, 11, 2, 3, 3)
}

// TestSnapshotCoversEntriesThatNeverCome: barriers and no-ops move raft's index and not the machine's.
func TestSnapshotCoversEntriesThatNeverCome(t *testing.T) {
	fs := vfs.NewCrashableMem()
	m := mustOpen(t, testConfig(fs))
	apply(t, m, configuration(1, "a"), entry(t, 2, script(t, "put x 1")))
	require.NoError(t, snapshotAt(m, position{7, 3}, m.state.members))
	require.EqualValues(t, 7, m.AppliedIndex())
	meta := listed(t, m)
	require.EqualValues(t, 7, meta.Index)
	require.EqualValues(t, 3, meta.Term)
	m = mustOpen(t, testConfig(fs.CrashClone(vfs.CrashCloneCfg{})))
	require.EqualValues(t, 7, m.AppliedIndex())
	require.Equal(t, "1", get(t, m, "x"))
}

func TestSnapshotNeverGoesBack(t *testing.T) {
	m := newMachine(t)
	apply(t, m, configuration(1, "a"), entry(t, 2, script(t, "put x 1")))
	before := m.state.members
	snap, err := m.Snapshot()
	require.NoError(t, err)
	defer snap.Release()
	to, err := create(m, m.state.applied, before)
	require.NoError(t, err)
	apply(t, m, configuration(3, "a", "b"), entry(t, 4, script(t, "put x 2"))) // raft applies while it persists
	require.NoError(t, snap.Persist(to))
	require.NoError(t, to.Close())
	require.NoError(t, to.Close(), "a second Close does nothing")
	require.EqualValues(t, 4, m.AppliedIndex())
	require.Len(t, m.state.members.servers, 2, "the later membership stays")
	require.GreaterOrEqual(t, listed(t, m).Index, uint64(2))
}

func TestStreamAndInstall(t *testing.T) {
	source, history := filled(t, vfs.NewMem(), 11, 120)
	meta, b := stream(t, source)
	require.Len(t, names(t, source.cfg.fs), 1, "the checkpoint is gone")

	fs := vfs.NewMem()
	m := mustOpen(t, testConfig(fs))
	apply(t, m, history[:30]...)
	require.NoError(t, install(m, meta, b))
	require.Equal(t, source.AppliedIndex(), m.AppliedIndex())
	require.Equal(t, stateDigest(t, source), stateDigest(t, m))
	require.Equal(t, meta.Index, listed(t, m).Index)
	require.Equal(t, meta.Configuration, listed(t, m).Configuration)

	// Both go on alike: sessions and clock came along.
	more := []*raft.Log{entry(t, meta.Index+3, register(t, "z", sessionID(9)), script(t, "append 001 x"), history2(t, history))}
	require.Equal(t, apply(t, source, more...), apply(t, m, more...))
	require.Equal(t, stateDigest(t, source), stateDigest(t, m))

	require.NoError(t, m.Close())
	require.Len(t, names(t, fs), 1, "the replaced store is gone")
	m = mustOpen(t, testConfig(fs))
	require.Equal(t, stateDigest(t, source), stateDigest(t, m))
}

// history2 returns the last command with a session in a history, to be sent again.
func history2(t testing.TB, history []*raft.Log) command.Command {
	t.Helper()
	for _, e := range slices.Backward(history) {
		if e.Type != raft.LogCommand {
			continue
		}
		decoded, err := command.DecodeEntry(e.Data)
		require.NoError(t, err)
		for _, c := range slices.Backward(decoded.Commands) {
			if c.Session != (command.SessionID{}) {
				return c
			}
		}
	}
	require.Fail(t, "no such command")
	return command.Command{}
}

func TestStreamRightAfterAStart(t *testing.T) {
	fs := vfs.NewCrashableMem()
	m, history := filled(t, fs, 5, 40)
	want := stateDigest(t, m)
	for name, left := range map[string]*vfs.MemFS{"after a crash": fs.CrashClone(vfs.CrashCloneCfg{}), "after a stop": fs} {
		t.Run(name, func(t *testing.T) {
			if left == fs {
				require.NoError(t, m.Close())
			}
			meta, b := stream(t, mustOpen(t, testConfig(left)))
			require.Equal(t, history[39].Index, meta.Index)
			other := newMachine(t)
			require.NoError(t, install(other, meta, b))
			require.Equal(t, want, stateDigest(t, other))
			again, _ := stream(t, other)
			require.Equal(t, meta.Index, again.Index)
		})
	}
}

func TestRestoreOfTheLiveStoreChangesNothing(t *testing.T) {
	m, history := filled(t, vfs.NewMem(), 5, 40)
	_, from, err := m.Snapshots().Open(liveID)
	require.NoError(t, err)
	next := entry(t, history[39].Index+1, script(t, "put x 1"))
	apply(t, m, next)
	require.NoError(t, m.Restore(wrapped{wrapped{from}}))
	require.NoError(t, from.Close())
	require.NoError(t, from.Close(), "a second Close does nothing")
	require.Equal(t, next.Index, m.AppliedIndex())

	other := newMachine(t)
	_, from, err = m.Snapshots().Open(liveID)
	require.NoError(t, err)
	require.Error(t, other.Restore(from), "a stream of another machine")
	require.NoError(t, from.Close())
	require.Error(t, m.Restore(io.NopCloser(strings.NewReader("x"))))
}

func TestOlderSnapshotIsNotInstalled(t *testing.T) {
	source, history := filled(t, vfs.NewMem(), 5, 40)
	meta, b := stream(t, source)
	m := newMachine(t)
	apply(t, m, history...)
	apply(t, m, entry(t, meta.Index+5, script(t, "put x later")))
	require.NoError(t, install(m, meta, b), "sent twice: the second copy comes late")
	require.EqualValues(t, meta.Index+5, m.AppliedIndex())
	require.Equal(t, "later", get(t, m, "x"))

	// With a higher term it is another history, which replaces this one.
	source.mu.Lock()
	at, members := source.state.applied, source.state.members
	source.mu.Unlock()
	require.NoError(t, snapshotAt(source, position{at.index + 1, at.term + 7}, members))
	meta, b = stream(t, source)
	require.NoError(t, install(m, meta, b))
	require.Equal(t, meta.Index, m.AppliedIndex())
	require.Empty(t, get(t, m, "x"))
}

func TestSnapshotOfAnotherClusterIsRefused(t *testing.T) {
	form := func(id byte) *Machine {
		m := newMachine(t)
		apply(t, m, configuration(1, "a"), entry(t, 2, genesis(t, id)), entry(t, uint64(3)+uint64(id), script(t, "put x 1")))
		takeSnapshot(t, m)
		return m
	}
	a, b := form(1), form(2)
	id, known := a.ClusterID()
	require.True(t, known)
	require.EqualValues(t, 1, id[0])
	meta, bytes := stream(t, b)
	require.ErrorIs(t, install(a, meta, bytes), errStream)
	require.NoError(t, a.Err(), "the machine goes on with what it has")
	require.EqualValues(t, 4, a.AppliedIndex())
	require.Len(t, names(t, a.cfg.fs), 1)

	fresh := newMachine(t)
	_, known = fresh.ClusterID()
	require.False(t, known)
	require.NoError(t, install(fresh, meta, bytes))
	id, known = fresh.ClusterID()
	require.True(t, known)
	require.EqualValues(t, 2, id[0])
}

func genesis(t testing.TB, id byte) command.Command {
	t.Helper()
	return command.Command{Type: command.TypeGenesis, Payload: payload(t, &command.Genesis{
		ClusterId: bytes.Repeat([]byte{id}, 16), RootIdentity: "ddmlab", RootPassword: "$hash", KeyId: "k", KeySeed: make([]byte, 32),
		Schema: catalogue.SchemaVersion,
	})}
}

// TestDamagedStreams cuts, changes and lengthens a stream, and announces what it is not.
func TestDamagedStreams(t *testing.T) {
	source, history := filled(t, vfs.NewMem(), 8, 60)
	meta, b := stream(t, source)
	fs := vfs.NewMem()
	m := mustOpen(t, testConfig(fs))
	apply(t, m, history[:20]...)
	want := stateDigest(t, m)
	refused := func(what string, meta raft.SnapshotMeta, b []byte) {
		t.Helper()
		to, err := send(m, &meta, b)
		require.Error(t, err, what)
		if to != nil {
			require.NoError(t, to.Cancel(), what)
		}
		require.Len(t, names(t, fs), 1, "%s: nothing is left", what)
	}

	r := rand.New(rand.NewPCG(1, 1))
	for cut := range 40 {
		refused(fmt.Sprint("first bytes: ", cut), *meta, b[:cut])
	}
	for range 60 {
		at := r.IntN(len(b))
		refused(fmt.Sprint("cut at ", at), *meta, b[:at])
		torn := slices.Clone(b)
		torn[at] ^= 1 << r.IntN(8)
		refused(fmt.Sprint("changed at ", at), *meta, torn)
	}
	refused("one byte less", *meta, b[:len(b)-1])
	refused("one byte more", *meta, append(slices.Clone(b), 0))
	refused("twice", *meta, append(slices.Clone(b), b...))
	for what, change := range map[string]func(*raft.SnapshotMeta){
		"index":            func(m *raft.SnapshotMeta) { m.Index++ },
		"term":             func(m *raft.SnapshotMeta) { m.Term++ },
		"membership index": func(m *raft.SnapshotMeta) { m.ConfigurationIndex++ },
		"membership":       func(m *raft.SnapshotMeta) { m.Configuration = raft.Configuration{} },
	} {
		other := *meta
		change(&other)
		refused("another "+what, other, b)
	}
	require.NoError(t, m.Err())
	require.Equal(t, want, stateDigest(t, m))
	require.NoError(t, install(m, meta, b), "and the whole one is taken")
}

// TestHostileLists gives lists of files that must not be followed.
func TestHostileLists(t *testing.T) {
	m := newMachine(t)
	meta := &raft.SnapshotMeta{Version: 1, Index: 1, Term: 1}
	for name, head := range map[string][]byte{
		"path":         appendStreamHead(nil, []streamFile{{"../escape", 1}}),
		"absolute":     appendStreamHead(nil, []streamFile{{"/escape", 1}}),
		"dot":          appendStreamHead(nil, []streamFile{{".", 1}}),
		"empty name":   appendStreamHead(nil, []streamFile{{"", 1}}),
		"lock":         appendStreamHead(nil, []streamFile{{lockFile, 0}}),
		"long name":    appendStreamHead(nil, []streamFile{{strings.Repeat("a", maxFileName+1), 1}}),
		"twice":        appendStreamHead(nil, []streamFile{{"a", 1}, {"a", 1}}),
		"huge file":    appendStreamHead(nil, []streamFile{{"a", maxFileBytes + 1}}),
		"no files":     appendStreamHead(nil, nil),
		"huge list":    binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte(streamMagic), streamVersion), maxStreamList+1),
		"huge count":   hugeCount(),
		"version":      binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte(streamMagic), streamVersion+1), 0),
		"another file": []byte(strings.Repeat("x", streamHead)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := send(m, meta, head)
			require.ErrorIs(t, err, errStream)
			require.Len(t, names(t, m.cfg.fs), 1)
		})
	}
	require.NoError(t, m.Err())
}

func hugeCount() []byte {
	list := binary.AppendUvarint(nil, 1<<60)
	b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte(streamMagic), streamVersion), uint32(len(list)))
	b = append(b, list...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(list, castagnoli))
}

func TestSinkMisuse(t *testing.T) {
	m, _ := filled(t, vfs.NewMem(), 8, 20)
	meta, b := stream(t, m)
	to, err := create(m, position{1, 1}, membership{})
	require.NoError(t, err)
	require.ErrorIs(t, to.Close(), errStream, "nothing was written to it")

	to, err = create(m, position{meta.Index, meta.Term}, membership{})
	require.NoError(t, err)
	_, err = to.Write(b[:100])
	require.NoError(t, err)
	require.NoError(t, to.Cancel())
	require.NoError(t, to.Cancel())
	_, err = to.Write(b[100:])
	require.Error(t, err)
	require.Len(t, names(t, m.cfg.fs), 1)

	snap, err := m.Snapshot()
	require.NoError(t, err)
	require.Error(t, snap.Persist(&raft.DiscardSnapshotSink{}), "a sink of another store")
	snap.Release()
	snap.Release()
	_, _, err = m.Snapshots().Open("received-77")
	require.Error(t, err)
	_, err = m.Snapshots().Create(0, 1, 1, raft.Configuration{}, 1, nil)
	require.Error(t, err)
}

func TestOnlyTheLatestReceivedSnapshotIsKept(t *testing.T) {
	source, _ := filled(t, vfs.NewMem(), 8, 20)
	meta, b := stream(t, source)
	m := newMachine(t)
	first, err := send(m, meta, b)
	require.NoError(t, err)
	_, from, err := m.Snapshots().Open(first.ID())
	require.NoError(t, err)
	require.NoError(t, install(m, meta, b))
	require.NoError(t, m.Restore(from), "the older one is in the state already")
	_, _, err = m.Snapshots().Open(first.ID())
	require.Error(t, err)
	require.Eventually(t, func() bool { return len(names(t, m.cfg.fs)) == 1 }, waitLong, waitStep)
}

func TestCloseEndsStreams(t *testing.T) {
	m, _ := filled(t, vfs.NewMem(), 8, 20)
	_, from, err := m.Snapshots().Open(liveID)
	require.NoError(t, err)
	to, err := create(m, position{99, 1}, membership{})
	require.NoError(t, err)
	_, err = to.Write([]byte(streamMagic))
	require.NoError(t, err)
	fs := m.cfg.fs
	require.NoError(t, m.Close())
	_, err = from.Read(make([]byte, 1))
	require.ErrorIs(t, err, ErrClosed)
	_, err = to.Write([]byte("x"))
	require.Error(t, err)
	require.NoError(t, to.Close())
	require.Len(t, names(t, fs), 1)
	require.NoError(t, from.Close())

	_, err = m.Snapshot()
	require.ErrorIs(t, err, ErrClosed)
	_, err = m.Snapshots().List()
	require.ErrorIs(t, err, ErrClosed)
	_, err = create(m, position{1, 1}, membership{})
	require.ErrorIs(t, err, ErrClosed)
}
