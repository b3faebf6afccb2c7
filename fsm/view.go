package fsm

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"dapple/catalogue"
)

// View is the catalogue as of one index: everything read through it belongs together, whatever is applied meanwhile. It
// holds the store open and keeps old data from being removed, so it is to be closed soon; it is used by one goroutine.
type View struct {
	store    *store
	snapshot *pebble.Snapshot
	reader   dbReader
	index    uint64
	open     *openViews
	// settled is the generation of the snapshot's settled records, nil where that is not known.
	settled *generation
}

var _ catalogue.View = (*View)(nil)

// View returns a view of the state as it stands, or the failure that stopped the machine, or ErrClosed.
func (m *Machine) View() (*View, error) {
	if err := m.Err(); err != nil {
		return nil, err
	}
	// Only a generation that stands before and after belongs to the store and the snapshot taken in between.
	settled := m.generations.current.Load()
	s, err := m.stores.acquire()
	if err != nil {
		return nil, err
	}
	snapshot := s.db.NewSnapshot()
	if m.generations.current.Load() != settled {
		settled = nil
	}
	v := &View{store: s, snapshot: snapshot, reader: dbReader{db: snapshot, stop: &m.stores.closing}, open: &m.stats.views, settled: settled}
	v.open.add(1)
	value, found, err := v.Get(catalogue.LocalKey(localApplied))
	if err == nil && found {
		var p position
		p, err = parsePosition(value)
		v.index = p.index
	}
	if err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

// Index returns the log index of the last entry whose effect the view shows.
func (v *View) Index() uint64 { return v.index }

// Generation numbers what the settled records in the view hold, see Machine.Generation; 0 where that is not known.
func (v *View) Generation() uint64 {
	if v.settled == nil {
		return 0
	}
	return v.settled.number
}

// Get implements catalogue.View. On a closed view it returns ErrClosed.
func (v *View) Get(key []byte) (value []byte, found bool, err error) {
	if v.snapshot == nil {
		return nil, false, ErrClosed
	}
	return readSettled(v.settled, &v.reader, key)
}

// Scan implements catalogue.View. On a closed view, or when the machine is closed meanwhile, it returns ErrClosed.
func (v *View) Scan(low, high []byte, visit func(key, value []byte) (more bool, err error)) error {
	if v.snapshot == nil {
		return ErrClosed
	}
	return v.reader.Scan(low, high, visit)
}

// Close gives the view back. Further calls do nothing. It must not be called from within a visit of Scan.
func (v *View) Close() error {
	if v.snapshot == nil {
		return nil
	}
	err := errors.Join(v.reader.done(), v.snapshot.Close())
	v.snapshot = nil
	v.store.release()
	v.open.add(-1)
	return err
}
