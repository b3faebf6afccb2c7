package catalogue

import (
	"fmt"

	"dapple/command"
)

// String returns the API's name of the type.
func (t DIDType) String() string {
	switch t {
	case TypeFile:
		return "FILE"
	case TypeDataset:
		return "DATASET"
	case TypeContainer:
		return "CONTAINER"
	default:
		return fmt.Sprintf("type(%d)", byte(t))
	}
}

// GetDID returns a DID, or CodeDIDNotFound.
func GetDID(v View, scope, name string) (*DID, error) {
	_, d, err := findDID(v, scope, name)
	return d, err
}

// findDID is GetDID with the reference.
func findDID(v View, scope, name string) (didRef, *DID, error) {
	id, found, err := findScopeID(v, scope)
	if err != nil {
		return didRef{}, nil, err
	}
	if !found {
		return didRef{}, nil, didNotFound(scope, name)
	}
	ref := didRef{id, name}
	d, found, err := loadDID(v, ref)
	if err != nil {
		return didRef{}, nil, err
	}
	if !found || d.hidden {
		return didRef{}, nil, didNotFound(scope, name)
	}
	return ref, d, nil
}

func didNotFound(scope, name string) error {
	return Errorf(command.CodeDIDNotFound, "Data identifier '%s:%s' not found", scope, name)
}

// didExists refuses a DID of a name that is taken.
func didExists(scope, name string, d *DID) error {
	if d != nil && d.hidden {
		return Errorf(command.CodeDIDExists, "Data Identifier already exists! %s:%s is being removed or brought back: try again when that is done",
			scope, name)
	}
	return Errorf(command.CodeDIDExists, "Data Identifier already exists! %s:%s", scope, name)
}

// loadDID returns the record of a DID, and false where there is none. Like all that reads by reference it also finds a hidden one.
func loadDID(v View, ref didRef) (*DID, bool, error) {
	d := &DID{}
	found, err := loadDIDInto(v, ref, d)
	if err != nil || !found {
		return nil, false, err
	}
	return d, true, nil
}

// loadDIDInto reads a record into d and reuses what d holds; it returns false where there is no such DID.
func loadDIDInto(v View, ref didRef, d *DID) (bool, error) { return loadDIDAt(v, didKey(ref), ref, d) }

// loadDIDAt is loadDIDInto where the key has been made before.
func loadDIDAt(v View, key []byte, ref didRef, d *DID) (bool, error) {
	b, found, err := v.Get(key)
	if err != nil || !found {
		return false, err
	}
	if err := ParseDIDInto(d, b); err != nil {
		return false, fmt.Errorf("DID %d:%s: %w", ref.scope, ref.name, err)
	}
	return true, nil
}

// mustLoadDID returns the record of a DID that another record names; where there is none the store is damaged.
func mustLoadDID(v View, ref didRef) (*DID, error) {
	d, found, err := loadDID(v, ref)
	if err == nil && !found {
		err = fmt.Errorf("%w: DID %d:%s is named and does not exist", ErrRecord, ref.scope, ref.name)
	}
	return d, err
}

// putDID writes the record of a DID.
func putDID(tx Tx, ref didRef, d *DID) { tx.Put(didKey(ref), AppendDID(nil, d)) }

// deleteFile removes a file that has no replica left and is in no archive: its record and metadata, its place in its
// datasets and, where it is an archive, its contents. A constituent that had no other archive and no replica goes with it.
// It checks nothing.
func deleteFile(tx Tx, at Stamp, ref didRef, d *DID) error {
	type file struct {
		ref didRef
		d   *DID
	}
	for work := []file{{ref, d}}; len(work) > 0; {
		f := work[len(work)-1]
		work = work[:len(work)-1]
		if err := detachFile(tx, at, f.ref, f.d); err != nil {
			return err
		}
		if f.d.HasMetadata {
			if err := forgetEnd(tx, f.ref, f.d); err != nil {
				return err
			}
			tx.Delete(metadataKey(f.ref))
		}
		tx.Delete(didKey(f.ref))
		var orphans []didRef
		if f.d.Archive {
			var err error
			if orphans, err = releaseConstituents(tx, at, f.ref); err != nil {
				return err
			}
		}
		tx.Note(at, Change{Kind: ChangeDIDDeleted, ref: f.ref, DID: f.d.Type})
		for _, orphan := range orphans {
			constituent, err := mustLoadDID(tx, orphan)
			if err != nil {
				return err
			}
			work = append(work, file{orphan, constituent})
		}
	}
	return nil
}

// OwnerOf returns the name of the account that a DID belongs to.
func OwnerOf(v View, d *DID) (string, error) { return accountName(v, d.Account) }
