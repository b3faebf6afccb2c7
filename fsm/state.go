package fsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"

	"dapple/catalogue"
)

// errLocalRecord is returned where a record of the machine's own does not parse.
var errLocalRecord = errors.New("malformed record of the state machine")

// errNewerSchema is returned where a store is of a schema version that this program does not know: only a newer one can read it.
var errNewerSchema = errors.New("the catalogue is of a newer schema version")

// state is what the machine keeps in memory of its store. It runs ahead of the store only between two commits.
type state struct {
	applied  position
	terms    timeline
	members  membership
	revision uint64 // of the last event, or of the last command where that had none
	feed     catalogue.Feed
	time     int64 // log time of the last entry, microseconds
	sessions sessions
	// clusterID is nil before Genesis.
	clusterID *[16]byte

	membersChanged, feedChanged, termsChanged bool // since the last commit
}

// position is a place in the log.
type position struct{ index, term uint64 }

// membership is Raft's configuration and the index of the entry that made it.
type membership struct {
	index   uint64
	servers []raft.Server
}

func (a membership) equal(b membership) bool {
	return a.index == b.index && slices.Equal(a.servers, b.servers)
}

func (a membership) configuration() raft.Configuration {
	return raft.Configuration{Servers: slices.Clone(a.servers)}
}

// Names of the local keys; they are stored.
const (
	localApplied = "applied"
	localMembers = "members"
	localFormat  = 1
)

// knownVersions returns errNewerSchema where only a newer program can read the store.
func knownVersions(v catalogue.View) error {
	schema, err := catalogue.Schema(v)
	if err != nil {
		return err
	}
	features, err := catalogue.FeatureLevel(v)
	switch {
	case err != nil:
		return err
	case schema > catalogue.SchemaVersion:
		return fmt.Errorf("%w: %d, this program knows %d", errNewerSchema, schema, catalogue.SchemaVersion)
	case features > catalogue.NewestFeatureLevel:
		return fmt.Errorf("%w: feature level %d, this program knows %d", errNewerSchema, features, catalogue.NewestFeatureLevel)
	}
	return nil
}

// loadState reads the state out of a store.
func loadState(v catalogue.View) (*state, error) {
	s := &state{}
	var err error
	if s.applied, s.members, err = readLocal(v.Get); err != nil {
		return nil, err
	}
	if s.terms, s.termsChanged, err = loadTimeline(v, s.applied); err != nil {
		return nil, err
	}
	if err = knownVersions(v); err != nil {
		return nil, err
	}
	if s.revision, s.time, err = catalogue.Clock(v); err != nil {
		return nil, err
	}
	if s.feed, err = catalogue.GetFeed(v); err != nil {
		return nil, err
	}
	id, found, err := catalogue.ClusterID(v)
	if err != nil {
		return nil, err
	}
	if found {
		s.clusterID = &id
	}
	s.sessions, err = loadSessions(v)
	return s, err
}

// readLocal reads position and membership through any way of reading a key. Both are zero in an empty store.
func readLocal(get func(key []byte) ([]byte, bool, error)) (p position, m membership, err error) {
	value, found, err := get(catalogue.LocalKey(localApplied))
	if err != nil || !found {
		return p, m, err
	}
	if p, err = parsePosition(value); err != nil {
		return p, m, err
	}
	value, found, err = get(catalogue.LocalKey(localMembers))
	if err != nil || !found {
		return p, m, err
	}
	m, err = parseMembership(value)
	return p, m, err
}

func appendPosition(b []byte, p position) []byte {
	b = append(b, localFormat)
	b = binary.AppendUvarint(b, p.index)
	return binary.AppendUvarint(b, p.term)
}

func parsePosition(b []byte) (position, error) {
	r := newReader(b)
	p := position{index: r.uvarint(), term: r.uvarint()}
	return p, r.done("applied index")
}

func appendMembership(b []byte, m membership) []byte {
	b = append(b, localFormat)
	b = binary.AppendUvarint(b, m.index)
	b = binary.AppendUvarint(b, uint64(len(m.servers)))
	for _, s := range m.servers {
		b = binary.AppendUvarint(b, uint64(s.Suffrage))
		b = appendText(b, string(s.ID))
		b = appendText(b, string(s.Address))
	}
	return b
}

func parseMembership(b []byte) (membership, error) {
	r := newReader(b)
	m := membership{index: r.uvarint()}
	for range r.count(3) {
		m.servers = append(m.servers, raft.Server{
			Suffrage: raft.ServerSuffrage(r.uvarint()),
			ID:       raft.ServerID(r.text()),
			Address:  raft.ServerAddress(r.text()),
		})
	}
	return m, r.done("membership")
}

// decodeConfiguration reads the data of a configuration entry. Raft's own decoder panics on what it cannot read.
func decodeConfiguration(index uint64, data []byte) (m membership, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("configuration entry does not decode: %v", r)
		}
	}()
	return membership{index: index, servers: raft.DecodeConfiguration(data).Servers}, nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// reader reads the fields of the machine's own records; after the first failure it yields zeros and done tells.
type reader struct {
	b   []byte
	bad bool
}

func newReader(b []byte) *reader {
	if len(b) == 0 || b[0] != localFormat {
		return &reader{bad: true}
	}
	return &reader{b: b[1:]}
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string { return string(r.bytes(r.uvarint())) }

// count reads the length of a list whose items take at least size bytes each.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/size) {
		r.b, r.bad = nil, true
		return 0
	}
	return int(n)
}

func (r *reader) done(what string) error {
	if r.bad || len(r.b) != 0 {
		return fmt.Errorf("%s: %w", what, errLocalRecord)
	}
	return nil
}
