package main

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/stretchr/testify/require"

	"dapple/command"
)

// TestSkipEntryShows shows what an entry carries and how to skip it, and changes nothing without its digest.
func TestSkipEntryShows(t *testing.T) {
	dir := t.TempDir()
	store, err := raftboltdb.NewBoltStore(filepath.Join(dir, "raft.db"))
	require.NoError(t, err)
	data, err := command.EncodeEntry(command.Entry{Time: 1, Commands: []command.Command{{Type: 999, Issuer: "bo", Payload: []byte("abc")}}})
	require.NoError(t, err)
	require.NoError(t, store.StoreLogs([]*raft.Log{{Index: 1, Term: 1, Type: raft.LogConfiguration}, {Index: 2, Term: 1, Data: data}, {Index: 3, Term: 1, Data: []byte("?")}}))
	require.NoError(t, store.Close())

	show := func(index string) (code int, out, problem string) {
		var stdout, stderr bytes.Buffer
		code = run(context.Background(), []string{"skip-entry", "--data-dir", dir, "--index", index}, &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	for range 2 {
		code, out, problem := show("2")
		require.Zero(t, code, problem)
		require.Contains(t, out, "entry 2 of term 1")
		require.Contains(t, out, `command 0: command(999) of 3 bytes, issuer "bo"`)
		require.Contains(t, out, "--index 2 --digest ")
	}
	code, out, problem := show("3")
	require.Zero(t, code, problem)
	require.Contains(t, out, "cannot be decoded")
	code, _, problem = show("1")
	require.Equal(t, exitFailure, code)
	require.Contains(t, problem, "carries no commands")
	code, _, problem = show("9")
	require.Equal(t, exitFailure, code)
	require.Contains(t, problem, "it has entries 1 to 3")
}
