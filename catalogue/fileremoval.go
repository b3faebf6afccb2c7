package catalogue

import "fmt"

// From workFeatures on a file is removed, or ends, in steps: it may be in any number of datasets, and hold any number of
// constituents. What a command leaves is noted in a table, and ExpireDIDs goes on with it. Until a file that has lost
// its last replica is gone it is a file without replicas; to register a replica again keeps it.

// fileStep is how far the removal of a file has got.
type fileStep struct {
	// gone is set where the file is to be removed. Otherwise its lifetime is over, and it only leaves its datasets.
	gone bool
	// after is the last dataset that was looked at, since a file stays in some.
	after didRef
}

const fileStepFormat = 1

func appendFileStep(b []byte, s fileStep) []byte {
	b = appendBool(append(b, fileStepFormat), s.gone)
	if s.after == (didRef{}) {
		return b
	}
	return appendRef(b, s.after)
}

func parseFileStep(b []byte) (s fileStep, err error) {
	r := newRecordReader(b, fileStepFormat)
	s.gone = r.bool()
	after := r.take(uint64(len(r.b)))
	if err := r.done(); err != nil || len(after) == 0 {
		return s, err
	}
	if s.after, err = parseRef(after); err != nil {
		err = fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return s, err
}

func fileStepKey(ref didRef) []byte { return appendRef([]byte{tableFileStep}, ref) }

// loadFileStep returns how far the removal of a file has got, and false where none has begun.
func loadFileStep(v View, ref didRef) (fileStep, bool, error) {
	b, found, err := v.Get(fileStepKey(ref))
	if err != nil || !found {
		return fileStep{}, false, err
	}
	step, err := parseFileStep(b)
	if err != nil {
		err = fmt.Errorf("removal of %d:%s: %w", ref.scope, ref.name, err)
	}
	return step, err == nil, err
}

func putFileStep(tx Tx, ref didRef, step fileStep) {
	tx.Put(fileStepKey(ref), appendFileStep(nil, step))
}

// anyFileStep reports whether the removal of any file has begun.
func anyFileStep(v View) (found bool, err error) {
	err = scanRefs(v, []byte{tableFileStep}, func(didRef) (bool, error) {
		found = true
		return false, nil
	})
	return found, err
}

// goOnWithFiles goes on with files whose removal an earlier command began.
func (w *didWork) goOnWithFiles() error {
	if w.left <= 0 || !w.steps {
		return nil
	}
	var begun []didRef
	err := scanRefs(w.tx, []byte{tableFileStep}, func(ref didRef) (bool, error) {
		begun = append(begun, ref)
		return len(begun) < w.left, nil
	})
	if err != nil {
		return err
	}
	return w.each(begun, func(ref didRef) error {
		step, found, err := loadFileStep(w.tx, ref)
		if err != nil || !found {
			return err // it went with an archive
		}
		d, err := mustLoadDID(w.tx, ref)
		if err != nil {
			return err
		}
		defer func() { w.left-- }() // at its end, so that a limit of 1 comes on too
		return w.goOnWithFile(ref, d, step)
	})
}

// goOnWithFile goes on to remove a file, or to end it.
func (w *didWork) goOnWithFile(ref didRef, d *DID, step fileStep) error {
	if step.gone {
		if len(d.Replicas) == 0 && !d.Constituent {
			return w.removeFiles(ref, d)
		}
		w.tx.Delete(fileStepKey(ref)) // it was registered again, or packed
		return nil
	}
	over, err := hasEnded(w.tx, ref, d, w.at.Time)
	if err != nil {
		return err
	}
	if !over {
		w.tx.Delete(fileStepKey(ref))
		return nil
	}
	return w.endFileFrom(ref, d, step.after)
}

// leaveDatasets takes a file out of the datasets behind after, of monotonic ones and those on their way only where all
// is set. It returns the last one that it has looked at, and whether that was all.
func (w *didWork) leaveDatasets(ref didRef, d *DID, after didRef, all bool) (last didRef, out bool, err error) {
	limit := 1 // tells whether there is any
	switch {
	case all:
		limit += max(w.left, 0)
	case w.looks > 0:
		limit += max(w.left, 0) + w.looks
	}
	parents, err := firstParents(w.tx, ref, d, after, limit)
	if err != nil || len(parents) == 0 {
		return after, err == nil, err
	}
	events, err := fileEvents(w.tx, ref, d)
	if err != nil {
		return after, false, err
	}
	for _, parent := range parents {
		if w.left <= 0 || !all && w.looks <= 0 {
			return after, false, nil
		}
		if !all {
			p, err := mustLoadDID(w.tx, parent)
			if err != nil {
				return after, false, err
			}
			if p.Monotonic || p.hidden {
				w.looks--
				after = parent
				continue
			}
		}
		w.left--
		after = parent
		if err := w.detach(parent, ref, d, events); err != nil {
			return after, false, err
		}
	}
	return after, true, nil
}

// removeFiles removes a file that has no replica and is in no archive, with the constituents that it alone held, as far
// as the command may.
func (w *didWork) removeFiles(ref didRef, d *DID) error {
	if err := w.removeFile(ref, d); err != nil {
		return err
	}
	for len(w.orphans) > 0 && w.left > 0 {
		orphan := w.orphans[len(w.orphans)-1]
		w.orphans = w.orphans[:len(w.orphans)-1]
		d, found, err := loadDID(w.tx, orphan)
		if err != nil {
			return err
		}
		if !found || len(d.Replicas) > 0 || d.Constituent {
			continue // an archive that held itself is gone already
		}
		if err := w.removeFile(orphan, d); err != nil {
			return err
		}
	}
	return nil
}

// removeFile removes one file, or as much of it as the command may.
func (w *didWork) removeFile(ref didRef, d *DID) error {
	_, out, err := w.leaveDatasets(ref, d, didRef{}, true)
	if err == nil && out && d.Archive {
		out, err = w.unpack(ref)
	}
	if err != nil {
		return err
	}
	if !out {
		putDID(w.tx, ref, d)
		putFileStep(w.tx, ref, fileStep{gone: true})
		return nil
	}
	if d.HasMetadata {
		if err := forgetEnd(w.tx, ref, d); err != nil {
			return err
		}
		w.tx.Delete(metadataKey(ref))
	}
	w.tx.Delete(didKey(ref))
	w.tx.Note(w.at, Change{Kind: ChangeDIDDeleted, ref: ref, DID: d.Type})
	w.tx.Delete(fileStepKey(ref))
	return nil
}

// unpack takes the constituents out of an archive that is being removed, and reports whether that is all. Those that
// are left without any archive and without a replica are to be removed too.
func (w *didWork) unpack(archive didRef) (all bool, err error) {
	files, err := firstConstituents(w.tx, archive, max(w.left, 0)+1)
	if err != nil {
		return false, err
	}
	for _, file := range files {
		if w.left <= 0 {
			return false, nil
		}
		w.left--
		w.tx.Delete(constituentKey(archive, file))
		w.tx.Delete(archiveKey(file, archive))
		revision := w.tx.Note(w.at, edgeChange(ChangeConstituentRemoved, archive, file, TypeFile))
		others, err := firstArchive(w.tx, file)
		if err != nil {
			return false, err
		}
		if others || file == archive {
			continue
		}
		d, err := mustLoadDID(w.tx, file)
		if err != nil {
			return false, err
		}
		d.Constituent, d.Revision, d.Updated = false, revision, w.at.Time
		putDID(w.tx, file, d)
		if len(d.Replicas) == 0 {
			putFileStep(w.tx, file, fileStep{gone: true})
			w.orphans = append(w.orphans, file)
		}
	}
	return true, nil
}

// firstConstituents returns up to limit of the files in an archive.
func firstConstituents(v View, archive didRef, limit int) (files []didRef, err error) {
	err = scanConstituents(v, archive, func(file didRef) (bool, error) {
		files = append(files, file)
		return len(files) < limit, nil
	})
	return files, err
}

// firstArchive reports whether a file is in any archive.
func firstArchive(v View, file didRef) (found bool, err error) {
	err = scanArchives(v, file, func(didRef) (bool, error) {
		found = true
		return false, nil
	})
	return found, err
}

// endFileFrom ends a file, from the datasets behind after on. It stays: it loses its place in datasets, but for
// monotonic ones, which never shrink by anything that stays, then the metadata of the clients' own keys, and the
// lifetime.
func (w *didWork) endFileFrom(ref didRef, d *DID, after didRef) error {
	after, out, err := w.leaveDatasets(ref, d, after, false)
	if err != nil {
		return err
	}
	if !out {
		putDID(w.tx, ref, d)
		putFileStep(w.tx, ref, fileStep{after: after})
		return nil
	}
	w.tx.Delete(fileStepKey(ref))
	return w.bareFile(ref, d)
}

// bareFile takes from a file what its end takes from it beside its datasets.
func (w *didWork) bareFile(ref didRef, d *DID) error {
	meta, err := loadMetadata(w.tx, ref, d)
	if err != nil {
		return err
	}
	var taken []MetadataEntry
	for _, e := range meta {
		if e.Key == MetaExpiredAt || !IsFixedMetadata(e.Key) {
			taken = append(taken, MetadataEntry{Key: e.Key})
		}
	}
	if err := putMetadata(w.tx, w.at, ref, d, taken); err != nil {
		return err
	}
	putDID(w.tx, ref, d)
	w.ended++
	return nil
}
