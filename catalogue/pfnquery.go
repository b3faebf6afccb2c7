package catalogue

import (
	"cmp"
	"slices"
	"strings"

	"dapple/command"
)

// pfnFinder finds the replicas that PFNs name. It reads the RSEs once, however many PFNs there are.
type pfnFinder struct {
	v View
	// only is the RSE to look at, nil for all but staging areas.
	only   *RSE
	byHost map[string][]*RSE
	schema *NameSchema
	scopes scopeIDs
	d      DID
	// steps is how much the search has cost so far, bounded where a command asks.
	steps   int
	bounded bool
}

// newPFNFinder returns the finder of a command.
func newPFNFinder(v View) (*pfnFinder, error) {
	level, err := FeatureLevel(v)
	return &pfnFinder{v: v, bounded: level >= workFeatures}, err
}

// pfnMatch is the place that a PFN names: a path at an RSE, and the file that lies there or, at a deterministic RSE, that
// would lie there.
type pfnMatch struct {
	rse  *RSE
	path string
	// scope and name are those of the path at a deterministic RSE and otherwise those of the file that lies there.
	scope, name string
	// ref is set where the scope exists, exists where the replica does.
	ref    didRef
	exists bool
}

// find returns the place that a PFN names, and false where it belongs to no RSE. Where it may belong to several, one that has
// the replica is preferred, then the one with the longest prefix.
func (f *pfnFinder) find(pfn string) (pfnMatch, bool, error) {
	candidates, err := f.candidates(pfn)
	if err != nil || len(candidates) == 0 {
		return pfnMatch{}, false, err
	}
	for i := range candidates {
		if err := f.resolve(&candidates[i]); err != nil {
			return pfnMatch{}, false, err
		}
		if candidates[i].exists {
			return candidates[i], true, nil
		}
	}
	return candidates[0], true, nil
}

// findOnly is find for what is to be changed: where several RSEs have a replica by that PFN it does not say which one is meant,
// which is CodeAmbiguousPFN. Before feature level 1 the first of them is taken.
func (f *pfnFinder) findOnly(pfn string) (pfnMatch, bool, error) {
	candidates, err := f.candidates(pfn)
	if err != nil || len(candidates) == 0 {
		return pfnMatch{}, false, err
	}
	var found []int
	for i := range candidates {
		if err := f.resolve(&candidates[i]); err != nil {
			return pfnMatch{}, false, err
		}
		if candidates[i].exists {
			found = append(found, i)
		}
	}
	switch len(found) {
	case 0:
		return candidates[0], true, nil
	case 1:
		return candidates[found[0]], true, nil
	}
	level, err := FeatureLevel(f.v)
	if err != nil || level < 1 {
		return candidates[found[0]], true, err
	}
	names := make([]string, len(found))
	for i, at := range found {
		names[i] = candidates[at].rse.Name
	}
	slices.Sort(names)
	return pfnMatch{}, false, Errorf(command.CodeAmbiguousPFN,
		"PFN '%.256s' is that of a replica at each of %s: nothing is declared; name the replica by scope, name and rse", pfn, strings.Join(names, ", "))
}

// candidates returns the RSEs that a PFN may belong to, the longest prefix first.
func (f *pfnFinder) candidates(pfn string) ([]pfnMatch, error) {
	if f.schema == nil {
		schema, err := NameSchemaOf(f.v)
		if err != nil {
			return nil, err
		}
		f.schema = schema
	}
	rses := []*RSE{f.only}
	if f.only == nil {
		if err := f.load(); err != nil {
			return nil, err
		}
		parsed, err := parsePFN(pfn, f.schema.hashInPath())
		if err != nil {
			return nil, nil //nolint:nilerr // what is no PFN belongs to no RSE
		}
		rses = f.byHost[parsed.Host]
	}
	var all []pfnMatch
	for _, r := range rses {
		if path, ok := r.PathOfPFN(pfn, f.schema.hashInPath()); ok {
			all = append(all, pfnMatch{rse: r, path: path})
		}
	}
	slices.SortStableFunc(all, func(a, b pfnMatch) int { return cmp.Compare(len(a.path), len(b.path)) })
	return all, nil
}

// load reads all RSEs and orders them by the hosts of their protocols.
func (f *pfnFinder) load() error {
	if f.byHost != nil {
		return nil
	}
	f.byHost = map[string][]*RSE{}
	add := func(host string, r *RSE) {
		if list := f.byHost[host]; len(list) == 0 || list[len(list)-1] != r {
			f.byHost[host] = append(list, r)
		}
	}
	return ListRSEs(f.v, func(r *RSE) error {
		if r.Staging {
			return nil
		}
		for i := range r.Protocols {
			p := &r.Protocols[i]
			add(p.host(), r)
			if p.Hostname == "localhost" {
				add("", r)
			}
		}
		return nil
	})
}

// resolve finds the file of a match.
func (f *pfnFinder) resolve(m *pfnMatch) error {
	if !m.rse.Deterministic {
		ref, found, err := fileAtPath(f.v, m.rse.ID, m.path)
		if err != nil || !found {
			return err
		}
		scope, err := scopeName(f.v, ref.scope)
		if err != nil {
			return err
		}
		m.ref, m.scope, m.name, m.exists = ref, scope, ref.name, true
		return nil
	}
	level, err := FeatureLevel(f.v)
	if err != nil {
		return err
	}
	var failed error
	looks := 0
	steps, err := m.rse.filesAt(m.path, level, func(scope, name string) bool {
		f.steps += looks // the first look at a file is what the PFN asks for
		looks = lookSteps
		at := pfnMatch{rse: m.rse, path: m.path, scope: scope, name: name}
		failed = f.lookUp(&at)
		if at.exists || m.scope == "" {
			*m = at
		}
		return failed == nil && !at.exists
	})
	if f.steps += steps; f.bounded && f.steps > maxMatchSteps && err == nil && failed == nil {
		return Errorf(command.CodeTooManyItems, "the paths of so many PFNs take too long to be taken apart: name fewer at once, or files by scope and name")
	}
	return cmp.Or(err, failed)
}

// lookUp finds out whether the replica of a match exists, by scope and name.
func (f *pfnFinder) lookUp(m *pfnMatch) error {
	id, found, err := f.scopes.find(f.v, m.scope)
	if err != nil || !found {
		return err
	}
	m.ref = didRef{id, m.name}
	found, err = loadDIDInto(f.v, m.ref, &f.d)
	if err != nil || !found {
		return err
	}
	_, m.exists = f.d.Replica(m.rse.ID)
	return nil
}

// DIDsOfPFNs visits the files that lie at PFNs, at one RSE or, where rse is "", at all of them. A PFN that is unknown is left
// out. The RSE's name is checked: CodeRSENotFound.
func DIDsOfPFNs(v View, rse string, pfns []string, visit func(pfn, scope, name string) error) error {
	f := pfnFinder{v: v}
	if rse != "" {
		r, err := GetRSE(v, rse)
		if err != nil {
			return err
		}
		f.only = r
	}
	for _, pfn := range pfns {
		m, found, err := f.find(pfn)
		if err != nil {
			return err
		}
		if !found || !m.exists {
			continue
		}
		if err := visit(pfn, m.scope, m.name); err != nil {
			return err
		}
	}
	return nil
}
