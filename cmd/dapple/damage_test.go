package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
)

// folderNode is `dapple serve` in the test's process, a cluster of one.
type folderNode struct {
	t      *testing.T
	dir    string
	http   string
	stop   context.CancelFunc
	stderr lockedBuffer
	code   chan int
	token  string
}

// lockedBuffer is written to by a node and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var everyDamage = flag.Bool("every-damage", false, "spoil each file in every way, as .ci/run does")

const folderPassword = "long secret"

// serveFolder starts a node in a folder.
func serveFolder(t *testing.T, dir string) *folderNode {
	t.Helper()
	password := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(password, []byte(folderPassword), 0o600))
	ctx, cancel := context.WithCancel(context.Background())
	n := &folderNode{t: t, dir: dir, http: testcluster.FreeAddress(t), stop: cancel, code: make(chan int, 1)}
	address := testcluster.FreeAddress(t)
	args := []string{
		"serve", "--node-id", "n1", "--data-dir", dir, "--http-addr", n.http, "--cluster-addr", address, "--cluster-advertise", address,
		"--bootstrap-expect", "1", "--root-user", "ddmlab", "--root-password-file", password, "--min-free-disk", "0",
		"--heartbeat-timeout", "50ms", "--election-timeout", "50ms", "--lease-timeout", "50ms", "--cache-bytes", "1048576", "--log-level", "error",
	}
	go func() { n.code <- run(ctx, args, io.Discard, &n.stderr) }()
	return n
}

// ends stops a node and returns its exit code.
func (n *folderNode) ends() int {
	n.stop()
	return <-n.code
}

// readyOr waits until the node is ready, or has ended with the code that is returned.
func (n *folderNode) readyOr() (code int, ended bool) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case code := <-n.code:
			return code, true
		case <-tick.C:
			if answer, err := http.Get("http://" + n.http + "/readyz"); err == nil {
				answer.Body.Close()
				if answer.StatusCode == http.StatusOK {
					return 0, false
				}
			}
		}
	}
}

func (n *folderNode) login() {
	n.t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+n.http+"/auth/userpass", nil)
	require.NoError(n.t, err)
	request.Header = http.Header{"X-Rucio-Account": {"root"}, "X-Rucio-Username": {"ddmlab"}, "X-Rucio-Password": {folderPassword}}
	answer, err := http.DefaultClient.Do(request)
	require.NoError(n.t, err)
	defer answer.Body.Close()
	n.token = answer.Header.Get("X-Rucio-Auth-Token")
}

// do asks the node and returns the status and the body; 0 where the answer is cut off.
func (n *folderNode) do(method, path string, body any) (int, string) {
	n.t.Helper()
	b, err := json.Marshal(body)
	require.NoError(n.t, err)
	request, err := http.NewRequest(method, "http://"+n.http+path, bytes.NewReader(b))
	require.NoError(n.t, err)
	request.Header.Set("X-Rucio-Auth-Token", n.token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(text)
}

// registrations is how many files a node registers at a time.
const registrations = 1000

func (n *folderNode) register(prefix string) {
	n.t.Helper()
	status, text := n.do(http.MethodPost, "/replicas", map[string]any{"rse": "KEPT", "files": filesOf(prefix)})
	require.Equal(n.t, http.StatusCreated, status, text)
}

func filesOf(prefix string) []map[string]any {
	files := make([]map[string]any, registrations)
	for i := range files {
		files[i] = map[string]any{"scope": "kept", "name": fmt.Sprintf("%s-%d", prefix, i), "bytes": i, "adler32": "0cc737eb"}
	}
	return files
}

// content returns what the node has of the replicas that were registered with one of the prefixes.
func (n *folderNode) content(prefixes ...string) (status int, text string) {
	var dids []map[string]any
	for _, prefix := range prefixes {
		dids = append(dids, filesOf(prefix)...)
	}
	return n.do(http.MethodPost, "/replicas/list?consistency=linearizable", map[string]any{"dids": dids, "all_states": true})
}

// folderPrefixes are of the files that are registered in one start each.
var folderPrefixes = []string{"a", "b", "c"}

// filledFolder returns the folder of a node that has been stopped, and what it lists. Its store has several tables.
func filledFolder(t *testing.T) (dir, content string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	for i, prefix := range folderPrefixes {
		n := serveFolder(t, dir)
		_, ended := n.readyOr()
		require.False(t, ended, "%s", &n.stderr)
		n.login()
		if i == 0 {
			for _, path := range []string{"/accounts/root/scopes/kept", "/rses/KEPT"} {
				status, text := n.do(http.MethodPost, path, map[string]any{"deterministic": true})
				require.Equal(t, http.StatusCreated, status, text)
			}
		}
		n.register(prefix)
		var status int
		status, content = n.content(folderPrefixes[:i+1]...)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, registrations*(i+1), strings.Count(content, "\n"), content[:1000])
		require.Zero(t, n.ends(), "%s", &n.stderr)
	}
	return dir, content
}

// damages are the ways in which a file is spoilt; nil removes it.
var damages = map[string]func(b []byte) []byte{
	"gone":    nil,
	"empty":   func([]byte) []byte { return []byte{} },
	"cut":     func(b []byte) []byte { return b[:len(b)/2] },
	"garbage": func(b []byte) []byte { return bytes.Repeat([]byte("xyz\n"), len(b)/4+1) },
	"zeros":   func(b []byte) []byte { return make([]byte, len(b)) },
	"changed": func(b []byte) []byte { return spoil(b, len(b)/2, 1) },
	"third":   func(b []byte) []byte { return spoil(b, len(b)/3, len(b)/3+1) },
}

// spoil changes n bytes.
func spoil(b []byte, from, n int) []byte {
	b = bytes.Clone(b)
	for i := from; i < min(from+n, len(b)); i++ {
		b[i] ^= 0x5a
	}
	return b
}

// folderFile is what is to happen to a node if a file of its folder is damaged: it ends with a code, or comes up with all that it
// had, of which 0 stands.
type folderFile struct {
	pattern string // of the path below the folder
	code    int
	but     map[string]int // for some damages
	only    []string       // damages that are tried; nil is all
}

// folderFiles are all files of a data folder; the first that matches counts. What is in some of them is never read.
var folderFiles = []folderFile{
	{pattern: "raft.db", code: exitLogDamaged, but: map[string]int{"gone": exitIncomplete, "empty": exitIncomplete}},
	{pattern: "node.json", code: exitIncomplete},
	{pattern: "memory.json", code: exitIncomplete},
	{pattern: "state/CURRENT", code: exitStoreDamaged},
	{pattern: "state/LOCK", only: []string{"gone", "garbage"}},
	{pattern: "state/store-1/LOCK", only: []string{"gone", "garbage"}},
	{pattern: "state/store-1/*.sst", code: exitStoreDamaged},
	{pattern: "state/store-1/*.log", only: []string{"gone", "garbage"}}, // empty: Raft's log is the write-ahead log
	{pattern: "state/store-1/MANIFEST-*", code: exitStoreDamaged},
	{pattern: "state/store-1/marker.*", code: exitStoreDamaged, but: map[string]int{"garbage": 0}, only: []string{"gone", "garbage"}}, // the name tells
	{pattern: "state/store-1/OPTIONS-*", code: exitStoreDamaged, but: map[string]int{"gone": 0}, only: []string{"gone", "garbage", "zeros"}},
}

// TestDamagedFiles spoils each file of a data folder in many ways. The node ends with the code of the damage and its way out, or
// comes up with all that it had.
func TestDamagedFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("many starts of a node are left out with -short")
	}
	dir, content := filledFolder(t)
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		known := slices.IndexFunc(folderFiles, func(f folderFile) bool {
			matches, err := filepath.Match(f.pattern, file)
			return err == nil && matches
		})
		require.GreaterOrEqual(t, known, 0, "%s: what is to happen if it is damaged?", file)
		f := folderFiles[known]
		if live := filepath.Base(liveManifest(t, dir)); strings.HasPrefix(entry.Name(), "MANIFEST-") && entry.Name() != live {
			f = folderFile{only: []string{"gone", "garbage"}} // of an earlier start
		}
		for name, damage := range damages {
			if f.only != nil && !slices.Contains(f.only, name) {
				continue
			}
			if !*everyDamage && name != "gone" && name != "garbage" {
				continue // .ci/run tries the other ways too
			}
			code, found := f.but[name]
			if !found {
				code = f.code
			}
			t.Run(file+" "+name, func(t *testing.T) {
				t.Parallel()
				probeDamage(t, dir, content, file, damage, code)
			})
		}
		return nil
	}))
}

// liveManifest returns the path of the manifest that a marker names.
func liveManifest(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "state/store-1/marker.manifest.*.MANIFEST-*"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	return strings.TrimPrefix(filepath.Ext(found[0]), ".")
}

// probeDamage starts a node on a copy of a folder with one damaged file, and wants it to end with the code, or to be well if that is 0.
func probeDamage(t *testing.T, from, content, file string, damage func([]byte) []byte, want int) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.CopyFS(dir, os.DirFS(from)))
	path := filepath.Join(dir, file)
	if damage == nil {
		require.NoError(t, os.Remove(path))
	} else {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, damage(b), 0o600))
	}
	n := serveFolder(t, dir)
	code, ended := n.readyOr()
	if !ended {
		n.login()
		status, text := n.content(folderPrefixes...)
		if want == 0 {
			require.Equal(t, http.StatusOK, status)
			require.True(t, text == content, "something is lost")
			require.Zero(t, n.ends(), &n.stderr)
			return
		}
		require.False(t, status == http.StatusOK, "the damage is not seen")
		code = <-n.code // reads of what is damaged stop the node
	}
	require.Equal(t, want, code, &n.stderr)
	said := strings.ReplaceAll(n.stderr.String(), dir, "DIR") // which has the name of the test in it
	require.Contains(t, said, "move DIR aside and start this node again")
	named := strings.TrimSuffix(filepath.Base(file), ".sst")
	if strings.HasPrefix(named, "marker.") || strings.HasPrefix(named, "OPTIONS-") {
		named = "store-1"
	}
	require.Contains(t, said, named)
}

// TestFolderInUse starts a node in the folder of another.
func TestFolderInUse(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first := serveFolder(t, dir)
	_, ended := first.readyOr()
	require.False(t, ended, &first.stderr)
	second := serveFolder(t, dir)
	require.Equal(t, exitInUse, <-second.code, &second.stderr)
	require.Contains(t, second.stderr.String(), "Stop the process that uses "+dir)
	require.Zero(t, first.ends(), &first.stderr)
}
