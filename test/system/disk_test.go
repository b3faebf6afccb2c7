package system

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// small gives a process a file system of its own of so many MiB.
func (p *process) small(mib int) {
	p.t.Helper()
	if os.Geteuid() != 0 {
		p.t.Skip("SKIPPED, needs root: a small file system must be mounted")
	}
	require.NoError(p.t, os.MkdirAll(p.dir, 0o700))
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm,mode=0700", mib), "tmpfs", p.dir).CombinedOutput()
	if err != nil {
		p.t.Skipf("SKIPPED, a small file system cannot be mounted: %v: %s", err, out)
	}
	p.t.Cleanup(func() {
		p.kill()
		out, err := exec.Command("umount", p.dir).CombinedOutput()
		require.NoError(p.t, err, string(out))
	})
}

// Before the disk is full, writes are refused with 507; reads and deletes go on, and writes do once there is room.
func TestDiskNearlyFull(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	c := newCluster(t, 1, "--min-free-disk", fmt.Sprint(96*mib))
	p := c.nodes[0]
	p.small(256)
	c.start()
	root := login(t, p)
	root.must(t, http.MethodPost, "/accounts/root/scopes/full", nil, http.StatusCreated)
	root.must(t, http.MethodPost, "/rses/FULL", map[string]any{"deterministic": true}, http.StatusCreated)
	root.must(t, http.MethodPost, "/replicas", registration("FULL", "full", "kept", "deleted"), http.StatusCreated)

	free := int(p.metric("dapple_cluster_disk_free_bytes"))
	require.EqualValues(t, 96*mib, p.metric("dapple_cluster_disk_min_free_bytes"))
	ballast := filepath.Join(p.dir, "ballast")
	require.NoError(t, os.WriteFile(ballast, bytes.Repeat([]byte("x"), free-100*mib), 0o600))
	status, answer := http.StatusCreated, []byte(nil)
	for i, end := 0, time.Now().Add(patience); status == http.StatusCreated; i++ {
		require.True(t, time.Now().Before(end), "writes are never refused")
		names := make([]string, 500)
		for j := range names {
			names[j] = fmt.Sprintf("file-%d-%d", i, j)
		}
		var err error
		status, answer, err = root.do(t.Context(), http.MethodPost, "/replicas", registration("FULL", "full", names...))
		require.NoError(t, err)
	}
	require.Equal(t, http.StatusInsufficientStorage, status, string(answer))
	var refused struct{ ExceptionClass, ExceptionMessage string }
	require.NoError(t, json.Unmarshal(answer, &refused))
	require.Equal(t, "ResourceTemporaryUnavailable", refused.ExceptionClass)
	require.Contains(t, refused.ExceptionMessage, "the disk of n1 is nearly full")

	require.True(t, p.ready())
	require.EqualValues(t, 1, p.metric(`dapple_cluster_alarms{reason="disk_low"}`))
	root.must(t, http.MethodGet, "/replicas/full/kept?consistency=linearizable", nil, http.StatusOK)
	root.must(t, http.MethodDelete, "/replicas", map[string]any{
		"rse": "FULL", "files": []any{map[string]any{"scope": "full", "name": "deleted"}},
	}, http.StatusOK)
	login(t, p)

	require.NoError(t, os.Remove(ballast))
	require.Eventually(t, func() bool {
		status, _, err := root.do(t.Context(), http.MethodPost, "/replicas", registration("FULL", "full", "after"))
		return err == nil && status == http.StatusCreated
	}, patience, 50*time.Millisecond, "writes are refused although there is room")
	log, err := os.ReadFile(p.dir + ".log")
	require.NoError(t, err)
	require.NotContains(t, string(log), "no space left")
}
