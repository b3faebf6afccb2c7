// Package readme runs the console sessions of the README and compares what they print.
package readme

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
)

// line is one command of a console session and what the README says it prints.
type line struct{ command, want string }

func sessions(t *testing.T) []line {
	t.Helper()
	b, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	var lines []line
	inside := false
	for text := range strings.Lines(string(b)) {
		text = strings.TrimSuffix(text, "\n")
		switch {
		case strings.HasPrefix(text, "```"):
			inside = text == "```console"
		case inside && strings.HasPrefix(text, "$ "):
			lines = append(lines, line{command: text[2:]})
		case inside:
			lines[len(lines)-1].want += text + "\n"
		}
	}
	require.Greater(t, len(lines), 5, "the README's sessions")
	return lines
}

// TestConsoleSessions plays the README on a cluster of its own, in one shell, as a reader would.
func TestConsoleSessions(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not here", tool)
		}
	}
	const separator = "-- end of command --"
	cluster := testcluster.Start(t, 3)
	lines := sessions(t)
	var script strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&script, "%s\necho '%s'\n", l.command, separator)
	}
	text := script.String()
	for i, url := range cluster.URLs() {
		text = strings.ReplaceAll(text, fmt.Sprintf("http://127.0.0.1:%d", 8080+i), url)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", text)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	answers := strings.Split(string(out), separator+"\n")
	require.Len(t, answers, len(lines)+1, string(out))
	for i, l := range lines {
		require.Equal(t, l.want, answers[i], "$ %s", l.command)
	}
}
