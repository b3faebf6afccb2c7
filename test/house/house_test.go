// Package house tests the rules of the house: who imports whom, and how long a file may be.
package house

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// forbidden lists, for a package, what must not be among its dependencies, direct or not. See docs/architecture.md.
var forbidden = map[string][]string{
	"command": {"dapple/"},
	"catalogue": {
		"dapple/fsm", "dapple/transport", "dapple/cluster", "dapple/httpapi", "dapple/node",
		"github.com/hashicorp/raft", "github.com/cockroachdb/pebble", "net/http", "math/rand", "math/rand/v2",
	},
	"fsm":       {"dapple/transport", "dapple/cluster", "dapple/httpapi", "dapple/node", "github.com/gin-gonic/gin"},
	"transport": {"dapple/catalogue", "dapple/fsm", "dapple/cluster", "dapple/httpapi", "dapple/node"},
	"cluster":   {"dapple/catalogue", "dapple/fsm", "dapple/httpapi", "dapple/node", "github.com/gin-gonic/gin"},
	"httpapi": {
		"dapple/fsm", "dapple/transport", "dapple/cluster", "dapple/node",
		"github.com/hashicorp/raft", "github.com/cockroachdb/pebble",
	},
	"node": {"dapple/cmd"},
	// A library for others: nothing of the server comes with it.
	"client": {"dapple/", "github.com/gin-gonic/gin", "github.com/hashicorp/raft", "github.com/cockroachdb/pebble"},
	// It measures Dapple and Rucio alike, by what any client can ask.
	"bench": {
		"dapple/command", "dapple/catalogue", "dapple/fsm", "dapple/transport", "dapple/cluster", "dapple/httpapi", "dapple/node",
		"github.com/gin-gonic/gin", "github.com/hashicorp/raft", "github.com/cockroachdb/pebble",
	},
	// Another client of the API, of Rucio's too. It takes the states of replicas from package command.
	"importer": {
		"dapple/bench", "dapple/catalogue", "dapple/fsm", "dapple/transport", "dapple/cluster", "dapple/httpapi", "dapple/node",
		"github.com/gin-gonic/gin", "github.com/hashicorp/raft", "github.com/cockroachdb/pebble",
	},
}

// direct lists what a package must not import itself, though a library of its may: protobuf brings in some of it.
var direct = map[string]bool{"math/rand": true, "math/rand/v2": true, "net/http": true}

func TestImportDirections(t *testing.T) {
	for pkg, refused := range forbidden {
		t.Run(pkg, func(t *testing.T) {
			deps := goList(t, "-deps", "dapple/"+pkg)
			imports := goList(t, "-f", `{{join .Imports "\n"}}`, "dapple/"+pkg)
			require.NotEmpty(t, deps)
			for _, prefix := range refused {
				among := deps
				if direct[prefix] {
					among = imports
				}
				for _, dep := range among {
					if dep != "dapple/"+pkg && (dep == prefix || strings.HasPrefix(dep, strings.TrimSuffix(prefix, "/")+"/")) {
						t.Errorf("package %s depends on %s", pkg, dep)
					}
				}
			}
		})
	}
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	return strings.Fields(string(out))
}

func TestFilesAreShort(t *testing.T) {
	const limit = 500
	seen := 0
	err := filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2 {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".pb.go") {
			return nil
		}
		seen++
		if n := lines(t, path); n >= limit {
			t.Errorf("%s has %d lines, the limit is %d", path, n, limit)
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, seen, 50, "the walk must see the whole project")
}

func lines(t *testing.T, path string) int {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	n := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		n++
	}
	return n
}
