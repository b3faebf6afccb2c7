package catalogue

import (
	"strings"
	"sync"
)

// Memo keeps what was decoded or worked out of settled records (IsSettled) for as long as none of them changes: requests and commands
// without end ask for the same few RSEs. Whoever gets something out of it shares it and must not change it. The zero value is ready;
// it may be used by many goroutines.
type Memo struct {
	mu     sync.RWMutex
	ids    map[string]uint32 // of RSEs by name
	rses   map[uint32]*RSE
	listed map[listedKey]*listedRSE
	names  *NameSchema
}

// memoView is a View of settled records that a Memo fits; nil where there is none.
type memoView interface{ Memo() *Memo }

// MemoOf returns the Memo of a view, nil where it has none.
func MemoOf(v View) *Memo {
	if m, ok := v.(memoView); ok {
		return m.Memo()
	}
	return nil
}

const (
	// memoEntries bounds each table of a Memo; one that is full begins anew.
	memoEntries = 8192
	// memoText bounds the texts of a key that come from a client.
	memoText = 128
)

// recall returns what a table of the memo holds, or makes it and keeps it.
func recall[K comparable, V any](m *Memo, table *map[K]V, key K, produce func() (V, error)) (V, error) {
	m.mu.RLock()
	held, known := (*table)[key]
	m.mu.RUnlock()
	if known {
		return held, nil
	}
	made, err := produce()
	if err != nil {
		return made, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if held, known = (*table)[key]; known {
		return held, nil // whoever compares by address sees one
	}
	if *table == nil || len(*table) >= memoEntries {
		*table = map[K]V{}
	}
	(*table)[key] = made
	return made, nil
}

// sharedRSE is GetRSE for callers that do not change what they get.
func sharedRSE(v View, name string) (*RSE, error) {
	m := MemoOf(v)
	if m == nil {
		return GetRSE(v, name)
	}
	m.mu.RLock()
	r := m.rses[m.ids[name]]
	m.mu.RUnlock()
	if r != nil {
		return r, nil
	}
	r, err := GetRSE(v, name)
	if err != nil {
		return nil, err
	}
	if r, err = recall(m, &m.rses, r.ID, func() (*RSE, error) { return r, nil }); err != nil {
		return nil, err
	}
	_, err = recall(m, &m.ids, r.Name, func() (uint32, error) { return r.ID, nil })
	return r, err
}

// sharedRSEByID is RSEByID for callers that do not change what they get.
func sharedRSEByID(v View, id uint32) (*RSE, error) {
	m := MemoOf(v)
	if m == nil {
		return RSEByID(v, id)
	}
	return recall(m, &m.rses, id, func() (*RSE, error) { return RSEByID(v, id) })
}

// listedKey is what decides how a list shows an RSE.
type listedKey struct {
	rse                   uint32
	schemes, domain, site string
	ignoreAvailability    bool
}

// listedRSEOf returns how a list shows an RSE.
func (l *ReplicaList) listedRSEOf(id uint32) (*listedRSE, error) {
	produce := func() (*listedRSE, error) {
		rse, err := sharedRSEByID(l.v, id)
		if err != nil {
			return nil, err
		}
		return l.newListedRSE(rse), nil
	}
	m := MemoOf(l.v)
	if m == nil || l.only != nil {
		return produce()
	}
	schemes, ok := joinSchemes(l.q.Schemes)
	if !ok || len(schemes)+len(l.q.Domain)+len(l.q.Site) > memoText {
		return produce()
	}
	key := listedKey{id, schemes, l.q.Domain, l.q.Site, l.q.IgnoreAvailability}
	return recall(m, &m.listed, key, produce)
}

// joinSchemes makes one text of schemes, another one for each list. A client may send anything for a scheme: for a list that could be taken
// for another one ok is false.
func joinSchemes(schemes []string) (joined string, ok bool) {
	for _, scheme := range schemes {
		if scheme == "" || strings.Contains(scheme, ",") {
			return "", false
		}
	}
	return strings.Join(schemes, ","), true
}
