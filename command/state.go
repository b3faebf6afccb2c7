package command

import "fmt"

// ReplicaState is the state of one copy of a file.
// The letters are those of Rucio's database and API; commands carry them and the catalogue stores them.
type ReplicaState byte

// The states of a replica. Only available ones are offered to readers.
// Note that B is not BAD: a replica that is BAD has the letter D.
const (
	StateAvailable              ReplicaState = 'A'
	StateUnavailable            ReplicaState = 'U'
	StateCopying                ReplicaState = 'C'
	StateBeingDeleted           ReplicaState = 'B'
	StateBad                    ReplicaState = 'D'
	StateTemporarilyUnavailable ReplicaState = 'T'
)

// replicaStates is the only table of states and their names.
var replicaStates = [...]struct {
	state ReplicaState
	name  string
}{
	{StateAvailable, "AVAILABLE"},
	{StateUnavailable, "UNAVAILABLE"},
	{StateCopying, "COPYING"},
	{StateBeingDeleted, "BEING_DELETED"},
	{StateBad, "BAD"},
	{StateTemporarilyUnavailable, "TEMPORARY_UNAVAILABLE"},
}

// ReplicaStates returns all states, always in the same order.
func ReplicaStates() []ReplicaState {
	states := make([]ReplicaState, len(replicaStates))
	for i, s := range replicaStates {
		states[i] = s.state
	}
	return states
}

// ParseReplicaState reads the letter or the name of a state, and returns false for any other text.
func ParseReplicaState(text string) (ReplicaState, bool) {
	for _, s := range replicaStates {
		if text == s.name || text == string(rune(s.state)) {
			return s.state, true
		}
	}
	return 0, false
}

// IsReplicaState reports whether a number is the letter of a state.
func IsReplicaState(letter uint32) bool {
	for i := range replicaStates {
		if letter == uint32(replicaStates[i].state) {
			return true
		}
	}
	return false
}

// String returns the API's name of the state.
func (s ReplicaState) String() string {
	for i := range replicaStates {
		if s == replicaStates[i].state {
			return replicaStates[i].name
		}
	}
	return fmt.Sprintf("state(%d)", byte(s))
}
