package fsm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"dapple/command"
)

// failing opens a machine that reports its failure on a channel.
func failing(t *testing.T, cfg Config) (*Machine, chan error) {
	t.Helper()
	told := make(chan error, 10)
	cfg.Failed = func(err error) { told <- err }
	return mustOpen(t, cfg), told
}

// requireLatched checks everything that a failed machine must refuse, and that its owner was told once.
func requireLatched(t *testing.T, m *Machine, told chan error) {
	t.Helper()
	require.ErrorIs(t, <-told, ErrFailed)
	require.ErrorIs(t, m.Err(), ErrFailed)
	answers := m.ApplyBatch([]*raft.Log{entry(t, m.AppliedIndex()+50, script(t, "put later 1")), configuration(m.AppliedIndex()+51, "z")})
	for _, answer := range answers {
		require.ErrorIs(t, answer.(error), ErrFailed)
	}
	_, err := m.Snapshot()
	require.ErrorIs(t, err, ErrFailed)
	_, err = m.Snapshots().List()
	require.ErrorIs(t, err, ErrFailed)
	_, _, err = m.Snapshots().Open(liveID)
	require.ErrorIs(t, err, ErrFailed)
	_, err = m.Snapshots().Create(1, 1, 1, raft.Configuration{}, 1, nil)
	require.ErrorIs(t, err, ErrFailed)
	_, err = m.View()
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorIs(t, m.WaitApplied(context.Background(), 1<<40), ErrFailed)
	require.Empty(t, told, "the owner is told once")
}

func TestWhatLatches(t *testing.T) {
	unknownField := append(payload(t, &command.TermStart{Leader: "x"}), 0xf8, 0x01, 0x01)
	for name, bad := range map[string]*raft.Log{
		"entry does not decode":   {Index: 3, Term: 1, Type: raft.LogCommand, Data: []byte("rubbish")},
		"entry is empty":          {Index: 3, Term: 1, Type: raft.LogCommand},
		"unknown number":          entry(t, 3, command.Command{Type: 59999}),
		"payload does not decode": entry(t, 3, command.Command{Type: typeScript, Payload: []byte{0xff}}),
		"payload has more fields": entry(t, 3, command.Command{Type: typeScript, Payload: unknownField}),
		"error that no refusal":   entry(t, 3, script(t, "put y 1", "fail")),
		"panic":                   entry(t, 3, script(t, "put y 1", "panic")),
		"refused after a write":   entry(t, 3, script(t, "put y 1", "refuse")),
		"in the second command":   entry(t, 3, script(t, "put y 1"), command.Command{Type: 59999}),
		"configuration":           {Index: 3, Term: 1, Type: raft.LogConfiguration, Data: []byte("rubbish")},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			m, told := failing(t, testConfig(fs))
			apply(t, m, configuration(1, "a"))
			answers := m.ApplyBatch([]*raft.Log{entry(t, 2, script(t, "put x 1")), bad, entry(t, 4, script(t, "put z 1"))})
			require.Len(t, answers, 3)
			for _, answer := range answers {
				require.ErrorIs(t, answer.(error), ErrFailed)
			}
			require.ErrorContains(t, m.Err(), "entry 3")
			requireLatched(t, m, told)
			require.NoError(t, m.Close())

			// Nothing of the entry, nor of what came after, is in the state.
			m = mustOpen(t, testConfig(fs))
			require.LessOrEqual(t, m.AppliedIndex(), uint64(2))
			require.Empty(t, get(t, m, "y"))
			require.Empty(t, get(t, m, "z"))
		})
	}
}

func TestRefusedWritesAreDroppedInOperation(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	cfg.Strict = false
	m := mustOpen(t, cfg)
	apply(t, m, entry(t, 1, script(t, "put x 1", "put y 1")))
	r := apply(t, m, entry(t, 2, script(t, "put x 2", "delete y", "put z 1", "refuse"), script(t, "append x 3")))
	require.Equal(t, command.CodeAccessDenied, r[0].Code)
	require.Equal(t, "13", get(t, m, "x"))
	require.Equal(t, "1", get(t, m, "y"))
	require.Empty(t, get(t, m, "z"))
}

func TestFailedMayCloseTheMachine(t *testing.T) {
	closed := make(chan error, 1)
	var m *Machine
	ready := make(chan struct{})
	cfg := testConfig(vfs.NewMem())
	cfg.Failed = func(error) { <-ready; closed <- m.Close() }
	m = mustOpen(t, cfg)
	close(ready)
	m.Apply(&raft.Log{Index: 1, Term: 1, Type: raft.LogCommand, Data: []byte("rubbish")})
	require.NoError(t, <-closed)
}

var errDisk = errors.New("disk is broken")

// TestDiskErrorsLatch breaks the writing of tables, of the manifest, and the reading of tables.
func TestDiskErrorsLatch(t *testing.T) {
	for name, c := range map[string]struct {
		broken func(errorfs.Op) bool
		then   func(t *testing.T, m *Machine)
	}{
		"writing a table": {
			func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".sst") }, flushNow,
		},
		"syncing the manifest": {
			func(op errorfs.Op) bool {
				return (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileWrite) && strings.Contains(op.Path, "MANIFEST")
			}, flushNow,
		},
		"syncing the folder": {
			func(op errorfs.Op) bool {
				return op.Kind == errorfs.OpFileSync && strings.HasSuffix(op.Path, "store-1")
			}, flushNow,
		},
		"reading a table in apply": {
			func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileReadAt && strings.HasSuffix(op.Path, ".sst") },
			func(t *testing.T, m *Machine) {
				answer := m.Apply(entry(t, 3, script(t, "append x001999 2")))
				require.ErrorIs(t, answer.(error), ErrFailed)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var broken atomic.Bool
			cfg := testConfig(nil)
			cfg.fs = errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if broken.Load() && c.broken(op) {
					return errDisk
				}
				return nil
			}))
			m, _ := failing(t, cfg)
			var lines []string // more than one block, so that the start does not read the one with x
			for i := range 2000 {
				lines = append(lines, fmt.Sprintf("put a%06d %d", i, i*7919), fmt.Sprintf("put x%06d 1", i))
			}
			apply(t, m, entry(t, 1, script(t, append(lines, "put x 1")...)))
			require.NoError(t, m.stores.live.db.Flush())
			require.NoError(t, m.Close())
			m, told := failing(t, cfg)
			apply(t, m, entry(t, 2, script(t, "put y 1")))
			broken.Store(true)
			c.then(t, m)
			requireLatched(t, m, told)
			broken.Store(false)
		})
	}
}

// flushNow begins a snapshot, which must not come to a good end.
func flushNow(t *testing.T, m *Machine) {
	snap, err := m.Snapshot()
	require.NoError(t, err)
	defer snap.Release()
	to, err := m.Snapshots().Create(1, 2, 1, raft.Configuration{}, 1, nil)
	if err != nil {
		require.ErrorIs(t, err, ErrFailed)
		return
	}
	require.Error(t, snap.Persist(to))
	require.NoError(t, to.Cancel())
}
