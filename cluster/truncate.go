package cluster

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"dapple/internal/halt"
)

// DeleteRange removes entries. Raft cuts the log at its beginning below a snapshot, and at its end where a leader has other entries.
// The latter must never reach what is committed: keep refuses that.
func (s *logStore) DeleteRange(low, high uint64) error {
	last, err := s.LastIndex()
	if err != nil {
		return err
	}
	if s.keep != nil && high >= last {
		if err := s.keep(low, last); err != nil {
			return err
		}
	}
	return s.guard(func() error { return s.bolt.DeleteRange(low, high) })
}

// guardLog refuses to drop the end of the log, from low to last, where that has entries which this node has applied or knows to be
// committed, and fails the node: the cluster has lost them. What is known of commits from before a crash may be memoryInterval old.
func (n *Node) guardLog(low, last uint64) error {
	remembered := n.memories.commit()
	known := max(remembered.Index, n.cfg.Machine.AppliedIndex())
	if c := n.consensus.Load(); c != nil {
		known = max(known, c.raft.CommitIndex())
	}
	if low > known {
		return nil
	}
	at := min(known, last)
	var l raft.Log
	if err := n.store.GetLog(at, &l); err != nil {
		return err
	}
	// A tail that was never committed may lie below a snapshot that came later: of another term than what was applied there.
	if n.cfg.Machine.Contradicts(at, l.Term) || (at == remembered.Index && l.Term != remembered.Term) {
		return nil
	}
	err := fmt.Errorf("%w: the leader has other entries from index %d on; this node knows those up to %d to be committed, and its log ends at %d",
		halt.ErrDiverged, low, known, last)
	n.fail(err)
	return err
}

// checkMemory refuses a log that ends before what this node knew to be committed, unless the state holds that.
func (n *Node) checkMemory() error {
	known := n.memories.commit().Index
	last, err := n.store.LastIndex()
	if err != nil || known <= max(last, n.cfg.Machine.AppliedIndex()) {
		return err
	}
	return fmt.Errorf("%w: %s ends at index %d, although %d was known to be committed", halt.ErrRolledBack, raftStoreName, last, known)
}

// Bounds of snapshots that come in without that the log goes on from them. Raft v1.7.3 sends them again and again, at once, where
// the log here has a tail that does not fit behind them.
const (
	freeInstalls = 2                      // that many are taken at once
	mostInstalls = 8                      // after that many the node stops
	installPause = 200 * time.Millisecond // before the first that waits; each waits twice as long as the one before
)

// installs is the state machine as Raft sees it: it counts the snapshots that are installed in a row.
type installs struct {
	StateMachine
	n     *Node
	inRow *atomic.Int32 // reset when the log goes on
}

// Restore implements raft.FSM.
func (m installs) Restore(stream io.ReadCloser) error {
	k := m.inRow.Add(1)
	if k > mostInstalls {
		err := fmt.Errorf("%w: %d snapshots in a row were installed and the log did not go on from any", halt.ErrDiverged, mostInstalls)
		m.n.fail(err)
		return err
	}
	if k > freeInstalls {
		m.n.log.Warn("the leader sends snapshot after snapshot", "in_a_row", k)
		m.n.sleep(installPause<<(k-freeInstalls-1), nil)
	}
	return m.StateMachine.Restore(stream)
}
