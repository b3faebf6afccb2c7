package fsm

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/internal/halt"
)

// inTerm returns entries with one command each, of one term.
func inTerm(t testing.TB, term, from, to uint64, text string) (all []*raft.Log) {
	t.Helper()
	for index := from; index <= to; index++ {
		e := entry(t, index, script(t, text))
		e.Term = term
		all = append(all, e)
	}
	return all
}

// lostAndKept are two machines with the same first 20 entries: the one has 20 more of the same term, the other more of a later
// term, as after an election that an older copy of a folder has won.
func lostAndKept(t *testing.T, fs vfs.FS, more uint64) (lost, kept *Machine) {
	t.Helper()
	lost, kept = mustOpen(t, testConfig(fs)), mustOpen(t, testConfig(vfs.NewMem()))
	for _, m := range []*Machine{lost, kept} {
		apply(t, m, configuration(1, "a", "b"))
		apply(t, m, inTerm(t, 3, 2, 20, "put x 1")...)
	}
	apply(t, lost, inTerm(t, 3, 21, 40, "put x 2")...)
	apply(t, kept, inTerm(t, 5, 22, 21+more, "put x 3")...)
	takeSnapshot(t, lost)
	takeSnapshot(t, kept)
	return lost, kept
}

// A snapshot of a cluster that has lost what this state has applied is not installed, however far either is. All files stay.
func TestSnapshotOfAnotherTimelineIsRefused(t *testing.T) {
	for name, more := range map[string]uint64{"behind": 10, "ahead": 1000} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			lost, kept := lostAndKept(t, fs, more)
			digest := stateDigest(t, lost)
			meta, b := stream(t, kept)
			require.ErrorIs(t, install(lost, meta, b), halt.ErrDiverged)
			require.ErrorIs(t, lost.Err(), halt.ErrDiverged)
			require.NoError(t, lost.Close())
			again := mustOpen(t, testConfig(fs))
			require.Equal(t, digest, stateDigest(t, again))
			require.EqualValues(t, 40, again.AppliedIndex())
			require.True(t, again.Contradicts(30, 5))
			require.False(t, again.Contradicts(30, 3))
			require.False(t, again.Contradicts(50, 5), "not applied yet")
		})
	}
}

// Entries that the state has, in another term, are not passed over in silence.
func TestEntryOfAnotherTimelineIsRefused(t *testing.T) {
	lost, _ := lostAndKept(t, vfs.NewMem(), 10)
	answers := lost.ApplyBatch(inTerm(t, 5, 30, 31, "put x 3"))
	err, _ := answers[0].(error)
	require.ErrorIs(t, err, halt.ErrDiverged)
	require.ErrorIs(t, lost.Err(), halt.ErrDiverged)
}

// The same timeline goes on through snapshots and restarts.
func TestSnapshotOfTheSameTimelineIsInstalled(t *testing.T) {
	fs := vfs.NewMem()
	_, kept := lostAndKept(t, vfs.NewMem(), 100)
	behind := mustOpen(t, testConfig(fs))
	apply(t, behind, configuration(1, "a", "b"))
	apply(t, behind, inTerm(t, 3, 2, 10, "put x 1")...)
	meta, b := stream(t, kept)
	require.NoError(t, install(behind, meta, b))
	require.NoError(t, install(behind, meta, b), "sent again")
	apply(t, behind, inTerm(t, 7, 130, 140, "put x 4")...)
	takeSnapshot(t, behind)
	require.NoError(t, behind.Close())
	again := mustOpen(t, testConfig(fs))
	for _, c := range []struct {
		index, term uint64
		other       bool
	}{{10, 3, false}, {10, 2, true}, {21, 5, false}, {60, 5, false}, {60, 3, true}, {125, 6, false}, {135, 5, true}, {140, 7, false}} {
		require.Equal(t, c.other, again.Contradicts(c.index, c.term), "%+v", c)
	}
	index, term := again.Position()
	require.Equal(t, []uint64{140, 7}, []uint64{index, term})
}

// A store that a program without timelines has written on begins a timeline of its own.
func TestTimelineOfAnEarlierProgram(t *testing.T) {
	v := catalogue.NewMemTx()
	for name, stored := range map[string]timeline{"none": nil, "of an earlier term": {{2, 1, 50}}} {
		if stored != nil {
			v.Put(catalogue.LocalKey(localTerms), appendTimeline(nil, stored))
		}
		got, changed, err := loadTimeline(v, position{90, 4})
		require.NoError(t, err, name)
		require.True(t, changed, name)
		require.Equal(t, timeline{{4, 90, 90}}, got, name)
		require.False(t, got.contradicts(position{50, 3}), name)
	}
	_, err := parseTimeline([]byte{localFormat, 3, 1})
	require.ErrorIs(t, err, errLocalRecord)
}

func TestTimelineIsBounded(t *testing.T) {
	var spans timeline
	for term := uint64(1); term < 3*maxSpans; term++ {
		spans, _ = spans.extend(position{10 * term, term})
	}
	require.Len(t, spans, maxSpans)
	require.True(t, spans.contradicts(position{10 * (3*maxSpans - 1), 1}))
	require.False(t, spans.contradicts(position{10, 7}), "forgotten")
}
