package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// request is one call of the API.
type request struct {
	method, path string
	query        url.Values
	// body is sent as JSON, nil for none.
	body any
	// reads is set on a call that changes nothing though its method is POST.
	reads bool
	// public is set where no token is needed.
	public bool
	// header is sent too.
	header http.Header
	// whole is set where the answer is read to its end at once, so that one that is cut off is repeated as one that never came.
	whole bool
}

// safe reports whether the request may be sent again whatever became of it.
func (r *request) safe() bool { return r.reads || r.method == http.MethodGet }

// write sends a change and reads no answer.
func (c *Client) write(ctx context.Context, method, path string, body any) error {
	return c.call(ctx, request{method: method, path: path, body: body}, nil)
}

// call sends a request and decodes the answer into a value, nil for none.
func (c *Client) call(ctx context.Context, r request, into any) error {
	r.whole = true
	response, err := c.send(ctx, r)
	if err != nil || into == nil {
		return err
	}
	decoder := json.NewDecoder(response.Body)
	decoder.UseNumber() // a number in metadata may have more digits than a float64
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	return nil
}

// send sends a request until it is answered with a success, an error that repeating would not mend, or the context ends. The
// caller closes the body.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	body, err := encode(r.body)
	if err != nil {
		return nil, err
	}
	// The same key on every attempt: a Dapple server does not do the request twice.
	id := uuid.NewString()
	first, renewed := c.next.Load(), false
	var last error
	for attempt := range c.cfg.Attempts {
		node := c.nodes[(int(first)+attempt)%len(c.nodes)]
		response, err := c.attempt(ctx, node, id, &r, body)
		if err == nil {
			c.next.Store(uint32((int(first) + attempt) % len(c.nodes)))
			return response, nil
		}
		last = err
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%s %s: %w (%w)", r.method, r.path, ctx.Err(), err)
		case !r.public && !renewed && errors.Is(err, ErrUnauthenticated) && !neverSent(err) && c.canLogIn():
			c.tokens.drop()
			renewed = true
			continue
		case !c.repeatable(&r, err):
			return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
		if !pause(ctx, attempt, err) {
			break
		}
	}
	return nil, fmt.Errorf("%s %s: %w", r.method, r.path, last)
}

func encode(body any) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	return json.Marshal(body)
}

// notSent is a failure before the request was on its way.
type notSent struct{ error }

// Unwrap returns the cause.
func (n notSent) Unwrap() error { return n.error }

// repeatable reports whether a request may be sent again after that failure: whatever it was where the request only reads, or where
// the servers are known to do a request with a key once; otherwise where it surely did nothing.
func (c *Client) repeatable(r *request, err error) bool {
	once := r.safe() || c.keepsKeys.Load()
	var answered *Error
	if errors.As(err, &answered) {
		switch answered.Status {
		case http.StatusServiceUnavailable:
			return !errors.Is(answered, ErrBlocked)
		case http.StatusBadGateway, http.StatusGatewayTimeout:
			return once
		}
		return false
	}
	return once || neverSent(err)
}

// neverSent reports whether a request surely did not reach the node.
func neverSent(err error) bool {
	var before notSent
	var dial *net.OpError
	return errors.As(err, &before) || errors.As(err, &dial) && dial.Op == "dial"
}

// attempt sends a request to one node.
func (c *Client) attempt(ctx context.Context, node, id string, r *request, body []byte) (*http.Response, error) {
	address := node + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	out, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for key, values := range r.header {
		out.Header[key] = values
	}
	if !r.safe() {
		out.Header.Set("Idempotency-Key", id)
	}
	if r.body != nil {
		out.Header.Set("Content-Type", "application/json")
	}
	if r.safe() {
		c.reads.ask(out.Header)
	}
	if session := c.currentSession(); session != "" {
		out.Header.Set("Cookie", session)
	}
	if !r.public {
		token, err := c.token(ctx, node)
		if err != nil {
			return nil, notSent{err}
		}
		out.Header.Set(headerToken, token)
		if c.cfg.Token != "" && c.cfg.Account != "" {
			out.Header.Set(headerAccount, c.cfg.Account) // the token of an OpenID Connect issuer names none
		}
	}
	response, err := c.http.Do(out)
	if err != nil {
		return nil, err
	}
	c.keepSession(response)
	if response.Header.Get("X-Dapple-Node") != "" {
		c.keepsKeys.Store(true)
	}
	switch {
	case response.StatusCode >= http.StatusMultipleChoices, response.StatusCode == http.StatusPartialContent:
		return nil, errorOf(response)
	case r.whole:
		return readWhole(response)
	}
	return response, nil
}

// readWhole reads an answer into memory, and closes it.
func readWhole(response *http.Response) (*http.Response, error) {
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", err)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

const (
	firstPause = 20 * time.Millisecond
	// longestPause bounds the waits between attempts, also where a server asks for more.
	longestPause = 2 * time.Second
)

// pause waits before the next attempt, as long as the server asks or a time that doubles, with jitter; it returns false where the
// context ends first.
func pause(ctx context.Context, attempt int, err error) bool {
	wait := firstPause << min(attempt, 7)
	var answered *Error
	if errors.As(err, &answered) {
		wait = max(wait, answered.RetryAfter/4)
	}
	wait = min(wait, longestPause)
	timer := time.NewTimer(wait/2 + rand.N(wait/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

const sessionCookie = "dapple-session"

func (c *Client) currentSession() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// keepSession keeps the session of the answer to a write, unless a later one is known.
func (c *Client) keepSession(response *http.Response) {
	for _, cookie := range response.Cookies() {
		if cookie.Name != sessionCookie {
			continue
		}
		_, text, _ := strings.Cut(cookie.Value, ":")
		index, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			continue
		}
		c.mu.Lock()
		if c.session == "" || index > c.index {
			c.session, c.index = cookie.Name+"="+cookie.Value, index
		}
		c.mu.Unlock()
	}
}
