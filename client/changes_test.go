package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/client"
	"dapple/internal/testcluster"
)

// TestChanges follows the feed of three nodes while the one that answers goes down.
func TestChanges(t *testing.T) {
	cluster := testcluster.Start(t, 3)
	c, err := client.New(client.Config{URLs: cluster.URLs(), User: testcluster.User, Password: testcluster.Password, Account: "root"})
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.NoError(t, c.AddScope(ctx, "root", "s"))
	require.NoError(t, c.AddRSE(ctx, "ONE", client.RSESettings{}))
	add := func(name string) {
		t.Helper()
		require.NoError(t, c.AddReplicas(ctx, "ONE", []client.NewFile{{Scope: "s", Name: name, Bytes: 1}}))
	}
	add("a")
	present, err := all(c.Changes(ctx, client.ChangeQuery{Present: true, Kinds: "replica"}))
	require.NoError(t, err)
	require.Len(t, present, 1)
	require.Equal(t, [5]string{"replica.added", "s", "a", "ONE", "AVAILABLE"},
		[5]string{present[0].Kind, present[0].Scope, present[0].Name, present[0].RSE, present[0].New})

	// A version that is true takes the write, an old one does not.
	version := present[0].Revision
	listed, err := all(c.ListReplicas(ctx, client.ReplicaQuery{DIDs: []client.DIDName{{Scope: "s", Name: "a"}}, Versions: true}))
	require.NoError(t, err)
	require.Equal(t, map[string]uint64{"ONE": version}, listed[0].Versions)
	state := []client.NewState{{Scope: "s", Name: "a", State: "U", IfVersion: version}}
	require.NoError(t, c.UpdateStates(ctx, "ONE", state))
	err = c.UpdateStates(ctx, "ONE", state)
	require.ErrorIs(t, err, client.ErrVersion)
	var refusal *client.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, version, refusal.Versions[0].Wanted)
	require.Equal(t, version+1, refusal.Versions[0].Version)
	require.ErrorIs(t, c.DeleteReplicasIf(ctx, "ONE", []client.Versioned{{Scope: "s", Name: "a", IfVersion: version}}), client.ErrVersion)

	add("b")
	var names []string
	for change, err := range c.Changes(ctx, client.ChangeQuery{Since: version, Kinds: "replica.added"}) {
		require.NoError(t, err)
		names = append(names, change.Name)
		if change.Name == "c" {
			break
		}
		if change.Name == "b" {
			cluster.StopNode(0)
			add("c")
		}
	}
	require.Equal(t, []string{"b", "c"}, names)
}

// Changes that are gone end the list; a feed that breaks off is taken up where it was.
func TestChangesResume(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("since"))
		switch len(asked) {
		case 1:
			fmt.Fprintln(w, `{"revision":5,"kind":"did.added"}`)
			fmt.Fprint(w, `{"revision":6,"kind":"did.ad`)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case 2:
			fmt.Fprintln(w, `{"revision":5,"kind":"did.added"}`)
			fmt.Fprintln(w, `{"revision":6,"kind":"did.added"}`)
			fmt.Fprintln(w, `{"revision":9,"kind":"heartbeat"}`)
		default:
			w.WriteHeader(http.StatusGone)
			fmt.Fprint(w, `{"ExceptionClass":"ChangesGone","ExceptionMessage":"gone","oldest":20,"index":3}`)
		}
	}))
	defer server.Close()
	c, err := client.New(client.Config{URLs: []string{server.URL}, Token: "t"})
	require.NoError(t, err)
	defer c.Close()
	var (
		revisions []uint64
		end       error
	)
	for change, err := range c.Changes(t.Context(), client.ChangeQuery{Since: 4}) {
		if end = err; err == nil {
			revisions = append(revisions, change.Revision)
		}
	}
	require.Equal(t, []uint64{5, 6}, revisions)
	require.Equal(t, []string{"4", "5", "9"}, asked)
	require.ErrorIs(t, end, client.ErrChangesGone)
	var gone *client.Error
	require.True(t, errors.As(end, &gone))
	require.EqualValues(t, 20, gone.Oldest)
}
