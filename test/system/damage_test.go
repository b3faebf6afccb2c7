package system

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/environ"
	"dapple/internal/testcluster"
)

// Exit codes of `dapple serve`, as docs/runbook.md lists them.
const (
	exitDiskFull     = 10
	exitInUse        = 11
	exitLogDamaged   = 13
	exitStoreDamaged = 14
	exitIncomplete   = 15
)

// damage is what is done to one file of a stopped node.
type damage struct {
	file  string // below the data folder; * for what the store numbers
	spoil func(b []byte) []byte
	code  int
	says  string // in the message, beside the way out
}

func cut(b []byte) []byte { return b[:len(b)/2] }
func empty([]byte) []byte { return nil }

// overwrite puts garbage over the pages of a log, but for the two with which it begins.
func overwrite(b []byte) []byte {
	begin := 2 * os.Getpagesize()
	return append(bytes.Clone(b[:begin]), garbage(b[begin:])...)
}

func garbage(b []byte) []byte { return bytes.Repeat([]byte("garbage!"), len(b)/8+1) }

var damages = map[string]damage{
	"log cut":          {"raft.db", cut, exitLogDamaged, "raft.db"},
	"log emptied":      {"raft.db", empty, exitIncomplete, "raft.db is lost"},
	"log overwritten":  {"raft.db", overwrite, exitLogDamaged, "raft.db"},
	"manifest changed": {"state/store-1/MANIFEST-*", garbage, exitStoreDamaged, "MANIFEST-"},
	"manifest emptied": {"state/store-1/MANIFEST-*", empty, exitStoreDamaged, "MANIFEST-"},
	"table cut":        {"state/store-1/*.sst", cut, exitStoreDamaged, ".sst"},
}

// TestDamagedNode damages one of three nodes in several ways. Each time it ends with the code of the damage and the way out, keeps
// its files, and the others go on. At last it takes the way out of the runbook.
func TestDamagedNode(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "cluster-key")
	c := newCluster(t, 3, "--cluster-key-file", key)
	require.NoError(t, os.WriteFile(key, dapple(t, "cluster-key"), 0o600))
	c.start()
	root := login(t, c.nodes[0])
	root.prepare(t, "kept", "KEPT")
	root.must(t, http.MethodPost, "/replicas", registration("KEPT", "kept", "before"), http.StatusCreated)
	c.requireInUse(c.nodes[0])

	leader := c.leader(root, c.nodes...)
	node := c.nodes[0]
	if node == leader {
		node = c.nodes[1]
	}
	root = root.at(leader)
	node.terminate()
	whole := node.dir + ".whole"
	require.NoError(t, os.CopyFS(whole, os.DirFS(node.dir)))
	names := []string{"before"}
	for name, d := range damages {
		name = strings.ReplaceAll(name, " ", "-")
		node.requireDamage(t, whole, d)
		root.must(t, http.MethodPost, "/replicas", registration("KEPT", "kept", name), http.StatusCreated)
		names = append(names, name)
	}

	for _, p := range c.nodes {
		if p != node {
			dapple(t, "health", "--url", p.url())
		}
	}
	require.NoError(t, os.Rename(node.dir, node.dir+".damaged"))
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, dapple(t, "join-token", "--url", leader.url(), "--user", rootUser), 0o600))
	node.extra = append(node.extra, "--join-token-file", token)
	node.start()
	c.waitReady(node)
	require.Len(t, root.at(node).existing(t, "kept", names), len(names))
	c.requireEqualDigests(root)
}

// requireDamage starts a node on a damaged copy of a folder.
func (p *process) requireDamage(t *testing.T, whole string, d damage) {
	t.Helper()
	p.wipe()
	require.NoError(t, os.CopyFS(p.dir, os.DirFS(whole)))
	found, err := filepath.Glob(filepath.Join(p.dir, d.file))
	require.NoError(t, err)
	require.NotEmpty(t, found)
	spoilt := map[string][]byte{}
	for _, path := range found {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		spoilt[path] = d.spoil(b)
		require.NoError(t, os.WriteFile(path, spoilt[path], 0o600))
	}
	p.start()
	code, said := p.ended(t)
	require.Equal(t, d.code, code, said)
	require.Contains(t, said, d.says)
	require.Contains(t, said, "move "+p.dir+" aside and start this node again")
	for path, want := range spoilt {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		if len(want) > 0 { // bbolt begins an empty file
			require.True(t, bytes.Equal(want, b), path)
		}
	}
}

// requireInUse starts another process on the folder of a node that runs.
func (c *cluster) requireInUse(p *process) {
	c.t.Helper()
	second := *p
	second.http, second.cluster = testcluster.FreeAddress(c.t), testcluster.FreeAddress(c.t)
	second.start()
	code, said := second.ended(c.t)
	require.Equal(c.t, exitInUse, code, said)
	require.Contains(c.t, said, "in use by another process")
	require.True(c.t, p.ready())
}

// ended waits until the process has ended by itself, and returns its exit code and the end of what it said.
func (p *process) ended(t *testing.T) (code int, said string) {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.kill()
		t.Fatalf("%s does not end", p.name)
	}
	p.exited = nil
	b, err := os.ReadFile(p.dir + ".log")
	require.NoError(t, err)
	said = string(b)
	return p.cmd.ProcessState.ExitCode(), said[max(strings.LastIndex(said, "\ndapple: "), 0):]
}

// dapple runs a command of the binary and returns what it prints.
func dapple(t *testing.T, args ...string) []byte {
	t.Helper()
	binary, err := buildBinary()
	require.NoError(t, err)
	cmd := exec.Command(binary, args...)
	cmd.Env = environ.Dapple("DAPPLE_PASSWORD=" + rootPassword)
	out, err := cmd.Output()
	require.NoError(t, err, "%v", args)
	return out
}

// stopLimit is how long a node may take to stop, whatever its disk is like.
const stopLimit = 10 * time.Second

// TestFullDisks fills the disks of all nodes. Each that is told to stop does so in time and gives back its folder. None advises to
// empty the folder, nor when it is started before there is room; then nothing is lost that was acknowledged.
func TestFullDisks(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, "--min-free-disk", "0")
	for _, p := range c.nodes {
		p.small(64)
	}
	c.start()
	root := login(t, c.nodes[0])
	root.prepare(t, "kept", "KEPT")
	root.must(t, http.MethodPost, "/replicas", registration("KEPT", "kept", "acknowledged"), http.StatusCreated)
	for _, p := range c.nodes {
		p.fill(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, _, _ = root.do(ctx, http.MethodPost, "/replicas", registration("KEPT", "kept", "unknown")) // it may or may not find room

	for _, p := range c.nodes {
		asked := time.Now()
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have stopped by itself
		p.requireFull(t)                          // the state cannot be flushed
		require.Less(t, time.Since(asked), stopLimit)
	}
	for _, p := range c.nodes {
		p.start()
	}
	for _, p := range c.nodes {
		p.requireFull(t)
		require.NoError(t, os.Remove(p.ballast()))
		p.start()
	}
	c.waitReady(c.nodes...)
	for _, p := range c.nodes {
		require.True(t, root.at(p).existing(t, "kept", []string{"acknowledged"})["acknowledged"])
	}
	root.must(t, http.MethodPost, "/replicas", registration("KEPT", "kept", "after"), http.StatusCreated)
}

// requireFull waits for the end of a node whose disk is full.
func (p *process) requireFull(t *testing.T) {
	t.Helper()
	code, said := p.ended(t)
	require.Equal(t, exitDiskFull, code, said)
	require.Contains(t, said, "Nothing is damaged. Make room on the file system of "+p.dir)
	require.Contains(t, said, "Do not empty the folder")
	require.NotContains(t, said, "aside")
}

func (p *process) ballast() string { return filepath.Join(p.dir, "ballast") }

// fill leaves no room on the disk of a node.
func (p *process) fill(t *testing.T) {
	t.Helper()
	f, err := os.Create(p.ballast())
	require.NoError(t, err)
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
	}
}
