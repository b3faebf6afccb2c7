package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"dapple/cluster"
	"dapple/fsm"
)

// ErrApplied is returned by SkipEntry if the node's state holds the entry: what it did cannot be taken back.
var ErrApplied = errors.New("the state of this node has applied the entry")

// ReadEntry reads an entry of the log of a node that does not run. Errors are those of cluster.ReadEntry.
func ReadEntry(dataDir string, index uint64) (cluster.StoredEntry, error) {
	return cluster.ReadEntry(dataDir, index)
}

// SkipEntry makes a node that does not run pass over an entry of its log, if digest is that of the entry; it must be done on all
// nodes. Errors are ErrApplied and those of cluster.SkipEntry; a node that runs holds its folder, which is an error too.
func SkipEntry(dataDir string, index uint64, digest string) error {
	state := filepath.Join(dataDir, "state")
	if _, err := os.Stat(state); err != nil {
		return err
	}
	m, err := fsm.Open(fsm.Config{Dir: state})
	if err != nil {
		return err
	}
	applied := m.AppliedIndex()
	if err := m.Close(); err != nil {
		return err
	}
	if applied >= index {
		return fmt.Errorf("%w %d: it holds all up to %d", ErrApplied, index, applied)
	}
	return cluster.SkipEntry(dataDir, index, digest)
}
