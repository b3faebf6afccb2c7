package fsm

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

func TestGenerationsFollowSettledRecords(t *testing.T) {
	m := newMachine(t)
	apply(t, m, configuration(1, "a"), entry(t, 2, genesis(t, 1)))
	before := m.Generation()
	require.NotZero(t, before)
	v, err := m.View()
	require.NoError(t, err)
	defer v.Close()
	require.Equal(t, before, v.Generation())

	apply(t, m, entry(t, 3, command.Command{Type: command.TypeTermStart}))
	require.Equal(t, before, m.Generation(), "nothing of it has changed")

	apply(t, m, entry(t, 4, addScope(t, "one")))
	require.NotEqual(t, before, m.Generation())
	_, err = catalogue.GetScope(v, "one")
	require.Equal(t, command.CodeScopeNotFound, catalogue.CodeOf(err), "the view is of before")
	later, err := m.View()
	require.NoError(t, err)
	defer later.Close()
	_, err = catalogue.GetScope(later, "one")
	require.NoError(t, err)
}

// TestSettledRecordsOfViews has readers ask for a scope while it is being made and others come and go: each view answers the same
// all its life, and after the entry is applied every new view has the scope.
func TestSettledRecordsOfViews(t *testing.T) {
	m := newMachine(t)
	apply(t, m, configuration(1, "a"), entry(t, 2, genesis(t, 1)))
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				checkScopes(t, m)
			}
		})
	}
	for i := range uint64(scopesMade) {
		apply(t, m, entry(t, 3+i, addScope(t, scopeAt(i))))
	}
	close(stop)
	readers.Wait()
}

const scopesMade = 200

func scopeAt(i uint64) string { return "scope" + string(rune('a'+i%26)) + string(rune('a'+i/26)) }

func addScope(t testing.TB, name string) command.Command {
	t.Helper()
	return command.Command{Type: command.TypeAddScope, Issuer: "root", Payload: payload(t, &command.AddScope{Name: name, Account: "root"})}
}

// checkScopes sees that a view has just the scopes that were made up to its index.
func checkScopes(t *testing.T, m *Machine) {
	v, err := m.View()
	if err != nil {
		t.Error(err)
		return
	}
	defer v.Close()
	for i := range uint64(scopesMade) {
		_, err := catalogue.GetScope(v, scopeAt(i))
		if made := v.Index() >= 3+i; (err == nil) != made {
			t.Errorf("view of index %d, scope %d: %v", v.Index(), i, err)
			return
		}
	}
}
