package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"dapple/command"
)

// accept runs until the listener is closed. A failing accept, out of descriptors say, is tried again after a pause.
func (t *Transport) accept() {
	for {
		raw, err := t.listener.Accept()
		if err != nil {
			if t.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			t.cfg.Logger.Error("accept failed", "error", err)
			select {
			case <-t.ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		c, err := t.track(raw, true)
		if err != nil {
			_ = raw.Close()
			continue
		}
		t.running.Go(func() { t.serveConn(c) })
	}
}

// serveConn says hello and then serves calls, or hands the connection to Raft.
func (t *Transport) serveConn(c *trackedConn) {
	handed := false
	defer func() {
		if !handed {
			_ = c.Close()
		}
	}()
	_ = c.SetDeadline(time.Now().Add(t.cfg.HandshakeTimeout))
	secure, err := t.secureServer(t.ctx, c)
	if err != nil {
		t.unproven(c, err)
		return
	}
	h, err := readHello(secure)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			t.metrics.refused.WithLabelValues("handshake").Inc()
			t.cfg.Logger.Debug("no handshake with a peer", "peer", c.RemoteAddr(), "error", err)
		}
		return
	}
	peer := t.peer(h, secure)
	layer, a := t.welcome(c, h, peer)
	if err := writeAnswer(secure, a); err != nil {
		return
	}
	if a.code != command.CodeOK {
		t.metrics.refused.WithLabelValues(refusalLabel(a.code)).Inc()
		t.cfg.Logger.Debug("refused a peer", "peer", h.from, "address", c.RemoteAddr(), "reason", a.message)
		return
	}
	_ = c.SetDeadline(time.Time{})
	if h.kind == kindRaft {
		handed = layer.hand(secure)
		return
	}
	t.serveCalls(secure, c, h)
}

// welcome decides on a hello. A member's connection is a guest no more.
func (t *Transport) welcome(c *trackedConn, h hello, peer Peer) (*RaftLayer, helloAnswer) {
	layer, serverID := t.raftLayer()
	member := t.isMember(peer)
	a := judge(h, t.Cluster(), serverID, member)
	if a.code == command.CodeOK && member && !t.enter(c) {
		a.code, a.message = command.CodeQueueFull, "too many connections"
	}
	return layer, a
}

func refusalLabel(code command.Code) string {
	switch code {
	case command.CodeOtherCluster:
		return "other_cluster"
	case command.CodeNotReady:
		return "not_ready"
	case command.CodeQueueFull:
		return "too_many_connections"
	default:
		return "version"
	}
}

// guestIdle is how long a connection of a peer that is no member is kept between two calls.
const guestIdle = 10 * time.Second

// guestFrame is how large a request of a peer may be that is no member: they ask only to join and to form a cluster.
const guestFrame = 64 << 10

// frameLimit returns how large a request of a peer may be. Together, guests could otherwise take more memory than a node has.
func (t *Transport) frameLimit(p Peer) int {
	if t.isMember(p) {
		return t.cfg.MaxFrame
	}
	return min(guestFrame, t.cfg.MaxFrame)
}

// replyTime bounds the writing of an answer.
const replyTime = 5 * time.Second

// serveCalls answers the calls of one connection, one after the other.
func (t *Transport) serveCalls(secure net.Conn, c *trackedConn, h hello) {
	for {
		_ = secure.SetDeadline(time.Now().Add(t.idleLimit(c)))
		q, err := readRequest(secure, func() int { return t.frameLimit(t.peer(h, secure)) })
		if err != nil {
			return
		}
		// Either side may have got its cluster since the hello.
		code, body := t.serveCall(q, t.peer(h, secure), c)
		if len(body) > t.cfg.MaxFrame-replyHead {
			t.cfg.Logger.Error("answer is larger than a frame", "method", q.method, "bytes", len(body))
			code, body = command.CodeInternal, nil
		}
		_ = secure.SetDeadline(time.Now().Add(replyTime))
		if err := writeReply(secure, code, body); err != nil {
			return
		}
	}
}

// idleLimit returns how long a connection is kept between two calls: a member's twice as long as the caller keeps it, so
// that it is nearly always the caller that closes.
func (t *Transport) idleLimit(c *trackedConn) time.Duration {
	if !c.member {
		return min(2*t.cfg.IdleTimeout, guestIdle)
	}
	return 2 * t.cfg.IdleTimeout
}

func (t *Transport) serveCall(q request, peer Peer, c *trackedConn) (command.Code, []byte) {
	m, ok := t.cfg.Methods[q.method]
	if !ok {
		return command.CodeUnknownMethod, fmt.Appendf(nil, "no method %d", q.method)
	}
	if !m.Forming {
		if !t.isMember(peer) {
			return command.CodeNotReady, []byte("not a member of this cluster")
		}
		if !c.member && !t.enter(c) {
			return command.CodeQueueFull, []byte("too many connections")
		}
	}
	ctx, cancel := context.WithTimeout(context.WithValue(t.ctx, peerKey{}, peer), min(q.timeout, t.cfg.CallTimeout))
	defer cancel()
	start := time.Now()
	code, body := m.Handle(ctx, q.body)
	t.metrics.served.WithLabelValues(m.Name).Observe(time.Since(start).Seconds())
	return code, body
}
