package fsm

import (
	"github.com/cockroachdb/pebble/v2"

	"dapple/catalogue"
	"dapple/command"
)

// keepChanges ends a command that took effect: what it has noted becomes a record of the change feed, and its events take
// their revisions.
func (m *Machine) keepChanges(at catalogue.Stamp, index uint64) error {
	noted := &m.overlay.noted
	m.state.revision += max(noted.Count(), 1)
	key, value, err := noted.Record(at, index, m.state.feed.Total)
	if err != nil || key == nil {
		return err
	}
	m.overlay.Put(key, value)
	m.state.feed.Total += uint64(len(key) + len(value))
	m.state.feedChanged = true
	return nil
}

// trimChanges ends the batch with this entry; commit then removes the records that are to go.
func trimChanges(m *Machine, at catalogue.Stamp, c *command.TrimChanges) ([]byte, error) {
	feed, due, err := catalogue.TrimChanges(m.state.feed, at, c)
	if err != nil || !due {
		return nil, err
	}
	m.state.feed, m.state.feedChanged, m.trimDue = feed, true, true
	return nil, nil
}

// trim removes what the feed no longer holds, after the writes of the batch.
func (m *Machine) trim(batch *pebble.Batch) error {
	if !m.trimDue {
		return nil
	}
	m.trimDue = false
	low, high := catalogue.ChangeRange(m.state.feed.Through)
	return batch.DeleteRange(low, high, nil)
}
