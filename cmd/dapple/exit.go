package main

import (
	"errors"
	"fmt"
	"strings"

	"dapple/internal/halt"
	"dapple/node"
)

// Exit codes. They are part of the interface, a supervisor acts on them: never reuse one. docs/runbook.md lists them.
const (
	exitFailure      = 1  // the command failed
	exitUsage        = 2  // flags, environment or configuration file are wrong
	exitMachine      = 3  // the state machine has stopped
	exitUnhealth     = 4  // dapple health: the node answers and is not ready
	exitDiskFull     = 10 // the file system of the data folder is full
	exitInUse        = 11 // another process holds the data folder
	exitPermission   = 12 // the process may not use the data folder
	exitLogDamaged   = 13 // raft.db is torn or corrupt
	exitStoreDamaged = 14 // a file below state/ is missing or corrupt
	exitIncomplete   = 15 // a part of the data folder is missing or belongs to another node
	exitDiverged     = 16 // the node has entries that the cluster has lost
	exitRolledBack   = 17 // the data folder is an older copy
	exitDuplicate    = 18 // a process with a copy of the data folder runs as this node
)

// exitRow maps a cause to its exit code and its way out.
type exitRow struct {
	cause error
	code  int
	// advice tells the operator what to do. DATA_DIR stands for the data folder.
	advice string
}

const adviceRejoin = `If the other nodes of the cluster are ready, move DATA_DIR aside and start this node again: it rejoins with an empty folder.
If no majority of nodes is ready, empty no folder: a copy on another node may be damaged too.`

const adviceDiverged = `The cluster went on without entries that this node has, most likely because another node was started from an older copy of its folder.
Nothing was changed in DATA_DIR: it may have the only copy of these entries. Keep it, and do not start it with the other nodes again.
If the other nodes are ready, move DATA_DIR aside and start this node again: it rejoins with an empty folder. Then register again what is missing there.`

// exitRows lists the causes for which a node refuses to start or stops. The first row whose cause is in the error's chain
// applies, so put a cause before those that it may come with.
var exitRows = [...]exitRow{
	{halt.ErrDiskFull, exitDiskFull, `Nothing is damaged. Make room on the file system of DATA_DIR and start the node again.
Do not empty the folder: if all nodes are full, the data are nowhere else.`},
	{halt.ErrInUse, exitInUse, `Nothing is damaged. Stop the process that uses DATA_DIR, or give this node a folder of its own.`},
	{halt.ErrPermission, exitPermission, `Nothing is damaged. Give DATA_DIR and all files in it to the user that runs dapple, on a writable file system.`},
	{halt.ErrLogDamaged, exitLogDamaged, adviceRejoin},
	{halt.ErrStoreDamaged, exitStoreDamaged, adviceRejoin},
	{halt.ErrFolderIncomplete, exitIncomplete, adviceRejoin},
	{halt.ErrDiverged, exitDiverged, adviceDiverged},
	{halt.ErrRolledBack, exitRolledBack, `If you have the latest folder of this node, start it from that. ` + adviceRejoin},
	{halt.ErrDuplicate, exitDuplicate, `Nothing is damaged, and DATA_DIR was not changed. The process that was first goes on.
To move the node here, stop it there, and start it from its own folder: a copy is out of date.`},
	{node.ErrMachineFailed, exitMachine, `Do not simply start it again. ` + adviceRejoin},
}

// exitError carries an exit code with a message.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// withExitCode returns an error of a node with the exit code and the advice of its cause, if it has one.
func withExitCode(err error, dataDir string) error {
	for _, row := range exitRows {
		if errors.Is(err, row.cause) {
			advice := strings.ReplaceAll(row.advice, "DATA_DIR", dataDir)
			return &exitError{row.code, fmt.Errorf("%w\n%s\nSee \"Exit codes\" in docs/runbook.md, code %d", err, advice, row.code)}
		}
	}
	return err
}
