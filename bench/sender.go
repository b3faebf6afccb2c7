package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

const (
	answerTimeout = 60 * time.Second // until an answer begins
	maxPause      = 30 * time.Second // that a server's Retry-After may ask for
	failurePause  = 100 * time.Millisecond
)

// outcome is what became of a request.
type outcome struct {
	status     int           // 0 where there was no answer
	err        error         // no answer, or not a whole one
	retryAfter time.Duration // of 503 that names a time
	text       string        // the beginning of an answer that is no success
}

// rejected reports whether the server had no room for the request and said when to come again.
func (o outcome) rejected() bool {
	return o.status == http.StatusServiceUnavailable && o.retryAfter > 0
}

func (o outcome) ok() bool { return o.err == nil && o.status >= 200 && o.status < 300 }

// errShort is an answer with fewer or more lines than items.
var errShort = errors.New("the answer has another number of lines")

// sender is one client's connection to its target.
type sender struct {
	target    *url.URL
	base      string
	passes    *passes
	transport *http.Transport
	buffer    []byte // answers are read into it
}

func newSender(target string, p *passes) (*sender, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute,
		DisableCompression: true, ResponseHeaderTimeout: answerTimeout, WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10,
	}
	return &sender{target: u, base: target, passes: p, transport: transport, buffer: make([]byte, 64<<10)}, nil
}

func (s *sender) close() { s.transport.CloseIdleConnections() }

// send sends a request and reads the whole answer. The request's body may be reused when it returns.
func (s *sender) send(ctx context.Context, r *request) outcome {
	header, err := s.passes.header(ctx, s.transport, s.base)
	if err != nil {
		return outcome{err: err}
	}
	u := *s.target
	u.Path += r.path
	out := (&http.Request{Method: r.method, URL: &u, Host: u.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	if len(r.body) > 0 {
		body := &sentBody{Reader: bytes.NewReader(r.body), closed: make(chan struct{})}
		out.Body, out.ContentLength = body, int64(len(r.body))
		defer func() { <-body.closed }() // the transport may still read it when the answer came early
	}
	answer, err := s.transport.RoundTrip(out)
	if err != nil {
		return outcome{err: err}
	}
	defer answer.Body.Close()
	o := outcome{status: answer.StatusCode, retryAfter: retryAfter(answer.Header)}
	lines, head, err := s.drain(answer.Body)
	o.err = err
	if !o.ok() {
		o.text = string(head)
	} else if r.lines > 0 && lines != r.lines {
		o.err = fmt.Errorf("%w: %d, not %d", errShort, lines, r.lines)
	}
	return o
}

// drain reads an answer to its end; it returns its number of lines and its beginning, which is good until the next call.
func (s *sender) drain(body io.Reader) (lines int, head []byte, err error) {
	const kept = 512
	first := 0 // bytes at the buffer's beginning that stay there
	for {
		n, err := body.Read(s.buffer[first:])
		lines += bytes.Count(s.buffer[first:first+n], []byte{'\n'})
		if first < kept {
			first = min(first+n, kept)
		}
		if err == io.EOF {
			return lines, s.buffer[:first], nil
		}
		if err != nil {
			return lines, s.buffer[:first], err
		}
	}
}

// retryAfter returns the seconds that an answer asks to wait.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxPause)
}

// sentBody is a body that says when the transport is done with it.
type sentBody struct {
	*bytes.Reader
	once   sync.Once
	closed chan struct{}
}

// Close is called by the transport, at times twice.
func (b *sentBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}
