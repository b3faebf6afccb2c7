package fsm

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

const onceWindow = time.Hour

// once wraps a command of root.
func once(t testing.TB, key, fingerprint string, window time.Duration, c command.Command) command.Command {
	t.Helper()
	return command.Command{Type: command.TypeOnce, Issuer: c.Issuer, Payload: payload(t, &command.Once{
		Key: []byte(key), Fingerprint: []byte(fingerprint), Type: uint32(c.Type), Payload: c.Payload, Window: window.Microseconds(),
	})}
}

func formedMachine(t *testing.T, fs vfs.FS) *Machine {
	t.Helper()
	m := mustOpen(t, testConfig(fs))
	apply(t, m, configuration(1, "a"), entry(t, 2, genesis(t, 1)))
	return m
}

func requireInvariants(t *testing.T, m *Machine) {
	t.Helper()
	v, err := m.View()
	require.NoError(t, err)
	defer v.Close()
	require.NoError(t, catalogue.CheckInvariants(v))
}

func TestOnceTakesEffectOnce(t *testing.T) {
	m := formedMachine(t, vfs.NewMem())
	add := once(t, "key", "print", onceWindow, addScope(t, "one"))
	first := apply(t, m, entry(t, 3, add))[0]
	require.Equal(t, command.CodeOK, first.Code)
	require.False(t, first.Repeated)

	again := apply(t, m, entry(t, 4, add, add))
	want := first
	want.Repeated = true
	require.Equal(t, []command.Result{want, want}, again, "without the key it would be refused as a duplicate")

	other := apply(t, m, entry(t, 5, once(t, "key", "another", onceWindow, addScope(t, "two"))))[0]
	require.Equal(t, command.CodeKeyReused, other.Code)
	require.Equal(t, command.CodeScopeExists, apply(t, m, entry(t, 6, once(t, "key2", "print", onceWindow, addScope(t, "one"))))[0].Code)
	requireInvariants(t, m)
}

func TestOnceKeepsRefusals(t *testing.T) {
	m := formedMachine(t, vfs.NewMem())
	stranger := addScope(t, "one")
	stranger.Issuer = "nobody"
	refused := apply(t, m, entry(t, 3, once(t, "key", "print", onceWindow, stranger)))[0]
	require.NotEqual(t, command.CodeOK, refused.Code)
	// What would be done now is not: the first answer counts. Keys are each account's own.
	apply(t, m, entry(t, 4, addScope(t, "one")))
	again := apply(t, m, entry(t, 5, once(t, "key", "print", onceWindow, stranger)))[0]
	refused.Repeated = true
	require.Equal(t, refused, again)
	require.Equal(t, command.CodeOK, apply(t, m, entry(t, 6, once(t, "key", "print", onceWindow, addScope(t, "two"))))[0].Code)
}

func TestOnceIsRepeatedThroughItsSessionToo(t *testing.T) {
	m := formedMachine(t, vfs.NewMem())
	id := sessionID(1)
	apply(t, m, entry(t, 3, register(t, "a", id)))
	c := in(id, 1, 1, once(t, "key", "print", onceWindow, addScope(t, "one")))
	first := apply(t, m, entry(t, 4, c))
	require.Equal(t, first, apply(t, m, entry(t, 5, c)), "a copy of the same command is no repeat of the request")
}

func TestOnceForgets(t *testing.T) {
	m := formedMachine(t, vfs.NewMem())
	index := uint64(3)
	for i := range 20 {
		apply(t, m, entry(t, index, once(t, fmt.Sprint("old", i), "p", time.Millisecond, addScope(t, fmt.Sprint("old", i)))))
		index++
	}
	kept := func() (n int) {
		v, err := m.View()
		require.NoError(t, err)
		defer v.Close()
		for i := range 20 {
			_, found, err := v.Get(append([]byte{0x04}, fmt.Sprintf("root\x00old%d", i)...))
			require.NoError(t, err)
			if found {
				n++
			}
		}
		return n
	}
	// Entries are a millisecond apart: all but the last have expired, and each command has removed those before it.
	require.Equal(t, 1, kept())
	// An expired key can be used for something else.
	result := apply(t, m, entry(t, index+10, once(t, "old19", "q", onceWindow, addScope(t, "new"))))[0]
	require.Equal(t, command.CodeOK, result.Code)
	require.False(t, result.Repeated)
	requireInvariants(t, m)
}

func TestOnceRemovesFewAtATime(t *testing.T) {
	m := formedMachine(t, vfs.NewMem())
	var old []command.Command
	for i := range 20 {
		old = append(old, once(t, fmt.Sprint("old", i), "p", time.Millisecond, addScope(t, fmt.Sprint("old", i))))
	}
	apply(t, m, entry(t, 3, old...)) // all at one log time: none has expired yet
	left := func() (n int) {
		v, err := m.View()
		require.NoError(t, err)
		defer v.Close()
		require.NoError(t, v.Scan([]byte{0x05}, []byte{0x06}, func(_, _ []byte) (bool, error) { n++; return true, nil }))
		return n
	}
	require.Equal(t, 20, left())
	apply(t, m, entry(t, 100, once(t, "a", "p", onceWindow, addScope(t, "a"))))
	require.Equal(t, 20+1-4, left())
	for i := range uint64(5) {
		apply(t, m, entry(t, 101+i, once(t, fmt.Sprint("b", i), "p", onceWindow, addScope(t, fmt.Sprint("b", i)))))
	}
	require.Equal(t, 6, left())
	requireInvariants(t, m)
}

// TestOnceAfterRestart reopens the state after each entry: it stays the same, and what was answered stays answered.
func TestOnceAfterRestart(t *testing.T) {
	entries := func() []*raft.Log {
		add := once(t, "key", "print", onceWindow, addScope(t, "one"))
		return []*raft.Log{
			entry(t, 3, add), entry(t, 4, once(t, "short", "print", time.Microsecond, addScope(t, "two"))), entry(t, 5, add),
			entry(t, 6, once(t, "short", "print", time.Microsecond, addScope(t, "three"))),
		}
	}
	whole := formedMachine(t, vfs.NewMem())
	results := apply(t, whole, entries()...)

	fs := vfs.NewMem()
	m := formedMachine(t, fs)
	var reopened []command.Result
	for _, e := range entries() {
		reopened = append(reopened, apply(t, m, e)...)
		require.NoError(t, m.Close())
		m = mustOpen(t, testConfig(fs))
	}
	require.Equal(t, results, reopened)
	require.Equal(t, stateDigest(t, whole), stateDigest(t, m))
}

func TestOnceCarriesTheCatalogueAlone(t *testing.T) {
	m := formedMachine(t, vfs.NewMem())
	for i, carried := range []command.Type{command.TypeDigest, command.TypeOnce, command.TypeTermStart} {
		result := apply(t, m, entry(t, uint64(3+i), once(t, "key", "print", onceWindow, command.Command{Type: carried})))[0]
		require.Equal(t, command.CodeUnknownMethod, result.Code, "%s", carried)
	}
	require.NoError(t, m.Err(), "it goes on")
	answer := m.Apply(entry(t, 9, once(t, "key", "print", onceWindow, command.Command{Type: 61000})))
	err, failed := answer.(error)
	require.True(t, failed, "a command that this program does not know stops it, carried or not")
	require.ErrorIs(t, err, ErrFailed)
}

// TestOnceKeepsNoBusyAnswer: an RSE that is switched off is no outcome, and the repeat is done once it is on again.
func TestOnceKeepsNoBusyAnswer(t *testing.T) {
	m := formedMachine(t, vfs.NewMem())
	off, on := false, true
	add := command.Command{Type: command.TypeAddReplicas, Issuer: "root", Payload: payload(t, &command.AddReplicas{
		Rse: "ONE", Files: []*command.NewFile{{Scope: "s", Name: "f", Bytes: 1}},
	})}
	set := func(write *bool) command.Command {
		return command.Command{Type: command.TypeUpdateRSE, Issuer: "root", Payload: payload(t, &command.UpdateRSE{
			Name: "ONE", Settings: &command.RSESettings{AvailabilityWrite: write},
		})}
	}
	apply(t, m, entry(t, 3, addScope(t, "s"), command.Command{Type: command.TypeAddRSE, Issuer: "root", Payload: payload(t, &command.AddRSE{
		Name: "ONE", Uuid: make([]byte, 16), Settings: &command.RSESettings{},
	})}, set(&off)))
	require.Equal(t, command.CodeRSEBlocked, apply(t, m, entry(t, 4, once(t, "key", "print", onceWindow, add)))[0].Code)
	done := apply(t, m, entry(t, 5, set(&on), once(t, "key", "print", onceWindow, add)))[1]
	require.Equal(t, command.CodeOK, done.Code)
	require.False(t, done.Repeated)
}
