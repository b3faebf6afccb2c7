package httpload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	maxPause     = 30 * time.Second // that a server's Retry-After may ask for
	failurePause = 100 * time.Millisecond
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

// errRefused is a success that Check does not take for one.
var errRefused = errors.New("the answer is no success")

// sender sends the requests of one client to its target. What it sends and reads is kept in the same memory from request to request.
type sender struct {
	client     Client
	connection *connection
	prefix     string // of all paths
	out        fasthttp.Request
	answer     fasthttp.Response
	path       []byte
	buffer     []byte // answers are read into it
}

func newSender(c Client) (*sender, error) {
	u, err := url.Parse(c.Target)
	if err != nil {
		return nil, err
	}
	s := &sender{client: c, connection: newConnection(u), prefix: u.EscapedPath(), buffer: make([]byte, bufferSize)}
	s.out.Header.SetHost(u.Host)
	s.out.Header.SetUserAgent("dapple-bench")
	s.out.Header.SetContentType("application/json")
	return s, nil
}

func (s *sender) close() { s.connection.close() }

// send sends a request and reads the whole answer. The request may be reused when it returns.
func (s *sender) send(ctx context.Context, r *Request) outcome {
	if s.client.Prepare != nil {
		if err := s.client.Prepare(ctx, &s.out.Header); err != nil {
			return outcome{err: err}
		}
	}
	s.out.Header.SetMethod(r.Method)
	s.path = append(append(s.path[:0], s.prefix...), r.Path...)
	s.out.Header.SetRequestURIBytes(s.path)
	s.out.SetBodyRaw(r.Body)
	if len(r.Body) == 0 {
		s.out.Header.Del(fasthttp.HeaderContentLength) // of the request before
	}
	if err := s.connection.exchange(ctx, &s.out, &s.answer); err != nil {
		return outcome{err: err}
	}
	o := outcome{status: s.answer.StatusCode(), retryAfter: retryAfter(s.answer.Header.Peek("Retry-After"))}
	lines, head, err := s.drain(s.answer.BodyStream())
	s.connection.finish(&s.answer, err == nil)
	o.err = err
	if !o.ok() {
		o.text = string(head)
		return o
	}
	if r.Lines > 0 && lines != r.Lines {
		o.err = fmt.Errorf("%w: %d, not %d", errShort, lines, r.Lines)
	} else if s.client.Check != nil {
		if err := s.client.Check(head); err != nil {
			o.err = fmt.Errorf("%w: %w", errRefused, err)
		}
	}
	return o
}

// drain reads an answer to its end; it returns its number of lines and its beginning, which is good until the next call. There is no
// body where a status has none.
func (s *sender) drain(body io.Reader) (lines int, head []byte, err error) {
	const kept = 512
	first := 0 // bytes at the buffer's beginning that stay there
	for body != nil {
		n, err := body.Read(s.buffer[first:])
		lines += bytes.Count(s.buffer[first:first+n], []byte{'\n'})
		if first < kept {
			first = min(first+n, kept)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return lines, s.buffer[:first], err
		}
	}
	return lines, s.buffer[:first], nil
}

// retryAfter returns the seconds that an answer asks to wait.
func retryAfter(value []byte) time.Duration {
	seconds, err := strconv.Atoi(string(value))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxPause)
}
