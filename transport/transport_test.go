package transport

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"dapple/command"
	"dapple/internal/ports"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	echo    = 1 // answers with its request; may be called while forming
	members = 2 // the same, for members of the cluster only
	wait    = 3 // answers when its deadline is over
	large   = 4 // answers with more than a frame
)

var (
	clusterA = ClusterID{1}
	clusterB = ClusterID{2}
)

func testMethods() map[byte]Method {
	repeat := func(_ context.Context, body []byte) (command.Code, []byte) { return command.CodeOK, body }
	return map[byte]Method{
		echo:    {Name: "echo", Forming: true, Handle: repeat},
		members: {Name: "members", Handle: repeat},
		wait: {Name: "wait", Forming: true, Handle: func(ctx context.Context, _ []byte) (command.Code, []byte) {
			<-ctx.Done()
			return command.CodeDeadline, nil
		}},
		large: {Name: "large", Forming: true, Handle: func(context.Context, []byte) (command.Code, []byte) {
			return command.CodeOK, make([]byte, 2<<20)
		}},
	}
}

func open(t *testing.T, cfg Config, id ClusterID) *Transport {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.Methods == nil {
		cfg.Methods = testMethods()
	}
	tr, err := New(cfg)
	require.NoError(t, err)
	tr.SetCluster(id)
	tr.Start()
	t.Cleanup(func() { require.NoError(t, tr.Close()) })
	return tr
}

func callTime(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestCall(t *testing.T) {
	a, b := open(t, Config{}, clusterA), open(t, Config{}, clusterA)
	for _, body := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("0123456789"), 500_000)} {
		code, got, err := a.Call(callTime(t), b.Addr().String(), echo, body)
		require.NoError(t, err)
		require.Equal(t, command.CodeOK, code)
		require.True(t, bytes.Equal(body, got))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Equal(t, 1, b.inbound, "the connection was not used again")
}

// Who may make which internal call, by the clusters of both ends.
func TestCallAndClusters(t *testing.T) {
	none := ClusterID{}
	cases := []struct {
		name           string
		caller, callee ClusterID
		method         byte
		want           command.Code
		refused        bool // in the handshake
	}{
		{"same cluster", clusterA, clusterA, members, command.CodeOK, false},
		{"other cluster", clusterA, clusterB, echo, command.CodeOtherCluster, true},
		{"caller forms", none, clusterA, echo, command.CodeOK, false},
		{"callee forms", clusterA, none, echo, command.CodeOK, false},
		{"both form", none, none, echo, command.CodeOK, false},
		{"caller is no member", none, clusterA, members, command.CodeNotReady, false},
		{"callee is no member", clusterA, none, members, command.CodeNotReady, false},
		{"neither is a member", none, none, members, command.CodeNotReady, false},
		{"no such method", clusterA, clusterA, 99, command.CodeUnknownMethod, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a, b := open(t, Config{}, c.caller), open(t, Config{}, c.callee)
			code, _, err := a.Call(callTime(t), b.Addr().String(), c.method, []byte("x"))
			if !c.refused {
				require.NoError(t, err)
				require.Equal(t, c.want, code)
				return
			}
			var refusal *Refusal
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, c.want, refusal.Code)
			require.False(t, sent(t, err))
		})
	}
}

// A node that has become a member makes its next calls as one, over new connections.
func TestSetCluster(t *testing.T) {
	a, b := open(t, Config{}, ClusterID{}), open(t, Config{}, clusterA)
	code, _, err := a.Call(callTime(t), b.Addr().String(), members, nil)
	require.NoError(t, err)
	require.Equal(t, command.CodeNotReady, code)
	a.SetCluster(clusterA)
	code, _, err = a.Call(callTime(t), b.Addr().String(), members, nil)
	require.NoError(t, err)
	require.Equal(t, command.CodeOK, code)
}

func sent(t *testing.T, err error) bool {
	t.Helper()
	var call *CallError
	require.ErrorAs(t, err, &call)
	return call.Sent
}

// What was surely not sent is told from what may have been done.
func TestCallErrors(t *testing.T) {
	methods, waiting := testMethods(), make(chan struct{})
	methods[wait] = Method{Name: "wait", Forming: true, Handle: func(ctx context.Context, _ []byte) (command.Code, []byte) {
		waiting <- struct{}{}
		<-ctx.Done()
		return command.CodeDeadline, nil
	}}
	a, b := open(t, Config{MaxFrame: 1 << 20}, clusterA), open(t, Config{MaxFrame: 1 << 20, Methods: methods}, clusterA)
	address := b.Addr().String()

	closed, err := ports.Reserve()
	require.NoError(t, err)
	_, _, err = a.Call(callTime(t), closed.Address, echo, nil)
	require.NoError(t, closed.Release())
	require.False(t, sent(t, err), "nobody listens: %v", err)

	over, cancel := context.WithCancel(context.Background())
	cancel()
	_, _, err = a.Call(over, address, echo, nil)
	require.False(t, sent(t, err), "the context was over: %v", err)

	_, _, err = a.Call(callTime(t), address, echo, make([]byte, 1<<20))
	require.False(t, sent(t, err), "larger than a frame: %v", err)
	require.ErrorIs(t, err, errTooLarge)

	_, _, err = a.Call(callTime(t), "no port", echo, nil)
	require.False(t, sent(t, err))

	code, _, err := a.Call(callTime(t), address, large, nil)
	require.NoError(t, err)
	require.Equal(t, command.CodeInternal, code, "the answer does not fit")

	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-waiting
		cancel()
	}()
	_, _, err = a.Call(ctx, address, wait, nil)
	require.True(t, sent(t, err), "given up while waiting: %v", err)
	require.ErrorIs(t, err, context.Canceled)

	done := make(chan error, 1)
	go func() {
		_, _, err := a.Call(callTime(t), address, wait, nil)
		done <- err
	}()
	<-waiting
	require.NoError(t, b.Close())
	if err := <-done; err != nil { // else the handler's answer came just before the end
		require.True(t, sent(t, err), "the peer went away: %v", err)
	}
}

// A call ends at the limit of the node that answers it, however long the caller would wait.
func TestCalleeLimitsCalls(t *testing.T) {
	a, b := open(t, Config{}, clusterA), open(t, Config{CallTimeout: 100 * time.Millisecond}, clusterA)
	code, _, err := a.Call(callTime(t), b.Addr().String(), wait, nil)
	require.NoError(t, err)
	require.Equal(t, command.CodeDeadline, code, "the callee's own limit ends it")
}

func TestPoolIsBounded(t *testing.T) {
	var now, most atomic.Int32
	methods := map[byte]Method{echo: {Name: "echo", Forming: true, Handle: func(_ context.Context, b []byte) (command.Code, []byte) {
		k := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); k > m && !most.CompareAndSwap(m, k); m = most.Load() {
		}
		return command.CodeOK, b
	}}}
	a, b := open(t, Config{MaxPerPeer: 3, MaxIdle: 2}, clusterA), open(t, Config{Methods: methods}, clusterA)
	var calls sync.WaitGroup
	for range 50 {
		calls.Go(func() {
			_, _, err := a.Call(callTime(t), b.Addr().String(), echo, []byte("x"))
			if err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	require.LessOrEqual(t, most.Load(), int32(3))
	require.LessOrEqual(t, a.pools.of(b.Addr().String(), 3).idleCount(), 2)
}

// A pooled connection that was idle for too long is not used.
func TestIdleConnectionsExpire(t *testing.T) {
	a, b := open(t, Config{IdleTimeout: time.Nanosecond}, clusterA), open(t, Config{}, clusterA)
	for range 3 {
		_, _, err := a.Call(callTime(t), b.Addr().String(), echo, nil)
		require.NoError(t, err)
	}
	require.Equal(t, 1, a.pools.of(b.Addr().String(), 1).idleCount())
}

func TestInboundIsCapped(t *testing.T) {
	a, b := open(t, Config{}, clusterA), open(t, Config{MaxConns: 1}, clusterA)
	_, _, err := a.Call(callTime(t), b.Addr().String(), echo, nil)
	require.NoError(t, err)
	c := open(t, Config{}, clusterA)
	_, _, err = c.Call(callTime(t), b.Addr().String(), echo, nil)
	require.False(t, sent(t, err))
	a.pools.drop()
	require.Eventually(t, func() bool {
		_, _, err = c.Call(callTime(t), b.Addr().String(), echo, nil)
		return err == nil
	}, time.Minute, 5*time.Millisecond, "the place is not free again")
}

// Bytes of strangers close their connection, and harm nobody.
func TestHostileBytes(t *testing.T) {
	b := open(t, Config{HandshakeTimeout: 100 * time.Millisecond, MaxFrame: 1 << 10}, clusterA)
	var good bytes.Buffer
	require.NoError(t, writeHello(&good, hello{kind: kindInternal, version: protocolVersion, cluster: clusterA}))
	inputs := map[string]string{
		"nothing":       "",
		"http":          "GET / HTTP/1.1\r\n\r\n",
		"half a hello":  good.String()[:10],
		"long frame":    good.String() + "\xff\xff\xff\xff",
		"short frame":   good.String() + "\x00\x00\x00\x01x",
		"version 9":     "I\x09" + strings.Repeat("\x00", 18),
		"raft as guest": "R\x01" + strings.Repeat("\x00", 18),
	}
	for name, input := range inputs {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", b.Addr().String())
			require.NoError(t, err)
			defer func() { _ = c.Close() }()
			_, err = c.Write([]byte(input))
			require.NoError(t, err)
			require.NoError(t, c.SetReadDeadline(time.Now().Add(5*time.Second)))
			_, err = bytes.NewBuffer(nil).ReadFrom(c)
			var slow net.Error
			require.False(t, errors.As(err, &slow) && slow.Timeout(), "the connection stays open")
		})
	}
	a := open(t, Config{}, clusterA)
	_, _, err := a.Call(callTime(t), b.Addr().String(), echo, []byte("x"))
	require.NoError(t, err)
}

// Raft's connections are for one server id of the same cluster.
func TestRaftLayer(t *testing.T) {
	a, b := open(t, Config{}, clusterA), open(t, Config{}, clusterA)
	address := raft.ServerAddress(b.Addr().String())
	from := a.OpenRaft("a@1", "a:1", ignoreLoss)
	var refusal *Refusal
	_, err := from.Dial(RaftTarget("b@1", address), time.Second)
	require.ErrorAs(t, err, &refusal, "b runs no Raft yet")

	to := b.OpenRaft("b@2", string(address), ignoreLoss)
	require.Equal(t, string(address), to.Addr().String())
	_, err = from.Dial(RaftTarget("b@1", address), time.Second)
	require.ErrorAs(t, err, &refusal, "another incarnation has the address")
	require.Equal(t, command.CodeNotReady, refusal.Code)

	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := to.Accept()
		if err == nil {
			_, _ = c.Write([]byte("hi"))
		}
		accepted <- c
	}()
	c, err := from.Dial(RaftTarget("b@2", address), time.Second)
	require.NoError(t, err)
	got := make([]byte, 2)
	_, err = c.Read(got)
	require.NoError(t, err)
	require.Equal(t, "hi", string(got))
	<-accepted
	require.NoError(t, b.Close(), "closing ends Raft's connections too")
	_, err = c.Read(got)
	require.Error(t, err)
	_, err = to.Accept()
	require.ErrorIs(t, err, net.ErrClosed)

	other := open(t, Config{}, clusterB)
	other.OpenRaft("b@2", "x", ignoreLoss)
	_, err = from.Dial(RaftTarget("b@2", raft.ServerAddress(other.Addr().String())), time.Second)
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, command.CodeOtherCluster, refusal.Code)
}

func TestHandshakeRoundTrip(t *testing.T) {
	var b bytes.Buffer
	h := hello{kind: kindRaft, version: 1, cluster: clusterA, from: "a", to: "b@1"}
	require.NoError(t, writeHello(&b, h))
	got, err := readHello(&b)
	require.NoError(t, err)
	require.Equal(t, h, got)
	a := helloAnswer{version: 1, code: command.CodeNotReady, cluster: clusterB, message: "later"}
	require.NoError(t, writeAnswer(&b, a))
	back, err := readAnswer(&b)
	require.NoError(t, err)
	require.Equal(t, a, back)
	require.Error(t, writeHello(&b, hello{from: strings.Repeat("x", 256)}))
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x06\x01\x00\x00\x00\x05x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if q, err := readRequest(bytes.NewReader(b), func() int { return 1 << 16 }); err == nil {
			require.LessOrEqual(t, len(q.body), len(b))
		}
		_, _, _ = readReply(bytes.NewReader(b), 1<<16)
		_, _ = readHello(bytes.NewReader(b))
		_, _ = readAnswer(bytes.NewReader(b))
	})
}

func TestMetricsLint(t *testing.T) {
	a, b := open(t, Config{}, clusterA), open(t, Config{}, clusterA)
	_, _, err := a.Call(callTime(t), b.Addr().String(), echo, nil)
	require.NoError(t, err)
	for _, tr := range []*Transport{a, b} {
		r := prometheus.NewPedanticRegistry()
		r.MustRegister(tr.Collectors()...)
		families, err := r.Gather()
		require.NoError(t, err)
		problems, err := promlint.NewWithMetricFamilies(families).Lint()
		require.NoError(t, err)
		require.Empty(t, problems)
	}
}
