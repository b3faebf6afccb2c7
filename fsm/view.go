package fsm

import (
	"errors"

	"dapple/catalogue"
)

// View is the catalogue as of one index: everything read through it belongs together, whatever is applied meanwhile. It
// holds the store open and keeps old data from being removed, so it is to be closed soon; it is used by one goroutine.
type View struct {
	shot    *shot // nil once closed
	reader  dbReader
	index   uint64
	settled *generation // as of the shot
	open    *openViews
}

var _ catalogue.View = (*View)(nil)

// View returns a view of the state as it stands, or the failure that stopped the machine, or ErrClosed.
func (m *Machine) View() (*View, error) {
	if err := m.Err(); err != nil {
		return nil, err
	}
	s, err := m.shot()
	if err != nil {
		return nil, err
	}
	m.stats.views.add(1)
	reader := dbReader{db: s.snapshot, stop: &m.stores.closing}
	return &View{shot: s, reader: reader, index: s.index, settled: s.settled, open: &m.stats.views}, nil
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

// Memo returns what fits the settled records in the view, nil where there is none.
func (v *View) Memo() *catalogue.Memo { return v.settled.memoOf() }

// Get implements catalogue.View. On a closed view it returns ErrClosed.
func (v *View) Get(key []byte) (value []byte, found bool, err error) {
	if v.shot == nil {
		return nil, false, ErrClosed
	}
	return readSettled(v.settled, &v.reader, key)
}

// Scan implements catalogue.View. On a closed view, or when the machine is closed meanwhile, it returns ErrClosed.
func (v *View) Scan(low, high []byte, visit func(key, value []byte) (more bool, err error)) error {
	if v.shot == nil {
		return ErrClosed
	}
	return v.reader.Scan(low, high, visit)
}

// Close gives the view back. Further calls do nothing. It must not be called from within a visit of Scan.
func (v *View) Close() error {
	if v.shot == nil {
		return nil
	}
	err := errors.Join(v.reader.done(), v.shot.release())
	v.shot = nil
	v.open.add(-1)
	return err
}
