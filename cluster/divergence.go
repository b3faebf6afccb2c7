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

// lastEntry returns the last entry of the log, nil where that is empty.
func (n *Node) lastEntry() (*entryMark, error) {
	last, err := n.store.LastIndex()
	if err != nil || last == 0 {
		return nil, err
	}
	var l raft.Log
	err = n.store.GetLog(last, &l)
	switch {
	case errors.Is(err, raft.ErrLogNotFound): // it was cut meanwhile
		return nil, nil
	case err != nil:
		return nil, err // what was read of a damaged entry must not contradict anybody's
	}
	return &entryMark{Index: l.Index, Term: l.Term, Seal: sealOf(&l)}, nil
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
