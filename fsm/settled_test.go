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

// TestCountersAreThoseCommitted reads counters of RSEs as commands do after each commit, and what is only written, undone or deleted.
func TestCountersAreThoseCommitted(t *testing.T) {
	m := newMachine(t)
	apply(t, m, configuration(1, "a"), entry(t, 2, genesis(t, 1)))
	key := []byte{0x23, 0, 0, 0, 7}
	require.True(t, catalogue.IsCounter(key))
	want := func(value string) {
		t.Helper()
		for name, v := range map[string]catalogue.View{"command": m.overlay, "store": m.reader} {
			got, found, err := v.Get(key)
			require.NoError(t, err)
			require.Equal(t, value != "", found, name)
			require.Equal(t, value, string(got), name)
			require.NoError(t, m.reader.done())
		}
	}
	commit := func() {
		t.Helper()
		require.NoError(t, m.commit())
	}
	want("")
	for _, value := range []string{"one", "two", "three"} {
		m.overlay.begin()
		m.overlay.Put(key, []byte(value))
		commit()
		m.overlay.Put([]byte{0x23, 0, 0, 0, 8}, []byte("other")) // where the value was written to is used again
		commit()
		want(value)
	}
	m.overlay.begin()
	m.overlay.Put(key, []byte("refused"))
	m.overlay.rollback()
	commit()
	want("three")
	m.overlay.begin()
	m.overlay.Delete(key)
	commit()
	want("")
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

// TestMemoIsOfWhatCommandsSee: what is remembered of an RSE does not outlive a change of it, not within a batch, an entry or a refused
// command, and views go on showing what they showed.
func TestMemoIsOfWhatCommandsSee(t *testing.T) {
	m := newMachine(t)
	writable := func(on bool) command.Command {
		return command.Command{Type: command.TypeUpdateRSE, Issuer: "root", Payload: payload(t, &command.UpdateRSE{
			Name: "ONE", Settings: &command.RSESettings{AvailabilityWrite: &on},
		})}
	}
	add := func(name string) command.Command {
		return command.Command{Type: command.TypeAddReplicas, Issuer: "root", Payload: payload(t, &command.AddReplicas{
			Rse: "ONE", Files: []*command.NewFile{{Scope: "s", Name: name, Bytes: 1}},
		})}
	}
	codes := func(results []command.Result) (codes []command.Code) {
		for _, r := range results {
			codes = append(codes, r.Code)
		}
		return codes
	}
	apply(t, m, configuration(1, "a"), entry(t, 2, genesis(t, 2)))
	apply(t, m, entry(t, 3, addScope(t, "s"), command.Command{
		Type: command.TypeAddRSE, Issuer: "root", Payload: payload(t, &command.AddRSE{Name: "ONE", Uuid: make([]byte, 16), Settings: &command.RSESettings{}}),
	}))
	const ok, blocked = command.CodeOK, command.CodeRSEBlocked
	require.Equal(t, []command.Code{ok, ok, blocked, blocked, ok, ok},
		codes(apply(t, m, entry(t, 4, add("a"), writable(false), add("b"), add("c"), writable(true), add("d")))))
	open, err := m.View()
	require.NoError(t, err)
	defer open.Close()
	require.Equal(t, []command.Code{ok, ok}, codes(apply(t, m, entry(t, 5, add("e"), writable(false)))))
	require.Equal(t, []command.Code{blocked}, codes(apply(t, m, entry(t, 6, add("f")))))

	listed := func(v *View) int {
		list, err := catalogue.NewReplicaList(v, catalogue.ReplicaQuery{DIDs: []catalogue.DIDName{{Scope: "s", Name: "a"}}})
		require.NoError(t, err)
		shown := 0
		require.NoError(t, list.Each(func(f *catalogue.ListedFile) (bool, error) {
			shown = len(f.Replicas)
			return true, nil
		}))
		return shown
	}
	readable := false
	apply(t, m, entry(t, 7, command.Command{Type: command.TypeUpdateRSE, Issuer: "root", Payload: payload(t, &command.UpdateRSE{
		Name: "ONE", Settings: &command.RSESettings{AvailabilityRead: &readable},
	})}))
	closed, err := m.View()
	require.NoError(t, err)
	defer closed.Close()
	for range 2 {
		require.Equal(t, 1, listed(open))
		require.Zero(t, listed(closed))
	}
}
