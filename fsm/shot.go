package fsm

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"dapple/catalogue"
)

// shot is a snapshot of the store that all views of one state share: to make one for each request, and to close it, costs about as
// much as a point read.
type shot struct {
	store    *store
	snapshot *pebble.Snapshot
	index    uint64
	// settled is the generation of the snapshot's settled records, nil where that is not known.
	settled *generation
	refs    atomic.Int64
}

// release gives back what Machine.shot returned.
func (s *shot) release() error {
	if s.refs.Add(-1) > 0 {
		return nil
	}
	err := s.snapshot.Close()
	s.store.release()
	return err
}

// shots has the shot of the present state, nil until somebody asks.
type shots struct {
	mu      sync.Mutex
	current *shot
}

// shot returns a shot of the state as it stands, which stays open until release.
func (m *Machine) shot() (*shot, error) {
	m.shots.mu.Lock()
	defer m.shots.mu.Unlock()
	if m.shots.current == nil {
		s, err := m.newShot()
		if err != nil {
			return nil, err
		}
		m.shots.current = s
	}
	m.shots.current.refs.Add(1)
	return m.shots.current, nil
}

// newShot opens a shot with one reference, that of shots itself.
func (m *Machine) newShot() (*shot, error) {
	// Only a generation that stands before and after belongs to the store and the snapshot taken in between.
	settled := m.generations.current.Load()
	s, err := m.stores.acquire()
	if err != nil {
		return nil, err
	}
	made := &shot{store: s, snapshot: s.db.NewSnapshot(), settled: settled}
	made.refs.Store(1)
	if m.generations.current.Load() != settled {
		made.settled = nil
	}
	reader := dbReader{db: made.snapshot}
	value, found, err := reader.Get(catalogue.LocalKey(localApplied))
	if err == nil && found {
		var p position
		p, err = parsePosition(value)
		made.index = p.index
	}
	if err = errors.Join(err, reader.done()); err != nil {
		return nil, errors.Join(err, made.release())
	}
	return made, nil
}

// outdate makes the next view one of the state as it stands then. It is called after each change of the state, before anybody is
// told of it.
func (s *shots) outdate() error {
	s.mu.Lock()
	old := s.current
	s.current = nil
	s.mu.Unlock()
	if old == nil {
		return nil
	}
	return old.release()
}
