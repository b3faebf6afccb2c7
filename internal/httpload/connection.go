package httpload

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	dialTimeout   = 30 * time.Second
	answerTimeout = 60 * time.Second // until an answer begins
	idleTimeout   = time.Second      // servers close idle connections, some after two seconds
	bufferSize    = 64 << 10
)

// connection is one connection to a server with one request at a time. It is made when it is needed, and again when it was closed.
// Requests go straight to it, without a pool and without goroutines of their own: the generator shares its processors with the servers.
type connection struct {
	address string
	secure  bool
	trust   *x509.CertPool // nil for the system's
	open    net.Conn       // nil where there is none
	unwatch func() bool
	used    time.Time
	reader  *bufio.Reader
	writer  *bufio.Writer
}

func newConnection(target *url.URL) *connection {
	port := target.Port()
	if port == "" {
		port = target.Scheme // names of ports, too
	}
	return &connection{
		address: net.JoinHostPort(target.Hostname(), port), secure: target.Scheme == "https",
		reader: bufio.NewReaderSize(nil, bufferSize), writer: bufio.NewWriterSize(nil, bufferSize),
	}
}

// exchange sends a request and reads the beginning of its answer; what is left of it is in the answer's stream, and finish must be
// called. The end of ctx closes the connection.
func (c *connection) exchange(ctx context.Context, out *fasthttp.Request, answer *fasthttp.Response) error {
	if err := c.prepare(ctx); err != nil {
		return err
	}
	sent := out.Write(c.writer)
	if sent == nil {
		sent = c.writer.Flush()
	}
	answer.StreamBody = true
	err := answer.Read(c.reader) // where sending failed, too: a server may refuse a request before it has read it
	if err == nil {
		err = c.open.SetReadDeadline(time.Time{})
	}
	if err == nil {
		return nil
	}
	c.close()
	return errors.Join(ctx.Err(), sent, err)
}

// finish ends an exchange: a connection is used again only after a whole answer.
func (c *connection) finish(answer *fasthttp.Response, whole bool) {
	again := whole && !answer.ConnectionClose()
	_ = answer.CloseBodyStream() // it only gives its memory back
	if !again {
		c.close()
	}
	c.used = time.Now()
}

// prepare makes the connection ready for a request.
func (c *connection) prepare(ctx context.Context) error {
	now := time.Now()
	if c.open != nil && now.Sub(c.used) > idleTimeout {
		c.close()
	}
	if c.open == nil {
		if err := c.dial(ctx); err != nil {
			return err
		}
	}
	return c.open.SetDeadline(now.Add(answerTimeout))
}

func (c *connection) dial(ctx context.Context) error {
	dialer := &net.Dialer{Timeout: dialTimeout}
	dial := dialer.DialContext
	if c.secure {
		dial = (&tls.Dialer{NetDialer: dialer, Config: &tls.Config{RootCAs: c.trust}}).DialContext
	}
	open, err := dial(ctx, "tcp", c.address)
	if err != nil {
		return err
	}
	c.open = open
	c.unwatch = context.AfterFunc(ctx, func() { _ = open.Close() })
	c.reader.Reset(open)
	c.writer.Reset(open)
	return nil
}

func (c *connection) close() {
	if c.open != nil {
		c.unwatch()
		_ = c.open.Close()
		c.open = nil
	}
}
