package conformance

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
)

const (
	rucioUser, rucioPassword = "bench", "bench"
	// rucioStart bounds the wait for the server, which takes about 40 s on an idle machine.
	rucioStart = 15 * time.Minute
	// rucioEnd is how long the server may take to end before it is killed.
	rucioEnd = 2 * time.Minute
)

// TestRecordingsOnRucio plays the stories against a real Rucio server and against Dapple, on one node and on three.
// It needs what scripts/rucio-server needs; scripts/rucio-conformance provides the source.
func TestRecordingsOnRucio(t *testing.T) {
	if os.Getenv("RUCIO_SOURCE") == "" {
		t.Skip("RUCIO_SOURCE names no tree of Rucio's source")
	}
	all := withMore(t, stories(t))
	known, err := LoadDifferences("testdata/rucio/differences.json")
	require.NoError(t, err)
	require.Empty(t, known.stale(all))
	t.Run("Rucio", func(t *testing.T) {
		player := NewPlayer([]string{startRucio(t)}, rucioUser, rucioPassword)
		player.ExpectRucio(known)
		playAll(t, player, all)
	})
	t.Run("one node", func(t *testing.T) { play(t, all, testcluster.Start(t, 1).URLs()) })
	t.Run("three nodes", func(t *testing.T) { play(t, all, testcluster.Start(t, 3).URLs()) })
}

// withMore adds the stories that lie beside the repository and are not in testdata yet.
func withMore(t *testing.T, all []Story) []Story {
	t.Helper()
	known := map[string]bool{}
	for i := range all {
		known[all[i].Scenario] = true
	}
	for _, folder := range []string{"conformance", "field"} {
		pattern := filepath.Join("..", "..", "..", "shared", folder, "*.json")
		if found, err := filepath.Glob(pattern); err != nil || len(found) == 0 {
			t.Logf("no further stories at %s", pattern)
			continue
		}
		more, err := Load(pattern)
		require.NoError(t, err)
		for i := range more {
			if !known[more[i].Scenario] {
				known[more[i].Scenario] = true
				all = append(all, more[i])
			}
		}
	}
	return all
}

// startRucio starts Rucio's server, returns its URL once it answers, and ends it with the test.
func startRucio(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("../../scripts/rucio-server", "--open-deletion", "--workers", "1", "--until-eof", "0")
	cmd.Stderr = t.Output()
	// The server ends when its input does: also if this process is killed and cannot say so.
	input, err := cmd.StdinPipe()
	require.NoError(t, err)
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = input.Close()
		killer := time.AfterFunc(rucioEnd, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
		defer killer.Stop()
		_, _ = io.Copy(io.Discard, output)
		require.NoError(t, cmd.Wait(), "the end of Rucio's server")
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err, "Rucio's server names no URL")
	url := strings.TrimSpace(line)

	// It listens before it can answer, so that the first request waits for that.
	client := &http.Client{Timeout: rucioStart}
	answer, err := client.Get(url + "/ping")
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	return url
}
