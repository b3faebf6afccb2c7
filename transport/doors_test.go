package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// keyFile writes a file of cluster keys.
func keyFile(t *testing.T, keys ...string) *KeyFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	rewrite(t, path, keys...)
	k, err := OpenKeyFile(path)
	require.NoError(t, err)
	return k
}

func rewrite(t *testing.T, path string, keys ...string) {
	t.Helper()
	text := "# keys of the cluster\n\n"
	for _, key := range keys {
		text += key + "\n"
	}
	require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

func newKey(t *testing.T) string {
	t.Helper()
	key, err := NewKey()
	require.NoError(t, err)
	return key
}

// stranger dials a node without a proof and says hello.
func stranger(t *testing.T, address string, h hello) (net.Conn, helloAnswer, error) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	h.version = protocolVersion
	_ = writeHello(c, h) // a node that wants a proof may have closed already
	a, err := readAnswer(c)
	return c, a, err
}

// A hello with no cluster id, or a wrong one, is told none.
func TestStrangerIsToldNoClusterID(t *testing.T) {
	b := open(t, Config{}, clusterA)
	b.OpenRaft("b@1", "b:1", ignoreLoss)
	for _, kind := range []byte{kindInternal, kindRaft} {
		for _, id := range []ClusterID{{}, clusterB} {
			_, a, err := stranger(t, b.Addr().String(), hello{kind: kind, cluster: id, from: "x"})
			require.NoError(t, err)
			require.Equal(t, ClusterID{}, a.cluster)
			require.NotContains(t, a.message, "01", "the id is not in the message either")
		}
	}
	_, a, err := stranger(t, b.Addr().String(), hello{kind: kindInternal, cluster: clusterA, from: "x"})
	require.NoError(t, err)
	require.Equal(t, clusterA, a.cluster)
}

// Only nodes that hold a common key talk to each other; a node without a key talks to none that has one.
func TestClusterKey(t *testing.T) {
	one, two := newKey(t), newKey(t)
	server := open(t, Config{Key: keyFile(t, one, two)}, clusterA)
	for name, c := range map[string]struct {
		key *KeyFile
		ok  bool
	}{
		"first": {keyFile(t, one), true}, "second": {keyFile(t, two, one), true}, "other": {keyFile(t, newKey(t)), false}, "none": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			client := open(t, Config{Key: c.key}, clusterA)
			for _, ends := range [][2]*Transport{{client, server}, {server, client}} {
				if name == "second" && ends[0] == server {
					continue // both have it, and the server proves its first
				}
				code, _, err := ends[0].Call(callTime(t), ends[1].Addr().String(), members, []byte("x"))
				if c.ok {
					require.NoError(t, err)
					require.Equal(t, command.CodeOK, code)
					continue
				}
				require.False(t, sent(t, err), "%v", err)
			}
		})
	}
}

// Somebody between two nodes who talks TLS with each cannot pass the proof of one on to the other.
func TestProofCannotBePassedOn(t *testing.T) {
	key := newKey(t)
	server, client := open(t, Config{Key: keyFile(t, key)}, clusterA), open(t, Config{Key: keyFile(t, key)}, clusterA)
	ends, err := newEnds()
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		done <- func() error {
			c, err := l.Accept()
			if err != nil {
				return err
			}
			defer func() { _ = c.Close() }()
			in := tls.Server(c, ends.server)
			out, err := tls.Dial("tcp", server.Addr().String(), ends.client)
			if err != nil {
				return err
			}
			defer func() { _ = out.Close() }()
			if _, err := io.CopyN(out, in, 32); err != nil {
				return err
			}
			_, err = io.CopyN(in, out, 32)
			return err
		}()
	}()
	_, _, err = client.Call(callTime(t), l.Addr().String(), echo, nil)
	require.ErrorIs(t, err, errKeyProof)
	require.Error(t, <-done, "the server has answered with a proof")
	require.NoError(t, l.Close())
}

// A key is replaced in three steps without a call that fails; in the end the old one opens nothing, nor does a connection
// that it has opened stay.
func TestKeyRotation(t *testing.T) {
	before, after := newKey(t), newKey(t)
	ka, kb := keyFile(t, before), keyFile(t, before)
	a, b := open(t, Config{Key: ka}, clusterA), open(t, Config{Key: kb}, clusterA)
	leaked := open(t, Config{Key: keyFile(t, before)}, clusterA)
	address := b.Addr().String()
	call := func(from *Transport) error {
		_, _, err := from.Call(callTime(t), address, members, nil)
		return err
	}
	require.NoError(t, call(a))
	require.NoError(t, call(leaked))
	idle := leaked.pools.of(address, 1).idle[0].Conn
	for _, keys := range [][]string{{before, after}, {after, before}, {after}} {
		for _, k := range []*KeyFile{ka, kb} {
			rewrite(t, k.path, keys...)
			require.Eventually(t, func() bool { return len(k.current()) == len(keys) && string(k.current()[0].secret) == keys[0] },
				time.Minute, time.Millisecond)
			require.NoError(t, call(a))
		}
	}
	require.Eventually(t, func() bool { return !isOpen(idle) }, time.Minute, time.Millisecond)
	require.False(t, sent(t, call(leaked)))

	// A file that cannot be used changes nothing.
	rewrite(t, kb.path)
	_, err := kb.reload()
	require.Error(t, err)
	require.NoError(t, call(a))
}

func TestKeyFileIsChecked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	_, err := OpenKeyFile(path)
	require.ErrorContains(t, err, path)
	rewrite(t, path, "secret")
	_, err = OpenKeyFile(path)
	require.ErrorContains(t, err, "too short")
	_, err = New(Config{Listen: "127.0.0.1:0", Key: keyFile(t, newKey(t)), TLS: &TLSFiles{}})
	require.ErrorContains(t, err, "not both")
}

// Silent connections, more than a node accepts, keep no member out, whatever it must prove.
func TestSilentConnectionsKeepNobodyOut(t *testing.T) {
	key, ours, local := newKey(t), newAuthority(t), net.IPv4(127, 0, 0, 1)
	for name, make := range map[string]func() Config{
		"key": func() Config { return Config{Key: keyFile(t, key), HandshakeTimeout: time.Hour} },
		"tls": func() Config { return Config{TLS: ours.files(t, ours, local), HandshakeTimeout: time.Hour} },
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, make(), clusterA)
			var silent []net.Conn
			for range 600 {
				c, err := net.Dial("tcp", b.Addr().String())
				require.NoError(t, err)
				silent = append(silent, c)
			}
			defer func() {
				for _, c := range silent {
					_ = c.Close()
				}
			}()
			a := open(t, make(), clusterA)
			code, _, err := a.Call(callTime(t), b.Addr().String(), members, nil)
			require.NoError(t, err)
			require.Equal(t, command.CodeOK, code)
			b.mu.Lock()
			defer b.mu.Unlock()
			require.LessOrEqual(t, len(b.guests.all), maxGuestsPerSource)
		})
	}
}

// The source with most connections loses one where there are too many in all.
func TestGuestsOfManySources(t *testing.T) {
	var g guests
	add := func(source string) *trackedConn { return g.add(&trackedConn{source: source}) }
	for range maxGuestsPerSource {
		require.Nil(t, add("crowd"))
	}
	require.Equal(t, "crowd", add("crowd").source)
	for i := range maxGuests - maxGuestsPerSource {
		require.Nil(t, add(string(rune('a'+i))))
	}
	require.Equal(t, "crowd", add("another").source)
	require.Len(t, g.all, maxGuests)
}

// What is for members only is refused to others, at each call.
func TestNonMembersAreRefused(t *testing.T) {
	members := map[string]bool{"a@1": true}
	methods := testMethods()
	methods[echo] = Method{Name: "echo", Forming: true, Handle: func(ctx context.Context, _ []byte) (command.Code, []byte) {
		return command.CodeOK, []byte(PeerOf(ctx).Name)
	}}
	b := open(t, Config{Methods: methods, IsMember: func(p Peer) bool { return members[p.Name] }}, clusterA)
	b.OpenRaft("b@1", "b:1", ignoreLoss)
	for name, want := range map[string]command.Code{"a@1": command.CodeOK, "ghost@1": command.CodeNotReady} {
		c, a, err := stranger(t, b.Addr().String(), hello{kind: kindInternal, cluster: clusterA, from: name})
		require.NoError(t, err)
		require.Equal(t, command.CodeOK, a.code)
		code, body, err := roundTrip(c, request{method: echo, timeout: time.Minute}, 1<<20)
		require.NoError(t, err)
		require.Equal(t, command.CodeOK, code)
		require.Equal(t, name, string(body))
		code, _, err = roundTrip(c, request{method: 2, timeout: time.Minute}, 1<<20)
		require.NoError(t, err)
		require.Equal(t, want, code, name)
	}
	_, a, err := stranger(t, b.Addr().String(), hello{kind: kindRaft, cluster: clusterA, from: "ghost@1", to: "b@1"})
	require.NoError(t, err)
	require.Equal(t, command.CodeNotReady, a.code)
	require.NotContains(t, a.message, "b@1")
}

// A peer that is no member cannot make a node hold large requests, of which there may be hundreds at a time.
func TestGuestsSendSmallRequests(t *testing.T) {
	b := open(t, Config{IsMember: func(p Peer) bool { return p.Name == "a@1" }}, clusterA)
	for name, h := range map[string]hello{
		"member":          {kind: kindInternal, cluster: clusterA, from: "a@1"},
		"guest":           {kind: kindInternal, cluster: clusterA, from: "ghost@1"},
		"without cluster": {kind: kindInternal, from: "a@1"},
	} {
		t.Run(name, func(t *testing.T) {
			call := func(size int) error {
				c, a, err := stranger(t, b.Addr().String(), h)
				require.NoError(t, err)
				require.Equal(t, command.CodeOK, a.code)
				_, _, err = roundTrip(c, request{method: echo, timeout: time.Minute, body: make([]byte, size)}, 16<<20)
				return err
			}
			require.NoError(t, call(guestFrame-requestHead))
			if err := call(1 << 20); name == "member" {
				require.NoError(t, err)
			} else {
				require.Error(t, err)
			}
		})
	}
}

// A peer that is stopped in the middle of its handshake, and a node that stops during one, warn of nothing. Bytes that
// are no handshake do.
func TestHangingUpIsNoWarning(t *testing.T) {
	for name, sends := range map[string]struct {
		bytes string
		loud  bool
	}{
		"nothing":          {},
		"half a handshake": {bytes: "\x16\x03\x01\x02\x00\x01"},
		"no handshake":     {bytes: strings.Repeat("GET / HTTP/1.1\r\n", 20), loud: true},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer // read when the transport has closed
			b, err := New(Config{
				Listen: "127.0.0.1:0", Key: keyFile(t, newKey(t)), Methods: testMethods(),
				Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo})),
			})
			require.NoError(t, err)
			b.Start()
			dial := func() net.Conn {
				c, err := net.Dial("tcp", b.Addr().String())
				require.NoError(t, err)
				_, err = io.WriteString(c, sends.bytes)
				require.NoError(t, err)
				return c
			}
			accepted := func() int {
				b.mu.Lock()
				defer b.mu.Unlock()
				return b.inbound
			}
			gone := dial()
			if !sends.loud {
				require.Eventually(t, func() bool { return accepted() == 1 }, time.Minute, time.Millisecond)
			}
			require.NoError(t, gone.(*net.TCPConn).CloseWrite())
			_, err = io.Copy(io.Discard, gone) // until the node has closed it
			if err != nil {
				require.ErrorIs(t, err, syscall.ECONNRESET)
			}
			require.NoError(t, gone.Close())
			left := dial()
			if !sends.loud {
				require.Eventually(t, func() bool { return accepted() == 1 }, time.Minute, time.Millisecond)
			}
			require.NoError(t, b.Close())
			require.NoError(t, left.Close())
			require.Equal(t, sends.loud, strings.Contains(log.String(), "level=WARN"), log.String())
		})
	}
}

// A node that takes another server id is known by it at once, also where it has talked to the peer before.
func TestIdentifyAgain(t *testing.T) {
	methods := testMethods()
	methods[echo] = Method{Name: "echo", Handle: func(ctx context.Context, _ []byte) (command.Code, []byte) {
		return command.CodeOK, []byte(PeerOf(ctx).Name)
	}}
	a, b := open(t, Config{}, clusterA), open(t, Config{Methods: methods}, clusterA)
	for _, id := range []string{"a@1", "a@2"} {
		a.Identify(id)
		_, body, err := a.Call(callTime(t), b.Addr().String(), echo, nil)
		require.NoError(t, err)
		require.Equal(t, id, string(body))
	}
}
