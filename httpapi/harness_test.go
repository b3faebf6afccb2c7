package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// testServer is a server over a catalogue in memory: proposals are applied at once by the commands given.
//
//	ts := newTestServer(t, executors{command.TypeAddRSE: execute(catalogue.AddRSE)})
//	ts.do("POST", "/rses/A", `{}`).want(t, 201, "")
//	ts.do("POST", "/rses/B", `{}`, as("joe")).want(t, 401, "AccessDenied")
type testServer struct {
	*Server
	t       *testing.T
	store   *memoryStore
	cluster *fakeCluster
	fresh   *fakeFreshness
	logs    *lockedBuffer
}

// executor applies one command to the store, as the state machine would.
type executor func(tx catalogue.Tx, at catalogue.Stamp, payload []byte) ([]byte, error)

type executors map[command.Type]executor

// execute makes an executor of a command of the catalogue.
func execute[M any, P interface {
	*M
	proto.Message
}](apply func(catalogue.Tx, catalogue.Stamp, P) ([]byte, error)) executor {
	return func(tx catalogue.Tx, at catalogue.Stamp, payload []byte) ([]byte, error) {
		message := P(new(M))
		if err := proto.Unmarshal(payload, message); err != nil {
			return nil, err
		}
		return apply(tx, at, message)
	}
}

// newTestServer makes a server whose tokens are "as-<account>"; configure may change its configuration.
func newTestServer(t *testing.T, commands executors, configure ...func(*Config)) *testServer {
	t.Helper()
	ts := &testServer{
		t: t, logs: &lockedBuffer{}, cluster: &fakeCluster{}, fresh: &fakeFreshness{},
		store: &memoryStore{commands: commands, tx: catalogue.NewMemTx(), time: 1_767_261_600_000_000},
	}
	cfg := Config{
		Node: "n1", ClusterID: func() ([16]byte, bool) { return testCluster, true },
		Proposer: ts.store, Reader: ts.store, Cluster: ts.cluster, Freshness: ts.fresh, Version: "0.0.0-test",
		Logger: slog.New(slog.NewTextHandler(ts.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, change := range configure {
		change(&cfg)
	}
	server, err := New(cfg)
	require.NoError(t, err)
	ts.Server = server
	server.authenticator = fakeTokens{}
	return ts
}

var testCluster = [16]byte{0xc1, 1}

// serve starts Serve for what a recorder cannot show: deadlines, cut connections. It returns the URL, and ends with the test.
func (ts *testServer) serve() string {
	ts.t.Helper()
	address, served := ts.listening()
	ts.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(ts.t, ts.Shutdown(ctx))
		require.NoError(ts.t, <-served)
	})
	return "http://" + address
}

// option changes a request before it is sent.
type option func(*http.Request)

func as(account string) option { return header(headerToken, "as-"+account) }

func header(key, value string) option {
	return func(r *http.Request) { r.Header.Set(key, value) }
}

// answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
}

// do sends a request with a body ("" for none), as root where no option says otherwise.
func (ts *testServer) do(method, target, body string, options ...option) answer {
	ts.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	request := httptest.NewRequest(method, target, reader)
	request.Header.Set(headerToken, "as-root")
	for _, change := range options {
		change(request)
	}
	recorder := httptest.NewRecorder()
	ts.Handler().ServeHTTP(recorder, request)
	return answer{recorder}
}

// want requires a status and an exception class, "" for none, and returns the answer.
func (a answer) want(t *testing.T, status int, class string) answer {
	t.Helper()
	require.Equal(t, status, a.Code, "body: %s", a.Body)
	require.Equal(t, class, a.class(), "body: %s", a.Body)
	return a
}

// class returns the class of an error as it is spelled on the wire, "" for none.
func (a answer) class() string { return a.raw("ExceptionClass") }

// raw returns a header whose name is spelled so.
func (a answer) raw(name string) string {
	if values := a.Header()[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// lines decodes a streamed answer.
func (a answer) lines(t *testing.T) []any {
	t.Helper()
	var values []any
	for line := range strings.Lines(a.Body.String()) {
		var value any
		require.NoError(t, json.Unmarshal([]byte(line), &value), "line: %s", line)
		values = append(values, value)
	}
	return values
}

// value decodes an answer that is one JSON value.
func (a answer) value(t *testing.T) any {
	t.Helper()
	var value any
	require.NoError(t, json.Unmarshal(a.Body.Bytes(), &value), "body: %s", a.Body)
	return value
}

// fakeTokens takes the account from a token "as-<account>".
type fakeTokens struct{}

func (fakeTokens) authenticate(c *gin.Context) (*principal, error) {
	account, ok := strings.CutPrefix(c.GetHeader(headerToken), "as-")
	if !ok {
		return nil, catalogue.Errorf(command.CodeCannotAuthenticate, "Cannot authenticate with given credentials")
	}
	return &principal{Account: account}, nil
}

func (f fakeTokens) prove(c *gin.Context) (string, error) {
	who, err := f.authenticate(c)
	if err != nil {
		return "", err
	}
	return who.Account, nil
}

// command applies a command in the name of root and requires that it takes effect.
func (ts *testServer) command(t command.Type, message proto.Message) {
	ts.t.Helper()
	ts.commandAs(catalogue.RootAccount, t, message)
}

// commandAs applies a command in an account's name, "" for the cluster's.
func (ts *testServer) commandAs(issuer string, t command.Type, message proto.Message) {
	ts.t.Helper()
	payload, err := proto.Marshal(message)
	require.NoError(ts.t, err)
	result, err := ts.store.Propose(ts.t.Context(), t, issuer, payload)
	require.NoError(ts.t, err)
	require.Equal(ts.t, command.CodeOK, result.Code, result.Message)
}

// memoryStore is Proposer and Reader at once.
type memoryStore struct {
	mu       sync.Mutex
	commands executors
	tx       *catalogue.MemTx
	index    uint64
	revision uint64
	time     int64
	// fault is what Propose and View return where it is set.
	fault error
	// full makes Admit refuse.
	full atomic.Bool
	// open counts the views that were not closed.
	open atomic.Int64
	// changed is closed and made anew with each command; nil until somebody waits.
	changed chan struct{}
}

// Admit implements Proposer.
func (m *memoryStore) Admit(int, int) error {
	if m.full.Load() {
		return otherLayer{command.CodeQueueFull}
	}
	return nil
}

// Propose implements Proposer.
func (m *memoryStore) Propose(ctx context.Context, t command.Type, issuer string, payload []byte) (command.Result, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return command.Result{}, err
	}
	if m.fault != nil {
		return command.Result{}, m.fault
	}
	apply := m.commands[t]
	if apply == nil {
		return command.Result{}, errors.New("no executor of " + t.String())
	}
	m.index++
	m.time++
	m.revision = max(m.revision, m.tx.Revision()) + 1
	writes := m.tx.Writes
	answer, err := apply(m.tx, catalogue.Stamp{Revision: m.revision, Time: m.time, Issuer: issuer}, payload)
	refusedAfterWriting := err != nil && m.tx.Writes != writes
	writes = m.tx.Writes
	m.revision = max(m.revision, m.tx.Revision())
	catalogue.PutClock(m.tx, m.revision, m.time)
	m.tx.Writes = writes // the clock is the machine's and not the command's
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
	var refusal *catalogue.Error
	switch {
	case errors.As(err, &refusal):
		if refusedAfterWriting {
			return command.Result{}, errors.New("a refused command has written: " + refusal.Message)
		}
		return command.Result{Code: refusal.Code, Index: m.index, Revision: m.revision, Message: refusal.Message, Payload: refusal.Details}, nil
	case err != nil:
		return command.Result{}, err
	default:
		return command.Result{Index: m.index, Revision: m.revision, Payload: answer}, nil
	}
}

// View implements Reader. The view holds the store until it is closed.
func (m *memoryStore) View() (View, error) {
	m.mu.Lock()
	if m.fault != nil {
		defer m.mu.Unlock()
		return nil, m.fault
	}
	m.open.Add(1)
	return &memoryView{m.tx, m}, nil
}

// AppliedIndex implements Reader.
func (m *memoryStore) AppliedIndex() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.index
}

// Generation implements Reader: each entry begins another.
func (m *memoryStore) Generation() uint64 { return m.AppliedIndex() + 1 }

// WaitApplied implements Reader.
func (m *memoryStore) WaitApplied(ctx context.Context, index uint64) error {
	for {
		m.mu.Lock()
		if m.index >= index {
			m.mu.Unlock()
			return nil
		}
		if m.changed == nil {
			m.changed = make(chan struct{})
		}
		changed := m.changed
		m.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// adopt takes over the state of another store, as a node does that catches up.
func (m *memoryStore) adopt(other *memoryStore) {
	m.mu.Lock()
	m.tx, m.time = other.tx, other.time
	m.mu.Unlock()
	m.advance(other.index)
}

// awaitWaiter returns once somebody waits in WaitApplied.
func (m *memoryStore) awaitWaiter(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.changed != nil
	}, 20*time.Second, time.Millisecond)
}

// advance raises the applied index as if entries had come.
func (m *memoryStore) advance(index uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.index = index
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}

type memoryView struct {
	catalogue.View
	store *memoryStore
}

func (v *memoryView) Index() uint64 { return v.store.index }

func (v *memoryView) Generation() uint64 { return v.store.index + 1 }

func (v *memoryView) Close() {
	v.store.open.Add(-1)
	v.store.mu.Unlock()
}

// fakeCluster is a cluster of one node.
type fakeCluster struct {
	notReady error
	missing  []MissingMember
	digests  sync.Map
}

func (f *fakeCluster) Status(context.Context) ClusterStatus {
	return ClusterStatus{NodeID: "n1", Role: "leader", Leader: &ClusterLeader{ID: "n1"}, Members: []Member{{ID: "n1", Name: "n1"}}}
}

func (f *fakeCluster) Ready(context.Context) ([]MissingMember, error) { return f.missing, f.notReady }

func (f *fakeCluster) Digest(ctx context.Context, index uint64) (string, error) {
	if digest, ok := f.digests.Load(index); ok {
		return digest.(string), nil
	}
	<-ctx.Done()
	return "", ctx.Err()
}

// fakeFreshness answers what a test sets.
type fakeFreshness struct {
	mu sync.Mutex // held by the methods
	// index is what ReadIndex and HeardWithin return, unless err is set.
	index uint64
	err   error
	limit time.Duration // that HeardWithin was last asked for
	age   time.Duration // since the leader's last word
	heard time.Duration // what age is after ReadIndex and HeardWithin
	alone bool          // no leader was ever heard of
}

func (f *fakeFreshness) ReadIndex(context.Context) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.age = f.heard
	return f.index, f.err
}

func (f *fakeFreshness) HeardWithin(_ context.Context, limit time.Duration) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit, f.age = limit, f.heard
	return f.index, f.err
}

func (f *fakeFreshness) LeaderContact() (time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.age, !f.alone
}

// lockedBuffer is a log that tests read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
