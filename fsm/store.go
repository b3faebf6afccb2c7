package fsm

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"

	"dapple/catalogue"
	"dapple/internal/halt"
)

// storeFormat is the format of the files on disk. It is named, not "newest": a newer program must not write what the
// other nodes of a cluster that is being upgraded cannot read out of a snapshot.
const storeFormat = pebble.FormatValueSeparation

// The limits at which Pebble makes a writer wait lie far beyond what flushes and compactions leave behind in operation:
// apply must not stall while a memtable rotates.
const (
	memTableCount     = 8
	l0CompactAt       = 64 // twice the runs of level 0 at which it is compacted: Pebble counts so
	l0StopAt          = 1000
	baseBytes         = 512 << 20 // up to this the level below level 0 is the last one
	baseTableBytes    = 4 << 20   // of a table there. A run of level 0 is one table: names at random would open another one of each run each time
	blockBytes        = 16 << 10
	indexBlockBytes   = 256 << 10
	bloomBitsPerKey   = 10
	maxCompactionJobs = 4
)

type storeOptions struct {
	fs       vfs.FS
	cache    *pebble.Cache
	memTable int64
	logger   *slog.Logger
	// background gets the errors of flushes and compactions, fatal what Pebble cannot go on from.
	background, fatal func(error)
	// corrupt gets a file that a read finds damaged. It may be called with Pebble's locks held.
	corrupt  func(path string, err error)
	readOnly bool
}

// store is one open Pebble database with a count of those who use it.
type store struct {
	db   *pebble.DB
	name string // of its folder
	pace *pace
	refs atomic.Int64
	idle chan struct{} // closed when the count has come down to zero
}

func openStore(f *folder, name string, o storeOptions) (*store, error) {
	hasTables, err := f.hasTables(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, halt.Classify(err))
	}
	pace := newPace()
	options := &pebble.Options{
		FS:                 pacedFS{o.fs, pace},
		Cache:              o.cache,
		DisableWAL:         true, // Raft's log is the write-ahead log
		FormatMajorVersion: storeFormat,
		Logger:             &pebbleLogger{log: o.logger, fatal: o.fatal},
		EventListener: &pebble.EventListener{
			BackgroundError: o.background,
			DataCorruption:  func(i pebble.DataCorruptionInfo) { o.corrupt(i.Path, i.Details) },
		},
		MemTableSize:                uint64(o.memTable),
		MemTableStopWritesThreshold: memTableCount,
		L0CompactionThreshold:       l0CompactAt,
		L0StopWritesThreshold:       l0StopAt,
		LBaseMaxBytes:               baseBytes,
		TargetFileSizes:             [...]int64{0: o.memTable, 1: baseTableBytes, 6: 0}, // the others double
		FlushSplitBytes:             o.memTable,
		CompactionConcurrencyRange: func() (lower, upper int) {
			return 1, min(maxCompactionJobs, max(2, runtime.GOMAXPROCS(0)/2))
		},
		ReadOnly:         o.readOnly,
		ErrorIfNotExists: o.readOnly || name != firstStore || hasTables,
	}
	// A run with many deletions would be compacted by itself, and with it, as it spans all keys, all of the state.
	options.Experimental.TombstoneDenseCompactionThreshold = -1
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBitsPerKey)
		options.Levels[i].BlockSize = blockBytes
		options.Levels[i].IndexBlockSize = indexBlockBytes
	}
	options.Levels[len(options.Levels)-1].FilterPolicy = pebble.NoFilterPolicy // Get never looks at the last level's
	options.ApplyCompressionSettings(compression)
	if err := removeLogs(f, name, o.readOnly); err != nil {
		return nil, fmt.Errorf("%s: %w", name, halt.Classify(err))
	}
	db, err := openPebble(f.path(name), options)
	if err != nil { // no lock: the folder has its own, which was taken before
		return nil, fmt.Errorf("%s: %w", name, halt.Damaged(halt.ErrStoreDamaged, err))
	}
	s := &store{db: db, name: name, pace: pace, idle: make(chan struct{})}
	s.refs.Store(1) // the holder's own
	pace.watch(s.runs)
	return s, nil
}

// openPebble opens a database. A panic at a damaged file is an error.
func openPebble(path string, options *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("pebble: %v", p)
		}
	}()
	return pebble.Open(path, options)
}

// compression is cheap on all levels. Zstd in the last level took 10 % more of the processor in bulk registration, and each read that misses
// the cache waits for it; level 0 is half as large with MinLZ, and costs no more in a load (docs/performance.md).
func compression() pebble.DBCompressionSettings {
	return pebble.UniformDBCompressionSettings(block.FastestCompression)
}

// removeLogs removes the write-ahead logs. Pebble makes one at each start and writes nothing into it; at the next start it
// would replay and flush it for nothing, and wait for that flush even where the disk is broken.
func removeLogs(f *folder, name string, readOnly bool) error {
	names, err := f.fs.List(f.path(name))
	if readOnly || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, file := range names {
		if err == nil && strings.HasSuffix(file, ".log") {
			err = f.fs.Remove(f.fs.PathJoin(f.path(name), file))
		}
	}
	return err
}

// runs returns how many runs level 0 has.
func (s *store) runs() int { return int(s.db.Metrics().Levels[0].Sublevels) }

// close closes the database, after what is compacted now.
func (s *store) close() error {
	s.pace.hurry()
	return s.db.Close()
}

// release gives back what acquire took.
func (s *store) release() {
	if s.refs.Add(-1) == 0 {
		close(s.idle)
	}
}

// durable reads what the store holds on disk, not counting what is only in memtables: the state after a crash.
func (s *store) durable() (position, membership, error) {
	iter, err := s.db.NewIter(&pebble.IterOptions{OnlyReadGuaranteedDurable: true})
	if err != nil {
		return position{}, membership{}, err
	}
	p, members, err := readLocal(func(key []byte) ([]byte, bool, error) {
		if !iter.SeekGE(key) || string(iter.Key()) != string(key) {
			return nil, false, iter.Error()
		}
		value, err := iter.ValueAndErr()
		return value, err == nil, err
	})
	return p, members, errors.Join(err, iter.Close())
}

// storeHolder owns the live store and those that were replaced and still have readers.
type storeHolder struct {
	mu      sync.RWMutex
	live    *store
	closed  bool
	closing atomic.Bool // as closed, read without the lock by long scans
	retired sync.WaitGroup
	errors  []error // of closing retired stores, under mu
}

func newStoreHolder(s *store) *storeHolder { return &storeHolder{live: s} }

// acquire returns the live store, which stays open until release.
func (h *storeHolder) acquire() (*store, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.closed {
		return nil, ErrClosed
	}
	h.live.refs.Add(1)
	return h.live, nil
}

// replace makes s the live store. The old one is closed and its folder removed when its last reader is done.
func (h *storeHolder) replace(s *store, f *folder) {
	h.mu.Lock()
	old := h.live
	h.live = s
	h.mu.Unlock()
	old.pace.hurry()
	old.release()
	h.retired.Go(func() {
		<-old.idle
		if err := errors.Join(old.close(), f.remove(old.name)); err != nil {
			h.mu.Lock()
			h.errors = append(h.errors, fmt.Errorf("close %s: %w", old.name, err))
			h.mu.Unlock()
		}
	})
}

// shut lets nobody acquire a store any more and ends the scans that run.
func (h *storeHolder) shut() {
	h.mu.Lock()
	h.closed = true
	h.live.pace.hurry()
	h.mu.Unlock()
	h.closing.Store(true)
}

// closeAll closes the stores after their last readers, the live one after flush.
func (h *storeHolder) closeAll(flush func(*store) error) error {
	flushed := flush(h.live)
	h.live.release()
	<-h.live.idle
	h.retired.Wait()
	return errors.Join(append(h.errors, flushed, h.live.close())...)
}

// dbReader is the catalogue's view of a Pebble database or snapshot.
type dbReader struct {
	db     pebble.Reader
	stop   *atomic.Bool // ends a Scan; nil never does
	closer interface{ Close() error }
	runs   ascending
	// again keeps the iterator of a Scan for the next one, until done; idle is that one, nil where there is none.
	again bool
	idle  *pebble.Iterator
	// unflushed spares the writer's reader looks into memtables; nil with others.
	unflushed *unflushed
}

var _ catalogue.View = (*dbReader)(nil)

// Get implements catalogue.View.
func (r *dbReader) Get(key []byte) ([]byte, bool, error) {
	if err := r.release(); err != nil {
		return nil, false, err
	}
	if value, found, served, err := r.runs.get(r.db, key); served || err != nil {
		return value, found, err
	}
	if r.unflushed != nil && !r.unflushed.holds(key) {
		return r.unflushed.get(key)
	}
	value, closer, err := r.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	r.closer = closer
	return value, true, nil
}

// done gives back everything that reads hold. On a database, not a snapshot, it is to be called before what has been written since
// is to be seen.
func (r *dbReader) done() error {
	idle := r.idle
	r.idle = nil
	err := errors.Join(r.release(), r.runs.end(), r.unflushed.done())
	if idle != nil {
		err = errors.Join(err, idle.Close())
	}
	return err
}

// release gives back what the last Get returned.
func (r *dbReader) release() error {
	if r.closer == nil {
		return nil
	}
	closer := r.closer
	r.closer = nil
	return closer.Close()
}

// Scan implements catalogue.View.
func (r *dbReader) Scan(low, high []byte, visit func(key, value []byte) (bool, error)) error {
	iter, err := r.iterator(low, high)
	if err != nil {
		return err
	}
	err = r.scan(iter, visit)
	if r.again && r.idle == nil && iter.Error() == nil {
		r.idle = iter
		return err
	}
	if closing := iter.Close(); err == nil {
		err = closing // a visitor's own error stays as it is
	}
	return err
}

// iterator returns one for a scan. To make one costs more than most scans, and bulk commands scan for each item.
func (r *dbReader) iterator(low, high []byte) (*pebble.Iterator, error) {
	if r.idle == nil {
		return r.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	}
	iter := r.idle
	r.idle = nil // a visit may scan too
	iter.SetBounds(low, high)
	return iter, nil
}

func (r *dbReader) scan(iter *pebble.Iterator, visit func(key, value []byte) (bool, error)) error {
	for valid := iter.First(); valid; valid = iter.Next() {
		if r.stop != nil && r.stop.Load() {
			return ErrClosed
		}
		value, err := iter.ValueAndErr()
		if err != nil {
			return err
		}
		if more, err := visit(iter.Key(), value); err != nil || !more {
			return err
		}
	}
	return iter.Error()
}

// pebbleLogger passes Pebble's messages on. Pebble expects Fatalf to end the process; here it blows the fuse and latches
// the machine, after which nothing that Pebble holds is used for anything but closing.
type pebbleLogger struct {
	log   *slog.Logger
	fatal func(error)
}

// Infof implements pebble.Logger.
func (l *pebbleLogger) Infof(format string, args ...any) {
	l.log.Debug("pebble: " + fmt.Sprintf(format, args...))
}

// Errorf implements pebble.Logger.
func (l *pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger.
func (l *pebbleLogger) Fatalf(format string, args ...any) {
	l.fatal(fmt.Errorf("pebble: "+format, args...))
}
