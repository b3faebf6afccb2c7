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
			t.metrics.refused.WithLabelValues("too_many_connections").Inc()
			_ = raw.Close()
			continue
		}
		t.running.Go(func() { t.serveConn(c) })
	}
}

// serveConn says hello and then serves calls, or hands the connection to Raft.
func (t *Transport) serveConn(c net.Conn) {
	handed := false
	defer func() {
		if !handed {
			_ = c.Close()
		}
	}()
	_ = c.SetDeadline(time.Now().Add(t.cfg.HandshakeTimeout))
	secure, err := t.cfg.TLS.server(c)
	if err != nil {
		t.cfg.Logger.Error("no TLS with a peer", "peer", c.RemoteAddr(), "error", err)
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
	layer, serverID := t.raftLayer()
	a := judge(h, t.Cluster(), serverID)
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
	t.serveCalls(secure, h)
}

func refusalLabel(code command.Code) string {
	switch code {
	case command.CodeOtherCluster:
		return "other_cluster"
	case command.CodeNotReady:
		return "not_ready"
	default:
		return "version"
	}
}

// serveCalls answers the calls of one connection, one after the other.
func (t *Transport) serveCalls(c net.Conn, h hello) {
	for {
		// Twice what the caller keeps an idle connection for, so that it is nearly always the caller that closes.
		_ = c.SetDeadline(time.Now().Add(2 * t.cfg.IdleTimeout))
		q, err := readRequest(c, t.cfg.MaxFrame)
		if err != nil {
			return
		}
		code, body := t.serveCall(q, h)
		if len(body) > t.cfg.MaxFrame-replyHead {
			t.cfg.Logger.Error("answer is larger than a frame", "method", q.method, "bytes", len(body))
			code, body = command.CodeInternal, nil
		}
		_ = c.SetDeadline(time.Now().Add(t.cfg.HandshakeTimeout))
		if err := writeReply(c, code, body); err != nil {
			return
		}
	}
}

func (t *Transport) serveCall(q request, h hello) (command.Code, []byte) {
	m, ok := t.cfg.Methods[q.method]
	if !ok {
		return command.CodeUnknownMethod, fmt.Appendf(nil, "no method %d", q.method)
	}
	if own := t.Cluster(); !m.Forming && (own == ClusterID{} || h.cluster != own) {
		return command.CodeNotReady, []byte("not of one cluster")
	}
	ctx, cancel := context.WithTimeout(t.ctx, min(q.timeout, t.cfg.CallTimeout))
	defer cancel()
	start := time.Now()
	code, body := m.Handle(ctx, q.body)
	t.metrics.served.WithLabelValues(m.Name).Observe(time.Since(start).Seconds())
	return code, body
}
