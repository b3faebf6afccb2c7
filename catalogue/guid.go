package catalogue

import "bytes"

// guidPause is after how many DIDs ScanGUID asks whether to go on. A higher value stops later.
const guidPause = 1024

// ScanGUID visits the collections that the files of a GUID are attached to, for each file in ascending order. It reports whether
// there is such a file. The GUID may be written in any form that the metadata take. No index leads from GUIDs to files, so it
// reads the metadata of all DIDs; it calls proceed now and then and stops at its error.
func ScanGUID(v View, guid string, proceed func() error, visit func(scope, name string) (more bool, err error)) (found bool, err error) {
	want, valid := metadataField{kind: metaGUID}.stored(Stamp{}, jsonText(guid))
	if !valid {
		return false, nil // no file can have it
	}
	hiding, err := findHiding(v)
	if err != nil {
		return false, err
	}
	names, low, read := scopeNames{}, []byte{tableMetadata}, 0
	err = v.Scan(low, prefixEnd(low), func(key, value []byte) (more bool, err error) {
		if read++; read%guidPause == 0 {
			if err := proceed(); err != nil {
				return false, err
			}
		}
		if has, err := hasGUID(value, want); err != nil || !has {
			return true, err
		}
		ref, err := parseRef(key[1:])
		if err != nil {
			return false, err
		}
		d, err := mustLoadDID(v, ref)
		if err != nil {
			return false, err
		}
		found, more = true, true
		err = hiding.scanParents(v, ref, d, func(parent didRef) (bool, error) {
			scope, err := names.name(v, parent.scope)
			if err == nil {
				more, err = visit(scope, parent.name)
			}
			return more, err
		})
		return more, err
	})
	return found, err
}

// hasGUID reports whether a metadata record has a GUID. Nearly all records that do not are told by their bytes alone.
func hasGUID(record []byte, want string) (bool, error) {
	if !bytes.Contains(record, []byte(want)) {
		return false, nil
	}
	entries, err := parseMetadata(record)
	if err != nil {
		return false, recordError(err, "metadata with GUID", want)
	}
	guid, _ := FindMetadata(entries, "guid")
	return guid == want, nil
}
