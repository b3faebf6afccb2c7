package command

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// rucioStates are the letters of Rucio's ReplicaState. They are written out here so that a slip in the table is found.
var rucioStates = map[string]string{
	"A": "AVAILABLE", "U": "UNAVAILABLE", "C": "COPYING", "B": "BEING_DELETED", "D": "BAD", "T": "TEMPORARY_UNAVAILABLE",
}

// Letters and names lead to the same state, and the state to both of them.
func TestReplicaStates(t *testing.T) {
	states := ReplicaStates()
	require.Len(t, states, len(rucioStates))
	for letter, name := range rucioStates {
		state := ReplicaState(letter[0])
		require.Contains(t, states, state)
		require.Equal(t, name, state.String())
		require.True(t, IsReplicaState(uint32(state)))
		for _, text := range []string{letter, name} {
			parsed, known := ParseReplicaState(text)
			require.True(t, known, text)
			require.Equal(t, state, parsed, text)
		}
	}
}

func TestUnknownReplicaStates(t *testing.T) {
	for _, text := range []string{"", "a", "bad", "S", "SUSPICIOUS", "DELETED", "AB", "\x00", "Ą", " A"} {
		_, known := ParseReplicaState(text)
		require.False(t, known, text)
	}
	for _, letter := range []uint32{0, 'a', 'S', 'A' + 256, 0x80} {
		require.False(t, IsReplicaState(letter), letter)
	}
	require.Equal(t, "state(88)", ReplicaState('X').String())
}
