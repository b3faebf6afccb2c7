// Package fsm is the state machine behind Raft: it applies the entries of the log to the catalogue in a Pebble database,
// answers repeated commands from sessions, serves counted read views, digests the state, and is its own snapshot store.
// DESIGN.md says why it is built this way.
package fsm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"dapple/catalogue"
	"dapple/command"
	"dapple/internal/halt"
)

// Errors of the machine. ErrFailed wraps every error that made it stop.
var (
	// ErrClosed is returned by everything that is called after Close.
	ErrClosed = errors.New("state machine is closed")
	// ErrFailed is in the chain of the latched failure: nothing more is applied, read or snapshotted by this process.
	ErrFailed = errors.New("state machine has failed")
	// ErrReplayed answers an entry at or below the stored index: its effect is in the state already.
	ErrReplayed = errors.New("entry is in the state already")
	// ErrNoDigest is returned where no digest of an index is kept.
	ErrNoDigest = errors.New("no digest of this index")
)

// Config says where the state lives and who is told of a failure.
type Config struct {
	// Dir is the node's state folder; it is made where it is missing and locked while the machine is open.
	Dir string
	// Logger gets what the machine and its store have to say; nil discards it.
	Logger *slog.Logger
	// CacheBytes is the size of the block cache, MemTableBytes that of one memtable. 0 means 128 MiB and 64 MiB.
	CacheBytes, MemTableBytes int64
	// Failed is called once, on a goroutine of its own, when the machine latches failed. It may call Close.
	Failed func(error)
	// Strict makes the machine fail where a command is refused after it has written. For tests: in operation such
	// writes are dropped.
	Strict bool

	fs    vfs.FS // of tests; nil is the disk
	extra []row  // commands of tests
}

const (
	defaultCacheBytes    = 128 << 20
	defaultMemTableBytes = 64 << 20
	// cachedMemTables is how many memtables there mostly are, the one that is flushed among them. Pebble takes their memory off its
	// cache; a cache that is left with nothing reads filters and indexes from the disk again and again (docs/performance.md).
	cachedMemTables = 2

	retryPause = 10 * time.Millisecond
)

// Machine is the state machine of one node. It implements raft.FSM and raft.BatchingFSM; everything else is safe to call
// from any goroutine at any time between Open and Close.
type Machine struct {
	cfg    Config
	disk   *fuse
	folder *folder
	cache  *pebble.Cache
	rows   map[command.Type]*row
	stores *storeHolder
	stats  *metrics
	slow   slowLog

	// mu serializes what changes the state: entries, the settling of a local snapshot, and an install.
	mu       sync.Mutex
	state    *state
	reader   *dbReader // of the live store, under overlay
	overlay  *overlay
	counters counters // under overlay
	// generations are of the settled records in the live store.
	generations generations
	// shots has what views read.
	shots shots
	// digestDue is set by a Digest command until its entry is committed.
	digestDue bool
	// digestGently tells that nobody waits for that digest.
	digestGently bool
	// onceFrom is the log time before which no answer is kept any more: where looking for expired ones begins.
	onceFrom int64
	// trimDue is set by a TrimChanges command until its entry is committed.
	trimDue bool

	applied   atomic.Uint64
	level     atomic.Uint64 // a feature level that the state has reached
	position  published
	clusterID atomic.Pointer[[16]byte]
	waiters   waiters
	digests   *digests
	streams   streams
	failure   failure
	closeOnce sync.Once
	closeErr  error
}

var _ raft.BatchingFSM = (*Machine)(nil)

// Open opens the state in cfg.Dir or makes an empty one. What a crash has left half done (a snapshot being received or
// streamed, a store that was replaced) is removed first. The state is the last flush; Raft's log holds what came after.
func Open(cfg Config) (*Machine, error) {
	cfg = cfg.withDefaults()
	m := &Machine{cfg: cfg, disk: newFuse(cfg.fs), rows: registered(cfg.extra), stats: newMetrics()}
	m.failure.reached, m.failure.tell, m.failure.wake = make(chan struct{}), cfg.Failed, m.waiters.fail
	m.slow.log = cfg.Logger
	folder, err := openFolder(m.disk, cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open state folder %s: %w", cfg.Dir, halt.Classify(err))
	}
	m.folder = folder
	m.cache = pebble.NewCache(cfg.CacheBytes + cachedMemTables*cfg.MemTableBytes)
	s, st, err := m.openStore(folder.current)
	if err != nil {
		m.cache.Unref()
		return nil, errors.Join(fmt.Errorf("open state in %s: %w", cfg.Dir, err), folder.close())
	}
	m.stores = newStoreHolder(s)
	m.digests = newDigests(cfg.Logger)
	m.adopt(s, st)
	return m, nil
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.CacheBytes <= 0 {
		c.CacheBytes = defaultCacheBytes
	}
	if c.MemTableBytes <= 0 {
		c.MemTableBytes = defaultMemTableBytes
	}
	if c.fs == nil {
		c.fs = privateFS{vfs.Default}
	}
	return c
}

// openStore opens one of the folder's stores for writing and loads what the machine keeps of it in memory.
func (m *Machine) openStore(name string) (*store, *state, error) {
	s, err := openStore(m.folder, name, storeOptions{
		fs: m.disk.forPebble(m.unsynced), cache: m.cache, memTable: m.cfg.MemTableBytes, logger: m.cfg.Logger, background: m.backgroundError, fatal: m.blow, corrupt: m.corrupt,
	})
	if err != nil {
		return nil, nil, err
	}
	reader := &dbReader{db: s.db}
	st, err := loadState(reader)
	if err != nil && !errors.Is(err, errNewerSchema) {
		err = halt.Damaged(halt.ErrStoreDamaged, fmt.Errorf("%s: %w", name, err))
	}
	if closing := reader.done(); err == nil {
		err = closing
	}
	if err == nil {
		err = m.beginManifest(s)
	}
	if err != nil {
		return nil, nil, errors.Join(err, s.close())
	}
	return s, st, nil
}

// beginManifest flushes nothing, so that Pebble begins the manifest of this start: a checkpoint cannot be made before.
func (m *Machine) beginManifest(s *store) error {
	done, err := s.db.AsyncFlush()
	if err != nil {
		return err
	}
	return m.awaitFlush(done)
}

// adopt makes s and the state loaded from it the machine's. The caller holds mu or is Open.
func (m *Machine) adopt(s *store, st *state) {
	m.state = st
	m.reader = &dbReader{db: s.db, again: true, unflushed: newUnflushed(s.db, unflushedKeys)}
	m.counters = counters{}
	m.overlay = newOverlay(settledReader{m.reader, &m.generations, m.counters})
	m.generations.begin()
	m.onceFrom = 0
	if st.clusterID != nil {
		m.clusterID.Store(st.clusterID)
	}
	if err := m.shots.outdate(); err != nil {
		m.cfg.Logger.Warn("snapshot of the replaced store", "error", err)
	}
	m.publish()
}

// publish tells readers and waiters what has been committed.
func (m *Machine) publish() {
	if at := m.state.applied; !m.position.advance(at) {
		m.position.set(at, m.state.terms)
	}
	m.applied.Store(m.state.applied.index)
	m.waiters.reach(m.state.applied.index)
}

// AppliedIndex returns the index of the last entry whose effect is in the state that View shows.
func (m *Machine) AppliedIndex() uint64 { return m.applied.Load() }

// WaitApplied returns once the state holds the effect of every entry up to index. It returns the context's error, the
// latched failure or ErrClosed otherwise.
func (m *Machine) WaitApplied(ctx context.Context, index uint64) error {
	if m.applied.Load() >= index {
		return nil
	}
	return m.waiters.wait(ctx, index)
}

// Err returns the failure that stopped the machine, or nil.
func (m *Machine) Err() error { return m.failure.get() }

// fail latches the machine failed. Pebble calls it with its locks held, so it must not touch the store.
func (m *Machine) fail(err error) {
	if m.failure.latch(err) {
		m.cfg.Logger.Error("state machine has failed", "error", err)
	}
}

// backgroundError latches the machine failed. Pebble tries again at once and for ever until it is closed, so what comes
// after the first error is slowed down.
func (m *Machine) backgroundError(err error) {
	if m.Err() != nil {
		time.Sleep(retryPause) //nolint:forbidigo // slows Pebble down; nothing of the state comes from it
	}
	m.fail(halt.Classify(err))
}

// corrupt latches the machine failed where the store finds a file of its own damaged, whoever reads it: a node that cannot read
// all of its state must not answer for it.
func (m *Machine) corrupt(path string, err error) {
	m.blow(fmt.Errorf("%w: %s: %w", halt.ErrStoreDamaged, path, err))
}

// unsynced blows the fuse where a folder's names may not be on disk.
func (m *Machine) unsynced(err error) { m.blow(fmt.Errorf("sync a folder of the store: %w", err)) }

// blow latches the machine failed where the store must not write any more either.
func (m *Machine) blow(err error) {
	m.disk.blown.Store(true)
	m.fail(err)
}

// ClusterID returns the cluster's id, and false as long as Genesis has not been applied.
func (m *Machine) ClusterID() ([16]byte, bool) {
	if id := m.clusterID.Load(); id != nil {
		return *id, true
	}
	return [16]byte{}, false
}

// Member is what a node told the cluster of itself when it registered its session.
type Member struct {
	// Node is the stable name, ServerID the Raft server id of the incarnation.
	Node, ServerID string
	// HTTPAddress is where clients reach the node, as a URL.
	HTTPAddress string
	// Version is the program's version.
	Version string
}

// Members lists the nodes that have a session, in the order of their names. It says nothing about who votes or is up.
func (m *Machine) Members() ([]Member, error) {
	v, err := m.View()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	var members []Member
	low, high := catalogue.SessionRange()
	err = v.Scan(low, high, func(_, value []byte) (bool, error) {
		s, err := parseSession(value)
		if err != nil {
			return false, err
		}
		members = append(members, s.member)
		return true, nil
	})
	return members, err
}

// DigestAt returns the digest of the state at the index of a Digest command, in hexadecimal, as long as it is kept.
func (m *Machine) DigestAt(index uint64) (digest string, found bool) { return m.digests.at(index) }

// LatestDigest returns the last digest that was made and the index of its Digest command; 0 for none.
func (m *Machine) LatestDigest() (index uint64, digest string) {
	last := m.digests.latest()
	return last.index, last.digest
}

// Disown latches the machine failed because its state is not that of the other nodes.
func (m *Machine) Disown(err error) { m.fail(err) }

// WaitDigest waits until the Digest command at index has been applied and digested. It returns ErrNoDigest where that
// index carries no such command or its digest is no longer kept.
func (m *Machine) WaitDigest(ctx context.Context, index uint64) (string, error) {
	if err := m.WaitApplied(ctx, index); err != nil {
		return "", err
	}
	return m.digests.wait(ctx, index)
}

// Collector returns the metrics of the machine and of its store, to be registered once.
func (m *Machine) Collector() prometheus.Collector { return &collector{m: m} }

// Close flushes the state and closes the store. It waits until every View has been closed; Scans that still run end with
// ErrClosed. Raft must have been shut down before. Further calls return the result of the first.
func (m *Machine) Close() error {
	m.closeOnce.Do(func() { m.closeErr = m.close() })
	return m.closeErr
}

func (m *Machine) close() error {
	m.stores.shut()
	shots := m.shots.outdate()
	m.waiters.fail(ErrClosed)
	m.digests.close()
	m.streams.close()
	m.mu.Lock()
	defer m.mu.Unlock()
	err := errors.Join(shots, m.reader.done())
	err = errors.Join(err, m.stores.closeAll(m.lastFlush))
	m.cache.Unref()
	return errors.Join(err, m.folder.close())
}

// lastFlush flushes the live store, so that the next start replays little. It gives up when the machine fails: on a full disk
// Pebble tries again for ever.
func (m *Machine) lastFlush(s *store) error {
	if m.Err() != nil {
		return nil
	}
	done, err := s.db.AsyncFlush()
	if err != nil {
		return err
	}
	return m.awaitFlush(done)
}
