package cluster

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"dapple/internal/boltcheck"
	"dapple/internal/halt"
)

// lockTimeout is how long a start waits for another process to leave the store.
const lockTimeout = 2 * time.Second

// openBolt opens the file of Raft's store after it has verified its pages. It returns halt.ErrLogDamaged for a torn or corrupt
// file, halt.ErrInUse if another process has it open.
func openBolt(path string) (*raftboltdb.BoltStore, error) {
	if err := verifyBolt(path); err != nil {
		return nil, err
	}
	var bolt *raftboltdb.BoltStore
	err := guarded(func() (err error) {
		bolt, err = raftboltdb.New(raftboltdb.Options{
			Path: path,
			// Without NoFreelistSync each append writes the whole list of free pages, which is megabytes after a burst.
			BoltOptions: &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, Timeout: lockTimeout},
		})
		return err
	})
	return bolt, openError(err)
}

// verifyBolt verifies a file that exists. It holds a lock on it meanwhile, since a process that writes would make it look damaged.
func verifyBolt(path string) error {
	if info, err := os.Stat(path); errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil // it is new, or what a crash has left of a new one
	}
	return openError(guarded(func() error {
		lock, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: lockTimeout})
		if err != nil {
			return err
		}
		return errors.Join(boltcheck.Verify(path), lock.Close())
	}))
}

// openError returns an error of opening the store with its cause.
func openError(err error) error {
	switch {
	case errors.Is(err, bbolterrors.ErrTimeout):
		return fmt.Errorf("%w: %w", halt.ErrInUse, err)
	default:
		return halt.Damaged(halt.ErrLogDamaged, err)
	}
}

// guarded turns a panic of bbolt at a damaged page, and a fault of the memory that the file is mapped into, into
// halt.ErrLogDamaged. A full disk is halt.ErrDiskFull.
func guarded(work func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", halt.ErrLogDamaged, p)
		}
	}()
	return halt.Classify(work())
}

// raftStore is the log and the stable store as Raft has them. Raft panics if it cannot read an entry that it is to apply or
// cannot store its term or vote: the process would end with the exit code of a wrong flag. Here such an error fails the node,
// which stops in order, and ends the goroutine of Raft that could not go on.
type raftStore struct {
	*logStore
	fail func(error)
}

var (
	_ raft.LogStore    = raftStore{}
	_ raft.StableStore = raftStore{}
)

// check ends the caller's goroutine if the store is damaged, and at any error that Raft would panic at.
func (s raftStore) check(panics bool, err error) error {
	if err == nil || isAnswer(err) || !panics && !errors.Is(err, halt.ErrLogDamaged) {
		return err
	}
	s.fail(err)
	runtime.Goexit()
	return err
}

// FirstIndex implements raft.LogStore.
func (s raftStore) FirstIndex() (uint64, error) {
	index, err := s.logStore.FirstIndex()
	return index, s.check(false, err)
}

// LastIndex implements raft.LogStore.
func (s raftStore) LastIndex() (uint64, error) {
	index, err := s.logStore.LastIndex()
	return index, s.check(false, err)
}

// GetLog implements raft.LogStore.
func (s raftStore) GetLog(index uint64, l *raft.Log) error {
	return s.check(true, s.logStore.GetLog(index, l))
}

// StoreLog implements raft.LogStore.
func (s raftStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore. A full disk is an error that Raft can go on from.
func (s raftStore) StoreLogs(logs []*raft.Log) error {
	return s.check(false, s.logStore.StoreLogs(logs))
}

// DeleteRange implements raft.LogStore.
func (s raftStore) DeleteRange(low, high uint64) error {
	return s.check(false, s.logStore.DeleteRange(low, high))
}

// Set implements raft.StableStore.
func (s raftStore) Set(key, value []byte) error { return s.check(true, s.logStore.Set(key, value)) }

// Get implements raft.StableStore.
func (s raftStore) Get(key []byte) ([]byte, error) {
	value, err := s.logStore.Get(key)
	return value, s.check(false, err)
}

// SetUint64 implements raft.StableStore.
func (s raftStore) SetUint64(key []byte, value uint64) error {
	return s.check(true, s.logStore.SetUint64(key, value))
}

// GetUint64 implements raft.StableStore.
func (s raftStore) GetUint64(key []byte) (uint64, error) {
	value, err := s.logStore.GetUint64(key)
	return value, s.check(false, err)
}

// causeStore keeps the first error of the store: raft.BootstrapCluster returns another one, without its cause.
type causeStore struct {
	*logStore
	err error
}

// StoreLog implements raft.LogStore.
func (s *causeStore) StoreLog(l *raft.Log) error { return s.keep(s.logStore.StoreLog(l)) }

// SetUint64 implements raft.StableStore.
func (s *causeStore) SetUint64(key []byte, value uint64) error {
	return s.keep(s.logStore.SetUint64(key, value))
}

func (s *causeStore) keep(err error) error {
	if s.err == nil {
		s.err = err
	}
	return err
}
