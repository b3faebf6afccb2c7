package system

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// readTime bounds one request of a readLoad: a node may be stopped.
const readTime = time.Second

// readLoad writes registers on one node and reads them on others, and fails the test where an answer is older than its level allows.
type readLoad struct {
	t       *testing.T
	nodes   []*client
	rounds  int64
	workers sync.WaitGroup

	// index is the highest that any answer told, of reads and writes alike, of whatever level.
	index atomic.Uint64
	// done counts rounds, stale local reads that were, tries requests that had to be sent again.
	done, local, stale, tries atomic.Int64
	names                     atomic.Int64

	mu        sync.Mutex
	registers []*register
}

// register is the metadata of a dataset: a number that its one writer raises. Once a write's outcome is unknown it is written no
// more, since that write may come late.
type register struct {
	name string
	// seen is the highest value that was acknowledged or read.
	seen atomic.Int64
}

func (r *register) path() string { return "/dids/" + loadScope + "/" + r.name + "/meta" }

// raise makes an atomic value at least n.
func raise[T int64 | uint64](load func() T, swap func(T, T) bool, n T) {
	for now := load(); n > now && !swap(now, n); now = load() {
	}
}

// roundsWanted is how many rounds a test takes: DAPPLE_ROUNDS. Without it 1,000, or 10,000 in long tests.
func roundsWanted(t *testing.T) int64 {
	t.Helper()
	text := os.Getenv("DAPPLE_ROUNDS")
	switch {
	case text == "" && long():
		return 10_000
	case text == "":
		return 600
	}
	n, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err, "DAPPLE_ROUNDS")
	return n
}

func startReadLoad(t *testing.T, nodes []*client, rounds int64, workers int) *readLoad {
	t.Helper()
	nodes[0].must(t, http.MethodPost, "/accounts/root/scopes/"+loadScope, nil, 201)
	l := &readLoad{t: t, nodes: nodes, rounds: rounds}
	for range workers {
		l.workers.Go(l.work)
	}
	t.Cleanup(l.workers.Wait)
	return l
}

// await returns when a part of the rounds is done.
func (l *readLoad) await(part float64) {
	l.t.Helper()
	want := int64(part * float64(l.rounds))
	limit := 2*time.Minute + time.Duration(l.rounds)*10*time.Millisecond
	require.Eventually(l.t, func() bool { return l.t.Failed() || l.done.Load() >= want }, limit, 5*time.Millisecond, "the rounds do not go on")
	if l.t.Failed() {
		l.t.FailNow()
	}
}

// awaitMore returns when so many further rounds are done, or all of them.
func (l *readLoad) awaitMore(rounds int64) {
	l.t.Helper()
	l.await(min(float64(l.done.Load()+rounds)/float64(l.rounds), 1))
}

// values returns what is known of every register.
func (l *readLoad) values() map[*register]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	values := map[*register]int64{}
	for _, r := range l.registers {
		values[r] = r.seen.Load()
	}
	return values
}

// raisedSince returns the register that was raised most since values.
func (l *readLoad) raisedSince(values map[*register]int64) *register {
	now := l.values()
	var most *register
	for r, value := range now {
		if most == nil || value-values[r] > now[most]-values[most] {
			most = r
		}
	}
	return most
}

func (l *readLoad) finish() {
	l.t.Helper()
	l.await(1)
	l.workers.Wait()
	l.t.Logf("%d rounds to index %d, %d requests sent again; %d of %d local reads were stale",
		l.done.Load(), l.index.Load(), l.tries.Load(), l.stale.Load(), l.local.Load())
}

func (l *readLoad) work() {
	var r *register
	for value := int64(1); l.done.Load() < l.rounds && !l.t.Failed(); value++ {
		if r == nil {
			r, value = l.newRegister(), 1
		}
		written, cookie := l.write(r, value)
		if !written {
			r = nil
			continue
		}
		l.readSession(r, value, cookie)
		l.readLinearizable()
		l.readLocal(r, value)
		l.done.Add(1)
	}
}

// node returns a client of any node.
func (l *readLoad) node() *client { return l.nodes[rand.IntN(len(l.nodes))] }

func (l *readLoad) newRegister() *register {
	for {
		r := &register{name: fmt.Sprintf("r%d", l.names.Add(1))}
		got, err := l.ask(l.node(), http.MethodPost, "/dids/"+loadScope+"/"+r.name, `{"type": "DATASET"}`, nil)
		if err == nil && got.status == http.StatusCreated {
			l.mu.Lock()
			l.registers = append(l.registers, r)
			l.mu.Unlock()
			return r
		}
		if l.t.Failed() {
			return r
		}
	}
}

// write sets a register once and returns the session that the answer sets.
func (l *readLoad) write(r *register, value int64) (written bool, cookie string) {
	got, err := l.ask(l.node(), http.MethodPost, r.path()+"/project", fmt.Sprintf(`{"value": "%d"}`, value), nil)
	if err != nil || got.status != http.StatusCreated {
		l.tries.Add(1)
		return false, ""
	}
	raise(r.seen.Load, r.seen.CompareAndSwap, value)
	cookie, _, _ = strings.Cut(got.header.Get("Set-Cookie"), ";")
	return true, cookie
}

func (l *readLoad) readSession(r *register, value int64, cookie string) {
	got := l.read(r, "session", http.Header{"Cookie": {cookie}})
	if got.value != value {
		l.t.Errorf("session: %s is %d at %s after %d was written", r.name, got.value, got.node, value)
	}
}

// readLinearizable reads any register on any node: it must not be older than what anybody had been told before.
func (l *readLoad) readLinearizable() {
	l.mu.Lock()
	r := l.registers[rand.IntN(len(l.registers))]
	l.mu.Unlock()
	index, value := l.index.Load(), r.seen.Load()
	got := l.read(r, "linearizable", http.Header{"X-Dapple-Consistency": {"linearizable"}})
	if got.index < index || got.value < value {
		l.t.Errorf("linearizable: %s is %d at index %d of %s after %d, and index %d, had been told", r.name, got.value, got.index, got.node, value, index)
	}
}

// readLocal counts a read that may be stale; it is not repeated.
func (l *readLoad) readLocal(r *register, value int64) {
	got, err := l.ask(l.node(), http.MethodGet, r.path(), "", nil)
	if err != nil {
		return
	}
	l.local.Add(1)
	if got.status == http.StatusNotFound || got.value < value {
		l.stale.Add(1)
	}
}

// read reads a register on one node after the other until one answers, and checks the level that the answer tells.
func (l *readLoad) read(r *register, level string, header http.Header) told {
	for !l.t.Failed() {
		got, err := l.ask(l.node(), http.MethodGet, r.path(), "", header)
		switch {
		case err != nil || got.status == http.StatusServiceUnavailable:
			l.tries.Add(1)
			continue
		case got.status != http.StatusOK || got.header.Get("X-Dapple-Consistency") != level:
			l.t.Errorf("%s: %d %s, level %q", level, got.status, got.body, got.header.Get("X-Dapple-Consistency"))
			return got
		}
		raise(r.seen.Load, r.seen.CompareAndSwap, got.value)
		return got
	}
	return told{}
}

// told is an answer.
type told struct {
	status int
	header http.Header
	body   []byte
	node   string
	index  uint64
	value  int64 // of the register, where it is the answer
}

// ask sends one request, once, and raises the highest index by that of the answer.
func (l *readLoad) ask(c *client, method, path, body string, header http.Header) (told, error) {
	ctx, cancel := context.WithTimeout(context.Background(), readTime)
	defer cancel()
	got, err := c.ask(ctx, method, path, body, header)
	if err == nil && got.status < 300 {
		raise(l.index.Load, l.index.CompareAndSwap, got.index)
	}
	return got, err
}

// ask sends one request with headers and returns all of the answer.
func (c *client) ask(ctx context.Context, method, path, body string, header http.Header) (told, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(body))
	if err != nil {
		return told{}, err
	}
	for key, values := range header {
		request.Header[key] = values
	}
	status, answered, b, err := c.send(request)
	if err != nil {
		return told{}, err
	}
	got := told{status: status, header: answered, body: b, node: answered.Get("X-Dapple-Node")}
	if got.index, err = strconv.ParseUint(answered.Get("X-Dapple-Index"), 10, 64); err != nil {
		return told{}, err
	}
	var meta struct {
		Project string `json:"project"`
	}
	if method == http.MethodGet && json.Unmarshal(b, &meta) == nil {
		got.value, _ = strconv.ParseInt(meta.Project, 10, 64)
	}
	return got, nil
}
