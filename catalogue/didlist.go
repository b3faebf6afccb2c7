package catalogue

import "fmt"

// ScanContent is ScanChildren with the record of each child, which is valid until visit returns.
func ScanContent(v View, scope, name string, visit func(scope, name string, d *DID) (more bool, err error)) error {
	ref, _, err := findDID(v, scope, name)
	if err != nil {
		return err
	}
	names, child := scopeNames{ref.scope: scope}, &DID{}
	return scanChildren(v, ref, func(at didRef, _ DIDType) (bool, error) {
		found, err := loadDIDInto(v, at, child)
		if err == nil && !found {
			err = fmt.Errorf("%w: %s:%s names %d:%s, which does not exist", ErrRecord, scope, name, at.scope, at.name)
		}
		if err != nil {
			return false, err
		}
		scope, err := names.name(v, at.scope)
		if err != nil {
			return false, err
		}
		return visit(scope, at.name, child)
	})
}

// ListedDID is a row of a list of a scope's DIDs.
type ListedDID struct {
	DIDName
	Type DIDType
	// Bytes is the size of a file without parent in the list.
	Bytes uint64
	// Parent is the collection under which the DID is listed, nil at level 0.
	Parent *DIDName
	Level  int
}

// ScanScope visits the DIDs of a scope that are in no collection of the same scope, in ascending order of name; with recursive
// each is followed by all that is under it, where a collection comes once. An unknown scope has none.
func ScanScope(v View, scope string, recursive bool, visit func(row ListedDID) (more bool, err error)) error {
	id, found, err := findScopeID(v, scope)
	if err != nil || !found {
		return err
	}
	hiding, err := findHiding(v)
	if err != nil {
		return err
	}
	d, names := &DID{}, scopeNames{id: scope}
	low := didKey(didRef{scope: id})
	return v.Scan(low, prefixEnd(low), func(key, value []byte) (bool, error) {
		ref, err := parseRef(key[1:])
		if err != nil {
			return false, err
		}
		if err := ParseDIDInto(d, value); err != nil {
			return false, recordError(err, "DID", ref.name)
		}
		if d.hidden {
			return true, nil
		}
		top := true
		err = hiding.scanParents(v, ref, d, func(parent didRef) (bool, error) {
			top = parent.scope != id
			return top, nil
		})
		if err != nil || !top {
			return true, err
		}
		row := ListedDID{DIDName: DIDName{scope, ref.name}, Type: d.Type, Bytes: d.Bytes}
		more, err := visit(row)
		if err != nil || !more || !recursive {
			return more, err
		}
		return scanBelow(v, names, ref, row, true, visit)
	})
}

// ScanUnder visits what is in one collection, with recursive at any depth; levels count from it. An unknown DID is
// CodeDIDNotFound.
func ScanUnder(v View, scope, name string, recursive bool, visit func(row ListedDID) (more bool, err error)) error {
	ref, d, err := findDID(v, scope, name)
	if err != nil {
		return err
	}
	row := ListedDID{DIDName: DIDName{scope, name}, Type: d.Type}
	_, err = scanBelow(v, scopeNames{ref.scope: scope}, ref, row, recursive, visit)
	return err
}

// scanBelow visits what is under a collection; each collection is gone into once.
func scanBelow(v View, names scopeNames, ref didRef, top ListedDID, recursive bool, visit func(row ListedDID) (bool, error)) (bool, error) {
	type collection struct {
		ref didRef
		row ListedDID
	}
	seen, more := map[didRef]bool{ref: true}, true
	for work := []collection{{ref, top}}; len(work) > 0 && more; {
		parent := work[len(work)-1]
		work = work[:len(work)-1]
		err := scanChildren(v, parent.ref, func(child didRef, t DIDType) (bool, error) {
			name, err := names.full(v, child)
			if err != nil {
				return false, err
			}
			row := ListedDID{DIDName: name, Type: t, Parent: &parent.row.DIDName, Level: parent.row.Level + 1}
			if recursive && t != TypeFile && !seen[child] {
				seen[child] = true
				work = append(work, collection{child, row})
			}
			more, err = visit(row)
			return more, err
		})
		if err != nil {
			return false, err
		}
	}
	return more, nil
}
