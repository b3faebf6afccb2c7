package catalogue

import "encoding/binary"

// constituent is the record that a file is in an archive; the two are its key. The constituent's size and checksums are
// those of its own DID.
type constituent struct {
	// created is the log time in microseconds.
	created int64
}

const constituentFormat = 1

func appendConstituent(b []byte, c constituent) []byte {
	return binary.AppendVarint(append(b, constituentFormat), c.created)
}

func parseConstituent(b []byte) (constituent, error) {
	r := newRecordReader(b, constituentFormat)
	c := constituent{created: r.varint()}
	return c, r.done()
}

func constituentKey(archive, file didRef) []byte { return appendRef(constituentsPrefix(archive), file) }
func archiveKey(file, archive didRef) []byte     { return appendRef(archivesPrefix(file), archive) }

// scanConstituents visits the files in an archive.
func scanConstituents(v View, archive didRef, visit func(file didRef) (more bool, err error)) error {
	return scanRefs(v, constituentsPrefix(archive), visit)
}

// scanArchives visits the archives that a file is in.
func scanArchives(v View, file didRef, visit func(archive didRef) (more bool, err error)) error {
	return scanRefs(v, archivesPrefix(file), visit)
}

// scanRefs visits the references that end the keys under a prefix.
func scanRefs(v View, prefix []byte, visit func(ref didRef) (more bool, err error)) error {
	return v.Scan(prefix, prefixEnd(prefix), func(key, _ []byte) (bool, error) {
		ref, err := parseRef(key[len(prefix):])
		if err != nil {
			return false, err
		}
		return visit(ref)
	})
}

// ScanConstituents visits the files in an archive with their records, which are valid until visit returns. A DID without
// constituents, unknown ones included, has none.
func ScanConstituents(v View, scope, name string, visit func(scope, name string, d *DID) (more bool, err error)) error {
	id, found, err := findScopeID(v, scope)
	if err != nil || !found || !validName(name, MaxNameBytes) {
		return err // what is no name could be the beginning of another key
	}
	names := scopeNames{id: scope}
	return scanConstituents(v, didRef{id, name}, func(file didRef) (bool, error) {
		d, err := mustLoadDID(v, file)
		if err != nil {
			return false, err
		}
		scope, err := names.name(v, file.scope)
		if err != nil {
			return false, err
		}
		return visit(scope, file.name, d)
	})
}

// ScanArchives visits the archives that a file is in, none for an unknown DID.
func ScanArchives(v View, scope, name string, visit func(scope, name string) (more bool, err error)) error {
	id, found, err := findScopeID(v, scope)
	if err != nil || !found || !validName(name, MaxNameBytes) {
		return err
	}
	names := scopeNames{id: scope}
	return scanArchives(v, didRef{id, name}, func(archive didRef) (bool, error) {
		scope, err := names.name(v, archive.scope)
		if err != nil {
			return false, err
		}
		return visit(scope, archive.name)
	})
}

// releaseConstituents empties an archive that is being deleted. It returns the constituents that are left without any
// archive and without a replica, in order; the others that are in no archive any more lose the mark. It checks nothing.
func releaseConstituents(tx Tx, at Stamp, archive didRef) (orphans []didRef, err error) {
	var files []didRef
	err = scanConstituents(tx, archive, func(file didRef) (bool, error) {
		files = append(files, file)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		tx.Delete(constituentKey(archive, file))
		tx.Delete(archiveKey(file, archive))
		revision := tx.Note(at, edgeChange(ChangeConstituentRemoved, archive, file, TypeFile))
		kept := false
		err := scanArchives(tx, file, func(didRef) (bool, error) { kept = true; return false, nil })
		if err != nil {
			return nil, err
		}
		if kept {
			continue
		}
		d, found, err := loadDID(tx, file)
		if err != nil {
			return nil, err
		}
		if !found {
			continue // an archive that holds itself is gone already
		}
		if len(d.Replicas) == 0 {
			orphans = append(orphans, file)
			continue
		}
		d.Constituent = false
		d.Revision, d.Updated = revision, at.Time
		putDID(tx, file, d)
	}
	return orphans, nil
}
