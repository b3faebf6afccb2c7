package transport

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// RaftLayer is the raft.StreamLayer of a Transport. It dials addresses made by RaftTarget.
type RaftLayer struct {
	t        *Transport
	serverID string
	local    raft.ServerAddress
	conns    chan net.Conn
	done     chan struct{}
	once     sync.Once
}

var _ raft.StreamLayer = (*RaftLayer)(nil)

// RaftTarget joins the server that is meant and the address to reach it at. The handshake carries the server id, so that
// a node which took over the address of another never takes part in its name.
func RaftTarget(id raft.ServerID, address raft.ServerAddress) raft.ServerAddress {
	return raft.ServerAddress(string(id) + "/" + string(address))
}

// OpenRaft lets Raft connections in from now on, for the server of that id, and returns the stream layer for them.
// advertise is the address by which the peers know this node. Call it once.
func (t *Transport) OpenRaft(serverID, advertise string) *RaftLayer {
	l := &RaftLayer{t: t, serverID: serverID, local: raft.ServerAddress(advertise), conns: make(chan net.Conn), done: make(chan struct{})}
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
		return c, nil
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

// Dial connects to a server named by RaftTarget.
func (l *RaftLayer) Dial(target raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	to, address, _ := strings.Cut(string(target), "/")
	ctx, cancel := context.WithTimeout(l.t.ctx, timeout)
	defer cancel()
	return l.t.dial(ctx, kindRaft, address, to)
}

type raftAddr raft.ServerAddress

func (raftAddr) Network() string  { return "tcp" }
func (a raftAddr) String() string { return string(a) }
