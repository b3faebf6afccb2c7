package client

import (
	"net/http"
	"strconv"
	"time"
)

// Level says how fresh the state must be that a read is answered from.
type Level string

const (
	// Local is the node's state at once, even where it lacks what this Client has written.
	Local Level = "local"
	// Session has everything that this Client has written. It is what a Client that has written asks for by itself.
	Session Level = "session"
	// Bounded is of a node that has heard from a leader within Reads.MaxStale.
	Bounded Level = "bounded"
	// Linearizable has everything that anybody has been told of before.
	Linearizable Level = "linearizable"
)

// Reads says how a Client reads. The zero value is Session for a Client that has written, else Local.
type Reads struct {
	// Level is the level of all reads, "" for the above.
	Level Level
	// MaxStale goes with Bounded.
	MaxStale time.Duration
	// MinIndex is an index of the log that the state must have reached, but for Local; 0 for none. Client.Index of another Client
	// makes this one read what that one has written.
	MinIndex uint64
}

// Reading returns a Client that reads in another way. It shares all else with c: nodes, token, session.
func (c *Client) Reading(r Reads) *Client { return &Client{c.connection, r} }

// Index returns the index of the log at which this Client wrote last, 0 before it has written.
func (c *Client) Index() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.index
}

// ask puts the level into a request's header.
func (r *Reads) ask(header http.Header) {
	if r.Level != "" {
		header.Set("X-Dapple-Consistency", string(r.Level))
	}
	if r.Level == Bounded {
		header.Set("X-Dapple-Max-Stale", r.MaxStale.String())
	}
	if r.MinIndex > 0 {
		header.Set("X-Dapple-Min-Index", strconv.FormatUint(r.MinIndex, 10))
	}
}
