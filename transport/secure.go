package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// secureServer makes the peer of an accepted connection prove what it must, and returns the connection to talk on.
func (t *Transport) secureServer(ctx context.Context, c *trackedConn) (net.Conn, error) {
	switch {
	case t.cfg.TLS != nil:
		return t.cfg.TLS.server(ctx, c)
	case t.cfg.Key != nil:
		return t.cfg.Key.server(ctx, c)
	default:
		return c, nil
	}
}

// secureClient is secureServer for the side that dials the server of an id, or whoever answers, at address.
func (t *Transport) secureClient(ctx context.Context, c *trackedConn, address, serverID string) (net.Conn, error) {
	switch {
	case t.cfg.TLS != nil:
		return t.cfg.TLS.client(ctx, c, address, nodeOf(serverID))
	case t.cfg.Key != nil:
		return t.cfg.Key.client(ctx, c)
	default:
		return c, nil
	}
}

// certificateOf returns the certificate that the peer has shown, nil if it needed none.
func certificateOf(c net.Conn) *x509.Certificate {
	secure, ok := c.(*tls.Conn)
	if !ok {
		return nil
	}
	if shown := secure.ConnectionState().PeerCertificates; len(shown) > 0 {
		return shown[0]
	}
	return nil
}

// unproven counts and logs that the handshake of an accepted connection failed. A peer that was stopped in the middle of
// it, as this node may be, has shown nothing wrong: only an answer that is wrong is worth a warning.
func (t *Transport) unproven(c *trackedConn, err error) {
	if t.ctx.Err() != nil {
		return
	}
	t.metrics.refused.WithLabelValues("unproven").Inc()
	if hungUp(err) {
		t.cfg.Logger.Debug("a peer ended its handshake", "peer", c.source, "error", err)
		return
	}
	t.strangers.warn(t.cfg.Logger, c.source, err)
}

// hungUp reports whether an error says that the connection ended or stood still, rather than what came over it.
func hungUp(err error) bool {
	for _, end := range []error{
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, os.ErrDeadlineExceeded, context.Canceled,
		syscall.ECONNRESET, syscall.EPIPE, syscall.ETIMEDOUT,
	} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// strangerInterval is how often a source that proves nothing is warned of.
const strangerInterval = time.Minute

// strangers limits the warnings of peers that do not prove who they are. The zero value is ready to use.
type strangers struct {
	mu     sync.Mutex
	warned map[string]time.Time // by source
}

// warn logs that a source did not prove who it is: at most once per interval as a warning, otherwise for debugging.
func (s *strangers) warn(to *slog.Logger, source string, err error) {
	s.mu.Lock()
	now := time.Now()
	level := slog.LevelDebug
	if now.Sub(s.warned[source]) > strangerInterval {
		if s.warned == nil || len(s.warned) >= maxGuests {
			s.warned = map[string]time.Time{}
		}
		s.warned[source], level = now, slog.LevelWarn
	}
	s.mu.Unlock()
	to.Log(context.Background(), level, "a peer did not prove that it belongs to the cluster", "peer", source, "error", err)
}
