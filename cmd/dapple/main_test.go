package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
)

// parseServe parses the flags of serve without running it.
func parseServe(t *testing.T, args ...string) (*serveCmd, error) {
	t.Helper()
	var c cli
	parser, err := newParser(&c)
	require.NoError(t, err)
	_, err = parser.Parse(append([]string{"serve"}, args...))
	return &c.Serve, err
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "dapple.yaml")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// A flag wins over the environment, the environment over the file, the file over the default.
func TestSettingsPrecedence(t *testing.T) {
	file := writeFile(t, "node-id: file\ndata-dir: /file\nhttp-addr: :1\nwrite-timeout: 3s\njoin: [a:1, b:1]\nbootstrap-expect: 2\n")
	t.Setenv("DAPPLE_DATA_DIR", "/env")
	t.Setenv("DAPPLE_HTTP_ADDR", ":2")
	c, err := parseServe(t, "--config", file, "--http-addr", ":3")
	require.NoError(t, err)
	require.Equal(t, "file", c.NodeID)
	require.Equal(t, "/env", c.DataDir)
	require.Equal(t, ":3", c.HTTPAddr)
	require.Equal(t, 3*time.Second, c.Tuning.WriteTimeout)
	require.Equal(t, []string{"a:1", "b:1"}, c.Join)
	require.Equal(t, 2, c.BootstrapExpect)
	require.Equal(t, ":7080", c.ClusterAddr, "the default")
}

func TestSettingsFromTheEnvironmentAlone(t *testing.T) {
	for key, value := range map[string]string{
		"DAPPLE_NODE_ID": "n1", "DAPPLE_DATA_DIR": "/d", "DAPPLE_JOIN": "a:1,b:1", "DAPPLE_BOOTSTRAP_EXPECT": "2",
		"DAPPLE_CLUSTER_ADVERTISE": "n1:7080", "DAPPLE_HTTP_ADVERTISE": "http://n1", "DAPPLE_ROOT_USER": "admin",
		"DAPPLE_CONFIG": writeFile(t, "log-format: json\n"),
	} {
		t.Setenv(key, value)
	}
	c, err := parseServe(t)
	require.NoError(t, err)
	require.Equal(t, "n1", c.NodeID)
	require.Equal(t, []string{"a:1", "b:1"}, c.Join)
	require.Equal(t, "n1:7080", c.ClusterAdvertise)
	require.Equal(t, "admin", c.RootUser)
	require.Equal(t, "json", c.LogFormat)
}

func TestSettingsOfClients(t *testing.T) {
	base := []string{"--node-id", "a", "--data-dir", "/d"}
	origins := []string{"https://a.example.org", "https://*.b.example.org"}
	file := writeFile(t, "cors-origins: ["+strings.Join(origins, ", ")+"]\nhttp2: true\n")
	for _, args := range [][]string{
		{"--cors-origins", strings.Join(origins, ","), "--http2"},
		{"--config", file},
	} {
		c, err := parseServe(t, append(base, args...)...)
		require.NoError(t, err)
		cfg := c.nodeConfig(nil)
		require.Equal(t, origins, cfg.CORSOrigins)
		require.True(t, cfg.HTTP2)
	}
	c, err := parseServe(t, base...)
	require.NoError(t, err)
	require.Empty(t, c.nodeConfig(nil).CORSOrigins)
	require.False(t, c.nodeConfig(nil).HTTP2)
	t.Setenv("DAPPLE_CORS_ORIGINS", strings.Join(origins, ","))
	t.Setenv("DAPPLE_HTTP2", "true")
	c, err = parseServe(t, base...)
	require.NoError(t, err)
	require.Equal(t, origins, c.nodeConfig(nil).CORSOrigins)
	require.True(t, c.nodeConfig(nil).HTTP2)
}

func TestWrongSettingsAreRefused(t *testing.T) {
	base := []string{"--node-id", "a", "--data-dir", "/d"}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no node id":      {[]string{"--data-dir", "/d"}, "--node-id"},
		"misspelt key":    {append(base, "--config", writeFile(t, "nodeid: a\n")), `unknown setting "nodeid"`},
		"no such file":    {append(base, "--config", "/no/such/file"), "/no/such/file"},
		"no YAML":         {append(base, "--config", writeFile(t, "a: [")), "yaml"},
		"no duration":     {append(base, "--write-timeout", "soon"), "write-timeout"},
		"no such format":  {append(base, "--log-format", "xml"), "log-format"},
		"no such setting": {append(base, "--no-such"), "no-such"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseServe(t, c.args...)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"version":       {[]string{"version"}, 0, "dapple "},
		"help":          {[]string{"--help"}, 0, "Run one node of a cluster"},
		"no command":    {nil, exitUsage, "expected one of"},
		"no password":   {[]string{"serve", "--node-id", "a", "--data-dir", "/d", "--root-password-file", "/no/such"}, exitUsage, "/no/such"},
		"no such port":  {[]string{"dev", "--http-port", "60000"}, exitUsage, "--http-port"},
		"nobody there":  {[]string{"health", "--url", "http://127.0.0.1:1", "--timeout", "1s"}, exitFailure, "refused"},
		"no workload":   {[]string{"bench", "--target", "http://127.0.0.1:1", "--user", "u", "--password", "p", "--workload", "none"}, exitUsage, "no workload"},
		"workloads":     {[]string{"bench", "--help"}, 0, "register-bulk"},
		"no such place": {[]string{"serve", "--node-id", "a", "--data-dir", "/proc/none"}, exitFailure, "/proc/none"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			require.Equal(t, c.code, run(t.Context(), c.args, &out, &out), out.String())
			require.Contains(t, out.String(), c.want)
		})
	}
}

// A cluster that nobody could log in to is not formed: the process says what is missing and ends.
func TestFormingWithoutRootIsRefused(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	code := run(ctx, []string{
		"serve", "--node-id", "a", "--data-dir", t.TempDir(), "--http-addr", testcluster.FreeAddress(t), "--cluster-addr", testcluster.FreeAddress(t),
		"--log-level", "error",
	}, &out, &out)
	require.Equal(t, exitFailure, code)
	require.Contains(t, out.String(), "DAPPLE_ROOT_PASSWORD")
	require.NoError(t, ctx.Err(), "it ended by itself")
}

// dapple dev gets ready and stops when told to.
func TestDev(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &readyWriter{cancel: cancel}
	require.Zero(t, run(ctx, []string{"dev", "--nodes", "1", "--http-port", "0", "--log-level", "error"}, out, out), out.text.String())
	require.Contains(t, out.text.String(), "ready\n")
	require.Regexp(t, `node 1: http://127\.0\.0\.1:[1-9]\d*\n`, out.text.String())
}

// readyWriter stops a cluster once it says that it is ready.
type readyWriter struct {
	text   strings.Builder
	cancel context.CancelFunc
}

func (w *readyWriter) Write(b []byte) (int, error) {
	if string(b) == "ready\n" {
		defer w.cancel()
	}
	return w.text.Write(b)
}
