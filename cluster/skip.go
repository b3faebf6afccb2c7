package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"dapple/command"
)

// Errors of SkipEntry and ReadEntry.
var (
	// ErrNoEntry is returned if the log does not have the entry.
	ErrNoEntry = errors.New("the log of this node does not have the entry")
	// ErrNoCommands is returned if the entry carries no commands: Raft needs it.
	ErrNoCommands = errors.New("the entry carries no commands, so the state machine cannot stop at it")
	// ErrOtherEntry is returned if the entry is not the one whose digest is given.
	ErrOtherEntry = errors.New("the entry has another digest")
)

// StoredEntry is an entry of the log of a stopped node.
type StoredEntry struct {
	Index, Term uint64
	// Digest is SHA-256 of what the entry carries, in hexadecimal: the same on all nodes.
	Digest string
	Bytes  int
	// Skipped tells that the entry carries nothing any more.
	Skipped bool
	// Time is the log time that the leader proposed; Commands is what the entry carries, as far as it can be decoded.
	Time     time.Time
	Commands []command.Command
	// Undecodable says why the frame of the entry cannot be decoded, nil if it can.
	Undecodable error
}

// ReadEntry reads an entry from the data folder of a node that does not run. It returns ErrNoEntry, ErrNoCommands, and
// halt.ErrLogDamaged if the entry does not match its checksum.
func ReadEntry(dataDir string, index uint64) (e StoredEntry, err error) {
	err = withLog(dataDir, func(s *logStore) error {
		e, _, err = s.stored(index)
		return err
	})
	return e, err
}

// SkipEntry takes away what an entry carries, in the data folder of a node that does not run, if digest is that of the entry.
// It becomes one of Raft's own no-ops with the same index and term, which no state machine is given. An entry that was
// skipped before is left as it is. Errors are those of ReadEntry and ErrOtherEntry.
func SkipEntry(dataDir string, index uint64, digest string) error {
	return withLog(dataDir, func(s *logStore) error {
		e, l, err := s.stored(index)
		switch {
		case err != nil || e.Skipped:
			return err
		case e.Digest != digest:
			return fmt.Errorf("%w: %s", ErrOtherEntry, e.Digest)
		}
		return s.StoreLog(&raft.Log{Index: l.Index, Term: l.Term, Type: raft.LogNoop, AppendedAt: l.AppendedAt})
	})
}

// withLog opens the log of a stopped node.
func withLog(dataDir string, do func(*logStore) error) error {
	if _, err := os.Stat(filepath.Join(dataDir, raftStoreName)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s has no %s: it is no data folder of a node", dataDir, raftStoreName)
		}
		return err
	}
	s, err := openLogStore(dataDir, prometheus.ObserverFunc(func(float64) {}))
	if err != nil {
		return err
	}
	return errors.Join(do(s), s.close())
}

// stored reads an entry that may be skipped.
func (s *logStore) stored(index uint64) (StoredEntry, *raft.Log, error) {
	var l raft.Log
	if err := s.GetLog(index, &l); errors.Is(err, raft.ErrLogNotFound) {
		first, err := s.FirstIndex()
		last, errLast := s.LastIndex()
		if err = errors.Join(err, errLast); err != nil {
			return StoredEntry{}, nil, err
		}
		return StoredEntry{}, nil, fmt.Errorf("%w: it has entries %d to %d", ErrNoEntry, first, last)
	} else if err != nil {
		return StoredEntry{}, nil, err
	}
	if l.Type != raft.LogCommand && l.Type != raft.LogNoop {
		return StoredEntry{}, nil, fmt.Errorf("entry %d: %w", index, ErrNoCommands)
	}
	sum := sha256.Sum256(l.Data)
	e := StoredEntry{Index: l.Index, Term: l.Term, Digest: hex.EncodeToString(sum[:]), Bytes: len(l.Data), Skipped: l.Type == raft.LogNoop}
	if !e.Skipped {
		decoded, err := command.DecodeEntry(l.Data)
		e.Time, e.Commands, e.Undecodable = time.UnixMicro(decoded.Time).UTC(), decoded.Commands, err
	}
	return e, &l, nil
}
