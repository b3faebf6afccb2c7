package cluster

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// mark is a place in the log that a server has acknowledged to the leader of a term: everything up to the index is on that
// server's disk. Within one term of a leader it only grows; an uncommitted tail may be cut by the leader of a later term.
type mark struct {
	Term  uint64 `json:"term"` // of the leader, which may be later than that of the entry
	Index uint64 `json:"index"`
}

func (m mark) String() string {
	return fmt.Sprintf("entries up to index %d in term %d", m.Index, m.Term)
}

// before tells that m is from an earlier time than o.
func (m mark) before(o mark) bool {
	return m.Term < o.Term || (m.Term == o.Term && m.Index < o.Index)
}

// progress is what this node has seen, as leader, of its replication to the other members.
type progress struct {
	mu    sync.Mutex
	peers map[raft.ServerID]*peerProgress
}

// peerProgress is the replication to one member.
type peerProgress struct {
	match     mark
	answered  time.Time // of the last answer or failure of a request for replication; heartbeats are not counted
	refusing  bool      // that one was no success
	sending   int       // snapshots on their way
	pipelines map[*pipeline]struct{}
}

func newProgress() *progress { return &progress{peers: map[raft.ServerID]*peerProgress{}} }

// of returns the progress of a peer; p.mu is held.
func (p *progress) of(id raft.ServerID) *peerProgress {
	if p.peers[id] == nil {
		p.peers[id] = &peerProgress{pipelines: map[*pipeline]struct{}{}}
	}
	return p.peers[id]
}

// get returns a copy of what is known of a peer.
func (p *progress) get(id raft.ServerID) peerProgress {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.peers[id]; known != nil {
		return *known
	}
	return peerProgress{}
}

// marks returns the marks of all peers that have acknowledged anything.
func (p *progress) marks() map[string]mark {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[string]mark, len(p.peers))
	for id, known := range p.peers {
		if known.match.Index > 0 {
			all[string(id)] = known.match
		}
	}
	return all
}

// isHeartbeat tells the requests of Raft that carry no place in the log.
func isHeartbeat(q *raft.AppendEntriesRequest) bool {
	return q.PrevLogEntry == 0 && len(q.Entries) == 0
}

// appended takes down how a request for replication ended.
func (p *progress) appended(id raft.ServerID, q *raft.AppendEntriesRequest, succeeded bool) {
	if isHeartbeat(q) {
		return
	}
	m := mark{Term: q.Term, Index: q.PrevLogEntry}
	if k := len(q.Entries); k > 0 {
		m.Index = q.Entries[k-1].Index
	}
	p.ended(id, m, succeeded)
}

func (p *progress) ended(id raft.ServerID, m mark, succeeded bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.of(id)
	known.answered, known.refusing = time.Now(), !succeeded
	if succeeded && known.match.before(m) {
		known.match = m
	}
}

// installing counts a snapshot that is on its way to a peer; the function that it returns ends that.
func (p *progress) installing(id raft.ServerID) (end func()) {
	p.add(id, 1)
	return func() { p.add(id, -1) }
}

func (p *progress) add(id raft.ServerID, sending int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of(id).sending += sending
}

// pipelined wraps a pipeline to a peer so that its answers are taken down and it can be cut.
func (p *progress) pipelined(id raft.ServerID, inner raft.AppendPipeline) raft.AppendPipeline {
	w := newPipeline(inner, func(f raft.AppendFuture) { p.appended(id, f.Request(), succeeded(f)) }, func(w *pipeline) {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.of(id).pipelines, w)
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of(id).pipelines[w] = struct{}{}
	return w
}

// cut ends all pipelines to a peer: Raft then goes on with single requests on another connection.
func (p *progress) cut(id raft.ServerID) {
	p.mu.Lock()
	open := maps.Clone(p.of(id).pipelines)
	p.mu.Unlock()
	for w := range open {
		_ = w.cut()
	}
}
