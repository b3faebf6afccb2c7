package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"dapple/command"
)

// CallError is a call that brought no answer.
type CallError struct {
	// Address is where the call went.
	Address string
	// Sent tells that the request, or a part of it, was written: the peer may have acted on it. Where it is false the
	// peer has surely done nothing.
	Sent bool
	// Err is the cause; a *Refusal where the peer refused the handshake.
	Err error
}

func (e *CallError) Error() string {
	if e.Sent {
		return fmt.Sprintf("call to %s: no answer: %v", e.Address, e.Err)
	}
	return fmt.Sprintf("call to %s: not sent: %v", e.Address, e.Err)
}

func (e *CallError) Unwrap() error { return e.Err }

// Call makes one internal call to the node at address, a host:port whose name is resolved whenever a connection is
// made, and returns the peer's code and body. It returns a *CallError where there was no answer within ctx or, without a
// deadline in ctx, within Config.CallTimeout.
func (t *Transport) Call(ctx context.Context, address string, method byte, body []byte) (command.Code, []byte, error) {
	if len(body) > t.cfg.MaxFrame-requestHead {
		return 0, nil, &CallError{Address: address, Err: fmt.Errorf("request of %d bytes: %w", len(body), errTooLarge)}
	}
	ctx, cancel := context.WithTimeout(ctx, t.cfg.CallTimeout)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()

	p := t.pools.of(address, t.cfg.MaxPerPeer)
	c, err := t.acquire(ctx, p, address)
	if err != nil {
		t.metrics.calls.WithLabelValues(t.methodName(method), "not_sent").Inc()
		return 0, nil, &CallError{Address: address, Err: err}
	}
	code, answer, reusable, err := t.exchange(ctx, c, method, body)
	if err != nil {
		// The others of the pool are as old as this one: the peer has likely gone.
		p.release(c, false)
		p.drop()
		t.metrics.calls.WithLabelValues(t.methodName(method), "unknown").Inc()
		return 0, nil, &CallError{Address: address, Sent: true, Err: err}
	}
	p.release(c, reusable && p.idleCount() < t.cfg.MaxIdle)
	t.metrics.calls.WithLabelValues(t.methodName(method), "answered").Inc()
	return code, answer, nil
}

func (t *Transport) methodName(method byte) string {
	if m, ok := t.cfg.Methods[method]; ok {
		return m.Name
	}
	return "other"
}

// acquire takes an idle connection of the pool or makes one, after waiting for the pool to have room.
func (t *Transport) acquire(ctx context.Context, p *pool, address string) (net.Conn, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c := p.take(t.cfg.IdleTimeout); c != nil {
		return c, nil
	}
	c, err := t.dial(ctx, kindInternal, address, "")
	if err != nil {
		<-p.slots
		return nil, err
	}
	return c, nil
}

// exchange sends one request and reads its answer. The connection is reusable unless ctx ended meanwhile, or the peer is not ready
// for this node: it may know it by another name or certificate by then, which only a new connection shows.
func (t *Transport) exchange(ctx context.Context, c net.Conn, method byte, body []byte) (command.Code, []byte, bool, error) {
	deadline, _ := ctx.Deadline()
	_ = c.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	code, answer, err := roundTrip(c, request{method: method, timeout: time.Until(deadline), body: body}, t.cfg.MaxFrame)
	reusable := stop() && code != command.CodeNotReady
	if err != nil && ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	return code, answer, reusable, err
}

func roundTrip(c net.Conn, q request, limit int) (command.Code, []byte, error) {
	if err := writeRequest(c, q); err != nil {
		return 0, nil, err
	}
	return readReply(c, limit)
}

// pools holds the connections of calls by peer address. A pool is small and lives as long as the transport; addresses
// come from the membership and the settings, so there are few.
type pools struct {
	mu     sync.Mutex
	byPeer map[string]*pool
}

func (p *pools) of(address string, size int) *pool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byPeer[address] == nil {
		p.byPeer[address] = &pool{slots: make(chan struct{}, size)}
	}
	return p.byPeer[address]
}

// drop closes all idle connections.
func (p *pools) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.byPeer {
		one.drop()
	}
}

type pool struct {
	slots chan struct{} // one for each connection in use

	mu   sync.Mutex
	idle []idleConn
}

type idleConn struct {
	net.Conn
	since time.Time
}

// take returns the idle connection that was used last, closing those that were idle for too long or that the peer has closed;
// nil where there is none.
func (p *pool) take(limit time.Duration) net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 && time.Since(p.idle[0].since) > limit {
		_ = p.idle[0].Close()
		p.idle = p.idle[1:]
	}
	for n := len(p.idle); n > 0; n-- {
		c := p.idle[n-1].Conn
		p.idle = p.idle[:n-1]
		if isOpen(c) {
			return c
		}
		_ = c.Close()
	}
	return nil
}

func (p *pool) release(c net.Conn, keep bool) {
	if keep {
		p.mu.Lock()
		p.idle = append(p.idle, idleConn{Conn: c, since: time.Now()})
		p.mu.Unlock()
	} else {
		_ = c.Close()
	}
	<-p.slots
}

func (p *pool) idleCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

func (p *pool) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		_ = c.Close()
	}
	p.idle = nil
}
