package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A process that ends is not waited for, and what it said is told.
func TestProcessThatEnds(t *testing.T) {
	n := &nodes{folder: t.TempDir(), urls: []string{"http://127.0.0.1:1"}}
	require.NoError(t, n.launch("short", []string{"WORD=no disk"}, "sh", "-c", "echo $WORD; exit 3"))
	err := n.ready(t.Context(), "/")
	require.ErrorContains(t, err, "exit status 3: no disk")
	n.stop()
}

func TestProcessesAreEnded(t *testing.T) {
	n := &nodes{folder: t.TempDir()}
	require.NoError(t, n.launch("long", nil, "sleep", "3600"))
	n.stop()
	require.Error(t, n.processes[0].failed())
}

func TestReady(t *testing.T) {
	tries := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	n := &nodes{urls: []string{server.URL}}
	require.NoError(t, n.ready(t.Context(), "/readyz"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, n.ready(ctx, "/readyz"), context.Canceled)
}

// What is in the cache is not built again.
func TestEtcdIsCached(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	there := filepath.Join(cache, "dapple-peers", "etcd-"+etcdVersion)
	require.NoError(t, os.MkdirAll(filepath.Dir(there), 0o700))
	require.NoError(t, os.WriteFile(there, nil, 0o700))
	binary, err := buildEtcd(t.Context())
	require.NoError(t, err)
	require.Equal(t, there, binary)
}
