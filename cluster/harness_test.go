package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"dapple/command"
	"dapple/internal/ports"
	"dapple/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fleet is some nodes in this process, on loopback ports, with a network that the test disturbs.
type fleet struct {
	t     testing.TB
	net   *transporttest.Network
	addrs map[string]string
	dirs  map[string]string
	nodes map[string]*member
	names []string
	tweak func(*Config)
}

type member struct {
	*Node
	machine *memMachine
	stopped bool
}

func newFleet(t testing.TB, names ...string) *fleet {
	t.Helper()
	f := &fleet{t: t, net: transporttest.New(), addrs: map[string]string{}, dirs: map[string]string{}, nodes: map[string]*member{}, names: names}
	for _, name := range names {
		f.place(name)
		f.dirs[name] = t.TempDir()
	}
	t.Cleanup(func() {
		for _, m := range f.nodes {
			f.close(m)
		}
	})
	return f
}

// place gives a node an address, which stays its own until the test ends.
func (f *fleet) place(name string) {
	f.t.Helper()
	reserved, err := ports.Reserve()
	require.NoError(f.t, err)
	f.t.Cleanup(func() { require.NoError(f.t, reserved.Release()) })
	f.addrs[name] = reserved.Address
	f.net.Name(reserved.Address, name)
}

func (f *fleet) close(m *member) {
	if m.stopped {
		return
	}
	m.stopped = true
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := m.Shutdown(ctx); err != nil {
		f.t.Errorf("shutdown of %s: %v", m.cfg.NodeID, err)
	}
}

func (f *fleet) config(name string) Config {
	join := make([]string, 0, len(f.names))
	for _, n := range f.names {
		join = append(join, f.addrs[n])
	}
	cfg := Config{
		NodeID: name, DataDir: f.dirs[name], ClusterAddr: f.addrs[name], ClusterAdvertise: f.addrs[name], Join: join,
		HTTPAdvertise: "http://" + name, Version: "test", Machine: newMemMachine(), Hook: f.net,
		Genesis:   func([16]byte) (*command.Genesis, error) { return &command.Genesis{}, nil },
		Heartbeat: 150 * time.Millisecond, Election: 150 * time.Millisecond, Lease: 100 * time.Millisecond,
		MinFreeDisk: -1, // the disk of the machine is no matter of the tests
		RPCTimeout:  time.Second, PollInterval: 50 * time.Millisecond, PledgeTime: 2 * time.Second, RecallTime: time.Second, ForwardTimeout: time.Second,
	}
	if os.Getenv("DAPPLE_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("node", name)
	}
	if f.tweak != nil {
		f.tweak(&cfg)
	}
	return cfg
}

// start runs a node on its folder, with an empty state machine that the log fills.
func (f *fleet) start(name string) *member {
	f.t.Helper()
	cfg := f.config(name)
	n, err := Start(f.t.Context(), cfg)
	require.NoError(f.t, err)
	m := &member{Node: n, machine: cfg.Machine.(*memMachine)}
	f.nodes[name] = m
	return m
}

// stop ends a node without handing over: as far as the others can tell it is killed.
func (f *fleet) stop(name string) {
	f.t.Helper()
	f.net.Isolate(name)
	f.close(f.nodes[name])
	f.net.Rejoin(name)
}

// wipe empties a node's folder.
func (f *fleet) wipe(name string) { f.dirs[name] = f.t.TempDir() }

func (f *fleet) startAll() {
	f.t.Helper()
	for _, name := range f.names {
		f.start(name)
	}
	for _, name := range f.names {
		f.ready(name)
	}
}

// patience bounds the wait for what must happen. It is much longer than that takes, also on a busy machine.
const patience = 2 * time.Minute

// deadline is a context for something that must happen; it is much longer than that takes.
func deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits for a condition that no event tells.
func eventually(t testing.TB, is func() bool, format string, args ...any) {
	t.Helper()
	require.Eventually(t, is, patience, 10*time.Millisecond, fmt.Sprintf(format, args...))
}

func (f *fleet) ready(name string) {
	f.t.Helper()
	var err error
	eventually(f.t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		err = f.nodes[name].Ready(ctx)
		return err == nil
	}, "node %s is not ready", name)
	require.NoError(f.t, err)
}

// leader waits until exactly one of the running nodes is a ready leader, and returns its name.
func (f *fleet) leader() string {
	f.t.Helper()
	var found string
	eventually(f.t, func() bool {
		found = ""
		for name, m := range f.nodes {
			if v := m.views.get(); !m.stopped && v.ready && v.open {
				if found != "" {
					return false
				}
				found = name
			}
		}
		return found != ""
	}, "no leader")
	return found
}

func (f *fleet) followers() []string {
	f.t.Helper()
	leader := f.leader()
	var all []string
	for _, name := range f.names {
		if name != leader && f.nodes[name] != nil && !f.nodes[name].stopped {
			all = append(all, name)
		}
	}
	return all
}

// add raises a counter and requires that it worked.
func (f *fleet) add(name, counter string) command.Result {
	f.t.Helper()
	r, err := f.nodes[name].Propose(deadline(f.t), command.TypeAddScope, "root", []byte(counter))
	require.NoError(f.t, err)
	require.Equal(f.t, command.CodeOK, r.Code, r.Message)
	return r
}

// addOnceReached is add at a node that may not have noticed yet that it reaches a majority again.
func (f *fleet) addOnceReached(name, counter string) {
	f.t.Helper()
	for ctx := deadline(f.t); ; f.pause(name, ctx.Done()) {
		r, err := f.nodes[name].Propose(ctx, command.TypeAddScope, "root", []byte(counter))
		if CodeOf(err) == command.CodeNoLeader && ctx.Err() == nil {
			continue
		}
		require.NoError(f.t, err)
		require.Equal(f.t, command.CodeOK, r.Code, r.Message)
		return
	}
}

// pause waits as a client does that was refused: without it, refusals at once would keep the processors busy.
func (f *fleet) pause(name string, stop <-chan struct{}) {
	select {
	case <-stop:
	case <-f.nodes[name].views.get().changed:
	case <-time.After(20 * time.Millisecond):
	}
}

// counted waits until a node has applied a counter up to a value.
func (f *fleet) counted(name, counter string, value int) {
	f.t.Helper()
	m := f.nodes[name].machine
	err := m.until(deadline(f.t), func() bool { return m.counters[counter] >= value })
	require.NoError(f.t, err, "counter %s at %s", counter, name)
	require.Equal(f.t, value, m.counter(counter), "counter %s at %s", counter, name)
}

// voters waits until the leader has that many voters and no learner.
func (f *fleet) voters(count int) {
	f.t.Helper()
	var last []Member
	eventually(f.t, func() bool {
		last = f.nodes[f.leader()].Status(context.Background()).Members
		voters := 0
		for _, m := range last {
			if m.Role == RoleVoter {
				voters++
			}
		}
		return voters == count && len(last) == count
	}, "not %d voters", count)
}

func members(all []Member) string { return fmt.Sprintf("%+v", all) }
