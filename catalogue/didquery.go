package catalogue

import (
	"fmt"
	"slices"
)

// DIDName is the full name of a DID.
type DIDName struct{ Scope, Name string }

// String returns scope:name.
func (n DIDName) String() string { return n.Scope + ":" + n.Name }

// scopeNames turns scope numbers into names and remembers them for the length of one query.
type scopeNames map[uint32]string

func (s scopeNames) name(v View, id uint32) (string, error) {
	if name, ok := s[id]; ok {
		return name, nil
	}
	name, err := scopeName(v, id)
	if err != nil {
		return "", fmt.Errorf("scope %d: %w", id, err)
	}
	s[id] = name
	return name, nil
}

func (s scopeNames) full(v View, ref didRef) (DIDName, error) {
	scope, err := s.name(v, ref.scope)
	return DIDName{scope, ref.name}, err
}

// ScanFiles visits the files of a DID: the file itself, the files of a dataset, or those of all datasets under a container
// at any depth. Each collection is visited once; a file that is in several datasets comes once for each. The order is the
// same on every node. d is valid until visit returns. An unknown DID is CodeDIDNotFound.
func ScanFiles(v View, scope, name string, visit func(scope, name string, d *DID) (more bool, err error)) error {
	return ScanFilesByDataset(v, scope, name, func(_ DIDName, scope, name string, d *DID) (bool, error) {
		return visit(scope, name, d)
	})
}

// ScanFilesByDataset is ScanFiles that also tells in which dataset each file was found; zero for a file that was asked for itself.
func ScanFilesByDataset(v View, scope, name string, visit func(dataset DIDName, scope, name string, d *DID) (more bool, err error)) error {
	ref, d, err := findDID(v, scope, name)
	if err != nil {
		return err
	}
	names := scopeNames{ref.scope: scope}
	if d.Type == TypeFile {
		_, err := visit(DIDName{}, scope, name, d)
		return err
	}
	file := &DID{}
	return scanDatasets(v, ref, d.Type, func(dataset didRef) (bool, error) {
		parent, err := names.full(v, dataset)
		if err != nil {
			return false, err
		}
		more := true
		err = scanChildren(v, dataset, func(child didRef, _ DIDType) (bool, error) {
			found, err := loadDIDInto(v, child, file)
			if err == nil && !found {
				err = fmt.Errorf("%w: %s names %d:%s, which does not exist", ErrRecord, parent, child.scope, child.name)
			}
			if err != nil {
				return false, err
			}
			scope, err := names.name(v, child.scope)
			if err != nil {
				return false, err
			}
			more, err = visit(parent, scope, child.name, file)
			return more, err
		})
		return more, err
	})
}

// holdsFew reports whether the collections under a DID can be visited within a limit of work.
func holdsFew(v View, ref didRef, d *DID, work *workLimit) (bool, error) {
	if d.Type != TypeContainer || !work.limited {
		return true, nil
	}
	few := true
	err := scanDatasetsWithin(v, ref, d.Type, func() bool {
		few = work.spend(1)
		return few
	}, func(didRef) (bool, error) { return true, nil })
	return few, err
}

// scanDatasets visits every dataset under a collection once, the collection itself where it is one, depth first. It holds the
// names of the collections on the way in memory, never those of files.
func scanDatasets(v View, ref didRef, t DIDType, visit func(dataset didRef) (more bool, err error)) error {
	return scanDatasetsWithin(v, ref, t, func() bool { return true }, visit)
}

// scanDatasetsWithin is scanDatasets that ends when within returns false, which it asks for each attachment on the way.
func scanDatasetsWithin(v View, ref didRef, t DIDType, within func() bool, visit func(dataset didRef) (more bool, err error)) error {
	type collection struct {
		ref didRef
		t   DIDType
	}
	seen := map[didRef]bool{ref: true}
	for work := []collection{{ref, t}}; len(work) > 0; {
		c := work[len(work)-1]
		work = work[:len(work)-1]
		if c.t == TypeDataset {
			if more, err := visit(c.ref); err != nil || !more {
				return err
			}
			continue
		}
		first, more := len(work), true
		err := scanChildren(v, c.ref, func(child didRef, t DIDType) (bool, error) {
			if more = within(); more && !seen[child] {
				seen[child] = true
				work = append(work, collection{child, t})
			}
			return more, nil
		})
		if err != nil || !more {
			return err
		}
		slices.Reverse(work[first:]) // the last is taken first
	}
	return nil
}

// ClosedTotals returns what the datasets under a container, each once, had together when they were last closed; those never
// closed count as empty. Of other DIDs it is their own. An unknown DID is CodeDIDNotFound.
func ClosedTotals(v View, scope, name string) (length, size uint64, err error) {
	ref, d, err := findDID(v, scope, name)
	switch {
	case err != nil:
		return 0, 0, err
	case d.Type == TypeFile:
		return 1, d.Bytes, nil
	case d.Type == TypeDataset:
		return d.ClosedLength, d.ClosedSize, nil
	}
	err = scanDatasets(v, ref, d.Type, func(dataset didRef) (bool, error) {
		d, err := mustLoadDID(v, dataset)
		if err != nil {
			return false, err
		}
		length += d.ClosedLength
		size += min(d.ClosedSize, MaxFileBytes-size)
		return true, nil
	})
	return length, size, err
}

// Totals returns how many files are under a DID and the sum of their bytes: of a file 1 and its own, of a collection as far
// down as its datasets, each once. An unknown DID is CodeDIDNotFound.
func Totals(v View, scope, name string) (length, size uint64, err error) {
	ref, d, err := findDID(v, scope, name)
	if err != nil {
		return 0, 0, err
	}
	return totals(v, ref, d)
}

func totals(v View, ref didRef, d *DID) (length, size uint64, err error) {
	switch d.Type {
	case TypeFile:
		return 1, d.Bytes, nil
	case TypeDataset:
		return d.Length, d.Size, nil
	}
	err = scanDatasets(v, ref, d.Type, func(dataset didRef) (bool, error) {
		d, err := mustLoadDID(v, dataset)
		if err != nil {
			return false, err
		}
		length += d.Length
		size += min(d.Size, MaxFileBytes-size) // what is beyond reads as the largest size there is
		return true, nil
	})
	return length, size, err
}

// ScanChildren visits what is directly attached to a collection, in the order of the scopes' numbers and names, with the
// child's type. An unknown DID is CodeDIDNotFound; a file has no children.
func ScanChildren(v View, scope, name string, visit func(scope, name string, t DIDType) (more bool, err error)) error {
	ref, _, err := findDID(v, scope, name)
	if err != nil {
		return err
	}
	names := scopeNames{ref.scope: scope}
	return scanChildren(v, ref, func(child didRef, t DIDType) (bool, error) {
		scope, err := names.name(v, child.scope)
		if err != nil {
			return false, err
		}
		return visit(scope, child.name, t)
	})
}

// scanChildren visits what is directly attached to a collection.
func scanChildren(v View, parent didRef, visit func(child didRef, t DIDType) (more bool, err error)) error {
	prefix := childrenPrefix(parent)
	return v.Scan(prefix, prefixEnd(prefix), func(key, value []byte) (bool, error) {
		child, err := parseRef(key[len(prefix):])
		if err != nil {
			return false, err
		}
		a, err := parseAttachment(value)
		if err != nil {
			return false, fmt.Errorf("attachment of %d:%s: %w", child.scope, child.name, err)
		}
		return visit(child, a.child)
	})
}
