package catalogue

import (
	"bytes"
	"slices"
)

// homeSchema is the schema version from which on a DID's record names the first collection that it is attached to: its home. Most files
// are in one dataset only, so the table of parents, a third of all keys of a catalogue before, holds next to nothing, and
// compactions have that much less to write (docs/performance.md). The table holds what a DID was attached to while it had a home, or before there were any.
const homeSchema = 4

// keepsHomes reports whether records name homes: clusters formed under an older schema version have all parents in the table,
// for all nodes must hold the same, whichever program they run.
func keepsHomes(v View) (bool, error) {
	schema, err := Schema(v)
	return schema >= homeSchema, err
}

// putParent writes on the child's side that it is attached to a collection that it is not in yet. It reports whether the
// child's record, which is the caller's to write, has changed. homes is what keepsHomes says.
func putParent(tx Tx, homes bool, child didRef, d *DID, parent didRef) (changed bool) {
	if homes && len(d.home) == 0 {
		d.home = appendRef(nil, parent)
		return true
	}
	tx.Put(parentKey(child, parent), nil)
	return false
}

// deleteParent undoes putParent. The other parents stay where they are.
func deleteParent(tx Tx, child didRef, d *DID, parent didRef) (changed bool) {
	if d.livesIn(parent) {
		d.home = nil
		return true
	}
	tx.Delete(parentKey(child, parent))
	return false
}

// livesIn reports whether a collection is the home of the DID.
func (d *DID) livesIn(parent didRef) bool {
	return len(d.home) > 0 && bytes.Equal(d.home, appendRef(nil, parent))
}

// ScanParents visits the collections that a DID is directly attached to, with their types. An unknown DID is CodeDIDNotFound.
func ScanParents(v View, scope, name string, visit func(scope, name string, t DIDType) (more bool, err error)) error {
	ref, d, err := findDID(v, scope, name)
	if err != nil {
		return err
	}
	hiding, err := findHiding(v)
	if err != nil {
		return err
	}
	names := scopeNames{ref.scope: scope}
	return hiding.scanParents(v, ref, d, func(parent didRef) (bool, error) {
		scope, err := names.name(v, parent.scope)
		if err != nil {
			return false, err
		}
		return visit(scope, parent.name, parentType(d.Type))
	})
}

// parentType is the type of every collection that a DID of a type can be attached to.
func parentType(child DIDType) DIDType {
	if child == TypeFile {
		return TypeDataset
	}
	return TypeContainer
}

// scanParents visits the collections that a DID, whose record is given, is directly attached to, in the order of their references.
func scanParents(v View, child didRef, d *DID, visit func(parent didRef) (more bool, err error)) error {
	if len(d.home) == 0 {
		return scanRefs(v, parentsPrefix(child), visit)
	}
	home, err := parseRef(d.home)
	if err != nil {
		return err
	}
	pending, more := true, true
	visitHome := func() error {
		pending = false
		more, err = visit(home)
		return err
	}
	err = scanRefs(v, parentsPrefix(child), func(parent didRef) (bool, error) {
		if pending && compareRefs(home, parent) < 0 {
			if err := visitHome(); err != nil || !more {
				return false, err
			}
		}
		more, err = visit(parent)
		return more, err
	})
	if err == nil && more && pending {
		err = visitHome()
	}
	return err
}

// lineage finds what is above DIDs. It remembers the parents of collections: those of one dataset are asked for with each of its files.
type lineage struct {
	v       View
	hiding  *hiddenOnes         // nil until somebody asks
	parents map[didRef][]didRef // nil until the first is known
}

// above returns the collections above a DID, whose record is given, at any level, nearest first, each once.
func (l *lineage) above(ref didRef, d *DID) ([]didRef, error) {
	all, err := l.direct(ref, d)
	if err != nil {
		return nil, err
	}
	seen := make(map[didRef]bool, len(all))
	for _, parent := range all {
		seen[parent] = true
	}
	for at := 0; at < len(all); at++ {
		direct, err := l.of(all[at])
		if err != nil {
			return nil, err
		}
		for _, parent := range direct {
			if !seen[parent] {
				seen[parent] = true
				all = append(all, parent)
			}
		}
	}
	return all, nil
}

// direct returns what a DID, whose record is given, is directly attached to, but for what is hidden.
func (l *lineage) direct(ref didRef, d *DID) (parents []didRef, err error) {
	if l.hiding == nil {
		hiding, err := findHiding(l.v)
		if err != nil {
			return nil, err
		}
		l.hiding = &hiding
	}
	err = l.hiding.scanParents(l.v, ref, d, func(parent didRef) (bool, error) {
		parents = append(parents, parent)
		return true, nil
	})
	return parents, err
}

// of returns what a collection is directly attached to.
func (l *lineage) of(collection didRef) ([]didRef, error) {
	if parents, known := l.parents[collection]; known {
		return parents, nil
	}
	d, err := mustLoadDID(l.v, collection)
	if err != nil {
		return nil, err
	}
	parents, err := l.direct(collection, d)
	if err != nil {
		return nil, err
	}
	if l.parents == nil {
		l.parents = map[didRef][]didRef{}
	}
	l.parents[collection] = parents
	return parents, nil
}

// firstParents returns up to limit of what scanParents visits, from behind after on; the zero reference stands for all.
func firstParents(v View, child didRef, d *DID, after didRef, limit int) (parents []didRef, err error) {
	prefix := parentsPrefix(child)
	low := prefix
	if after != (didRef{}) {
		low = append(appendRef(slices.Clone(prefix), after), 0)
	}
	err = v.Scan(low, prefixEnd(prefix), func(key, _ []byte) (bool, error) {
		ref, err := parseRef(key[len(prefix):])
		parents = append(parents, ref)
		return len(parents) < limit, err
	})
	if err != nil || len(d.home) == 0 {
		return parents, err
	}
	home, err := parseRef(d.home)
	if err != nil || compareRefs(home, after) <= 0 {
		return parents, err
	}
	at, _ := slices.BinarySearchFunc(parents, home, compareRefs)
	parents = slices.Insert(parents, at, home)
	return parents[:min(len(parents), limit)], nil
}

// listParents returns what scanParents visits.
func listParents(v View, child didRef, d *DID) (parents []didRef, err error) {
	err = scanParents(v, child, d, func(parent didRef) (bool, error) {
		parents = append(parents, parent)
		return true, nil
	})
	return parents, err
}

// AllParents returns the collections above a DID at any level, nearest first, each once; none for an unknown DID.
func AllParents(v View, scope, name string) ([]DIDName, error) {
	id, found, err := findScopeID(v, scope)
	if err != nil || !found {
		return nil, err
	}
	ref := didRef{id, name}
	d, found, err := loadDID(v, ref)
	if err != nil || !found || d.hidden {
		return nil, err
	}
	refs, err := (&lineage{v: v}).above(ref, d)
	if err != nil {
		return nil, err
	}
	names := scopeNames{id: scope}
	parents := make([]DIDName, len(refs))
	for i, ref := range refs {
		if parents[i], err = names.full(v, ref); err != nil {
			return nil, err
		}
	}
	return parents, nil
}
