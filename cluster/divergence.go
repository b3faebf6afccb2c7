package cluster

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"dapple/internal/halt"
)

// entryMark identifies an entry by its content too. A term has one leader, and so one entry at an index, unless a vote was
// forgotten: then two leaders of one term leave logs that Raft, which compares terms alone, cannot tell apart.
type entryMark struct {
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`
	Seal  []byte `json:"seal"`
}

func markOf(l *raft.Log) *entryMark { return &entryMark{Index: l.Index, Term: l.Term, Seal: sealOf(l)} }

// lastEntry returns the last entry of the log, nil where that is empty.
func (n *Node) lastEntry() (*entryMark, error) {
	last, err := n.store.LastIndex()
	if err != nil || last == 0 {
		return nil, err
	}
	var l raft.Log
	err = n.store.GetLog(last, &l)
	if errors.Is(err, raft.ErrLogNotFound) { // it was cut meanwhile
		return nil, nil
	}
	return markOf(&l), err
}

// contradicts reports whether the log has, with the same index and term, another entry than that of another member.
func (n *Node) contradicts(other *entryMark) bool {
	if other == nil {
		return false
	}
	var l raft.Log
	if err := n.store.GetLog(other.Index, &l); err != nil || l.Term != other.Term {
		return false
	}
	return !bytes.Equal(sealOf(&l), other.Seal)
}

// errTwoHistories is the error of a node whose log contradicts that of a cluster which has a leader.
func errTwoHistories(by string) error {
	return fmt.Errorf("%w: its log and that of %s have different entries of one term, so that a vote was forgotten", halt.ErrDiverged, nameOf(by))
}
