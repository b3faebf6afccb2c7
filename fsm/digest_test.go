package fsm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

func digestCommand() command.Command { return command.Command{Type: command.TypeDigest} }

// randomHistory is a log of scripts that read, scan, write and are refused, within sessions that come and go.
func randomHistory(t testing.TB, seed uint64, length int) []*raft.Log {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	key := func() string { return fmt.Sprintf("%03d", r.IntN(200)) }
	history := []*raft.Log{configuration(1, "a", "b")}
	ids, seqs := map[string]command.SessionID{}, map[string]uint64{}
	index := uint64(1)
	for len(history) < length {
		index += 1 + uint64(r.IntN(2)) // barriers leave holes
		if r.IntN(20) == 0 {
			history = append(history, configuration(index, "a", fmt.Sprint("n", r.IntN(9))))
			continue
		}
		var commands []command.Command
		for range 1 + r.IntN(5) {
			node := string(rune('a' + r.IntN(3)))
			if _, ok := ids[node]; !ok || r.IntN(30) == 0 {
				ids[node], seqs[node] = command.SessionID{node[0], byte(index), byte(index >> 8), byte(len(commands)), 1}, 0
				commands = append(commands, register(t, node, ids[node]))
			}
			low, high := key(), key()
			lines := []string{
				fmt.Sprintf("sum %s %s %s", min(low, high), max(low, high), key()),
				fmt.Sprintf("put %s %d", key(), index), fmt.Sprintf("append %s %d", key(), r.IntN(10)), "delete " + key(),
			}
			if r.IntN(4) == 0 {
				lines = []string{"refuse"}
			}
			seqs[node]++
			seq := seqs[node]
			if r.IntN(5) == 0 {
				seq = max(1, seq-uint64(r.IntN(4)))
			}
			commands = append(commands, in(ids[node], seq, max(1, seq-min(seq, 3)), script(t, lines...)))
		}
		history = append(history, entry(t, index, commands...))
	}
	return history
}

// inBatches applies a history cut into pieces of up to most entries.
func inBatches(t testing.TB, m *Machine, history []*raft.Log, r *rand.Rand, most int) []command.Result {
	t.Helper()
	var all []command.Result
	for len(history) > 0 {
		n := min(len(history), 1+r.IntN(most))
		all = append(all, apply(t, m, history[:n]...)...)
		history = history[n:]
	}
	return all
}

// TestSameLogSameDigest applies one log in different batches, over Pebble and over the naive store in memory, with and
// without restarts; results and digest must be the same everywhere.
func TestSameLogSameDigest(t *testing.T) {
	history := randomHistory(t, 7, 150)
	var wantResults []command.Result
	var want string
	for _, most := range []int{1, 2, 7, len(history)} {
		m := newMachine(t)
		results := inBatches(t, m, history, rand.New(rand.NewPCG(uint64(most), 2)), most)
		digest := stateDigest(t, m)
		if want == "" {
			want, wantResults = digest, results
		}
		require.Equal(t, want, digest, "batches of up to %d", most)
		require.Equal(t, wantResults, results)
	}

	fs := vfs.NewMem()
	m := mustOpen(t, testConfig(fs))
	for i, e := range history {
		apply(t, m, e)
		if i%10 == 9 {
			require.NoError(t, m.Close())
			m = mustOpen(t, testConfig(fs))
		}
	}
	require.Equal(t, want, stateDigest(t, m), "with restarts")

	// The naive store: the same apply path over MemTx in place of the overlay's base, moved there entry by entry.
	m, naive := newMachine(t), catalogue.NewMemTx()
	m.overlay = newOverlay(naive)
	for _, e := range history {
		_, err := m.applyEntry(e)
		require.NoError(t, err)
		m.state.sessions.flush(m.overlay)
		catalogue.PutClock(m.overlay, m.state.revision, m.state.time)
		for _, place := range m.overlay.places {
			switch c := m.overlay.changes[place]; c.kind {
			case changePut:
				naive.Put(c.key, c.value)
			case changeDelete:
				naive.Delete(c.key)
			}
		}
		m.overlay.reset()
	}
	digest, err := Digest(context.Background(), naive)
	require.NoError(t, err)
	require.Equal(t, want, digest, "in memory")
}

func TestDigestIsOfItsEntry(t *testing.T) {
	history := randomHistory(t, 3, 40)
	middle := history[19].Index
	history[19] = entry(t, middle, script(t, "put before 1"), digestCommand(), script(t, "put after 1"))

	one, many := newMachine(t), newMachine(t)
	apply(t, one, history...)
	for _, e := range history {
		apply(t, many, e)
	}
	a, err := one.WaitDigest(within(t), middle)
	require.NoError(t, err)
	b, err := many.WaitDigest(within(t), middle)
	require.NoError(t, err)
	require.Equal(t, a, b)
	require.NotEqual(t, a, stateDigest(t, one), "it is of the entry, not of the end")

	half := newMachine(t)
	apply(t, half, history[:20]...)
	require.Equal(t, a, stateDigest(t, half), "the whole entry is in it")

	kept, found := one.DigestAt(middle)
	require.True(t, found)
	require.Equal(t, a, kept)
	_, err = one.WaitDigest(within(t), middle+1)
	require.ErrorIs(t, err, ErrNoDigest)
}

func TestDigestLeavesOutWhatIsLocal(t *testing.T) {
	a, b := newMachine(t), newMachine(t)
	apply(t, a, configuration(1, "x"), entry(t, 2, script(t, "put k 1")))
	apply(t, b, entry(t, 2, script(t, "put k 1")))
	takeSnapshot(t, a)
	require.Equal(t, stateDigest(t, a), stateDigest(t, b))
	apply(t, b, entry(t, 3, script(t, "put k 1")))
	require.NotEqual(t, stateDigest(t, a), stateDigest(t, b), "log time and revision are shared")
}

func TestDigestTellsKeysFromValues(t *testing.T) {
	digests := map[string]bool{}
	for _, pairs := range [][]string{{"ab", "c"}, {"a", "bc"}, {"a", "b", "c", ""}, {"abc", ""}, {}} {
		tx := catalogue.NewMemTx()
		for i := 0; i < len(pairs); i += 2 {
			tx.Put(scriptKey(pairs[i]), []byte(pairs[i+1]))
		}
		d, err := Digest(context.Background(), tx)
		require.NoError(t, err)
		require.Len(t, d, 64)
		digests[d] = true
	}
	require.Len(t, digests, 5)
}

func TestOnlyTheLastDigestsAreKept(t *testing.T) {
	m := newMachine(t)
	for i := uint64(1); i <= keptDigests+3; i++ {
		apply(t, m, entry(t, i, digestCommand()))
		_, err := m.WaitDigest(within(t), i)
		require.NoError(t, err)
	}
	_, found := m.DigestAt(3)
	require.False(t, found)
	_, err := m.WaitDigest(within(t), 3)
	require.ErrorIs(t, err, ErrNoDigest)
	_, found = m.DigestAt(4)
	require.True(t, found)
}

func TestCloseEndsDigests(t *testing.T) {
	m := newMachine(t)
	m.digests.turn <- struct{}{} // none gets its turn
	apply(t, m, entry(t, 1, digestCommand()))
	waited := make(chan error, 1)
	go func() {
		_, err := m.WaitDigest(within(t), 1)
		waited <- err
	}()
	require.NoError(t, m.Close())
	require.ErrorIs(t, <-waited, ErrNoDigest)
	<-m.digests.turn
}

func TestTooManyDigestsAreLeftOut(t *testing.T) {
	m := newMachine(t)
	m.digests.turn <- struct{}{}
	for i := uint64(1); i <= keptDigests+1; i++ {
		apply(t, m, entry(t, i, digestCommand()))
	}
	_, err := m.WaitDigest(within(t), keptDigests+1)
	require.ErrorIs(t, err, ErrNoDigest)
	<-m.digests.turn
	_, err = m.WaitDigest(within(t), keptDigests)
	require.NoError(t, err)
}

func TestLogTimeGrowsWithEveryEntry(t *testing.T) {
	m := newMachine(t)
	var stamps []int64
	at := func(index uint64, clock int64) {
		data, err := command.EncodeEntry(command.Entry{Time: clock, Commands: []command.Command{script(t, "put x 1")}})
		require.NoError(t, err)
		apply(t, m, &raft.Log{Index: index, Term: 1, Type: raft.LogCommand, Data: data})
		stamps = append(stamps, m.state.time)
	}
	for i, clock := range []int64{50, 40, 51, 52, 1000, -5} {
		at(uint64(i+1), clock)
	}
	require.Equal(t, []int64{50, 51, 52, 53, 1000, 1001}, stamps)
}

func TestLargeBatchIsCommittedInParts(t *testing.T) {
	m := newMachine(t)
	big := strings.Repeat("x", commitBytes/3)
	var entries []*raft.Log
	for i := uint64(1); i <= 8; i++ {
		entries = append(entries, entry(t, i, script(t, fmt.Sprintf("put k%d %s", i, big))))
	}
	apply(t, m, entries...)
	require.Less(t, m.overlay.memory.used, 1, "all is committed")
	v, err := m.View()
	require.NoError(t, err)
	defer v.Close()
	all := scanAll(t, v, scriptKey("k"), scriptKey("l"))
	require.Len(t, all, 8)
	require.True(t, slices.IsSortedFunc(all, func(a, b pair) int { return strings.Compare(a.key, b.key) }))
}
