package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"dapple/internal/halt"
)

// Each entry of the log carries a checksum in raft.Log.Extensions: who appends it first, the leader, makes it, and Raft sends and
// stores it with the entry, also with its own. It is verified before an entry that came from elsewhere is stored, and whenever one
// is read. Entries of earlier versions have none; a follower gives them one when it stores them. Earlier versions store
// and send what they do not look at.
const (
	sealVersion = 1
	sealLen     = 1 + 4
)

// castagnoli is never written to; processors compute it.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealOf returns the checksum of an entry as it is stored: a version and CRC-32C of its index, term, type and data.
func sealOf(l *raft.Log) []byte {
	var head [17]byte
	binary.BigEndian.PutUint64(head[:], l.Index)
	binary.BigEndian.PutUint64(head[8:], l.Term)
	head[16] = byte(l.Type)
	sum := crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, l.Data)
	return binary.BigEndian.AppendUint32([]byte{sealVersion}, sum)
}

// sealed reports whether an entry has a checksum that this version can verify.
func sealed(l *raft.Log) bool { return len(l.Extensions) == sealLen && l.Extensions[0] == sealVersion }

// verifySeal returns an error where an entry is not what it was when it was first appended.
func verifySeal(l *raft.Log) error {
	if sealed(l) && string(sealOf(l)) != string(l.Extensions) {
		return fmt.Errorf("entry %d of term %d does not match its checksum", l.Index, l.Term)
	}
	return nil
}

// seal verifies the checksums of entries that are about to be stored, and makes those that are missing.
func seal(logs []*raft.Log) error {
	for _, l := range logs {
		if err := verifySeal(l); err != nil {
			return fmt.Errorf("%w: it was damaged on its way, or at the leader", err)
		}
		if len(l.Extensions) == 0 {
			l.Extensions = sealOf(l)
		}
	}
	return nil
}

// GetLog reads an entry and verifies it. The error of a damaged one has halt.ErrLogDamaged in its chain.
func (s *logStore) GetLog(index uint64, l *raft.Log) error {
	return s.guard(func() error {
		err := s.bolt.GetLog(index, l)
		switch {
		case err == nil && l.Index != index:
			err = fmt.Errorf("entry %d has index %d", index, l.Index)
		case err == nil:
			err = verifySeal(l)
		case isAnswer(err):
			return err
		default:
			err = fmt.Errorf("entry %d cannot be decoded: %w", index, err)
		}
		return halt.Damaged(halt.ErrLogDamaged, err)
	})
}

// verify reads the entries from one index to another, those of them that are there.
func (s *logStore) verify(ctx context.Context, low, high uint64) error {
	first, err := s.FirstIndex()
	if err != nil || first == 0 {
		return err
	}
	last, err := s.LastIndex()
	if err != nil {
		return err
	}
	var l raft.Log
	for index := max(low, first); index <= min(high, last) && ctx.Err() == nil; index++ {
		l = raft.Log{}
		if err := s.GetLog(index, &l); err != nil && !errors.Is(err, raft.ErrLogNotFound) {
			return err
		}
	}
	return nil
}

// checkEntries verifies what Raft is about to read and apply, all that the state does not hold yet. The rest of the log, from
// which only other members get entries, is verified beside the work of the node.
func (n *Node) checkEntries() error {
	list, err := n.cfg.Machine.Snapshots().List()
	if err != nil {
		return err
	}
	var held uint64
	if len(list) > 0 {
		held = list[0].Index
	}
	if err := n.store.verify(n.ctx, held+1, ^uint64(0)); err != nil {
		return err
	}
	n.tasks.Go(func() {
		if err := n.store.verify(n.ctx, 0, held); err != nil && n.ctx.Err() == nil {
			n.fail(err)
		}
	})
	return nil
}

// SetUint64 stores a number, the current term or that of the last vote, with a checksum behind it. Earlier versions read the
// first eight bytes alone.
func (s *logStore) SetUint64(key []byte, value uint64) error {
	b := binary.BigEndian.AppendUint64(nil, value)
	return s.Set(key, binary.BigEndian.AppendUint32(b, numberSum(key, b)))
}

// GetUint64 reads a number and verifies it, unless an earlier version has stored it.
func (s *logStore) GetUint64(key []byte) (uint64, error) {
	b, err := s.Get(key)
	if err != nil {
		return 0, err
	}
	switch len(b) {
	case 8:
		return binary.BigEndian.Uint64(b), nil
	case 12:
		if binary.BigEndian.Uint32(b[8:]) == numberSum(key, b[:8]) {
			return binary.BigEndian.Uint64(b), nil
		}
	}
	return 0, halt.Damaged(halt.ErrLogDamaged, fmt.Errorf("%s: %s does not match its checksum", s.path, key))
}

func numberSum(key, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, b)
}

// checkNumbers verifies the numbers of Raft, which keep a node from voting twice in a term.
func (s *logStore) checkNumbers() error {
	for _, key := range []string{"CurrentTerm", "LastVoteTerm"} {
		if _, err := s.GetUint64([]byte(key)); err != nil && !errors.Is(err, raftboltdb.ErrKeyNotFound) {
			return err
		}
	}
	return nil
}
