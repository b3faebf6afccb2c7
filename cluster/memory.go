package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"dapple/internal/halt"
)

const (
	memoryName    = "memory.json"
	memoryVersion = 1
	// memoryInterval is how often the file is written at most. What a crash makes a node forget is as old as that; a shorter time
	// costs the disk a sync more often.
	memoryInterval = 2 * time.Second
)

// memory is what a node keeps on disk beside its log, to notice that a log was put back or replaced.
type memory struct {
	Version int `json:"version"`
	// Commit is the last entry that this node knew to be committed, with the term of that entry.
	Commit mark `json:"commit"`
	// Peers is how much each member, by server id, is known to have acknowledged.
	Peers map[string]mark `json:"peers,omitempty"`
	// Members are the latest membership, so that a start can ask the others before Raft runs.
	Members []memberMemory `json:"members,omitempty"`
}

// memberMemory is one server of the membership.
type memberMemory struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	Voter   bool   `json:"voter,omitempty"`
}

// memories keeps a memory, and its file.
type memories struct {
	path string

	mu    sync.Mutex
	now   memory
	dirty bool
	kept  bool // there is a file
}

// loadMemories reads the file of a folder. A folder that is new, or that an earlier version has written, has none.
func loadMemories(dir string, expected bool) (*memories, error) {
	m := &memories{path: filepath.Join(dir, memoryName), now: memory{Version: memoryVersion}}
	b, err := os.ReadFile(m.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && expected:
		return nil, fmt.Errorf("%w: %s is lost", halt.ErrFolderIncomplete, memoryName)
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, halt.Classify(err)
	default:
		m.now, m.kept = memory{}, true
		err = parseSmall(b, &m.now)
		if err == nil && m.now.Version != memoryVersion {
			err = fmt.Errorf("version %d is not known", m.now.Version)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", halt.ErrFolderIncomplete, memoryName, err)
		}
	}
	if m.now.Peers == nil {
		m.now.Peers = map[string]mark{}
	}
	return m, nil
}

// commit returns the last entry that this node knew to be committed.
func (m *memories) commit() mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now.Commit
}

// committed takes down a later entry that is committed.
func (m *memories) committed(c mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.Index > m.now.Commit.Index {
		m.now.Commit, m.dirty = c, true
	}
}

// learn takes down what members have acknowledged, where that is news.
func (m *memories) learn(marks map[string]mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, k := range marks {
		if m.now.Peers[id].before(k) {
			m.now.Peers[id], m.dirty = k, true
		}
	}
}

// peers returns how much each member is known to have acknowledged.
func (m *memories) peers() map[string]mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.now.Peers)
}

// members returns the membership as it was last known.
func (m *memories) members() []memberMemory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now.Members
}

// setMembers takes down the membership, and drops what is known of who is no member any more.
func (m *memories) setMembers(servers []raft.Server) {
	all, ids := make([]memberMemory, len(servers)), serverIDs(servers)
	for i, s := range servers {
		all[i] = memberMemory{ID: string(s.ID), Address: string(s.Address), Voter: s.Suffrage == raft.Voter}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Equal(all, m.now.Members) {
		m.now.Members, m.dirty = all, true
	}
	for id := range m.now.Peers {
		if !slices.Contains(ids, id) {
			delete(m.now.Peers, id)
			m.dirty = true
		}
	}
}

// save writes the file where there is news. It is synced before it takes the place of the old one, so that either is whole.
func (m *memories) save() error {
	m.mu.Lock()
	if !m.dirty {
		m.mu.Unlock()
		return nil
	}
	now := m.now
	now.Peers = maps.Clone(m.now.Peers)
	m.dirty = false
	m.mu.Unlock()
	err := writeSmallFile(m.path, now)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dirty, m.kept = m.dirty || err != nil, m.kept || err == nil
	return err
}

// exists reports whether there is a file.
func (m *memories) exists() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept
}

// keepMemory writes down what is committed and who has what, until the node ends.
func (n *Node) keepMemory() {
	warned := false
	for running := true; running; {
		running = n.sleep(memoryInterval, nil)
		n.remember()
		err := n.memories.save()
		if err == nil && n.memories.exists() {
			err = n.updateMeta(func(m *meta) { m.Remembers = true })
		}
		if err != nil && !warned {
			n.log.Warn("what is committed could not be written down", "file", memoryName, "error", err)
		}
		warned = err != nil
	}
}

// remember takes down the last committed entry, the membership, and what the members are known to have.
func (n *Node) remember() {
	r := n.consensus.Load().raft
	if index := r.CommitIndex(); index > 0 {
		if term, ok := n.termAt(index); ok {
			n.memories.committed(mark{term, index})
		}
	}
	n.memories.learn(n.acknowledged())
	if servers := n.servers(); len(servers) > 0 {
		n.memories.setMembers(servers)
		n.alarms.keep(serverIDs(servers))
	}
}

// acknowledged returns what members are known to have on their disks now: to a leader all of them, itself among them, to a follower
// its leader, which has all that is committed.
func (n *Node) acknowledged() map[string]mark {
	r, v := n.consensus.Load().raft, n.views.get()
	if v.leading {
		all := n.progress.marks()
		all[n.serverID()] = mark{v.term, r.LastIndex()}
		return all
	}
	_, leader := r.LeaderWithID()
	commit := r.CommitIndex()
	_, still := r.LeaderWithID()
	term, known := n.termAt(commit)
	if leader == "" || leader != still || !known { // else the commit may be of the next leader
		return nil
	}
	return map[string]mark{string(leader): {term, commit}}
}

// remembered returns how much each member is known to have acknowledged, now or on disk.
func (n *Node) remembered() map[string]mark {
	if n.consensus.Load() != nil {
		n.memories.learn(n.acknowledged())
	}
	return n.memories.peers()
}

// termAt returns the term of an entry that is in the log or was the last to be applied. A damaged log fails the node.
func (n *Node) termAt(index uint64) (term uint64, ok bool) {
	var l raft.Log
	err := n.store.GetLog(index, &l)
	if err == nil {
		return l.Term, true
	}
	if errors.Is(err, halt.ErrLogDamaged) {
		n.fail(err)
		return 0, false
	}
	at, term := n.cfg.Machine.Position()
	return term, at == index
}

func serverIDs(servers []raft.Server) []string {
	all := make([]string, len(servers))
	for i, s := range servers {
		all[i] = string(s.ID)
	}
	return all
}
