package fsm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"dapple/command"
)

func TestRepeatedCommandIsAnsweredAsTheFirstTime(t *testing.T) {
	m := newMachine(t)
	id := sessionID(1)
	apply(t, m, entry(t, 1, register(t, "a", id)))
	done := in(id, 1, 1, script(t, "append x 1", "answer first"))
	refused := in(id, 2, 1, script(t, "refuse"))
	first := apply(t, m, entry(t, 2, done, refused))
	require.Equal(t, "first", string(first[0].Payload))
	require.Equal(t, command.CodeAccessDenied, first[1].Code)

	// The same again: in a later entry, twice in it, and out of order.
	again := apply(t, m, entry(t, 3, refused, done, done))
	require.Equal(t, []command.Result{first[1], first[0], first[0]}, again, "index and revision are the original ones")
	require.Equal(t, "1", get(t, m, "x"))
	require.EqualValues(t, 3, m.state.revision, "only what was executed counts")
}

func TestRepeatWithinOneEntry(t *testing.T) {
	m := newMachine(t)
	id := sessionID(1)
	c := in(id, 1, 1, script(t, "append x 1"))
	results := apply(t, m, entry(t, 1, register(t, "a", id), c, c))
	require.Equal(t, results[1], results[2])
	require.Equal(t, "1", get(t, m, "x"))
}

func TestSessionRefusals(t *testing.T) {
	m := newMachine(t)
	a, b := sessionID(1), sessionID(2)
	unknown := apply(t, m, entry(t, 1, in(a, 1, 1, script(t, "append x 1"))))
	require.Equal(t, command.CodeSessionUnknown, unknown[0].Code)
	require.Zero(t, unknown[0].Revision)

	apply(t, m, entry(t, 2, register(t, "a", a), in(a, 1, 1, script(t, "append x 1")), in(a, 3, 3, script(t, "append x 3"))))
	late := apply(t, m, entry(t, 3, in(a, 1, 1, script(t, "append x 1")), in(a, 2, 1, script(t, "append x 2"))))
	require.Equal(t, command.CodeStaleSequence, late[0].Code, "its result has been forgotten")
	require.Equal(t, command.CodeStaleSequence, late[1].Code, "never seen and declared answered: must not be executed")

	// A new incarnation of the node closes the session, for good.
	apply(t, m, entry(t, 4, register(t, "a", b)))
	closed := apply(t, m, entry(t, 5, in(a, 4, 3, script(t, "append x 4")), register(t, "a", a), in(a, 4, 3, script(t, "append x 4"))))
	for _, r := range closed {
		require.Equal(t, command.CodeSessionUnknown, r.Code)
	}
	ok := apply(t, m, entry(t, 6, in(b, 1, 1, script(t, "append x 5"))))
	require.Equal(t, command.CodeOK, ok[0].Code)
	require.Equal(t, "135", get(t, m, "x"))
}

func TestLateCopyOfRegistrationKeepsResults(t *testing.T) {
	m := newMachine(t)
	id := sessionID(1)
	c := in(id, 1, 1, script(t, "append x 1"))
	first := apply(t, m, entry(t, 1, register(t, "a", id), c))
	again := apply(t, m, entry(t, 2, register(t, "a", id), c))
	require.Equal(t, command.CodeOK, again[0].Code)
	require.Equal(t, first[1], again[1])
	require.Equal(t, "1", get(t, m, "x"))
}

func TestMalformedRegistrations(t *testing.T) {
	m := newMachine(t)
	apply(t, m, entry(t, 1, register(t, "a", sessionID(1))))
	for name, c := range map[string]*command.RegisterSession{
		"short id":          {Session: []byte("short"), Node: "a"},
		"zero id":           {Session: make([]byte, 16), Node: "a"},
		"no node":           {Session: []byte("0123456789abcdef")},
		"zero byte":         {Session: []byte("0123456789abcdef"), Node: "a\x00b"},
		"of another node":   {Session: idBytes(sessionID(1)), Node: "b"},
		"node name is zero": {Session: []byte("0123456789abcdef"), Node: "\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			index := m.AppliedIndex() + 1
			r := apply(t, m, entry(t, index, command.Command{Type: command.TypeRegisterSession, Payload: payload(t, c)}))
			require.Equal(t, command.CodeInvalidValue, r[0].Code)
		})
	}
	members, err := m.Members()
	require.NoError(t, err)
	require.Equal(t, []Member{{Node: "a", ServerID: "a-1", HTTPAddress: "http://a", Version: "1"}}, members)
}

func idBytes(id command.SessionID) []byte { return id[:] }

func TestKeptResultsAreBounded(t *testing.T) {
	m := newMachine(t)
	id := sessionID(1)
	apply(t, m, entry(t, 1, register(t, "a", id)))
	big := strings.Repeat("x", maxKeptBytes/4)
	for i := uint64(1); i <= 6; i++ {
		apply(t, m, entry(t, i+1, in(id, i, 1, script(t, "answer "+big))))
	}
	s := m.state.sessions.byID[id]
	require.LessOrEqual(t, s.bytes, maxKeptBytes)
	require.Len(t, s.kept, 4)
	r := apply(t, m, entry(t, 8, in(id, 2, 1, script(t, "append x no")), in(id, 6, 1, script(t, "append x no"))))
	require.Equal(t, command.CodeStaleSequence, r[0].Code, "forgotten is not executed again")
	require.Equal(t, command.CodeOK, r[1].Code)
	require.Empty(t, get(t, m, "x"))

	var many []command.Command
	for i := range uint64(maxKept + 10) {
		many = append(many, in(id, 10+i, 1, command.Command{Type: command.TypeTermStart}))
	}
	apply(t, m, entry(t, 9, many...))
	require.Len(t, s.kept, maxKept)
}

func TestSessionRecord(t *testing.T) {
	s := &session{
		id: sessionID(3), member: Member{Node: "n", ServerID: "n-1", HTTPAddress: "https://n", Version: "2"}, lowest: 7,
		closed: []command.SessionID{sessionID(1), sessionID(2)}, bytes: 7,
		kept: []keptResult{{7, command.Result{Code: 3, Index: 1, Revision: 2, Message: "no"}}, {1 << 40, command.Result{Payload: []byte("bytes")}}},
	}
	b := appendSession(nil, s)
	parsed, err := parseSession(b)
	require.NoError(t, err)
	require.Equal(t, s, parsed)
	for i := range b {
		_, err := parseSession(b[:i])
		require.Error(t, err, "cut at %d", i)
	}
	_, err = parseSession(append(b, 0))
	require.Error(t, err)
}

// TestExactlyOnceAcrossCrashes applies a history with many repeats while the machine crashes, replays from what it has on
// disk, flushes and is snapshotted at every point; each command must have taken effect once, in order.
func TestExactlyOnceAcrossCrashes(t *testing.T) {
	id := sessionID(1)
	history := []*raft.Log{configuration(1, "a"), entry(t, 2, register(t, "a", id))}
	want := ""
	for i := uint64(1); i <= 30; i++ {
		c := in(id, i, max(1, i-min(i, 4)), script(t, fmt.Sprintf("append x %d,", i), "answer "+fmt.Sprint(i)))
		commands := []command.Command{c}
		for back := uint64(1); back <= 3 && back < i; back++ { // sent again, late
			commands = append(commands, in(id, i-back, 1, script(t, fmt.Sprintf("append x %d,", i-back))))
		}
		history = append(history, entry(t, i+2, commands...))
		want += fmt.Sprintf("%d,", i)
	}

	fs := vfs.NewCrashableMem()
	m := mustOpen(t, testConfig(fs))
	for round := range len(history) {
		upTo := history[:round+1]
		apply(t, m, upTo[len(upTo)-1])
		switch round % 3 {
		case 0:
			takeSnapshot(t, m)
		case 1:
			require.NoError(t, m.stores.live.db.Flush())
		}
		crashed := fs.CrashClone(vfs.CrashCloneCfg{})
		require.NoError(t, m.Close())
		fs = crashed
		m = mustOpen(t, testConfig(fs))
		require.LessOrEqual(t, m.AppliedIndex(), uint64(round+1))
		for _, answer := range m.ApplyBatch(upTo) { // raft replays; here more than it would
			if err, ok := answer.(error); ok {
				require.Equal(t, ErrReplayed, err)
			}
		}
		require.EqualValues(t, round+1, m.AppliedIndex())
	}
	require.Equal(t, want, get(t, m, "x"))
	require.EqualValues(t, 31, m.state.revision)
}
