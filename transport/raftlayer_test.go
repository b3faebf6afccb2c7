package transport

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

func ignoreLoss(string) {}

// A connection of the pool that the peer has closed is not used: the call is surely not sent.
func TestClosedIdleConnectionIsNotUsed(t *testing.T) {
	a, b := open(t, Config{}, clusterA), open(t, Config{}, clusterA)
	address := b.Addr().String()
	_, _, err := a.Call(callTime(t), address, echo, []byte("x"))
	require.NoError(t, err)
	pool := a.pools.of(address, 1)
	require.Equal(t, 1, pool.idleCount())
	idle := pool.idle[0].Conn
	require.True(t, isOpen(idle))
	require.NoError(t, b.Close())
	require.Eventually(t, func() bool { return !isOpen(idle) }, 10*time.Second, time.Millisecond)
	_, _, err = a.Call(callTime(t), address, echo, []byte("x"))
	var lost *CallError
	require.ErrorAs(t, err, &lost)
	require.False(t, lost.Sent, "%v", err)
}

// The same holds over TLS, where the peer says that it closes, which is still to be read.
func TestClosedIdleTLSConnectionIsNotUsed(t *testing.T) {
	ours, local := newAuthority(t), net.IPv4(127, 0, 0, 1)
	a, b := open(t, Config{TLS: ours.files(t, ours, local)}, clusterA), open(t, Config{TLS: ours.files(t, ours, local)}, clusterA)
	address := b.Addr().String()
	_, _, err := a.Call(callTime(t), address, echo, []byte("x"))
	require.NoError(t, err)
	require.True(t, isOpen(a.pools.of(address, 1).idle[0].Conn))

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	peer, err := l.Accept()
	require.NoError(t, err)
	require.True(t, isOpen(c))
	_, err = peer.Write([]byte("an alert"))
	require.NoError(t, err)
	require.NoError(t, peer.Close())
	require.Eventually(t, func() bool { return !isOpen(c) }, 10*time.Second, time.Millisecond)
}

// A connection of the pool is used again also when the time of the call before is over.
func TestIdleConnectionOutlivesItsCall(t *testing.T) {
	a, b := open(t, Config{}, clusterA), open(t, Config{}, clusterA)
	address := b.Addr().String()
	_, _, err := a.Call(callTime(t), address, echo, []byte("x"))
	require.NoError(t, err)
	idle := a.pools.of(address, 1).idle[0].Conn
	require.NoError(t, idle.SetDeadline(time.Now().Add(-time.Second))) // as if the call's had been that
	_, _, err = a.Call(callTime(t), address, echo, []byte("x"))
	require.NoError(t, err)
	require.Same(t, idle, a.pools.of(address, 1).idle[0].Conn)
}

// Dial waits for a member that is about to run Raft, and gives up when this node stops.
func TestRaftDialWaitsForNewMember(t *testing.T) {
	a, b := open(t, Config{}, clusterA), open(t, Config{}, ClusterID{})
	from := a.OpenRaft("a@1", "a:1", ignoreLoss)
	target := RaftTarget("b@1", raft.ServerAddress(b.Addr().String()))
	dialled := make(chan error, 1)
	go func() {
		c, err := from.Dial(target, 10*time.Second)
		if err == nil {
			_ = c.Close()
		}
		dialled <- err
	}()
	refused := func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.conns) > 0
	}
	require.Eventually(t, refused, 10*time.Second, 100*time.Microsecond, "it is tried before")
	b.SetCluster(clusterA)
	to := b.OpenRaft("b@1", "b:1", ignoreLoss)
	accepted, err := to.Accept()
	require.NoError(t, err)
	require.NoError(t, accepted.Close())
	require.NoError(t, <-dialled)

	other := open(t, Config{}, ClusterID{})
	from.StopWaiting()
	began := time.Now()
	var refusal *Refusal
	_, err = from.Dial(RaftTarget("c@1", raft.ServerAddress(other.Addr().String())), 10*time.Second)
	require.ErrorAs(t, err, &refusal)
	require.Less(t, time.Since(began), joinWait)
}

// However a connection of a peer's Raft ends, it is an end of file: Raft logs all else as an error.
func TestRaftConnectionsEndQuietly(t *testing.T) {
	a, b := open(t, Config{}, clusterA), open(t, Config{}, clusterA)
	from := a.OpenRaft("a@1", "a:1", ignoreLoss)
	to := b.OpenRaft("b@1", "b:1", ignoreLoss)
	connect := func() (dialled, accepted net.Conn) {
		c, err := from.Dial(RaftTarget("b@1", raft.ServerAddress(b.Addr().String())), 10*time.Second)
		require.NoError(t, err)
		accepted, err = to.Accept()
		require.NoError(t, err)
		return c, accepted
	}
	buffer := make([]byte, 1)

	_, accepted := connect()
	require.NoError(t, accepted.Close(), "by this node")
	_, err := accepted.Read(buffer)
	require.Equal(t, io.EOF, err)

	dialled, accepted := connect()
	_, err = accepted.Write([]byte("unread"))
	require.NoError(t, err)
	require.NoError(t, dialled.Close(), "by the peer, with a reset, since it has not read all")
	_, err = accepted.Read(buffer)
	require.Equal(t, io.EOF, err)
}

// The loss of a connection is told at once, and not where this node has closed it.
func TestLostRaftConnectionIsTold(t *testing.T) {
	a, b := open(t, Config{}, clusterA), open(t, Config{}, clusterA)
	lost := make(chan string, 8)
	from := a.OpenRaft("a@1", "a:1", func(id string) { lost <- id })
	b.OpenRaft("b@1", "b:1", ignoreLoss)
	go func() {
		for {
			if _, err := b.raft.Accept(); errors.Is(err, net.ErrClosed) {
				return
			}
		}
	}()
	target := RaftTarget("b@1", raft.ServerAddress(b.Addr().String()))
	own, err := from.Dial(target, 10*time.Second)
	require.NoError(t, err)
	require.NoError(t, own.Close())
	_, err = own.Read(make([]byte, 1))
	require.Error(t, err)
	require.Empty(t, lost)

	c, err := from.Dial(target, 10*time.Second)
	require.NoError(t, err)
	require.NoError(t, b.Close())
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
	require.Equal(t, "b@1", <-lost)
}
