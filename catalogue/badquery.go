package catalogue

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// BadFilter chooses declarations about replicas.
type BadFilter struct {
	// State is the state of the declaration, 0 for any.
	State BadState
	// RSE is the name of an RSE, Scope that of a scope, "" for all.
	RSE, Scope string
	// YoungerThan and OlderThan bound the log time in microseconds at which it was made, both inclusive; 0 is no bound.
	YoungerThan, OlderThan int64
}

func (f *BadFilter) matches(r *BadReplica) bool {
	return (f.YoungerThan == 0 || r.Created >= f.YoungerThan) && (f.OlderThan == 0 || r.Created <= f.OlderThan)
}

// BadRow is a declaration about a replica, which may be deleted since.
type BadRow struct {
	BadReplica
	Scope, Name string
	RSE         *RSE
}

// ListBad visits declarations until visit returns false or an error. An RSE that does not exist is CodeRSENotFound.
func ListBad(v View, filter BadFilter, visit func(*BadRow) (more bool, err error)) error {
	names, rses := scopeNames{}, rsesByID{}
	var rse *RSE
	if filter.RSE != "" {
		var err error
		if rse, err = GetRSE(v, filter.RSE); err != nil {
			return err
		}
	}
	return scanBadState(v, filter.State, rse, func(k badKey, r BadReplica) (bool, error) {
		if !filter.matches(&r) {
			return true, nil
		}
		name, err := names.full(v, k.ref)
		if err != nil {
			return false, err
		}
		if filter.Scope != "" && name.Scope != filter.Scope {
			return true, nil
		}
		rse, err := rses.find(v, k.rse)
		if err != nil {
			return false, err
		}
		return visit(&BadRow{BadReplica: r, Scope: name.Scope, Name: name.Name, RSE: rse})
	})
}

// scanBadState visits declarations in one state, or in all for 0, at one RSE, or at all for nil.
func scanBadState(v View, state BadState, rse *RSE, visit func(k badKey, r BadReplica) (bool, error)) error {
	if state == 0 {
		prefix := []byte{tableBadReplica}
		if rse != nil {
			prefix = appendID(prefix, rse.ID)
		}
		return scanBad(v, prefix, visit)
	}
	prefix := []byte{tableBadState, byte(state)}
	if rse != nil {
		prefix = appendID(prefix, rse.ID)
	}
	return v.Scan(prefix, prefixEnd(prefix), func(key, _ []byte) (bool, error) {
		k, err := parseBadKey(key[2:])
		if err != nil {
			return false, err
		}
		r, err := mustLoadBad(v, k)
		if err != nil {
			return false, err
		}
		return visit(k, r)
	})
}

// rsesByID reads RSEs by their numbers and remembers them for the length of one query.
type rsesByID map[uint32]*RSE

func (m rsesByID) find(v View, id uint32) (*RSE, error) {
	if r := m[id]; r != nil {
		return r, nil
	}
	r, err := RSEByID(v, id)
	if err != nil {
		return nil, fmt.Errorf("RSE %d: %w", id, err)
	}
	m[id] = r
	return r, nil
}

// BadSummary counts the declarations of one day, RSE and reason by their state.
type BadSummary struct {
	RSE *RSE
	// Day is the log time in microseconds at which the day began.
	Day    int64
	Reason string
	counts [len(badStates)]int
}

// Each visits the states that declarations are in, with their number.
func (s *BadSummary) Each(visit func(state BadState, count int)) {
	for i, n := range s.counts {
		if n > 0 {
			visit(BadState(badStates[i]), n)
		}
	}
}

const dayMicros = 24 * 3600 * 1_000_000

// SummarizeBad counts declarations by RSE, day and reason, in this order. Times are log times in microseconds and exclusive, 0 is no
// bound. An expression without RSEs is CodeInvalidRSEExpression, "" means all.
func SummarizeBad(v View, expression string, from, to int64) ([]BadSummary, error) {
	rses, err := rsesOf(v, expression)
	if err != nil {
		return nil, err
	}
	type group struct {
		day    int64
		reason string
	}
	var all []BadSummary
	for _, rse := range rses {
		groups, first := map[group]int{}, len(all)
		err := scanBad(v, idKey(tableBadReplica, rse.ID), func(_ badKey, r BadReplica) (bool, error) {
			if from != 0 && r.Created <= from || to != 0 && r.Created >= to {
				return true, nil
			}
			g := group{r.Created - r.Created%dayMicros, r.Reason}
			i, found := groups[g]
			if !found {
				i = len(all)
				groups[g] = i
				all = append(all, BadSummary{RSE: rse, Day: g.day, Reason: g.reason})
			}
			if s := strings.IndexByte(badStates, byte(r.State)); s >= 0 {
				all[i].counts[s]++
			}
			return true, nil
		})
		if err != nil {
			return nil, err
		}
		slices.SortFunc(all[first:], func(a, b BadSummary) int {
			return cmp.Or(cmp.Compare(a.Day, b.Day), strings.Compare(a.Reason, b.Reason))
		})
	}
	return all, nil
}
