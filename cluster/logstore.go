package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/prometheus/client_golang/prometheus"
	bbolterrors "go.etcd.io/bbolt/errors"
)

const raftStoreName = "raft.db"

// logStore is Raft's log and stable store in one file. It times each append and knows the mean size of an entry. The errors of its
// methods name the file, and have halt.ErrLogDamaged in their chain where bbolt panics at a damaged page.
type logStore struct {
	bolt    *raftboltdb.BoltStore // only for use within guard
	path    string
	seconds prometheus.Observer
	refuse  func() error                 // of tests: makes appends fail; else nil
	keep    func(low, last uint64) error // may refuse to drop the end of the log; nil before Raft runs
	inRow   atomic.Int32                 // snapshots that were installed since the last append

	mu      sync.Mutex
	writing time.Time // start of the append in work; zero where there is none
	mean    float64   // bytes an entry, of late
}

func openLogStore(dir string, seconds prometheus.Observer) (*logStore, error) {
	path := filepath.Join(dir, raftStoreName)
	bolt, err := openBolt(path)
	if err != nil {
		return nil, fmt.Errorf("raft store %s: %w", path, err)
	}
	return &logStore{bolt: bolt, path: path, seconds: seconds}, nil
}

// guard does some work on the file.
func (s *logStore) guard(work func() error) error {
	err := guarded(work)
	if err == nil || isAnswer(err) {
		return err // Raft compares these
	}
	return fmt.Errorf("%s: %w", s.path, err)
}

// isAnswer reports whether an error of the store says nothing about the file.
func isAnswer(err error) bool {
	return errors.Is(err, raft.ErrLogNotFound) || errors.Is(err, raftboltdb.ErrKeyNotFound) || errors.Is(err, bbolterrors.ErrDatabaseNotOpen)
}

// close closes the file. A store whose pages are damaged may never give back its locks, so the wait is bounded; the lock on the
// file ends with the process.
func (s *logStore) close() error {
	done := make(chan error, 1)
	go func() { done <- s.guard(s.bolt.Close) }()
	select {
	case err := <-done:
		return err
	case <-time.After(closeTimeout):
		return fmt.Errorf("%s could not be closed in %s", s.path, closeTimeout)
	}
}

// closeTimeout bounds the wait for a store to close. A longer one rides out a slower disk, and delays the end of a process whose
// store is damaged.
const closeTimeout = 3 * time.Second

// removeLogStore removes the file of a store that is closed.
func removeLogStore(dir string) error {
	if err := os.Remove(filepath.Join(dir, raftStoreName)); err != nil {
		return err
	}
	return syncDir(dir)
}

// StoreLog appends one entry durably.
func (s *logStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs appends entries durably.
func (s *logStore) StoreLogs(logs []*raft.Log) error {
	if err := seal(logs); err != nil {
		return err
	}
	if s.refuse != nil {
		if err := s.refuse(); err != nil {
			return err
		}
	}
	start := time.Now()
	s.mu.Lock()
	s.writing = start
	s.mu.Unlock()
	err := s.guard(func() error { return s.bolt.StoreLogs(logs) })
	if err == nil {
		s.inRow.Store(0)
	}
	s.mu.Lock()
	s.writing = time.Time{}
	for _, l := range logs {
		// 64 bytes are about what the store adds to an entry; the mean follows over some hundred entries.
		s.mean += (float64(len(l.Data)+64) - s.mean) / 256
	}
	s.mu.Unlock()
	s.seconds.Observe(time.Since(start).Seconds())
	return err
}

// FirstIndex returns the index of the first entry, 0 if there is none.
func (s *logStore) FirstIndex() (index uint64, err error) {
	err = s.guard(func() (err error) { index, err = s.bolt.FirstIndex(); return err })
	return index, err
}

// LastIndex returns the index of the last entry, 0 if there is none.
func (s *logStore) LastIndex() (index uint64, err error) {
	err = s.guard(func() (err error) { index, err = s.bolt.LastIndex(); return err })
	return index, err
}

// Get returns the value of a key, raftboltdb.ErrKeyNotFound if there is none.
func (s *logStore) Get(key []byte) (value []byte, err error) {
	err = s.guard(func() (err error) { value, err = s.bolt.Get(key); return err })
	return value, err
}

// Set stores the value of a key durably.
func (s *logStore) Set(key, value []byte) error {
	return s.guard(func() error { return s.bolt.Set(key, value) })
}

// stuck returns for how long the append in work has taken; 0 where there is none.
func (s *logStore) stuck() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing.IsZero() {
		return 0
	}
	return time.Since(s.writing)
}

func (s *logStore) meanEntry() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mean
}

// fileBytes returns the size of the store's file, 0 where it cannot be told.
func (s *logStore) fileBytes() int64 {
	info, err := os.Stat(s.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// term returns the current term that the store holds, 0 for none.
func (s *logStore) term() (uint64, error) {
	term, err := s.GetUint64([]byte("CurrentTerm"))
	if errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return 0, nil
	}
	return term, err
}

// first returns the index of the first entry that is kept, -1 where the store cannot tell.
func (s *logStore) first() float64 {
	index, err := s.FirstIndex()
	if err != nil {
		return -1
	}
	return float64(index)
}

// So many entries stay behind a snapshot at the least and at the most.
const leastEntries, mostEntries = 1 << 10, 1 << 20

// entriesFor returns how many entries of a mean size make half of limit bytes: so many stay behind a snapshot, and after so
// many more the next one is due.
func entriesFor(limit int, mean float64) uint64 {
	if mean <= 0 {
		return 8 << 10
	}
	return uint64(min(max(float64(limit)/2/mean, leastEntries), mostEntries))
}
