package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"

	"dapple/command"
)

// memMachine is a state machine of counters: the payload of a catalogue command names a counter, which it raises by one;
// a payload that begins with "refuse" is refused. Sessions work as the contract of package command says.
type memMachine struct {
	mu       sync.Mutex
	changed  chan struct{}
	applied  uint64
	terms    map[uint64]uint64 // of the entries that were applied
	cluster  *[16]byte
	counters map[string]int
	order    []string // payloads in the order of their effect
	times    []int64
	nodes    map[string]*command.RegisterSession
	sessions map[command.SessionID]*memSession
	gate     chan struct{} // where set, applying waits for it to be closed
	err      error
}

type memSession struct {
	node    string
	lowest  uint64
	results map[uint64]command.Result
}

var _ StateMachine = (*memMachine)(nil)

func newMemMachine() *memMachine {
	return &memMachine{
		changed: make(chan struct{}), counters: map[string]int{}, terms: map[uint64]uint64{},
		nodes: map[string]*command.RegisterSession{}, sessions: map[command.SessionID]*memSession{},
	}
}

func (m *memMachine) Apply(l *raft.Log) any { return m.ApplyBatch([]*raft.Log{l})[0] }

func (m *memMachine) ApplyBatch(logs []*raft.Log) []any {
	m.mu.Lock()
	gate := m.gate
	m.mu.Unlock()
	if gate != nil {
		<-gate
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]any, len(logs))
	for i, l := range logs {
		out[i] = m.applyLog(l)
		m.applied, m.terms[l.Index] = l.Index, l.Term
	}
	close(m.changed)
	m.changed = make(chan struct{})
	return out
}

func (m *memMachine) applyLog(l *raft.Log) any {
	if m.err != nil {
		return m.err
	}
	if l.Type != raft.LogCommand {
		return nil
	}
	e, err := command.DecodeEntry(l.Data)
	if err != nil {
		return err
	}
	m.times = append(m.times, e.Time)
	results := make([]command.Result, len(e.Commands))
	for i, c := range e.Commands {
		results[i] = m.execute(c, l.Index)
	}
	return results
}

func (m *memMachine) execute(c command.Command, index uint64) command.Result {
	if (c.Session == command.SessionID{}) {
		return m.effect(c, index)
	}
	s := m.sessions[c.Session]
	if s == nil {
		return command.Result{Code: command.CodeSessionUnknown, Index: index}
	}
	for seq := range s.results {
		if seq < c.Lowest {
			delete(s.results, seq)
		}
	}
	s.lowest = max(s.lowest, c.Lowest)
	if c.Seq < s.lowest {
		return command.Result{Code: command.CodeStaleSequence, Index: index}
	}
	r, done := s.results[c.Seq]
	if !done {
		r = m.effect(c, index)
		s.results[c.Seq] = r
	}
	return r
}

func (m *memMachine) effect(c command.Command, index uint64) command.Result {
	ok := command.Result{Index: index}
	switch c.Type {
	case command.TypeTermStart:
	case command.TypeRegisterSession:
		var r command.RegisterSession
		if err := proto.Unmarshal(c.Payload, &r); err != nil {
			return command.Result{Code: command.CodeInternal, Index: index}
		}
		maps.DeleteFunc(m.sessions, func(_ command.SessionID, s *memSession) bool { return s.node == r.GetNode() })
		m.sessions[command.SessionID(r.GetSession())] = &memSession{node: r.GetNode(), results: map[uint64]command.Result{}}
		m.nodes[r.GetNode()] = &r
	case command.TypeGenesis:
		var g command.Genesis
		if m.cluster != nil {
			return command.Result{Code: command.CodeDuplicateGenesis, Index: index}
		}
		if err := proto.Unmarshal(c.Payload, &g); err != nil {
			return command.Result{Code: command.CodeInternal, Index: index}
		}
		id := [16]byte(g.GetClusterId())
		m.cluster = &id
	default:
		name := string(c.Payload[:min(len(c.Payload), 64)])
		if len(name) >= 6 && name[:6] == "refuse" {
			return command.Result{Code: command.CodeAccessDenied, Message: "refused by the domain", Index: index}
		}
		m.counters[name]++
		m.order = append(m.order, name)
		ok.Payload = binary.AppendUvarint(nil, uint64(m.counters[name]))
	}
	return ok
}

func (m *memMachine) Snapshot() (raft.FSMSnapshot, error) {
	return nil, errors.New("no snapshots here")
}
func (m *memMachine) Restore(r io.ReadCloser) error { return errors.New("no snapshots here") }
func (m *memMachine) Snapshots() raft.SnapshotStore { return raft.NewDiscardSnapshotStore() }

func (m *memMachine) AppliedIndex() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied
}

func (m *memMachine) Position() (index, term uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied, m.terms[m.applied]
}

func (m *memMachine) Contradicts(index, term uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	own, known := m.terms[index]
	return known && own != term
}

// until waits for a condition on the state; it is checked under the lock.
func (m *memMachine) until(ctx context.Context, is func() bool) error {
	for {
		m.mu.Lock()
		yes, changed := is(), m.changed
		m.mu.Unlock()
		if yes {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *memMachine) WaitApplied(ctx context.Context, index uint64) error {
	return m.until(ctx, func() bool { return m.applied >= index })
}

func (m *memMachine) ClusterID() ([16]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cluster == nil {
		return [16]byte{}, false
	}
	return *m.cluster, true
}

func (m *memMachine) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

func (m *memMachine) Registered() ([]*command.RegisterSession, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.nodes)), nil
}

func (m *memMachine) counter(name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counters[name]
}

func (m *memMachine) hold() (release func()) {
	gate := make(chan struct{})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gate = gate
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.gate = nil
		close(gate)
	}
}
