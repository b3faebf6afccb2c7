// Package halt names the causes for which a node refuses to start or stops, where the way out differs.
// Each cause has a row in the table of exit codes of cmd/dapple and in docs/runbook.md.
package halt

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// The causes. An error of a cause has it in its chain.
var (
	// ErrDiskFull is returned if the file system of the data folder has no room. The data are intact.
	ErrDiskFull = errors.New("the disk is full")
	// ErrInUse is returned if another process holds the data folder. The data are intact.
	ErrInUse = errors.New("the data folder is in use by another process")
	// ErrPermission is returned if the process may not read, write or protect the data folder. The data are intact.
	ErrPermission = errors.New("the data folder is not accessible")
	// ErrLogDamaged is returned if Raft's log, raft.db, is torn or has a corrupt page.
	ErrLogDamaged = errors.New("raft's log is damaged")
	// ErrStoreDamaged is returned if a file of the store in state/ is missing or corrupt.
	ErrStoreDamaged = errors.New("the store of the state is damaged")
	// ErrFolderIncomplete is returned if the parts of the data folder do not belong together: one was lost or replaced.
	ErrFolderIncomplete = errors.New("the data folder is incomplete")
	// ErrDiverged is returned if this node has applied log entries, or knows them to be committed, that the cluster has lost
	// or replaced. Its folder may have the only copy of them.
	ErrDiverged = errors.New("this node has entries that the cluster has lost")
	// ErrRolledBack is returned if the data folder, or a part of it, is an older copy: another member remembers that this node had more.
	ErrRolledBack = errors.New("the data folder is an older copy")
	// ErrDuplicate is returned if a process with a copy of the data folder runs as this node elsewhere. The data are intact.
	ErrDuplicate = errors.New("this node is running elsewhere")
)

// Classify returns err with its cause in the chain, if the operating system's error tells it: a full disk, a permission.
// Any other error, and one that has the cause already, is returned as it is.
func Classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return with(ErrDiskFull, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return with(ErrPermission, err)
	}
	return err
}

// Damaged returns err with the cause damage in the chain, unless the operating system's error tells another cause, or one that
// says nothing of the files, such as too many open files. A missing file and an error of the device are damage.
func Damaged(damage, err error) error {
	if known := Classify(err); known == nil || errors.Is(known, ErrDiskFull) || errors.Is(known, ErrPermission) {
		return known
	}
	var number syscall.Errno
	if errors.As(err, &number) && number != syscall.ENOENT && number != syscall.EIO {
		return err
	}
	return with(damage, err)
}

func with(cause, err error) error {
	if errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", cause, err)
}
