package fsm

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/hashicorp/raft"
)

// liveID is the id of the one snapshot that List reports: the store itself, as far as it is on disk.
const liveID = "live"

// Snapshot implements raft.FSM. It only begins to flush; Persist waits for the end. A failed machine refuses.
func (m *Machine) Snapshot() (raft.FSMSnapshot, error) {
	if err := m.usable(); err != nil {
		return nil, err
	}
	s, err := m.stores.acquire()
	if err != nil {
		return nil, err
	}
	flushed, err := s.db.AsyncFlush()
	if err != nil {
		s.release()
		return nil, err
	}
	return &flush{m: m, store: s, done: flushed, observe: m.stats.flushing()}, nil
}

// flush is raft's snapshot of the machine: there is nothing to write, only to wait for.
type flush struct {
	m     *Machine
	store *store
	done  <-chan struct{}
	// observe tells the metrics that it is over.
	observe func()
}

// Persist implements raft.FSMSnapshot: it waits for the flush and tells the sink that the snapshot is the store itself.
func (f *flush) Persist(to raft.SnapshotSink) error {
	defer f.Release() // RecoverCluster never calls it
	s, ok := to.(*sink)
	if !ok || s.m != f.m {
		return fmt.Errorf("snapshot sink of another store: %T", to)
	}
	if err := f.m.awaitFlush(f.done); err != nil {
		return err
	}
	if err := s.markLocal(); err != nil {
		return err
	}
	f.observe()
	return nil
}

// Release implements raft.FSMSnapshot.
func (f *flush) Release() {
	if f.store != nil {
		f.store.release()
		f.store = nil
	}
}

func (m *Machine) awaitFlush(done <-chan struct{}) error {
	select {
	case <-done:
		return m.Err() // Pebble reports a flush that failed as a background error, before it is done
	case <-m.failure.reached:
		return m.Err()
	}
}

// Restore implements raft.FSM. The stream of the live store itself, which raft brings at a start and in RecoverCluster,
// changes nothing; a received snapshot becomes live.
func (m *Machine) Restore(stream io.ReadCloser) error {
	for {
		wrapped, ok := stream.(raft.ReadCloserWrapper)
		if !ok {
			break
		}
		stream = wrapped.WrappedReadCloser()
	}
	switch from := stream.(type) {
	case *checkpoint:
		if from.m == m {
			return m.usable()
		}
	case *received:
		if from.m == m {
			return m.install(from)
		}
	}
	return fmt.Errorf("restore from %T, which is not of this state machine's snapshot store", stream)
}

// install makes a received store live. Until the pointer is switched nothing has changed, whatever fails.
func (m *Machine) install(from *received) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(); err != nil {
		return err
	}
	if m.state.terms.contradicts(from.at) {
		m.fail(errDiverged(from.at.index, m.state.terms.term(from.at.index), from.at.term))
		return m.Err()
	}
	if have := m.state.applied; from.at.index <= have.index && from.at.term <= have.term {
		return nil // sent again: the state has gone on from there
	}
	name, err := m.streams.take(from)
	if err != nil {
		return err
	}
	s, st, err := m.openStore(name)
	if err != nil {
		err = fmt.Errorf("open received snapshot: %w", err)
		if errors.Is(err, errNewerSchema) {
			// This program will never read it: without an end, the leader would send the whole state again and again.
			m.fail(err)
		}
		return errors.Join(err, m.folder.remove(name))
	}
	if st.terms.contradicts(m.state.applied) {
		have := m.state.applied
		m.fail(errDiverged(have.index, have.term, st.terms.term(have.index)))
		return errors.Join(m.Err(), s.close(), m.folder.remove(name))
	}
	if err := m.fits(st, from.at); err != nil {
		return errors.Join(err, s.close(), m.folder.remove(name))
	}
	if err := m.folder.point(name); err != nil {
		// Which store a restart will find is not known: the machine must not go on with either.
		m.fail(fmt.Errorf("switch to received snapshot: %w", err))
		return errors.Join(m.Err(), s.close())
	}
	if err := m.reader.done(); err != nil {
		m.cfg.Logger.Warn("last read of the replaced store", "error", err)
	}
	m.generations.end()
	m.stores.replace(s, m.folder)
	m.adopt(s, st)
	m.stats.installed.Inc()
	m.cfg.Logger.Info("installed snapshot", "index", st.applied.index, "term", st.applied.term)
	return nil
}

// fits checks that a received state is what raft was told, and of this cluster.
func (m *Machine) fits(st *state, at position) error {
	switch {
	case st.applied != at:
		return fmt.Errorf("%w: state at index %d of term %d, announced as %d of %d", errStream,
			st.applied.index, st.applied.term, at.index, at.term)
	case m.state.clusterID != nil && (st.clusterID == nil || *st.clusterID != *m.state.clusterID):
		return fmt.Errorf("%w: state of another cluster", errStream)
	}
	return nil
}

// Snapshots returns the snapshot store that belongs to this machine and works with no other.
func (m *Machine) Snapshots() raft.SnapshotStore { return &snapshots{m: m} }

// snapshots is a raft.SnapshotStore that keeps no snapshots: the live store, as far as it is flushed, is the only one.
type snapshots struct{ m *Machine }

// List implements raft.SnapshotStore. It reports what a crash at this moment would leave, nothing for an empty store.
func (s *snapshots) List() ([]*raft.SnapshotMeta, error) {
	if err := s.m.usable(); err != nil {
		return nil, err
	}
	live, err := s.m.stores.acquire()
	if err != nil {
		return nil, err
	}
	defer live.release()
	at, members, err := live.durable()
	if err != nil || at.index == 0 {
		return nil, err
	}
	return []*raft.SnapshotMeta{meta(liveID, at, members, 0)}, nil
}

func meta(id string, at position, members membership, size int64) *raft.SnapshotMeta {
	return &raft.SnapshotMeta{
		Version: raft.SnapshotVersionMax, ID: id, Index: at.index, Term: at.term,
		Configuration: members.configuration(), ConfigurationIndex: members.index, Size: size,
	}
}

// Open implements raft.SnapshotStore. Of the live store it makes a checkpoint, whose index may be later than List said.
func (s *snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	if err := s.m.usable(); err != nil {
		return nil, nil, err
	}
	if id == liveID {
		return s.m.openCheckpoint()
	}
	return s.m.streams.find(id)
}

// checkpoint is a stream of the store as it was when Open was called.
type checkpoint struct {
	m    *Machine
	name string

	mu   sync.Mutex
	pack *packer // nil once closed
}

func (m *Machine) openCheckpoint() (*raft.SnapshotMeta, io.ReadCloser, error) {
	live, err := m.stores.acquire()
	if err != nil {
		return nil, nil, err
	}
	defer live.release()
	name := m.folder.next(checkpointPrefix)
	if err := live.db.Checkpoint(m.folder.path(name)); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("checkpoint: %w", err), m.folder.remove(name))
	}
	at, members, err := m.inspect(name)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("checkpoint: %w", err), m.folder.remove(name))
	}
	pack, err := newPacker(m.folder.fs, m.folder.path(name))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("checkpoint: %w", err), m.folder.remove(name))
	}
	pack.sent = m.stats.sentBytes
	c := &checkpoint{m: m, name: name, pack: pack}
	if err := m.streams.add(c); err != nil {
		return nil, nil, errors.Join(err, m.folder.remove(name))
	}
	return meta(liveID, at, members, pack.size), c, nil
}

// inspect opens a store that nobody writes to and reads position and membership.
func (m *Machine) inspect(name string) (position, membership, error) {
	var broken error
	var mu sync.Mutex
	note := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		broken = errors.Join(broken, err)
	}
	s, err := openStore(m.folder, name, storeOptions{
		fs: m.disk.forPebble(note), cache: m.cache, memTable: minMemTable, logger: slog.New(slog.DiscardHandler), readOnly: true,
		background: note, fatal: note, corrupt: func(_ string, err error) { note(err) },
	})
	if err != nil {
		return position{}, membership{}, err
	}
	at, members, err := s.durable()
	err = errors.Join(err, s.close())
	mu.Lock()
	defer mu.Unlock()
	if err = errors.Join(err, broken); err == nil && at.index == 0 {
		err = errors.New("the store is empty")
	}
	return at, members, err
}

// minMemTable is the size of a memtable that nothing is written to.
const minMemTable = 256 << 10

// Read implements io.Reader.
func (c *checkpoint) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pack == nil {
		return 0, ErrClosed
	}
	return c.pack.Read(b)
}

// Close implements io.Closer: it removes the checkpoint. Further calls do nothing.
func (c *checkpoint) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pack == nil {
		return nil
	}
	err := c.pack.close()
	c.pack = nil
	c.m.streams.drop(c)
	return errors.Join(err, c.m.folder.remove(c.name))
}

// settle brings position and membership of a local snapshot into the store and waits until they are on disk: entries
// that never reach the state machine may lie between the last applied one and the snapshot, and RecoverCluster gives a
// membership that no entry holds.
func (m *Machine) settle(at position, members membership) error {
	changed, err := m.advance(at, members)
	if err != nil {
		return err
	}
	s, err := m.stores.acquire()
	if err != nil {
		return err
	}
	defer s.release()
	if changed {
		flushed, err := s.db.AsyncFlush()
		if err != nil {
			return err
		}
		if err := m.awaitFlush(flushed); err != nil {
			return err
		}
	}
	have, _, err := s.durable()
	if err == nil && have.index < at.index {
		err = fmt.Errorf("flushed up to index %d, the snapshot is at %d", have.index, at.index)
	}
	return errors.Join(err, m.Err())
}

// advance reports whether there was anything to bring.
func (m *Machine) advance(at position, members membership) (changed bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(); err != nil {
		return false, err
	}
	if m.state.applied.index < at.index {
		m.state.move(at)
		changed = true
	}
	if m.state.members.index <= at.index && !m.state.members.equal(members) {
		m.state.members, m.state.membersChanged, changed = members, true, true
	}
	if !changed {
		return false, nil
	}
	if err := m.commit(); err != nil {
		m.fail(fmt.Errorf("settle snapshot at index %d: %w", at.index, err))
		return false, m.Err()
	}
	return true, nil
}
