package system

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/environ"
	"dapple/internal/testcluster"
)

const (
	rootUser     = "ddmlab"
	rootPassword = "long secret"
)

// patience bounds the wait for what must happen. It is much longer than that takes, also on a busy machine.
const patience = 2 * time.Minute

// buildBinary builds the binary once for all tests of the package.
var buildBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "dapple-system-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "dapple")
	out, err := exec.Command("go", "build", "-o", path, "dapple/cmd/dapple").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := buildBinary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// long reports whether the tests are to run at full size, as .ci/run wants. Otherwise the whole suite ends within five minutes.
func long() bool { return os.Getenv("DAPPLE_LONG") != "" }

// process is one `dapple serve` with its folder; it can be killed, wiped and started again.
type process struct {
	t       *testing.T
	name    string
	dir     string
	http    string // host:port
	cluster string // host:port
	join    []string
	extra   []string
	umask   string // of the process; "" is the test's own
	cmd     *exec.Cmd
	exited  chan struct{}
}

// cluster is a set of processes that know each other.
type cluster struct {
	t     *testing.T
	nodes []*process
}

// newCluster makes n processes and starts none.
func newCluster(t *testing.T, n int, extra ...string) *cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("real processes are left out with -short")
	}
	c := &cluster{t: t}
	dir := t.TempDir()
	var join []string
	for i := range n {
		p := &process{
			t: t, name: "n" + strconv.Itoa(i+1), http: testcluster.FreeAddress(t), cluster: testcluster.FreeAddress(t), extra: extra,
		}
		p.dir = filepath.Join(dir, p.name)
		join = append(join, p.cluster)
		c.nodes = append(c.nodes, p)
	}
	for _, p := range c.nodes {
		p.join = join
		t.Cleanup(p.kill)
	}
	return c
}

func (p *process) url() string { return "http://" + p.http }

func (p *process) start() {
	p.t.Helper()
	binary, err := buildBinary()
	require.NoError(p.t, err)
	args := append([]string{
		"serve", "--node-id", p.name, "--data-dir", p.dir, "--http-addr", p.http, "--http-advertise", p.url(),
		"--cluster-addr", p.cluster, "--cluster-advertise", p.cluster, "--bootstrap-expect", strconv.Itoa(len(p.join)),
		"--join", strings.Join(p.join, ","), "--root-user", rootUser,
	}, p.extra...)
	p.cmd = exec.Command(binary, args...)
	if p.umask != "" {
		p.cmd = exec.Command("sh", append([]string{"-c", `umask "$0"; exec "$@"`, p.umask, binary}, args...)...)
	}
	p.cmd.Env = environ.Dapple("DAPPLE_ROOT_PASSWORD=" + rootPassword)
	log, err := os.OpenFile(p.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(p.t, err)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	require.NoError(p.t, p.cmd.Start())
	cmd, exited := p.cmd, make(chan struct{})
	p.exited = exited
	go func() {
		defer close(exited)
		defer log.Close()
		_ = cmd.Wait()
	}()
}

// kill ends the process as kill -9 does and waits until it is gone.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
}

// terminate asks the process to stop and waits until it is gone.
func (p *process) terminate() { p.signal(syscall.SIGTERM) }

func (p *process) signal(s syscall.Signal) {
	if p.exited == nil {
		return
	}
	_ = p.cmd.Process.Signal(s)
	<-p.exited
	p.exited = nil
	if p.t.Failed() {
		p.tail()
	}
}

// tail shows the end of the log of a failed test.
func (p *process) tail() {
	b, _ := os.ReadFile(p.dir + ".log")
	if len(b) > 4000 {
		b = b[len(b)-4000:]
	}
	p.t.Logf("%s:\n%s", p.name, b)
}

func (p *process) wipe() {
	p.t.Helper()
	require.Nil(p.t, p.exited, "only a stopped node is wiped")
	require.NoError(p.t, os.RemoveAll(p.dir))
}

func (c *cluster) start() {
	c.t.Helper()
	for _, p := range c.nodes {
		p.start()
	}
	c.waitReady(c.nodes...)
}

// waitReady waits until the nodes say that they are ready.
func (c *cluster) waitReady(nodes ...*process) {
	c.t.Helper()
	for _, p := range nodes {
		require.Eventually(c.t, func() bool { return p.ready() }, patience, 50*time.Millisecond, "%s is not ready", p.name)
	}
}

// metric returns the value of a metric without labels.
func (p *process) metric(name string) float64 {
	p.t.Helper()
	response, err := http.Get(p.url() + "/metrics")
	require.NoError(p.t, err)
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if text, found := strings.CutPrefix(lines.Text(), name+" "); found {
			value, err := strconv.ParseFloat(text, 64)
			require.NoError(p.t, err)
			return value
		}
	}
	p.t.Fatalf("%s has no metric %s", p.name, name)
	return 0
}

func (p *process) ready() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url()+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}
