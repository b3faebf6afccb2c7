package catalogue

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"dapple/command"
)

// ExpireDIDs ends DIDs whose lifetime is over by the log time, those named first, then the earliest; and it goes on with collections
// that an earlier command began to remove or to bring back. It changes about as many attachments and DIDs as its limit says.
// Nobody but the cluster itself proposes it. The payload of the answer is a command.ExpiredDIDs.
//
// A collection is taken out of what it is in and loses what is in it; a large one does so in several commands. A file stays: it loses
// what it loses in Rucio, which is its place in datasets, metadata of the clients' own keys, and the lifetime itself.
func ExpireDIDs(tx Tx, at Stamp, c *command.ExpireDIDs) ([]byte, error) {
	if err := onlyCluster(at, "ends DIDs"); err != nil {
		return nil, err
	}
	w, err := newDIDWork(tx, at, int(c.Limit))
	if err != nil {
		return nil, err
	}
	named, err := w.named(c.Dids)
	if err != nil {
		return nil, err
	}
	if err := w.each(named, w.endOrGoOn); err != nil {
		return nil, err
	}
	due, err := firstTimes(tx, tableEnd, at.Time, w.left)
	if err != nil {
		return nil, err
	}
	if err := w.each(due, w.endOrGoOn); err != nil {
		return nil, err
	}
	begun, err := w.begun()
	if err != nil {
		return nil, err
	}
	if err := w.each(begun, w.goOn); err != nil {
		return nil, err
	}
	if err := w.goOnWithFiles(); err != nil {
		return nil, err
	}
	return w.answer(named)
}

// didWork is one command's share of the work on collections that end or come back. left is how much more it may change.
type didWork struct {
	tx    Tx
	at    Stamp
	homes bool
	left  int
	ended uint32
	// steps is set where files end in steps.
	steps bool
	// looks is how many datasets that a file stays in the command may still look at.
	looks int
	// orphans are constituents that are to be removed with their archive.
	orphans []didRef
}

// newDIDWork returns the work of a command that may change so much.
func newDIDWork(tx Tx, at Stamp, limit int) (*didWork, error) {
	homes, err := keepsHomes(tx)
	if err != nil {
		return nil, err
	}
	level, err := FeatureLevel(tx)
	return &didWork{tx: tx, at: at, homes: homes, left: max(limit, 1), steps: level >= workFeatures, looks: maxExtraWork / 2}, err
}

// named returns the DIDs that a command names, each once, without those whose scope is unknown.
func (w *didWork) named(names []*command.DIDName) (refs []didRef, err error) {
	var scopes scopeIDs
	seen := map[didRef]bool{}
	for _, n := range names {
		id, found, err := scopes.find(w.tx, n.GetScope())
		if err != nil {
			return nil, err
		}
		if ref := (didRef{id, n.GetName()}); found && !seen[ref] {
			seen[ref] = true
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

// begun returns collections that an earlier command began to remove or to bring back.
func (w *didWork) begun() (refs []didRef, err error) {
	if w.left <= 0 {
		return nil, nil
	}
	err = scanRefs(w.tx, []byte{tableEnding}, func(ref didRef) (bool, error) {
		refs = append(refs, ref)
		return len(refs) < w.left, nil
	})
	return refs, err
}

// each does something to DIDs as long as the command may change more.
func (w *didWork) each(refs []didRef, do func(didRef) error) error {
	for _, ref := range refs {
		if w.left <= 0 {
			return nil
		}
		if err := do(ref); err != nil {
			return fmt.Errorf("lifetime of %d:%s: %w", ref.scope, ref.name, err)
		}
	}
	return nil
}

// endOrGoOn ends a DID where its lifetime is over, and goes on where that has been begun.
func (w *didWork) endOrGoOn(ref didRef) error {
	e, kept, err := loadEnding(w.tx, ref)
	if err != nil {
		return err
	}
	if kept && e.phase != phaseEnded {
		return w.goOn(ref)
	}
	d, found, err := loadDID(w.tx, ref)
	if err != nil || !found {
		return err
	}
	over, err := hasEnded(w.tx, ref, d, w.at.Time)
	if err != nil || !over {
		return err
	}
	defer func() { w.left-- }() // at its end, so that a limit of 1 comes on too
	if d.Type == TypeFile {
		return w.endFile(ref, d)
	}
	if kept { // an earlier one of that name
		if forgotten, err := w.forget(ref, e); err != nil || !forgotten {
			return err
		}
	}
	putPhase(w.tx, ref, phaseRemoving)
	return w.remove(ref, d)
}

// goOn goes on with what has been begun.
func (w *didWork) goOn(ref didRef) error {
	e, found, err := loadEnding(w.tx, ref)
	if err != nil || !found || e.phase == phaseEnded {
		return err
	}
	d, err := mustLoadDID(w.tx, ref)
	if err != nil {
		return err
	}
	defer func() { w.left-- }()
	if e.phase == phaseReturning {
		return w.restore(ref, d)
	}
	return w.remove(ref, d)
}

// remove goes on to remove a collection. While it is still in others it is seen by all, and its lifetime can be changed: then it stays.
func (w *didWork) remove(ref didRef, d *DID) error {
	if !d.hidden {
		over, err := hasEnded(w.tx, ref, d, w.at.Time)
		if err != nil {
			return err
		}
		if !over {
			putPhase(w.tx, ref, phaseReturning)
			return w.restore(ref, d)
		}
		out, err := w.leaveParents(ref, d)
		if err != nil {
			return err
		}
		if !out {
			putDID(w.tx, ref, d)
			return nil
		}
		if err := forgetEnd(w.tx, ref, d); err != nil {
			return err
		}
		d.hidden = true
	}
	if err := w.releaseChildren(ref, d); err != nil {
		return err
	}
	if d.Length > 0 {
		putDID(w.tx, ref, d)
		return nil
	}
	return w.finish(ref, d)
}

// leaveParents takes a collection out of those that it is in, and keeps the attachments; it reports whether it is in none any more. A
// monotonic one loses it too, and what one had when it was closed stays as it was then.
func (w *didWork) leaveParents(ref didRef, d *DID) (out bool, err error) {
	parents, err := firstParents(w.tx, ref, d, didRef{}, max(w.left, 0)+1)
	if err != nil {
		return false, err
	}
	for _, parent := range parents {
		if w.left <= 0 {
			return false, nil
		}
		w.left--
		value, found, err := w.tx.Get(attachmentKey(parent, ref))
		if err != nil {
			return false, err
		}
		if !found {
			return false, fmt.Errorf("%w: %d:%s is not attached to its parent %d:%s", ErrRecord, ref.scope, ref.name, parent.scope, parent.name)
		}
		w.tx.Put(endedParentKey(ref, parent), value)
		if err := w.detach(parent, ref, d, 0); err != nil {
			return false, err
		}
	}
	return true, nil
}

// detach takes a DID out of a collection; the caller stores the DID.
func (w *didWork) detach(parent, child didRef, d *DID, events int64) error {
	p, err := mustLoadDID(w.tx, parent)
	if err != nil {
		return err
	}
	deleteParent(w.tx, child, d, parent)
	revision := deleteAttachment(w.tx, w.at, parent, child, d.Type)
	p.uncountChild(d)
	if err := addEvents(w.tx, w.at, parent, p, -events); err != nil {
		return err
	}
	p.Revision, p.Updated = max(p.Revision, revision), w.at.Time
	putDID(w.tx, parent, p)
	return nil
}

// releaseChildren takes what is in a collection out of it, as much as the command may, and keeps the attachments. The caller stores the
// collection.
func (w *didWork) releaseChildren(ref didRef, d *DID) error {
	rows, err := keptRows(w.tx, childrenPrefix(ref), w.left)
	if err != nil {
		return err
	}
	var events int64
	for _, row := range rows {
		w.left--
		child, err := mustLoadDID(w.tx, row.other)
		if err != nil {
			return err
		}
		n, err := fileEvents(w.tx, row.other, child)
		if err != nil {
			return err
		}
		events += n
		w.tx.Put(endedChildKey(ref, row.other), appendAttachment(nil, row.a))
		if deleteParent(w.tx, row.other, child, ref) {
			putDID(w.tx, row.other, child)
		}
		d.Revision = deleteAttachment(w.tx, w.at, ref, row.other, child.Type)
		d.uncountChild(child)
		d.Updated = w.at.Time
	}
	return addEvents(w.tx, w.at, ref, d, -events)
}

// fileEvents returns the events of a file, 0 of anything else.
func fileEvents(v View, ref didRef, d *DID) (int64, error) {
	if d.Type != TypeFile {
		return 0, nil
	}
	meta, err := loadMetadata(v, ref, d)
	if err != nil {
		return 0, err
	}
	return eventsIn(meta)
}

// finish ends a collection that holds nothing any more.
func (w *didWork) finish(ref didRef, d *DID) error {
	meta, err := loadMetadata(w.tx, ref, d)
	if err != nil {
		return err
	}
	if d.HasMetadata {
		w.tx.Delete(metadataKey(ref))
	}
	w.tx.Delete(didKey(ref))
	w.tx.Delete(endingKey(ref))
	d.hidden, d.HasMetadata = false, false
	meta = mergeMetadata(meta, []MetadataEntry{{Key: MetaExpiredAt}})
	w.tx.Put(endedKey(ref), appendEnding(nil, &ending{phase: phaseEnded, at: w.at.Time, did: d, meta: meta}))
	w.tx.Put(endedAtKey(w.at.Time, ref), nil)
	w.tx.Note(w.at, Change{Kind: ChangeDIDDeleted, ref: ref, DID: d.Type})
	w.ended++
	return nil
}

// endFile takes a file out of its datasets, but for monotonic ones, which never shrink by anything that stays; then it takes away the
// metadata of the clients' own keys and the lifetime.
func (w *didWork) endFile(ref didRef, d *DID) error {
	if w.steps {
		step, _, err := loadFileStep(w.tx, ref)
		if err != nil {
			return err
		}
		return w.goOnWithFile(ref, d, step)
	}
	parents, err := listParents(w.tx, ref, d)
	if err != nil {
		return err
	}
	events, err := fileEvents(w.tx, ref, d)
	if err != nil {
		return err
	}
	for _, parent := range parents {
		p, err := mustLoadDID(w.tx, parent)
		if err != nil {
			return err
		}
		if p.Monotonic || p.hidden {
			continue
		}
		if w.left <= 0 {
			putDID(w.tx, ref, d)
			return nil
		}
		w.left--
		if err := w.detach(parent, ref, d, events); err != nil {
			return err
		}
	}
	return w.bareFile(ref, d)
}

// answer tells what has been done, and how much is left to do of the DIDs that were named.
func (w *didWork) answer(named []didRef) ([]byte, error) {
	done := &command.ExpiredDIDs{Ended: w.ended}
	for _, ref := range named {
		waits, err := w.waits(ref)
		if err != nil {
			return nil, err
		}
		if waits {
			done.Left++
		}
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(done)
}

// waits reports whether a DID is neither gone for everybody nor all back.
func (w *didWork) waits(ref didRef) (bool, error) {
	d, found, err := loadDID(w.tx, ref)
	if err != nil || !found {
		return false, err
	}
	e, kept, err := loadEnding(w.tx, ref)
	switch {
	case err != nil:
		return false, err
	case kept && e.phase == phaseReturning:
		return true, nil
	case d.hidden:
		return false, nil
	}
	return hasEnded(w.tx, ref, d, w.at.Time)
}
