package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
	"dapple/node"
)

// Passwords, tokens and signing keys are changed from the command line, on a real node.
func TestAccountsAndTokens(t *testing.T) {
	cluster := testcluster.Start(t, 1, func(c *node.Config) { c.PasswordMinLength = 8 })
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text+"\n"), 0o600))
		return path
	}
	first, second, short := file("first", testcluster.Password), file("second", "much longer"), file("short", "1")
	dapple := func(want int, password string, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		args = append(args, "--url", cluster.URLs()[0], "--user", testcluster.User, "--password-file", password)
		require.Equal(t, want, run(t.Context(), args, &out, &errs), errs.String())
		return out.String() + errs.String()
	}
	require.Contains(t, dapple(exitFailure, first, "account", "set-password", "--new-password-file", short), "at least 8")
	dapple(0, first, "account", "set-password", "--new-password-file", second)
	dapple(exitFailure, first, "token", "keys")
	old := strings.Fields(dapple(0, second, "token", "keys"))[0]
	fresh := strings.TrimSpace(dapple(0, second, "token", "rotate-key"))
	require.Contains(t, dapple(0, second, "token", "keys"), fresh)
	dapple(0, second, "token", "delete-key", old)
	require.NotContains(t, dapple(0, second, "token", "keys"), old)
	dapple(exitFailure, second, "token", "delete-key", fresh)
	dapple(0, second, "token", "revoke", "root")
	dapple(exitUsage, second, "token", "revoke")
	require.Contains(t, dapple(exitFailure, second, "account", "set-password", "--identity", "nobody", "--new-password-file", second), "nobody")
}
