package catalogue

import (
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
)

// replayed is what the change feed tells about DIDs and replicas, and what a scan of the catalogue finds of the same.
type replayed struct {
	dids     map[DIDName]replayedDID
	metadata map[[2]string]string // DID, key
	replicas map[[2]string]replayedReplica
	attached map[[2]string]DIDType
	packed   map[[2]string]bool
	bad      map[[2]string]string // states of the declarations about a replica, in order of the letters
	scopes   map[string]string
}

type replayedDID struct {
	kind            DIDType
	bytes           uint64
	adler32, md5    string
	owner           string
	monotonic, open bool
}

type replayedReplica struct {
	state     string
	path      string
	tombstone int64
	version   uint64
}

func newReplayed() *replayed {
	return &replayed{
		map[DIDName]replayedDID{},
		map[[2]string]string{},
		map[[2]string]replayedReplica{},
		map[[2]string]DIDType{},
		map[[2]string]bool{},
		map[[2]string]string{},
		map[string]string{},
	}
}

// apply does to the model what an event says. An event that does not fit the model fails the test.
func (m *replayed) apply(t require.TestingT, e *Event) {
	did, child := DIDName{e.Scope, e.Name}, DIDName{e.ChildScope, e.ChildName}.String()
	at := [2]string{did.String(), e.RSE}
	edge := [2]string{did.String(), child}
	switch e.Kind {
	case ChangeDIDAdded:
		require.NotContains(t, m.dids, did)
		m.dids[did] = replayedDID{e.DID, e.Bytes, e.Adler32, e.MD5, e.Owner, e.Monotonic, e.DID != TypeFile}
	case ChangeDIDChanged:
		m.changeDID(t, did, e)
	case ChangeDIDDeleted:
		require.Contains(t, m.dids, did)
		delete(m.dids, did)
		for key := range m.metadata {
			if key[0] == did.String() {
				delete(m.metadata, key)
			}
		}
	case ChangeReplicaAdded:
		require.Contains(t, m.dids, did)
		require.NotContains(t, m.replicas, at)
		m.replicas[at] = replayedReplica{e.New, e.Path, e.Tombstone, e.Revision}
	case ChangeReplicaChanged:
		r := m.replicas[at]
		require.Equal(t, r.state, e.Old)
		r.state, r.version = e.New, e.Revision
		if e.Path != "" {
			r.path = e.Path
		}
		if e.Tombstone != 0 {
			r.tombstone = e.Tombstone
		}
		m.replicas[at] = r
	case ChangeReplicaDeleted:
		require.Equal(t, m.replicas[at].state, e.Old)
		delete(m.replicas, at)
	case ChangeAttachmentAdded:
		require.NotContains(t, m.attached, edge)
		m.attached[edge] = e.DID
	case ChangeAttachmentRemoved:
		require.Contains(t, m.attached, edge)
		delete(m.attached, edge)
	case ChangeConstituentAdded:
		require.NotContains(t, m.packed, edge)
		m.packed[edge] = true
	case ChangeConstituentRemoved:
		require.Contains(t, m.packed, edge)
		delete(m.packed, edge)
	case ChangeBadAdded, ChangeBadChanged, ChangeBadDeleted:
		states := m.bad[at] + e.New
		if e.Old != "" {
			require.Contains(t, states, e.Old)
			states = strings.Replace(states, e.Old, "", 1)
		}
		if m.bad[at] = sortedText(states); states == "" {
			delete(m.bad, at)
		}
	case ChangeScopeAdded, ChangeScopeChanged:
		require.Equal(t, m.scopes[e.Scope], e.Old)
		m.scopes[e.Scope] = e.New
	}
}

func (m *replayed) changeDID(t require.TestingT, did DIDName, e *Event) {
	d, known := m.dids[did]
	require.True(t, known, did)
	if e.Key == "" {
		require.Equal(t, statusText(d.open), e.Old)
		d.open = e.New == statusText(true)
		m.dids[did] = d
		return
	}
	key := [2]string{did.String(), e.Key}
	if m.metadata[key] = e.Value; e.Value == "" {
		delete(m.metadata, key)
	}
}

func sortedText(text string) string {
	letters := []byte(text)
	slices.Sort(letters)
	return string(letters)
}

// replay builds the model from the feed, and sees to it that revisions have neither holes within a command nor an end after the
// catalogue's.
func replay(t require.TestingT, v View) *replayed {
	m := newReplayed()
	last := uint64(0)
	require.NoError(t, ScanChanges(v, 0, func(e *Event) (bool, error) {
		require.Greater(t, e.Revision, last)
		last = e.Revision
		m.apply(t, e)
		return true, nil
	}))
	return m
}

// scanned reads the same out of the catalogue itself.
func scannedState(t require.TestingT, v View) *replayed {
	m := newReplayed()
	names := scopeNames{}
	name := func(ref didRef) DIDName {
		scope, err := names.name(v, ref.scope)
		require.NoError(t, err)
		return DIDName{scope, ref.name}
	}
	scan := func(table byte, visit func(key, value []byte)) {
		low := []byte{table}
		require.NoError(t, v.Scan(low, prefixEnd(low), func(key, value []byte) (bool, error) {
			visit(key[1:], value)
			return true, nil
		}))
	}
	edge := func(key []byte) [2]string {
		from, rest, err := parseRef0(key)
		require.NoError(t, err)
		to, err := parseRef(rest)
		require.NoError(t, err)
		return [2]string{name(from).String(), name(to).String()}
	}
	scan(tableDID, func(key, value []byte) {
		ref, err := parseRef(key)
		require.NoError(t, err)
		d, err := ParseDID(value)
		require.NoError(t, err)
		m.scanDID(t, v, ref, name(ref), d)
	})
	scan(tableAttachment, func(key, value []byte) {
		a, err := parseAttachment(value)
		require.NoError(t, err)
		m.attached[edge(key)] = a.child
	})
	scan(tableConstituent, func(key, _ []byte) { m.packed[edge(key)] = true })
	scan(tableBadReplica, func(key, value []byte) {
		k, err := parseBadKey(key)
		require.NoError(t, err)
		r, err := parseBad(value)
		require.NoError(t, err)
		at := [2]string{name(k.ref).String(), rseNameOf(t, v, k.rse)}
		m.bad[at] = sortedText(m.bad[at] + stateText(byte(r.State)))
	})
	require.NoError(t, ListScopes(v, func(s *Scope) error { m.scopes[s.Name] = s.Account; return nil }))
	return m
}

func rseNameOf(t require.TestingT, v View, id uint32) string {
	r, err := RSEByID(v, id)
	require.NoError(t, err)
	return r.Name
}

func (m *replayed) scanDID(t require.TestingT, v View, ref didRef, name DIDName, d *DID) {
	at := replayedDID{d.Type, d.Bytes, d.Adler32, d.MD5, "", d.Monotonic, d.Open}
	if d.Type != TypeFile {
		owner, err := OwnerOf(v, d)
		require.NoError(t, err)
		at.owner = owner
	}
	m.dids[name] = at
	meta, err := loadMetadata(v, ref, d)
	require.NoError(t, err)
	for _, e := range meta {
		m.metadata[[2]string{name.String(), e.Key}] = e.Value
	}
	for _, r := range d.Replicas {
		m.replicas[[2]string{name.String(), rseNameOf(t, v, r.RSE)}] = replayedReplica{stateText(byte(r.State)), r.Path, r.Tombstone, r.Revision}
	}
}

// requireReplay requires that the feed tells the catalogue's state.
func requireReplay(t require.TestingT, v View) {
	require.Equal(t, scannedState(t, v), replay(t, v))
}
