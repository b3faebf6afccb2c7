// Package transporttest cuts, delays and drops what the nodes of a test send to each other.
package transporttest

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Network is a transport.Hook that the nodes of one test share. Links are directed by who dials: both connections that a
// dialled to b and the other way round are affected by what is set for the pair.
type Network struct {
	mu    sync.Mutex
	names map[string]string // address to name
	links map[[2]string]*link
}

// Fault is what happens to one direction of a pair's traffic.
type Fault struct {
	// Cut refuses connections and closes those that exist.
	Cut bool
	// Drop swallows what is sent, silently; the link is closed when it heals, since bytes are missing.
	Drop bool
	// Delay holds back every write.
	Delay time.Duration
}

type link struct {
	fault Fault
	conns map[*conn]struct{}
}

// New returns a network without faults.
func New() *Network {
	return &Network{names: map[string]string{}, links: map[[2]string]*link{}}
}

// Name tells which node is reached at an address.
func (n *Network) Name(address, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names[address] = name
}

// Set puts a fault on what from sends to to, on connections dialled by either of them.
func (n *Network) Set(from, to string, f Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, pair := range [][2]string{{from, to}, {to, from}} {
		l := n.link(pair)
		for c := range l.conns {
			if f.Cut || (!f.Drop && c.holed) {
				_ = c.Conn.Close()
			}
		}
	}
	n.link([2]string{from, to}).fault = f
}

// Cut parts two nodes in both directions.
func (n *Network) Cut(a, b string) {
	n.Set(a, b, Fault{Cut: true})
	n.Set(b, a, Fault{Cut: true})
}

// Heal ends what was set between two nodes, in both directions.
func (n *Network) Heal(a, b string) {
	n.Set(a, b, Fault{})
	n.Set(b, a, Fault{})
}

// Isolate cuts a node from all the others that have a name.
func (n *Network) Isolate(name string) { n.each(name, n.Cut) }

// Rejoin ends Isolate.
func (n *Network) Rejoin(name string) { n.each(name, n.Heal) }

func (n *Network) each(name string, do func(a, b string)) {
	n.mu.Lock()
	others := map[string]bool{}
	for _, other := range n.names {
		others[other] = other != name
	}
	n.mu.Unlock()
	for other, yes := range others {
		if yes {
			do(name, other)
		}
	}
}

// link returns the link of a pair; the caller holds the lock.
func (n *Network) link(pair [2]string) *link {
	if n.links[pair] == nil {
		n.links[pair] = &link{conns: map[*conn]struct{}{}}
	}
	return n.links[pair]
}

func (n *Network) fault(from, to string) Fault {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.link([2]string{from, to}).fault
}

func (n *Network) nameOf(address string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.names[address]
}

var errCut = errors.New("link is cut")

// Dial implements transport.Hook.
func (n *Network) Dial(ctx context.Context, from, to string) error {
	peer := n.nameOf(to)
	if n.fault(from, peer).Cut || n.fault(peer, from).Cut {
		return errCut
	}
	return nil
}

// Wrap implements transport.Hook.
func (n *Network) Wrap(from, to string, raw net.Conn) net.Conn {
	peer := n.nameOf(to)
	c := &conn{Conn: raw, n: n, from: from, to: peer}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link([2]string{from, peer}).conns[c] = struct{}{}
	if n.link([2]string{from, peer}).fault.Cut || n.link([2]string{peer, from}).fault.Cut { // since Dial
		_ = raw.Close()
	}
	return c
}

// conn is a connection that from dialled to to.
type conn struct {
	net.Conn
	n        *Network
	from, to string
	holed    bool // bytes were dropped; under the network's lock
}

func (c *conn) swallow(f Fault) bool {
	if f.Delay > 0 {
		time.Sleep(f.Delay)
	}
	if !f.Drop {
		return false
	}
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	c.holed = true
	return true
}

func (c *conn) Write(b []byte) (int, error) {
	if c.swallow(c.n.fault(c.from, c.to)) {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// Read drops what the other side sent while its direction is to be dropped, and goes on waiting.
func (c *conn) Read(b []byte) (int, error) {
	for {
		k, err := c.Conn.Read(b)
		if err != nil || !c.swallow(c.n.fault(c.to, c.from)) {
			return k, err
		}
	}
}

func (c *conn) Close() error {
	c.n.mu.Lock()
	delete(c.n.link([2]string{c.from, c.to}).conns, c)
	c.n.mu.Unlock()
	return c.Conn.Close()
}
