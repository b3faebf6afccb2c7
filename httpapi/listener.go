package httpapi

import (
	"cmp"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// limitedListener bounds the connections of a port, in all and for each source. A source that has its share already is closed at
// once. If the port is full, connections on which no request is under way make room, those of the source with the most of them
// first: a client cannot fill the port by being silent. Without any, new connections wait.
type limitedListener struct {
	net.Listener
	most      int
	perSource int
	exempt    func(netip.Addr) bool // sources without a share
	refused   func()                // counts a connection beyond a share

	room    sync.Cond // of mu
	mu      sync.Mutex
	open    map[*limitedConn]struct{}
	sources map[string]int
	closed  bool
	waiting atomic.Bool // a connection waits for room
}

// limitedConn is a connection that counts.
type limitedConn struct {
	net.Conn
	listener  *limitedListener
	source    string       // "" if it has no share
	idleSince atomic.Int64 // in nanoseconds, 0 while a request is under way
}

func (s *Server) limitListener(l net.Listener, most, perSource int) *limitedListener {
	limited := &limitedListener{
		Listener: l, most: most, perSource: perSource, exempt: s.trusts,
		refused: func() { s.metrics.refusals.WithLabelValues(string(limitConnShare)).Inc() },
		open:    map[*limitedConn]struct{}{}, sources: map[string]int{},
	}
	limited.room.L = &limited.mu
	return limited
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &limitedConn{Conn: conn, listener: l, source: l.sourceOf(conn)}
		c.idleSince.Store(time.Now().UnixNano())
		admitted, err := l.admit(c)
		if admitted {
			return c, nil
		}
		_ = conn.Close()
		if err != nil {
			return nil, err
		}
	}
}

// sourceOf returns what a connection counts for, "" for nothing.
func (l *limitedListener) sourceOf(conn net.Conn) string {
	address, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil || l.exempt(address.Addr().Unmap()) {
		return ""
	}
	return networkOf(address.Addr().Unmap())
}

// admit counts a connection, for which it makes room or waits. It returns false if its source has its share, and an error if the
// listener is closed.
func (l *limitedListener) admit(c *limitedConn) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.source != "" && l.sources[c.source] >= l.perSource {
		l.refused()
		return false, nil
	}
	for len(l.open) >= l.most && !l.closed {
		l.waiting.Store(true) // before the look: a connection that gets idle after it wakes this one
		if !l.evict() {
			l.room.Wait()
		}
	}
	l.waiting.Store(false)
	if l.closed {
		return false, net.ErrClosed
	}
	l.open[c] = struct{}{}
	if c.source != "" {
		l.sources[c.source]++
	}
	return true, nil
}

// evictShare is the part of the places that is made free at one time at most, so that a full port is not searched for each connection.
const evictShare = 64

// evict closes idle connections of the source that has the most of them, the longest idle first. It returns false if there is none.
func (l *limitedListener) evict() bool {
	idle := map[string][]*limitedConn{}
	var most []*limitedConn
	for c := range l.open {
		if c.idleSince.Load() != 0 {
			all := append(idle[c.source], c)
			if idle[c.source] = all; len(all) > len(most) {
				most = all
			}
		}
	}
	slices.SortFunc(most, func(a, b *limitedConn) int { return cmp.Compare(a.idleSince.Load(), b.idleSince.Load()) })
	for _, c := range most[:min(len(most), max(1, l.most/evictShare))] {
		l.remove(c)
		_ = c.Conn.Close()
	}
	return len(most) > 0
}

// remove uncounts a connection. The caller holds the lock.
func (l *limitedListener) remove(c *limitedConn) {
	if _, open := l.open[c]; !open {
		return
	}
	delete(l.open, c)
	if c.source != "" {
		if l.sources[c.source]--; l.sources[c.source] == 0 {
			delete(l.sources, c.source)
		}
	}
	l.room.Broadcast()
}

// Close implements net.Listener.
func (l *limitedListener) Close() error {
	err := l.Listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.room.Broadcast()
	return err
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.listener.mu.Lock()
	c.listener.remove(c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// noteState is the hook of http.Server. It runs twice for each request and takes no lock, unless a connection waits for room.
func noteState(conn net.Conn, state http.ConnState) {
	if over, ok := conn.(*tls.Conn); ok {
		conn = over.NetConn()
	}
	c, ok := conn.(*limitedConn)
	if !ok {
		return
	}
	switch state {
	case http.StateActive:
		c.idleSince.Store(0)
	case http.StateIdle:
		c.idleSince.Store(time.Now().UnixNano())
		if c.listener.waiting.Load() {
			c.listener.mu.Lock()
			c.listener.room.Broadcast()
			c.listener.mu.Unlock()
		}
	}
}
