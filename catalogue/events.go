package catalogue

import (
	"fmt"
	"math"
	"strconv"

	"dapple/command"
)

// metaEvents is the metadata key of a file's number of events. Under the same key a dataset keeps the sum of its files as it is
// now, and a container what its datasets had when it was last closed; of a collection that was never closed the API
// shows none.
const metaEvents = "events"

// maxEvents bounds the events of a file before feature level 1; from there on a dataset's sum must fit into 64 bits.
const maxEvents = 1 << 40

// eventsIn returns the number of events among metadata, 0 where there is none.
func eventsIn(meta []MetadataEntry) (int64, error) {
	text, found := FindMetadata(meta, metaEvents)
	if !found || text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: events %q", ErrRecord, text)
	}
	return n, nil
}

// addEvents adds to the events that a dataset keeps; the caller stores its record.
func addEvents(tx Tx, at Stamp, ref didRef, d *DID, more int64) error {
	if more == 0 {
		return nil
	}
	meta, err := loadMetadata(tx, ref, d)
	if err != nil {
		return err
	}
	n, err := eventsIn(meta)
	if err != nil {
		return err
	}
	return putEvents(tx, at, ref, d, n+more)
}

func putEvents(tx Tx, at Stamp, ref didRef, d *DID, n int64) error {
	e := MetadataEntry{Key: metaEvents}
	if n != 0 {
		e.Value = strconv.FormatInt(n, 10)
	}
	return putMetadata(tx, at, ref, d, []MetadataEntry{e})
}

// checkEvents refuses what would give a dataset more events than a number of 64 bits holds. Before feature level 1 no file
// had so many that it could happen.
func (c *didChanges) checkEvents() error {
	for _, d := range c.order {
		if d.events.isZero() {
			continue
		}
		meta, err := c.storedMetadata(d)
		if err != nil {
			return err
		}
		n, err := eventsIn(meta)
		if err != nil {
			return err
		}
		sum := d.events
		sum.add(n)
		if sum.fits() {
			continue
		}
		level, err := FeatureLevel(c.v)
		if err != nil {
			return err
		}
		if level >= 1 {
			return Errorf(command.CodeInvalidValue, "dataset '%s' cannot hold more than %d events", d.ref.name, math.MaxInt64)
		}
	}
	return nil
}

// sumEvents keeps with a container what the datasets under it have now; what is beyond 64 bits is as much as they hold.
func sumEvents(tx Tx, at Stamp, ref didRef, d *DID) error {
	var sum wideInt
	err := scanDatasets(tx, ref, d.Type, func(below didRef) (bool, error) {
		dataset, err := mustLoadDID(tx, below)
		if err != nil {
			return false, err
		}
		meta, err := loadMetadata(tx, below, dataset)
		if err != nil {
			return false, err
		}
		n, err := eventsIn(meta)
		sum.add(n)
		return true, err
	})
	if err != nil {
		return err
	}
	level, err := FeatureLevel(tx)
	if err != nil {
		return err
	}
	if level >= 1 {
		return putEvents(tx, at, ref, d, sum.clamped())
	}
	return putEvents(tx, at, ref, d, sum.low())
}

// setEvents lays metadata with another number of events over a file's and brings the file's datasets up to date.
func (c *didChanges) setEvents(d *changedDID, set []MetadataEntry) error {
	before, err := c.eventsOf(d)
	if err != nil {
		return err
	}
	d.meta.lay(set)
	after, err := c.eventsOf(d)
	if err != nil {
		return err
	}
	parents, err := c.parentsOf(d)
	if err != nil {
		return err
	}
	for _, ref := range parents {
		parent, err := c.load(ref)
		if err == nil && parent == nil {
			_, err = mustLoadDID(c.v, ref)
		}
		if err != nil {
			return err
		}
		parent.events.add(after)
		parent.events.subtract(before)
	}
	return nil
}
