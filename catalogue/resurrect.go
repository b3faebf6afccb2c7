package catalogue

import (
	"fmt"

	"dapple/command"
)

// ResurrectDIDs brings back collections that have ended not longer ago than the window, all or none: as they were, with their metadata
// but for the lifetime, with what was in them and in what they were, as far as that still exists. A DID whose lifetime is over and that is
// still there just loses the lifetime. A large one comes back by several commands, of which ExpireDIDs are those that follow. The
// payload of the answer is a command.ExpiredDIDs.
func ResurrectDIDs(tx Tx, at Stamp, c *command.ResurrectDIDs) ([]byte, error) {
	if err := Authorize(tx, at.Issuer, ActionResurrect); err != nil {
		return nil, err
	}
	window, err := resurrectWindow(tx)
	if err != nil {
		return nil, err
	}
	w, err := newDIDWork(tx, at, int(c.Limit))
	if err != nil {
		return nil, err
	}
	if w.steps && len(c.Dids) > maxResurrected {
		return nil, Errorf(command.CodeTooManyItems, "%d data identifiers are to be brought back, and at most %d can be at once", len(c.Dids), maxResurrected)
	}
	for _, n := range c.Dids {
		if err := w.checkReturn(n, window); err != nil {
			return nil, err
		}
	}
	named, err := w.named(c.Dids)
	if err != nil {
		return nil, err
	}
	for _, ref := range named {
		if err := w.beginReturn(ref); err != nil {
			return nil, err
		}
	}
	if err := w.each(named, w.goOn); err != nil {
		return nil, err
	}
	return w.answer(named)
}

// maxResurrected is how many DIDs one command may begin to bring back from workFeatures on.
const maxResurrected = 1000

// checkReturn refuses a DID that cannot be brought back.
func (w *didWork) checkReturn(n *command.DIDName, window int64) error {
	missing := Errorf(command.CodeDIDNotFound, "Deleted Data identifier '%s:%s' not found", n.GetScope(), n.GetName())
	id, found, err := findScopeID(w.tx, n.GetScope())
	if err != nil {
		return err
	}
	if !found {
		return missing
	}
	ref := didRef{id, n.GetName()}
	e, kept, err := loadEnding(w.tx, ref)
	if err != nil || kept && e.phase != phaseEnded {
		return err
	}
	d, exists, err := loadDID(w.tx, ref)
	if err != nil {
		return err
	}
	if exists {
		over, err := hasEnded(w.tx, ref, d, w.at.Time)
		switch {
		case err != nil || over:
			return err
		case kept:
			return didExists(n.GetScope(), n.GetName(), d)
		}
		return missing
	}
	if !kept || e.at <= endOfWindow(w.at.Time, window) {
		return missing
	}
	return nil
}

// beginReturn begins to bring back a DID that checkReturn has let pass.
func (w *didWork) beginReturn(ref didRef) error {
	e, kept, err := loadEnding(w.tx, ref)
	if err != nil {
		return err
	}
	d, exists, err := loadDID(w.tx, ref)
	if err != nil {
		return err
	}
	if exists {
		if kept && e.phase == phaseRemoving {
			putPhase(w.tx, ref, phaseReturning)
		}
		return w.takeLifetime(ref, d)
	}
	if !kept || e.phase != phaseEnded {
		return fmt.Errorf("%w: %d:%s has not ended", ErrRecord, ref.scope, ref.name)
	}
	w.tx.Delete(endedAtKey(e.at, ref))
	putPhase(w.tx, ref, phaseReturning)
	d = e.did
	d.hidden, d.Updated = true, w.at.Time
	d.Revision = w.tx.Note(w.at, didAdded(ref, d))
	if !d.Open {
		d.Revision = w.tx.Note(w.at, Change{Kind: ChangeDIDChanged, ref: ref, Old: statusText(true), New: statusText(false)})
	}
	if err := putMetadata(w.tx, w.at, ref, d, e.meta); err != nil {
		return err
	}
	putDID(w.tx, ref, d)
	return nil
}

// takeLifetime takes the lifetime of a DID away.
func (w *didWork) takeLifetime(ref didRef, d *DID) error {
	meta, err := loadMetadata(w.tx, ref, d)
	if err != nil {
		return err
	}
	if _, found, err := endIn(meta); err != nil || !found {
		return err
	}
	if err := putMetadata(w.tx, w.at, ref, d, []MetadataEntry{{Key: MetaExpiredAt}}); err != nil {
		return err
	}
	putDID(w.tx, ref, d)
	return nil
}

// restore goes on to bring a collection back.
func (w *didWork) restore(ref didRef, d *DID) error {
	if d.hidden {
		whole, err := w.restoreChildren(ref, d)
		if err != nil {
			return err
		}
		d.hidden = !whole
	}
	if !d.hidden {
		whole, err := w.restoreParents(ref, d)
		if err != nil {
			return err
		}
		if whole {
			w.tx.Delete(endedKey(ref))
			w.tx.Delete(endingKey(ref))
		}
	}
	putDID(w.tx, ref, d)
	return nil
}

// restoreChildren attaches to a hidden collection what was in it, and reports whether that is all. It is in no collection, so that no circle
// can come of it.
func (w *didWork) restoreChildren(ref didRef, d *DID) (whole bool, err error) {
	rows, err := keptRows(w.tx, endedChildrenPrefix(ref), w.left)
	if err != nil {
		return false, err
	}
	whole = w.left > len(rows)
	held, err := collectionEvents(w.tx, ref, d)
	if err != nil {
		return false, err
	}
	var sum wideInt
	sum.add(held)
	for _, row := range rows {
		w.left--
		w.tx.Delete(endedChildKey(ref, row.other))
		child, found, err := loadDID(w.tx, row.other)
		if err != nil {
			return false, err
		}
		if !found || child.hidden {
			// What was in it has ended too: the attachment waits there.
			if err := w.hand(row, endedParentKey(row.other, ref), row.a.child); err != nil {
				return false, err
			}
			continue
		}
		n, err := fileEvents(w.tx, row.other, child)
		if err != nil {
			return false, err
		}
		with := sum
		if with.add(n); !with.fits() {
			continue // as a file whose bytes do not fit any more
		}
		attached, err := w.attach(ref, d, row.other, child, row.a)
		if err != nil {
			return false, err
		}
		if !attached {
			continue
		}
		putDID(w.tx, row.other, child)
		sum = with
	}
	sum.subtract(held)
	return whole, addEvents(w.tx, w.at, ref, d, sum.low())
}

// collectionEvents returns the events that a collection keeps.
func collectionEvents(v View, ref didRef, d *DID) (int64, error) {
	meta, err := loadMetadata(v, ref, d)
	if err != nil {
		return 0, err
	}
	return eventsIn(meta)
}

// restoreParents attaches a collection to what it was in, and reports whether that is all. The caller stores the collection.
func (w *didWork) restoreParents(ref didRef, d *DID) (whole bool, err error) {
	rows, err := keptRows(w.tx, endedParentsPrefix(ref), w.left)
	if err != nil {
		return false, err
	}
	whole = w.left > len(rows)
	search := ancestorSearch{of: ref, work: workLimit{limited: w.steps, left: maxExtraWork}, none: map[didRef]bool{}}
	for i, row := range rows {
		parent, found, err := loadDID(w.tx, row.other)
		if err != nil {
			return false, err
		}
		there, fits := found && !parent.hidden, true
		if there && d.Type == TypeContainer { // a dataset is above no collection
			if fits, err = w.mayHold(&search, row.other, parent); err != nil {
				return false, err
			}
			if search.work.spent() && i > 0 {
				return false, nil // the next command goes on here
			}
		}
		w.left--
		w.tx.Delete(endedParentKey(ref, row.other))
		if !there {
			if err := w.hand(row, endedChildKey(row.other, ref), TypeContainer); err != nil {
				return false, err
			}
			continue
		}
		if !fits {
			continue
		}
		attached, err := w.attach(row.other, parent, ref, d, row.a)
		if err != nil {
			return false, err
		}
		if attached {
			putDID(w.tx, row.other, parent)
		}
	}
	return whole, nil
}

// hand gives the attachment of a row to its other end, which was of that type, where that is kept and may come back.
func (w *didWork) hand(row keptRow, key []byte, t DIDType) error {
	if t == TypeFile {
		return nil // a file that is gone does not come back
	}
	comes, err := comesBack(w.tx, row.other, t)
	if err == nil && comes {
		w.tx.Put(key, appendAttachment(nil, row.a))
	}
	return err
}

// attach attaches a DID as it was, where the two still fit; the caller stores both.
func (w *didWork) attach(parent didRef, p *DID, child didRef, d *DID, a attachment) (attached bool, err error) {
	if d.Type != a.child || p.Type != parentType(d.Type) || d.Type == TypeFile && d.Bytes > MaxFileBytes-min(p.Size, MaxFileBytes) {
		return false, nil
	}
	key := attachmentKey(parent, child)
	if _, there, err := w.tx.Get(key); err != nil || there {
		return false, err
	}
	w.tx.Put(key, appendAttachment(nil, a))
	putParent(w.tx, w.homes, child, d, parent)
	p.Revision, p.Updated = w.tx.Note(w.at, edgeChange(ChangeAttachmentAdded, parent, child, d.Type)), w.at.Time
	p.countChild(d)
	p.Archive = p.Archive || d.Archive
	return true, nil
}

// ancestorSearch tells whether a collection is above others, and remembers those that it is not above.
type ancestorSearch struct {
	of   didRef
	work workLimit
	none map[didRef]bool
}

// mayHold reports whether a collection, whose record is given, may hold the one of the search without a circle. From
// workFeatures on it may not where the work of the search is spent before it can tell.
func (w *didWork) mayHold(s *ancestorSearch, parent didRef, d *DID) (bool, error) {
	if parent == s.of {
		return false, nil
	}
	fits, seen := true, []didRef{parent}
	for at := 0; at < len(seen) && fits; at++ {
		record := d
		if at > 0 {
			var err error
			if record, err = mustLoadDID(w.tx, seen[at]); err != nil {
				return false, err
			}
		}
		s.none[seen[at]] = true
		err := scanParents(w.tx, seen[at], record, func(up didRef) (bool, error) {
			if fits = up != s.of && s.work.spend(scanWork); fits && !s.none[up] {
				s.none[up] = true
				seen = append(seen, up)
			}
			return fits, nil
		})
		if err != nil {
			return false, err
		}
	}
	if !fits {
		for _, ref := range seen {
			delete(s.none, ref) // the search did not end
		}
	}
	return fits, nil
}

// ForgetExpired forgets collections that have ended longer ago than the window: they cannot be brought back any more. Nobody but the
// cluster itself proposes it.
func ForgetExpired(tx Tx, at Stamp, c *command.ForgetExpired) ([]byte, error) {
	if err := onlyCluster(at, "forgets what has ended"); err != nil {
		return nil, err
	}
	window, err := resurrectWindow(tx)
	if err != nil {
		return nil, err
	}
	old, err := firstTimes(tx, tableEndedAt, endOfWindow(at.Time, window), int(c.Limit))
	if err != nil {
		return nil, err
	}
	w, err := newDIDWork(tx, at, int(c.Limit))
	if err != nil {
		return nil, err
	}
	return nil, w.each(old, func(ref didRef) error {
		e, found, err := loadEnding(tx, ref)
		if err == nil && !found {
			err = ErrRecord
		}
		if err != nil {
			return err
		}
		_, err = w.forget(ref, e)
		w.left--
		return err
	})
}

// putForgotten makes what is left of a collection as old as can be: half of it must never come back, whatever becomes of the window.
func (w *didWork) putForgotten(ref didRef, e *ending) {
	w.tx.Delete(endedAtKey(e.at, ref))
	e.at = 0
	w.tx.Put(endedKey(ref), appendEnding(nil, e))
	w.tx.Put(endedAtKey(e.at, ref), nil)
}

// forget deletes what is kept of a collection that has ended, as much as the command may, and reports whether that is all.
func (w *didWork) forget(ref didRef, e *ending) (all bool, err error) {
	for _, prefix := range [...][]byte{endedChildrenPrefix(ref), endedParentsPrefix(ref)} {
		rows, err := keptRows(w.tx, prefix, w.left)
		if err != nil {
			return false, err
		}
		for _, row := range rows {
			w.left--
			w.tx.Delete(appendRef(prefix, row.other))
		}
		if w.left <= 0 {
			w.putForgotten(ref, e)
			return false, nil
		}
	}
	w.tx.Delete(endedKey(ref))
	w.tx.Delete(endedAtKey(e.at, ref))
	return true, nil
}
