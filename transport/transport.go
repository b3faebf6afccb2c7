package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"dapple/command"
)

// Handler answers one internal call. ctx ends with the caller's deadline or when the transport closes. body belongs to
// the handler. Handlers run concurrently, one to a connection.
type Handler func(ctx context.Context, body []byte) (command.Code, []byte)

// Method is one row of the table of internal calls.
type Method struct {
	// Name is the method's label in metrics and messages.
	Name string
	// Forming lets peers call it before both ends belong to the same cluster.
	Forming bool
	// Handle answers it.
	Handle Handler
}

// Hook sees every connection that this node dials. Tests use it to drop, delay and cut traffic; it is nil otherwise.
type Hook interface {
	// Dial may refuse or delay a connection from the node named from to an address.
	Dial(ctx context.Context, from, to string) error
	// Wrap may replace a connection that was just made.
	Wrap(from, to string, c net.Conn) net.Conn
}

// Config says how a Transport listens, dials and limits. Zero limits mean the defaults given.
type Config struct {
	// Listen is the address to listen on, host:port. Ignored where Listener is given.
	Listen string
	// Listener is taken over and closed by the transport.
	Listener net.Listener
	// Name is what this node calls itself in handshakes: at most 255 bytes.
	Name string
	// Methods is the table of internal calls, by number.
	Methods map[byte]Method
	// TLS makes every connection mutual TLS; Key makes both sides prove a cluster key. With neither it is plain TCP.
	TLS *TLSFiles
	Key *KeyFile
	// Insecure allows plain TCP on an address that other hosts can reach.
	Insecure bool
	// IsMember reports whether a peer that names this node's cluster is a member of it. Only members may open Raft
	// connections and make calls that are not marked as Forming. Nil takes every such peer for a member.
	IsMember func(Peer) bool

	MaxConns         int           // connections of members accepted at a time: 512
	MaxFrame         int           // largest request and answer in bytes: 16 MiB
	MaxPerPeer       int           // connections of calls to one peer at a time: 32
	MaxIdle          int           // of those, kept open while idle: 8
	DialTimeout      time.Duration // 3 s
	HandshakeTimeout time.Duration // 3 s
	IdleTimeout      time.Duration // after which an idle connection of calls is closed: 60 s
	CallTimeout      time.Duration // longest call, and the deadline of one without: 60 s

	Hook   Hook
	Logger *slog.Logger
}

func (c *Config) setDefaults() {
	setDefault(&c.MaxConns, 512)
	setDefault(&c.MaxFrame, 16<<20)
	setDefault(&c.MaxPerPeer, 32)
	setDefault(&c.MaxIdle, 8)
	setDefault(&c.DialTimeout, 3*time.Second)
	setDefault(&c.HandshakeTimeout, 3*time.Second)
	setDefault(&c.IdleTimeout, time.Minute)
	setDefault(&c.CallTimeout, time.Minute)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Transport is one node's end of the port: it accepts and dials. Its methods may be called concurrently.
type Transport struct {
	cfg       Config
	listener  net.Listener
	metrics   *metrics
	pools     pools
	strangers strangers
	ctx       context.Context // ends when the transport closes
	cancel    context.CancelFunc
	running   sync.WaitGroup

	mu       sync.Mutex
	cluster  ClusterID
	identity string
	raft     *RaftLayer            // nil until OpenRaft
	conns    map[net.Conn]struct{} // every open connection, accepted or dialled
	inbound  int                   // accepted ones
	members  int                   // accepted ones of members
	guests   guests                // the other accepted ones
	closed   bool
}

// New listens but accepts nothing yet, so that the handlers may be given a node that uses the transport. Call Start
// next, and Close in any case.
func New(cfg Config) (*Transport, error) {
	cfg.setDefaults()
	if len(cfg.Name) > maxName {
		return nil, fmt.Errorf("transport: name longer than %d bytes", maxName)
	}
	if cfg.TLS != nil && cfg.Key != nil {
		return nil, errors.New("transport: give either a cluster key or certificates, not both")
	}
	if cfg.TLS != nil {
		if _, _, err := cfg.TLS.load(); err != nil {
			return nil, fmt.Errorf("transport: %w", err)
		}
	}
	l := cfg.Listener
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", cfg.Listen); err != nil {
			return nil, fmt.Errorf("transport: %w", err)
		}
	}
	if err := cfg.checkOpen(l.Addr()); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := &Transport{cfg: cfg, listener: l, ctx: ctx, cancel: cancel, conns: map[net.Conn]struct{}{}, identity: cfg.Name}
	t.metrics = newMetrics(t)
	t.pools.byPeer = map[string]*pool{}
	return t, nil
}

// Start accepts connections, in the background until Close.
func (t *Transport) Start() {
	t.running.Go(t.accept)
	if t.cfg.Key != nil {
		t.running.Go(t.watchKey)
	}
}

// Identify sets the server id by which this node introduces itself to its peers; until then it is Config.Name. Idle connections are
// dropped, since they were made under another.
func (t *Transport) Identify(serverID string) {
	t.mu.Lock()
	t.identity = serverID
	t.mu.Unlock()
	t.pools.drop()
}

// Addr returns the address that the transport listens on.
func (t *Transport) Addr() net.Addr { return t.listener.Addr() }

// Cluster returns the cluster that this node belongs to; zero is none yet.
func (t *Transport) Cluster() ClusterID {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cluster
}

// SetCluster gives the node its cluster. Idle connections are dropped, since they were made without it.
func (t *Transport) SetCluster(id ClusterID) {
	t.mu.Lock()
	t.cluster = id
	t.mu.Unlock()
	t.pools.drop()
}

// DropIdle closes the idle connections of calls: the next ones show a certificate that was renewed meanwhile.
func (t *Transport) DropIdle() { t.pools.drop() }

// Close stops accepting, closes every connection, Raft's included, and waits for the handlers to return.
func (t *Transport) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	open := make([]net.Conn, 0, len(t.conns))
	for c := range t.conns {
		open = append(open, c)
	}
	layer := t.raft
	t.mu.Unlock()

	t.cancel()
	err := t.listener.Close()
	if layer != nil {
		_ = layer.Close()
	}
	for _, c := range open {
		_ = c.Close()
	}
	t.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// trackedConn leaves the table of open connections when it is closed.
type trackedConn struct {
	net.Conn
	source  string                   // of an accepted one: the peer's address without port
	member  bool                     // an accepted one of a member
	key     atomic.Pointer[[32]byte] // of the cluster key that was proved
	once    sync.Once
	release func()
}

func (c *trackedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.release)
	return err
}

var (
	errClosed   = errors.New("transport is closed")
	errTooLarge = errors.New("larger than a frame may be")
)

// track registers an open connection, so that Close ends it. An inbound one is a guest at first; another guest may be
// closed for it.
func (t *Transport) track(c net.Conn, inbound bool) (*trackedConn, error) {
	tc := &trackedConn{Conn: c}
	tc.release = func() { t.untrack(tc, inbound) }
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil, errClosed
	}
	t.conns[tc] = struct{}{}
	var evicted *trackedConn
	if inbound {
		t.inbound++
		tc.source = sourceOf(c)
		evicted = t.guests.add(tc)
	}
	t.mu.Unlock()
	if evicted != nil {
		t.metrics.refused.WithLabelValues("unproven").Inc()
		_ = evicted.Close()
	}
	return tc, nil
}

func (t *Transport) untrack(c *trackedConn, inbound bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c)
	if inbound {
		t.inbound--
		t.guests.remove(c)
	}
	if c.member {
		t.members--
	}
}

// enter makes a member's connection of a guest; false if it was closed meanwhile or there are too many.
func (t *Transport) enter(c *trackedConn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.members >= t.cfg.MaxConns || !t.guests.remove(c) {
		return false
	}
	c.member = true
	t.members++
	return true
}

// dial connects to address, and says hello as a connection of that kind to the server named to.
func (t *Transport) dial(ctx context.Context, kind byte, address, to string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.DialTimeout)
	defer cancel()
	stop := context.AfterFunc(t.ctx, cancel)
	defer stop()
	if t.cfg.Hook != nil {
		if err := t.cfg.Hook.Dial(ctx, t.cfg.Name, address); err != nil {
			return nil, err
		}
	}
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	raw, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if t.cfg.Hook != nil {
		raw = t.cfg.Hook.Wrap(t.cfg.Name, address, raw)
	}
	c, err := t.track(raw, false)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	secure, err := t.greet(ctx, c, kind, address, to)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return secure, nil
}

func (t *Transport) greet(ctx context.Context, c *trackedConn, kind byte, address, to string) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	secure, err := t.secureClient(ctx, c, address, to)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	h := hello{kind: kind, version: protocolVersion, cluster: t.cluster, from: t.identity, to: to}
	t.mu.Unlock()
	if err := writeHello(secure, h); err != nil {
		return nil, err
	}
	a, err := readAnswer(secure)
	if err != nil {
		return nil, err
	}
	if a.code != command.CodeOK {
		return nil, &Refusal{Code: a.code, Message: a.message}
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	return secure, nil
}
