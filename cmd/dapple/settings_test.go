package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
)

// foreignFlags stand in the documentation and belong to other programs, or are spellings of earlier versions.
var foreignFlags = []string{"workloads", "latency", "closed", "httptls-cert", "httptls-key", "cluster-tlsca"}

// testVariables are read by tests alone.
var testVariables = []string{"DAPPLE_MUTATIONS", "DAPPLE_ROUNDS", "DAPPLE_CONFORMANCE_URLS", "DAPPLE_LONG"}

// documentation returns the README and the pages of docs by name.
func documentation(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	pages := map[string]string{}
	for _, name := range append(names, "../../README.md") {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		pages[filepath.Base(name)] = string(b)
	}
	return pages
}

func model(t *testing.T) *kong.Node {
	t.Helper()
	parser, err := newParser(&cli{})
	require.NoError(t, err)
	return parser.Model.Node
}

// flagsOf returns the flags of a command by name.
func flagsOf(t *testing.T, command string) map[string]*kong.Flag {
	t.Helper()
	flags := map[string]*kong.Flag{}
	for _, node := range model(t).Children {
		if node.Name != command {
			continue
		}
		for _, part := range append(node.Children, node) {
			for _, flag := range part.Flags {
				flags[flag.Name] = flag
			}
		}
	}
	return flags
}

var (
	flagName = regexp.MustCompile(`--([a-z][a-z0-9-]+)`)
	varName  = regexp.MustCompile(`\bDAPPLE_[A-Z][A-Z0-9_]*[A-Z0-9]\b`)
)

// row is what a table of docs/configuration.md says of a flag.
type row struct{ variable, fallback string }

// documentedRows reads the tables of flags below a heading, up to the next one of its rank.
func documentedRows(t *testing.T, page string) map[string]row {
	t.Helper()
	rows := map[string]row{}
	defaults := false
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if strings.HasPrefix(line, "| flag |") {
			defaults = len(cells) > 3
		}
		if !strings.HasPrefix(line, "| `--") {
			continue
		}
		flags := flagName.FindAllStringSubmatch(cells[0], -1)
		variables := strings.Split(cells[1], ",")
		require.Len(t, variables, len(flags), line)
		fallbacks := slices.Repeat([]string{""}, len(flags))
		if defaults {
			fallbacks = strings.Split(cells[2], ",")
			if len(flags) == 1 {
				fallbacks = []string{cells[2]}
			}
			require.Len(t, fallbacks, len(flags), line)
		}
		for i, flag := range flags {
			rows[flag[1]] = row{strings.Trim(variables[i], "` "), strings.Trim(fallbacks[i], "` ")}
		}
	}
	return rows
}

// requireRow compares a row with the flag.
func requireRow(t *testing.T, flag *kong.Flag, r row) {
	t.Helper()
	require.Equal(t, flag.Tag.Envs[0], r.variable, "--%s", flag.Name)
	word, _, _ := strings.Cut(r.fallback, ":")
	switch {
	case r.fallback == "required":
		require.True(t, flag.Required, "--%s is not required", flag.Name)
	case word == "0", r.fallback == "", strings.HasPrefix(r.fallback, "from "), strings.HasPrefix(r.fallback, "a "):
		require.Empty(t, flag.Default, "--%s", flag.Name)
		require.False(t, flag.Required, "--%s", flag.Name)
	default:
		require.Equal(t, flag.Default, r.fallback, "--%s", flag.Name)
	}
}

// Every flag of serve, dev and health stands in a table of docs/configuration.md with its variable and its default, and the
// tables name no other.
func TestFlagsAreDocumented(t *testing.T) {
	page := documentation(t)["configuration.md"]
	serve, rest, found := strings.Cut(page, "## Commands beside serve")
	require.True(t, found)
	dev, health, found := strings.Cut(rest, "### dapple health")
	require.True(t, found)
	health, _, found = strings.Cut(health, "### dapple account and token")
	require.True(t, found)
	tuned := map[string]bool{}
	tuning, err := kong.New(&struct {
		Tuning tuning `embed:""`
	}{})
	require.NoError(t, err)
	for _, flag := range tuning.Model.Flags {
		tuned[flag.Name] = true
	}
	for command, text := range map[string]string{"serve": serve, "dev": dev, "health": health} {
		rows := documentedRows(t, text)
		flags := flagsOf(t, command)
		for name, flag := range flags {
			if name == "help" || flag.Hidden || (command == "dev" && tuned[name]) {
				continue
			}
			if name == "config" {
				require.Contains(t, text, "`--config` (or `DAPPLE_CONFIG`)")
				continue
			}
			r, documented := rows[name]
			require.True(t, documented, "dapple %s --%s stands in no table", command, name)
			requireRow(t, flag, r)
		}
		for name := range rows {
			require.Contains(t, flags, name, "dapple %s has no such flag", command)
		}
	}
}

// Every flag of every command is named in the documentation, and every flag and variable that the documentation names exists.
func TestDocumentedFlagsExist(t *testing.T) {
	pages := documentation(t)
	var all strings.Builder
	flags := map[string]bool{}
	_, variableNames := variables(model(t))
	for _, node := range model(t).Children {
		for name, flag := range flagsOf(t, node.Name) {
			flags[name] = true
			require.Equal(t, variablePrefix+strings.ToUpper(strings.ReplaceAll(name, "-", "_")), append(flag.Tag.Envs, "DAPPLE_HELP")[0])
		}
	}
	for name, page := range pages {
		all.WriteString(page)
		for _, flag := range flagName.FindAllStringSubmatch(page, -1) {
			require.True(t, flags[flag[1]] || slices.Contains(foreignFlags, flag[1]), "%s names --%s, which no command has", name, flag[1])
		}
		for _, variable := range varName.FindAllString(page, -1) {
			known := slices.Contains(variableNames, variable) || slices.Contains(testVariables, variable) || serviceVariable.MatchString(variable) ||
				variable == "DAPPLE_PORT" || strings.HasPrefix(variable, "DAPPLE_SERVICE")
			require.True(t, known, "%s names %s, which no command reads", name, variable)
		}
	}
	for name := range flags {
		require.Contains(t, all.String(), "`--"+name, "--%s is documented nowhere", name)
	}
}

// The spellings of earlier versions still work as flag, variable and key of the file; the documented one wins.
func TestEarlierSpellings(t *testing.T) {
	base := []string{"--node-id", "a", "--data-dir", "/d"}
	c, err := parseServe(t, append(base, "--httptls-cert", "c", "--httptls-key", "k", "--cluster-tlsca", "ca")...)
	require.NoError(t, err)
	require.Equal(t, []string{"c", "k", "ca"}, []string{c.HTTPTLSCert, c.HTTPTLSKey, c.ClusterTLSCA})

	file := writeFile(t, "httptls-cert: fc\nhttptls-key: fk\ncluster-tlsca: fca\n")
	c, err = parseServe(t, append(base, "--config", file)...)
	require.NoError(t, err)
	require.Equal(t, []string{"fc", "fk", "fca"}, []string{c.HTTPTLSCert, c.HTTPTLSKey, c.ClusterTLSCA})

	t.Setenv("DAPPLE_HTTPTLS_CERT", "ec")
	t.Setenv("DAPPLE_HTTPTLS_KEY", "ek")
	t.Setenv("DAPPLE_CLUSTER_TLSCA", "eca")
	t.Setenv("DAPPLE_HTTP_TLS_KEY", "new")
	c, err = parseServe(t, append(base, "--config", file)...)
	require.NoError(t, err)
	require.Equal(t, []string{"ec", "new", "eca"}, []string{c.HTTPTLSCert, c.HTTPTLSKey, c.ClusterTLSCA})

	var out bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"serve", "--help"}, &out, &out))
	require.Contains(t, out.String(), "DAPPLE_HTTP_TLS_CERT")
	require.NotContains(t, out.String(), "HTTPTLS")
	require.NotContains(t, out.String(), "tlsca")
}

// A variable that no command has stops every command but version, and the message names the nearest one.
func TestUnknownVariableStopsTheStart(t *testing.T) {
	for name, tt := range map[string]struct{ variable, value, nearest string }{
		"a letter":  {"DAPPLE_HTTP_TLS_CERTS", "x", "DAPPLE_HTTP_TLS_CERT"},
		"no line":   {"DAPPLE_NODEID", "x", "DAPPLE_NODE_ID"},
		"a port":    {"DAPPLE_HTPP_PORT", "8080", "DAPPLE_HTTP_PORT"},
		"password":  {"DAPPLE_ROOT_PASWORD", "x", rootPasswordVariable},
		"swapped":   {"DAPPLE_TLS_HTTP_CERT", "x", "DAPPLE_HTTP_TLS_CERT"},
		"with file": {"DAPPLE_ROOTPASSWORD_FILE", "x", "DAPPLE_ROOT_PASSWORD_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(tt.variable, tt.value)
			for _, command := range [][]string{
				{"serve"},
				{"serve", "--node-id", "a", "--data-dir", t.TempDir()},
				{"dev"},
				{"health"},
				{"import", "--target", "http://127.0.0.1:1", "--user", "u", "--password", "p"},
			} {
				var out bytes.Buffer
				require.Equal(t, exitUsage, run(t.Context(), command, &out, &out), out.String())
				require.Contains(t, out.String(), "unknown environment variable "+tt.variable+"; did you mean "+tt.nearest+"?")
			}
			var out bytes.Buffer
			require.Zero(t, run(t.Context(), []string{"version"}, &out, &out))
			require.Zero(t, run(t.Context(), []string{"serve", "--help"}, &out, &out))
		})
	}
}

func TestVariablesOfKubernetesAreLetThrough(t *testing.T) {
	m := model(t)
	for _, entry := range []string{
		"DAPPLE_SERVICE_HOST=10.0.0.1", "DAPPLE_SERVICE_PORT=8080", "DAPPLE_SERVICE_PORT_HTTP=8080", "DAPPLE_PORT=tcp://10.0.0.1:8080",
		"DAPPLE_PORT_8080_TCP=tcp://10.0.0.1:8080", "DAPPLE_PORT_8080_TCP_PROTO=tcp", "DAPPLE_PORT_8080_TCP_PORT=8080",
		"DAPPLE_PORT_8080_TCP_ADDR=10.0.0.1", "DAPPLE_CLUSTER_SERVICE_HOST=10.0.0.1", "DAPPLE_CLUSTER_PORT=tcp://10.0.0.1:7080",
		"DAPPLE_NODE_ID=a", "DAPPLE_HTTPTLS_CERT=x", "HOME=/", "DAPPLES=1",
	} {
		require.NoError(t, checkEnvironment(m, []string{entry}), entry)
	}
	for _, entry := range []string{"DAPPLE_PORT=8080", "DAPPLE_SERVICE=x", "DAPPLE_PORT_8080=x", "DAPPLE_CLUSTER_PORT=7080", "DAPPLE_=x"} {
		require.Error(t, checkEnvironment(m, []string{entry}), entry)
	}
}

func TestUnknownKeyNamesTheNearest(t *testing.T) {
	_, err := parseServe(t, "--node-id", "a", "--data-dir", "/d", "--config", writeFile(t, "http-tls-crt: a\n"))
	require.ErrorContains(t, err, `unknown setting "http-tls-crt"; did you mean "http-tls-cert"?`)
}

// A node that is told by its environment to serve TLS serves HTTPS and nothing else, and speaks TLS to other nodes.
func TestTLSFromTheEnvironment(t *testing.T) {
	cert, key, pool := testcluster.Certificate(t)
	address, password := testcluster.FreeAddress(t), filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(password, []byte("secret\n"), 0o600))
	for name, value := range map[string]string{
		"DAPPLE_NODE_ID": "a", "DAPPLE_DATA_DIR": t.TempDir(), "DAPPLE_HTTP_ADDR": address, "DAPPLE_CLUSTER_ADDR": "127.0.0.1:0",
		"DAPPLE_CLUSTER_ADVERTISE": "127.0.0.1:1", "DAPPLE_ROOT_USER": "admin", "DAPPLE_ROOT_PASSWORD_FILE": password,
		"DAPPLE_HTTP_TLS_CERT": cert, "DAPPLE_HTTP_TLS_KEY": key, "DAPPLE_HTTP_CLIENT_CA": cert,
		"DAPPLE_CLUSTER_TLS_CERT": cert, "DAPPLE_CLUSTER_TLS_KEY": key, "DAPPLE_CLUSTER_TLS_CA": cert, "DAPPLE_LOG_LEVEL": "error",
	} {
		t.Setenv(name, value)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"serve"}, &out, &out) }()
	client := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	get := func(scheme string) int {
		response, err := client.Get(scheme + "://" + address + "/readyz")
		if err != nil {
			return 0
		}
		defer response.Body.Close()
		return response.StatusCode
	}
	require.Eventually(t, func() bool { return get("https") == http.StatusOK }, 30*time.Second, 50*time.Millisecond, "no HTTPS")
	require.Equal(t, http.StatusBadRequest, get("http"), "plain HTTP is told that this is HTTPS")
	cancel()
	require.Zero(t, <-ended, out.String())
	require.Empty(t, out.String())
}
