package catalogue

import (
	"slices"
	"strings"

	"dapple/command"
)

// Condition is one condition of a search as the client wrote it: a key, with an operator after a dot (gt, lt, gte, lte, ne;
// none is equality), and a value. Stars and percent signs in a value stand for any text.
type Condition struct{ Key, Value string }

// Search finds DIDs of a scope. It is made by NewSearch.
type Search struct {
	scope     string
	groups    []conditionGroup
	custom    bool
	recursive bool
	limit     int
	offset    int
}

// conditionGroup is a set of conditions that must all hold.
type conditionGroup struct {
	types      []DIDType
	conditions []condition
}

// SearchOptions are what a search asks for beside its conditions.
type SearchOptions struct {
	// Type is all, collection, dataset, container or file, in any case; "" is collection, and all in a search for clients' own
	// keys. A condition on type takes its place in its group.
	Type string
	// Recursive also finds what is below the collections found and fulfils the conditions other than the name's.
	Recursive bool
	// Limit is the largest number of DIDs, 0 for all; Offset is how many that are found first are left out.
	Limit, Offset int
}

// NewSearch checks a search. Of the groups one must hold, of the conditions of a group all. The refusals: CodeInvalidFilter,
// CodeUnsupportedOperation for an unknown type, CodeKeyNotFound for a key that cannot be searched, and CodeInvalidMetadata
// where fixed keys and the clients' own are mixed.
func NewSearch(scope string, groups [][]Condition, o SearchOptions) (*Search, error) {
	s := &Search{scope: scope, recursive: o.Recursive, limit: o.Limit, offset: o.Offset}
	own, fixed := 0, 0
	for _, group := range groups {
		for _, c := range group {
			switch key, _, _ := strings.Cut(c.Key, "."); {
			case isNeutral(key):
			case key == "created_at" || IsFixedMetadata(key) || slices.Contains(searchedColumns[:], key):
				fixed++
			default:
				own++
			}
		}
	}
	if own > 0 && fixed > 0 {
		return nil, Errorf(command.CodeInvalidMetadata, "Filter keys used do not all belong to the same metadata plugin.")
	}
	s.custom = own > 0
	if o.Type == "" {
		o.Type = "collection"
		if s.custom {
			o.Type = "all"
		}
	}
	for _, group := range groups {
		g, err := newConditionGroup(group, o.Type, s.custom)
		if err != nil {
			return nil, err
		}
		s.groups = append(s.groups, g)
	}
	return s, nil
}

// isNeutral reports whether a key goes with fixed keys and with the clients' own: what tells DIDs apart is no metadata.
func isNeutral(key string) bool {
	return key == "name" || key == keyScope || key == "type"
}

func newConditionGroup(group []Condition, didType string, custom bool) (conditionGroup, error) {
	var g conditionGroup
	type criterion struct {
		key      string
		operator operator
	}
	seen := map[criterion]bool{}
	for _, c := range group {
		if c.Key == "type" {
			didType = c.Value
			continue
		}
		parsed, err := parseCondition(c, custom)
		if err != nil {
			return g, err
		}
		is := criterion{parsed.key, parsed.operator}
		if seen[is] && parsed.key != keyScope {
			return g, Errorf(command.CodeInvalidFilter, "the filter '%s' is there twice", c.Key)
		}
		seen[is] = true
		g.conditions = append(g.conditions, parsed)
	}
	var err error
	g.types, err = searchTypes(didType)
	return g, err
}

func searchTypes(name string) ([]DIDType, error) {
	switch strings.ToLower(name) {
	case "all":
		return []DIDType{TypeFile, TypeDataset, TypeContainer}, nil
	case "collection":
		return []DIDType{TypeDataset, TypeContainer}, nil
	case "container":
		return []DIDType{TypeContainer}, nil
	case "dataset":
		return []DIDType{TypeDataset}, nil
	case "file":
		return []DIDType{TypeFile}, nil
	}
	return nil, Errorf(command.CodeUnsupportedOperation,
		"%s is not a valid type. Valid types are all, collection, container, dataset, file", name)
}

// ByOwnKeys reports whether the search is for metadata of the clients' own keys; the API then tells names alone.
func (s *Search) ByOwnKeys() bool { return s.custom }

// Counts reports whether the search counts what it finds, so that it must begin at its start.
func (s *Search) Counts() bool { return s.limit > 0 || s.offset > 0 }

// Scan visits the DIDs found, those of the scope in ascending order of name; a recursive search tells those below a collection
// after it, each DID once. d is valid until visit returns. An unknown scope has no DIDs.
func (s *Search) Scan(v View, visit func(scope, name string, d *DID) (more bool, err error)) error {
	id, found, err := findScopeID(v, s.scope)
	if err != nil || !found {
		return err
	}
	run := &searchRun{Search: s, v: v, names: scopeNames{id: s.scope}, visit: visit}
	if s.recursive {
		run.seen = map[didRef]bool{}
	}
	low, high := s.bounds(id)
	return v.Scan(low, high, func(key, value []byte) (bool, error) {
		ref, err := parseRef(key[1:])
		if err != nil {
			return false, err
		}
		d := &run.record
		if err := ParseDIDInto(d, value); err != nil {
			return false, recordError(err, "DID", ref.name)
		}
		if d.hidden {
			return true, nil
		}
		return run.try(ref, d, true)
	})
}

// searchRun is one run of a search.
type searchRun struct {
	*Search
	v      View
	names  scopeNames
	visit  func(scope, name string, d *DID) (bool, error)
	seen   map[didRef]bool // only of a recursive search
	found  int
	record DID
}

// try visits a DID that fulfils the conditions, and what is below it.
func (r *searchRun) try(ref didRef, d *DID, byName bool) (bool, error) {
	matched, err := r.matches(ref, d, byName)
	if err != nil || !matched || r.seen[ref] {
		return true, err
	}
	more, err := r.tell(ref, d)
	if err != nil || !more || !r.recursive {
		return more, err
	}
	for work := r.below(nil, ref, d.Type); len(work) > 0; {
		parent := work[len(work)-1]
		work = work[:len(work)-1]
		err := scanChildren(r.v, parent, func(child didRef, t DIDType) (bool, error) {
			if r.seen[child] {
				return true, nil
			}
			d, err := mustLoadDID(r.v, child)
			if err != nil {
				return false, err
			}
			matched, err := r.matches(child, d, false)
			if err != nil || !matched {
				return true, err
			}
			work = r.below(work, child, t)
			more, err = r.tell(child, d)
			return more, err
		})
		if err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// below appends a collection to the work.
func (r *searchRun) below(work []didRef, ref didRef, t DIDType) []didRef {
	if t == TypeFile {
		return work
	}
	return append(work, ref)
}

func (r *searchRun) tell(ref didRef, d *DID) (bool, error) {
	if r.seen != nil {
		r.seen[ref] = true
	}
	r.found++
	if r.found <= r.offset {
		return true, nil
	}
	scope, err := r.names.name(r.v, ref.scope)
	if err != nil {
		return false, err
	}
	more, err := r.visit(scope, ref.name, d)
	return more && (r.limit == 0 || r.found-r.offset < r.limit), err
}

func (r *searchRun) matches(ref didRef, d *DID, byName bool) (bool, error) {
	subject := subject{run: r, ref: ref, did: d}
	for i := range r.groups {
		g := &r.groups[i]
		if !slices.Contains(g.types, d.Type) {
			continue
		}
		holds := true
		for j := range g.conditions {
			c := &g.conditions[j]
			if c.key == "name" && !byName {
				continue
			}
			var err error
			if holds, err = c.holds(&subject, r.custom); err != nil {
				return false, err
			}
			if !holds {
				break
			}
		}
		if holds && (!r.custom || d.HasMetadata) {
			return true, nil
		}
	}
	return false, nil
}

// bounds returns the keys between which the names lie that the search can find.
func (s *Search) bounds(scope uint32) (low, high []byte) {
	low = didKey(didRef{scope: scope})
	high = prefixEnd(low)
	if len(s.groups) != 1 {
		return low, high
	}
	for _, c := range s.groups[0].conditions {
		if c.key != "name" || c.operator != opEqual {
			continue
		}
		prefix, _, wild := cutWildcard(c.text)
		low = didKey(didRef{scope, prefix})
		if wild {
			return low, prefixEnd(low)
		}
		return low, append(slices.Clone(low), 0)
	}
	return low, high
}

// cutWildcard returns what is before the first wildcard.
func cutWildcard(pattern string) (before, after string, wild bool) {
	i := strings.IndexAny(pattern, "*%")
	if i < 0 {
		return pattern, "", false
	}
	return pattern[:i], pattern[i+1:], true
}

// matchWildcard reports whether a text fits a pattern in which stars and percent signs stand for any text.
func matchWildcard(pattern, text string) bool {
	before, rest, wild := cutWildcard(pattern)
	if !wild {
		return text == pattern
	}
	text, found := strings.CutPrefix(text, before)
	for found {
		if before, rest, wild = cutWildcard(rest); !wild {
			return strings.HasSuffix(text, before)
		}
		_, text, found = strings.Cut(text, before)
	}
	return false
}
