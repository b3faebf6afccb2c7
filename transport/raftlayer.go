package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"dapple/command"
)

// RaftLayer is the raft.StreamLayer of a Transport. It dials addresses made by RaftTarget.
type RaftLayer struct {
	t        *Transport
	serverID string
	local    raft.ServerAddress
	conns    chan net.Conn
	done     chan struct{}
	once     sync.Once
	lost     func(serverID string)
	waiting  context.Context // of Dial for a peer that is about to take part; ends with StopWaiting
	stopWait context.CancelFunc
}

var _ raft.StreamLayer = (*RaftLayer)(nil)

// RaftTarget joins the server that is meant and the address to reach it at. The handshake carries the server id, so that
// a node which took over the address of another never takes part in its name.
func RaftTarget(id raft.ServerID, address raft.ServerAddress) raft.ServerAddress {
	return raft.ServerAddress(string(id) + "/" + string(address))
}

// OpenRaft lets Raft connections in from now on, for the server of that id, and returns the stream layer for them.
// advertise is the address by which the peers know this node. lost is called, by any goroutine, when a connection to another
// server ends and this node has not closed it: Raft itself finds out with the next heartbeat. Call it once.
func (t *Transport) OpenRaft(serverID, advertise string, lost func(serverID string)) *RaftLayer {
	l := &RaftLayer{t: t, lost: lost, serverID: serverID, local: raft.ServerAddress(advertise), conns: make(chan net.Conn), done: make(chan struct{})}
	l.waiting, l.stopWait = context.WithCancel(t.ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.raft = l
	return l
}

func (t *Transport) raftLayer() (*RaftLayer, string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.raft == nil {
		return nil, ""
	}
	return t.raft, t.raft.serverID
}

// hand gives a connection to Accept and reports whether it was taken.
func (l *RaftLayer) hand(c net.Conn) bool {
	select {
	case l.conns <- c:
		return true
	case <-l.done:
		return false
	}
}

// Accept returns the next connection of a peer's Raft.
func (l *RaftLayer) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return raftConn{c}, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. Connections that were handed out stay open until the transport closes.
func (l *RaftLayer) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is the advertised address.
func (l *RaftLayer) Addr() net.Addr { return raftAddr(l.local) }

const (
	// joinWait is how long Dial waits for a peer that takes no part in Raft yet: a new member is added by the leader before
	// it starts its own.
	joinWait = 2 * time.Second
	joinStep = 10 * time.Millisecond
)

// Dial connects to a server named by RaftTarget.
func (l *RaftLayer) Dial(target raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	to, address, _ := strings.Cut(string(target), "/")
	ctx, cancel := context.WithTimeout(l.t.ctx, timeout)
	defer cancel()
	wait, stop := context.WithTimeout(l.waiting, min(joinWait, timeout/2))
	defer stop()
	for {
		c, err := l.t.dial(ctx, kindRaft, address, to)
		if err == nil {
			return &raftDialled{Conn: c, lost: func() { l.lost(to) }}, nil
		}
		var refused *Refusal
		if !errors.As(err, &refused) || refused.Code != command.CodeNotReady {
			return nil, err
		}
		select {
		case <-time.After(joinStep):
		case <-wait.Done():
			return nil, err
		}
	}
}

// StopWaiting ends the waits of Dial for peers that take no part in Raft yet, since this node is about to stop.
func (l *RaftLayer) StopWaiting() { l.stopWait() }

// raftDialled is a connection of this node's Raft to a peer.
type raftDialled struct {
	net.Conn
	closed atomic.Bool
	lost   func()
}

// Read implements net.Conn.
func (c *raftDialled) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !c.closed.Swap(true) {
		c.lost()
	}
	return n, err
}

// Close implements net.Conn.
func (c *raftDialled) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

// raftConn is a connection of a peer's Raft. Its end is io.EOF however it came about: Raft logs any other as an error, and
// whether a peer that stops, or dies, leaves a reset or a proper end is chance. That a peer is away shows in its heartbeats.
type raftConn struct{ net.Conn }

// Read implements net.Conn.
func (c raftConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		err = io.EOF
	}
	return n, err
}

type raftAddr raft.ServerAddress

func (raftAddr) Network() string  { return "tcp" }
func (a raftAddr) String() string { return string(a) }
