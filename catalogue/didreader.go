package catalogue

// DIDReader looks up many DIDs in one view. It finds each scope once and reuses key and record, so that one more DID costs little.
//
//	reader := NewDIDReader(v)
//	for _, n := range names {
//		d, found, err := reader.Load(n.Scope, n.Name)
//		...
//	}
type DIDReader struct {
	v      View
	scopes scopeIDs
	loader didLoader
	did    DID
}

// NewDIDReader returns a reader for as long as the view is open.
func NewDIDReader(v View) *DIDReader { return &DIDReader{v: v} }

// Load returns a DID, valid until the next call, and false where there is no such DID or scope.
func (r *DIDReader) Load(scope, name string) (*DID, bool, error) {
	id, found, err := r.scopes.find(r.v, scope)
	if err != nil || !found {
		return nil, false, err
	}
	if found, err = r.loader.load(r.v, didRef{id, name}, &r.did); err != nil || !found {
		return nil, false, err
	}
	return &r.did, true, nil
}

// didLoader is loadDIDInto for many DIDs that are not hidden: it reuses the key.
type didLoader struct{ key []byte }

func (l *didLoader) load(v View, ref didRef, d *DID) (bool, error) {
	l.key = appendRef(append(l.key[:0], tableDID), ref)
	found, err := loadDIDAt(v, l.key, ref, d)
	return found && !d.hidden, err
}
