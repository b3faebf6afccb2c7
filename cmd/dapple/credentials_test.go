package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
)

// The password of a client comes from a file or the variable. On the command line it is warned about, since every user of
// the host sees it there; without any of them and without a terminal nothing is asked.
func TestPasswordOfClients(t *testing.T) {
	cluster := testcluster.Start(t, 1)
	right, wrong := filepath.Join(t.TempDir(), "right"), filepath.Join(t.TempDir(), "wrong")
	require.NoError(t, os.WriteFile(right, []byte(testcluster.Password+"\n"), 0o600))
	require.NoError(t, os.WriteFile(wrong, []byte("wrong\n"), 0o600))
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	bench := []string{
		"bench", "--target", cluster.URLs()[0], "--user", testcluster.User, "--workload", "lookup",
		"--requests", "1", "--duration", "0s", "--warmup", "0s", "--files", "1", "--clients", "1",
	}
	imports := []string{"import", "--target", cluster.URLs()[0], "--user", testcluster.User, empty}
	for what, command := range map[string][]string{"bench": bench, "import": imports} {
		for name, tt := range map[string]struct {
			args     []string
			variable string
			code     int
			says     string
		}{
			"a file":              {[]string{"--password-file", right}, "", 0, ""},
			"the variable":        {nil, testcluster.Password, 0, ""},
			"a file wins":         {[]string{"--password-file", right}, "wrong", 0, ""},
			"the flag":            {[]string{"--password", testcluster.Password}, "", 0, "--password-file or DAPPLE_PASSWORD"},
			"the flag wins":       {[]string{"--password", testcluster.Password}, "wrong", 0, "--password-file or DAPPLE_PASSWORD"},
			"nothing":             {nil, "", exitUsage, "no password"},
			"a file that is none": {[]string{"--password-file", "/no/such"}, "", exitUsage, "/no/such"},
			"a wrong one":         {[]string{"--password-file", wrong}, "", exitFailure, "401"},
		} {
			t.Run(what+" with "+name, func(t *testing.T) {
				if tt.variable != "" {
					t.Setenv(passwordVariable, tt.variable)
				}
				var out, errs bytes.Buffer
				require.Equal(t, tt.code, run(t.Context(), append(command[:len(command):len(command)], tt.args...), &out, &errs), errs.String())
				if tt.says == "" {
					require.Empty(t, errs.String())
				}
				require.Contains(t, errs.String(), tt.says)
				require.NotContains(t, errs.String(), testcluster.Password)
			})
		}
	}
}

// The health check of a node with a certificate of a private authority.
func TestHealthWithCA(t *testing.T) {
	cert, key, _ := testcluster.Certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ready\n")) }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	defer server.Close()
	health := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := run(context.Background(), append([]string{"health", "--url", server.URL, "--timeout", "30s"}, args...), &out, &out)
		return code, out.String()
	}
	code, out := health("--ca", cert)
	require.Zero(t, code, out)
	code, out = health()
	require.Equal(t, exitFailure, code)
	require.Contains(t, out, "certificate")
	code, out = health("--ca", key)
	require.Equal(t, exitUsage, code)
	require.Contains(t, out, "no certificate")
	code, _ = health("--ca", "/no/such")
	require.Equal(t, exitUsage, code)
}
