package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dapple/command"
)

// A state without a counter could not be counted; the order is part of the stored format.
func TestEveryStateIsCounted(t *testing.T) {
	require.Equal(t, "ABCDTU", counterStates)
	var states []byte
	for _, state := range command.ReplicaStates() {
		states = append(states, byte(state))
	}
	require.ElementsMatch(t, []byte(counterStates), states)
}

func TestCountersAgainstSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tx := NewMemTx()
		type key struct {
			rse   uint32
			state ReplicaState
		}
		model := map[key]Tally{}
		for i := range rapid.IntRange(1, 5).Draw(t, "commands") {
			var changes counterChanges
			for range rapid.IntRange(0, 10).Draw(t, "replicas") {
				k := key{rapid.Uint32Range(1, 4).Draw(t, "rse"), ReplicaState(rapid.SampledFrom([]byte(counterStates)).Draw(t, "state"))}
				size := rapid.Uint64Range(0, 1<<50).Draw(t, "bytes")
				have := model[k]
				if have.Files > 0 && have.Bytes >= size && rapid.Bool().Draw(t, "move") {
					to := key{k.rse, StateBad}
					changes.move(k.rse, k.state, to.state, size)
					model[k] = Tally{have.Files - 1, have.Bytes - size}
					model[to] = Tally{model[to].Files + 1, model[to].Bytes + size}
					continue
				}
				changes.add(k.rse, k.state, 1, int64(size))
				model[k] = Tally{have.Files + 1, have.Bytes + size}
			}
			writes := tx.Writes
			require.NoError(t, adjustCounters(tx, Stamp{Time: int64(i + 1)}, &changes))
			require.Equal(t, len(changes.rses), tx.Writes-writes, "one write an RSE")
		}
		for rse := range uint32(6) {
			c, err := GetCounters(tx, rse)
			require.NoError(t, err)
			var total Tally
			for _, state := range []byte(counterStates) {
				want := model[key{rse, ReplicaState(state)}]
				require.Equal(t, want, c.Of(ReplicaState(state)))
				total.Files += want.Files
				total.Bytes += want.Bytes
			}
			require.Equal(t, total, c.Total())
		}
		last := uint32(0)
		require.NoError(t, RSECounters(tx, func(rse uint32, _ *Counters) error {
			require.Greater(t, rse, last)
			last = rse
			return nil
		}))
	})
}

func TestCountersBelowZeroAreDamage(t *testing.T) {
	tx := NewMemTx()
	var changes counterChanges
	changes.add(1, StateAvailable, -1, -10)
	require.ErrorIs(t, adjustCounters(tx, Stamp{}, &changes), ErrRecord)
	require.Zero(t, tx.Writes)
}
