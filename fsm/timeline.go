package fsm

import (
	"encoding/binary"
	"fmt"
	"sync"

	"dapple/catalogue"
	"dapple/internal/halt"
)

// localTerms is the name of the local key of the timeline; it is stored.
const localTerms = "terms"

// maxSpans bounds how many terms the timeline remembers: the latest.
const maxSpans = 1024

// span says that the state has applied entries of a term from one index to another. Nothing is known of indexes between two
// spans: Raft's own no-ops never reach the state machine.
type span struct{ term, first, last uint64 }

// timeline is the history of terms in the state, in ascending order. Index and term of one entry identify all that is before
// it in a log, so two states whose timelines contradict each other have applied different entries. Snapshots carry it; digests
// leave it out.
type timeline []span

// extend returns the timeline with a later position, and whether a term begins with it.
func (t timeline) extend(p position) (timeline, bool) {
	if k := len(t); k > 0 && t[k-1].term == p.term {
		t[k-1].last = max(t[k-1].last, p.index)
		return t, false
	}
	t = append(t, span{p.term, p.index, p.index})
	return t[max(0, len(t)-maxSpans):], true
}

// contradicts reports whether the state has applied an entry of another term at that position.
func (t timeline) contradicts(p position) bool {
	for _, s := range t {
		if s.first <= p.index && p.index <= s.last && s.term != p.term {
			return true
		}
	}
	return false
}

// term returns the term that was applied at an index, 0 where that is not known.
func (t timeline) term(index uint64) uint64 {
	for _, s := range t {
		if s.first <= index && index <= s.last {
			return s.term
		}
	}
	return 0
}

func appendTimeline(b []byte, t timeline) []byte {
	b = append(b, localFormat)
	b = binary.AppendUvarint(b, uint64(len(t)))
	for _, s := range t {
		b = binary.AppendUvarint(b, s.term)
		b = binary.AppendUvarint(b, s.first)
		b = binary.AppendUvarint(b, s.last)
	}
	return b
}

func parseTimeline(b []byte) (timeline, error) {
	r := newReader(b)
	t := make(timeline, r.count(3))
	for i := range t {
		t[i] = span{term: r.uvarint(), first: r.uvarint(), last: r.uvarint()}
	}
	return t, r.done("timeline")
}

// loadTimeline reads the timeline of a store whose state is at a position, and reports whether it differs from what is stored.
// Programs that know no timeline apply entries without extending it: then it begins anew.
func loadTimeline(v catalogue.View, at position) (t timeline, changed bool, err error) {
	value, found, err := v.Get(catalogue.LocalKey(localTerms))
	if err == nil && found {
		t, err = parseTimeline(value)
	}
	if err != nil || at.index == 0 {
		return nil, false, err
	}
	if k := len(t); k == 0 || t[k-1].term != at.term {
		return timeline{{at.term, at.index, at.index}}, true, nil
	}
	t, _ = t.extend(at)
	return t, false, nil
}

// move takes the state to a later position.
func (s *state) move(p position) {
	s.applied = p
	terms, begins := s.terms.extend(p)
	s.terms, s.termsChanged = terms, s.termsChanged || begins
}

// errDiverged is the error of an index at which this state and the cluster's have applied entries of different terms.
func errDiverged(index, own, other uint64) error {
	return fmt.Errorf("%w: at index %d it has applied an entry of term %d, the cluster one of term %d", halt.ErrDiverged, index, own, other)
}

// published is what others may ask of the timeline while the machine applies.
type published struct {
	mu    sync.Mutex
	at    position
	terms timeline
}

func (p *published) set(at position, terms timeline) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = at
	p.terms = append(p.terms[:0], terms...)
}

// advance is set for a later position of the same term. It returns false, and does nothing, in other cases.
func (p *published) advance(at position) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := len(p.terms)
	if k == 0 || p.terms[k-1].term != at.term || at.index < p.at.index {
		return false
	}
	p.at, p.terms[k-1].last = at, at.index
	return true
}

// Position returns index and term of the last entry whose effect is in the state that View shows.
func (m *Machine) Position() (index, term uint64) {
	m.position.mu.Lock()
	defer m.position.mu.Unlock()
	return m.position.at.index, m.position.at.term
}

// Contradicts reports whether the state has applied another entry at that index than the one of that term. It returns false
// where the state knows nothing of the index.
func (m *Machine) Contradicts(index, term uint64) bool {
	m.position.mu.Lock()
	defer m.position.mu.Unlock()
	return m.position.terms.contradicts(position{index, term})
}
