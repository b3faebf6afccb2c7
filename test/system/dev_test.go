package system

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/environ"
)

const (
	waitLimit = 30 * time.Second
	waitStep  = 50 * time.Millisecond
	// devStopLimit allows for a busy machine; on a quiet one dev ends in well under a second.
	devStopLimit = 10 * time.Second
)

// dapple dev says ready and three lines to go on with, which work; its first node says at / what it is; it logs nothing above
// INFO from the start to Ctrl-C, and then ends soon.
func TestDev(t *testing.T) {
	if testing.Short() {
		t.Skip("real processes are left out with -short")
	}
	binary, err := buildBinary()
	require.NoError(t, err)
	cmd := exec.Command(binary, "dev", "--http-port", "0", "--log-level", "info", "--password", "it's secret")
	cmd.Env = environ.Dapple()
	var logged bytes.Buffer
	cmd.Stderr = &logged
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	base := ""
	for lines.Scan() && lines.Text() != "ready" {
		if url, found := strings.CutPrefix(lines.Text(), "node 1: "); found {
			base = url
		}
	}
	var next []string
	for len(next) < 3 && lines.Scan() {
		next = append(next, lines.Text())
	}
	require.Len(t, next, 3, "%s", logged.String())

	require.True(t, strings.HasPrefix(next[0], "export "), next[0])
	require.Equal(t, "docs: "+base+"/", next[2])
	shell, err := exec.LookPath("bash")
	if err == nil {
		answer, shellErr := exec.CommandContext(t.Context(), shell, "-c", next[0]+"\n"+strings.Replace(next[1], "curl ", "curl -sS ", 1)).CombinedOutput()
		require.NoError(t, shellErr, "%s", answer)
		require.Contains(t, string(answer), `"account":`)
	}
	requireLanding(t, base)

	began := time.Now()
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	rest, err := io.ReadAll(out)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	took := time.Since(began)
	t.Logf("it ended after %v", took)
	require.Less(t, took, devStopLimit)
	require.Empty(t, string(rest))
	require.Empty(t, loud.FindAllString(logged.String(), -1))
	require.Contains(t, logged.String(), "leadership was handed over")
}

// requireLanding requires that / names places that answer.
func requireLanding(t *testing.T, base string) {
	t.Helper()
	response, err := http.Get(base + "/")
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	var landing struct {
		Name, Version string
		Links         map[string]string
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&landing))
	require.Equal(t, "Dapple", landing.Name)
	for name, path := range landing.Links {
		status := http.StatusOK
		if name == "login" || name == "status" { // need a password or a token
			status = http.StatusUnauthorized
		}
		response, err := http.Get(base + path)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, status, response.StatusCode, path)
	}
}
