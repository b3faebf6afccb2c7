package cluster

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"dapple/command"
	"dapple/transport"
)

// keyed is a fleet whose nodes share a cluster key.
type keyed struct {
	*fleet
	path string

	mu     sync.Mutex
	tokens map[string]string // to the server that has used it
	given  map[string]string // by node
	asked  map[string]int    // how often a node has asked for its token
}

func newKeyed(t *testing.T, names ...string) *keyed {
	t.Helper()
	k := &keyed{fleet: newFleet(t, names...), path: filepath.Join(t.TempDir(), "keys"), tokens: map[string]string{}, given: map[string]string{}, asked: map[string]int{}}
	key, err := transport.NewKey()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(k.path, []byte(key), 0o600))
	k.tweak = k.configure
	return k
}

func (k *keyed) configure(c *Config) {
	var err error
	c.Key, err = transport.OpenKeyFile(k.path)
	require.NoError(k.t, err)
	k.takeTokens(c)
}

// takeTokens has nodes ask with the tokens that they are given, and take those that were made.
func (k *keyed) takeTokens(c *Config) {
	name := c.NodeID
	c.JoinToken = func() (string, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.asked[name]++
		return k.given[name], nil
	}
	c.CheckJoinToken = func(digest [32]byte, serverID string) error {
		k.mu.Lock()
		defer k.mu.Unlock()
		for token, used := range k.tokens {
			switch {
			case digest != sha256.Sum256([]byte(token)):
			case used != "" && used != serverID:
				return errors.New("the join token has been used by another node")
			default:
				k.tokens[token] = serverID
				return nil
			}
		}
		return errors.New("the join token is unknown")
	}
}

func (k *keyed) give(name, token string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.given[name] = token
	if _, made := k.tokens[token]; !made {
		k.tokens[token] = ""
	}
}

// checked returns how often a node has asked to join.
func (k *keyed) checked(name string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked[name]
}

// outsider is a transport of somebody who is no member. With the key it has passed the first door.
func (k *keyed) outsider(name string, id transport.ClusterID, withKey bool) *transport.Transport {
	cfg := transport.Config{Listen: "127.0.0.1:0", Name: name}
	if withKey {
		var err error
		cfg.Key, err = transport.OpenKeyFile(k.path)
		require.NoError(k.t, err)
	}
	return outsider(k.t, cfg, id)
}

func outsider(t testing.TB, cfg transport.Config, id transport.ClusterID) *transport.Transport {
	t.Helper()
	tr, err := transport.New(cfg)
	require.NoError(t, err)
	tr.SetCluster(id)
	tr.Start()
	t.Cleanup(func() { require.NoError(t, tr.Close()) })
	return tr
}

// waiting waits until a node says why it is not let in.
func (f *fleet) waiting(name, why string) {
	f.t.Helper()
	eventually(f.t, func() bool { return strings.Contains(f.nodes[name].currentPhase(), why) }, "%s is not told: %s", name, why)
}

// Nodes that hold the key form a cluster; another one needs a token for each incarnation, which serves once.
func TestJoinToken(t *testing.T) {
	t.Parallel()
	k := newKeyed(t, "a", "b", "c", "d", "e")
	expect := k.tweak
	k.tweak = func(c *Config) {
		expect(c)
		c.BootstrapExpect = 3
		c.Join = []string{k.addrs["a"], k.addrs["b"], k.addrs["c"]}
	}
	for _, name := range []string{"a", "b", "c"} {
		k.start(name)
	}
	k.voters(3)
	k.start("d")
	k.waiting("d", "a new member needs a join token")
	require.Equal(t, RoleJoining, k.nodes["d"].Status(t.Context()).Role)
	k.give("d", "one")
	k.ready("d")
	k.voters(4)

	k.give("e", "one")
	k.start("e")
	k.waiting("e", "used by another node")

	// A member that has lost its folder is a new one.
	k.stop("d")
	k.wipe("d")
	k.start("d")
	k.waiting("d", "used by another node")
	k.give("d", "two")
	k.ready("d")
	k.voters(4)
	k.add("d", "x")
}

// Who holds the key and is no member can do nothing but ask to join, and is told no id; who does not hold it cannot do that.
func TestOutsidersWithAKey(t *testing.T) {
	k := newKeyed(t, "a")
	k.startAll()
	a := k.nodes["a"]
	id := a.currentMeta().clusterID()
	at := k.addrs["a"]
	forged := encodeCommands([]command.Command{{Type: command.TypeAddIdentity, Issuer: "root", Payload: []byte("stolen")}})

	stranger := k.outsider("x@1", id, false)
	_, _, err := stranger.Call(deadline(t), at, methodHello, []byte("{}"))
	var lost *transport.CallError
	require.ErrorAs(t, err, &lost)
	require.False(t, lost.Sent)

	guest := k.outsider("x@1", transport.ClusterID{}, true)
	code, body, err := guest.Call(deadline(t), at, methodHello, []byte("{}"))
	require.NoError(t, err)
	require.Equal(t, command.CodeOK, code)
	require.NotContains(t, string(body), a.currentMeta().Cluster)
	require.NotContains(t, string(body), a.serverID())

	for _, ghost := range []*transport.Transport{guest, k.outsider("x@1", id, true), k.outsider("a", id, true)} {
		for _, method := range []byte{methodPropose, methodPoll, methodCommit, methodStatus, methodConfirm, methodReadIndex, methodNotice} {
			code, _, err := ghost.Call(deadline(t), at, method, forged)
			require.NoError(t, err)
			require.Equal(t, command.CodeNotReady, code)
		}
		for _, join := range []string{
			`{"name": "x", "server_id": "x@1", "address": "127.0.0.1:1"}`,
			`{"name": "x", "server_id": "x@1", "address": "127.0.0.1:1", "passed": true, "proof": {"self": true, "listed": true, "covers": ["127.0.0.1:1"]}}`,
			`{"name": "a", "server_id": "` + a.serverID() + `", "address": "127.0.0.1:1", "has_state": true}`,
		} {
			code, body, err := ghost.Call(deadline(t), at, methodJoin, []byte(join))
			require.NoError(t, err)
			require.Equal(t, command.CodeAccessDenied, code, "%s: %s", join, body)
			require.NotContains(t, string(body), a.currentMeta().Cluster)
		}
	}
	ghost := k.outsider("x@1", id, true)
	layer := ghost.OpenRaft("x@1", "127.0.0.1:1", func(string) {})
	layer.StopWaiting()
	_, err = layer.Dial(transport.RaftTarget(a.consensus.Load().id, raft.ServerAddress(at)), 10*time.Second)
	var refused *transport.Refusal
	require.ErrorAs(t, err, &refused)
	require.Len(t, a.servers(), 1)
	require.Zero(t, a.machine.counter("stolen"))
}

// A member of an open cluster on loopback tells its id to nobody who asks either.
func TestHelloTellsNoID(t *testing.T) {
	f := newFleet(t, "a")
	f.startAll()
	a := f.nodes["a"]
	guest := outsider(t, transport.Config{Listen: "127.0.0.1:0", Name: "x"}, transport.ClusterID{})
	code, body, err := guest.Call(deadline(t), f.addrs["a"], methodHello, []byte("{}"))
	require.NoError(t, err)
	require.Equal(t, command.CodeOK, code)
	require.NotContains(t, string(body), a.currentMeta().Cluster)
	require.Equal(t, publicNameOf(a.currentMeta().Cluster), publicName(a.currentMeta().clusterID()))
	require.Contains(t, string(body), publicName(a.currentMeta().clusterID()))
}

// A node that nobody lets in says why in words, and says it once.
func TestJoinMessagesAreWords(t *testing.T) {
	t.Parallel()
	k := newKeyed(t, "a", "b")
	var log lockedBuffer
	expect := k.tweak
	k.tweak = func(c *Config) {
		expect(c)
		if c.NodeID == "a" {
			c.Join = nil
		}
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	k.start("a")
	k.ready("a")
	k.start("b")
	k.waiting("b", "needs a join token")
	eventually(t, func() bool { return k.checked("b") > 3 }, "b does not ask again")
	text := log.String()
	require.NotContains(t, text, "code 4")
	require.Equal(t, 1, strings.Count(text, "(retrying)"), text)
	require.Equal(t, 1, strings.Count(text, "a node was not taken in"), text)
}

// A member that is away costs each of Raft's messages about it once, not several times per second, and again when it was back.
func TestDeadPeerIsLoggedSeldom(t *testing.T) {
	f := newFleet(t, "a", "b")
	f.startAll()
	f.voters(2)
	leader, id := f.nodes[f.leader()], f.nodes[f.followers()[0]].serverID()
	peer := raft.Server{ID: raft.ServerID(id)}
	level := func() slog.Level {
		return leader.raftLevelOnce(slog.LevelError, "out of the blue", []any{"peer", peer})
	}
	fail := func() {
		leader.reach.mu.Lock()
		defer leader.reach.mu.Unlock()
		leader.reach.of(id).failures = 1
	}
	f.stop(nameOf(id))
	fail()
	require.Equal(t, slog.LevelError, level())
	for range 10 {
		require.Equal(t, slog.LevelDebug, level())
	}
	leader.repeats.forget(" " + id)
	require.Equal(t, slog.LevelError, level(), "it was back meanwhile")
}

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
