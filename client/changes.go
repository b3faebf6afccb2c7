package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Change is an event of the change feed. What does not apply to its kind is empty.
type Change struct {
	Revision   uint64          `json:"revision"`
	Index      uint64          `json:"index"`
	Time       time.Time       `json:"time"`
	Kind       string          `json:"kind"`
	Scope      string          `json:"scope"`
	Name       string          `json:"name"`
	RSE        string          `json:"rse"`
	Old        string          `json:"old"`
	New        string          `json:"new"`
	Account    string          `json:"account"`
	Type       string          `json:"type"`
	ChildScope string          `json:"child_scope"`
	ChildName  string          `json:"child_name"`
	Owner      string          `json:"owner"`
	Bytes      uint64          `json:"bytes"`
	Adler32    string          `json:"adler32"`
	MD5        string          `json:"md5"`
	Monotonic  bool            `json:"monotonic"`
	Path       string          `json:"path"`
	Tombstone  time.Time       `json:"tombstone"`
	Key        string          `json:"key"`
	Value      json.RawMessage `json:"value"`
	Reason     string          `json:"reason"`
}

// KindHeartbeat is the kind of a Change that only tells how far the feed has been read.
const KindHeartbeat = "heartbeat"

// ChangeQuery says which changes to read.
type ChangeQuery struct {
	// Since is the revision of the last event that was seen, 0 for all that are kept.
	Since uint64
	// Scope is how scopes begin, Kinds with commas what has happened, RSEs an expression; "" for all.
	Scope, Kinds, RSEs string
	// Present ends the list at the present state instead of following what comes.
	Present bool
	// Heartbeats yields heartbeats too, so that a reader that waits for rare events has a late revision to go on from.
	Heartbeats bool
}

// silence is how long a feed may say nothing, not even a heartbeat, before its connection counts as broken.
const silence = time.Minute

// Changes yields events in their order, each once. A connection that breaks is made again, to the next node, from the last revision
// on; only what repeating does not mend ends the list with an error: ErrChangesGone where the feed has been trimmed further than this
// reader has come, and the end of ctx.
func (c *Client) Changes(ctx context.Context, q ChangeQuery) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		f := &changeFeed{client: c, query: q, yield: yield}
		for attempt := 0; ; attempt++ {
			before := f.query.Since
			done, err := f.read(ctx)
			switch {
			case done:
				return
			case ctx.Err() != nil:
				yield(Change{}, ctx.Err())
				return
			case err != nil && answeredForGood(err):
				yield(Change{}, err)
				return
			}
			c.next.Add(1) // another node
			if f.query.Since != before {
				attempt = 0
			}
			if !pause(ctx, attempt, err) {
				yield(Change{}, ctx.Err())
				return
			}
		}
	}
}

// answeredForGood reports whether a node has answered with an error that another attempt would not mend.
func answeredForGood(err error) bool {
	var answered *Error
	return errors.As(err, &answered) && answered.Status < http.StatusInternalServerError
}

// changeFeed is the state of Changes between connections.
type changeFeed struct {
	client *Client
	query  ChangeQuery
	yield  func(Change, error) bool
}

// read reads from one connection until it breaks; done is set where the caller wants no more or the list has come to its end.
func (f *changeFeed) read(ctx context.Context) (done bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	response, err := f.client.send(ctx, request{method: http.MethodGet, path: "/changes", query: f.parameters()})
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	watchdog := time.AfterFunc(silence, cancel)
	defer watchdog.Stop()
	decoder := json.NewDecoder(response.Body)
	for {
		var change Change
		if err := decoder.Decode(&change); err != nil {
			return f.query.Present && errors.Is(err, io.EOF), err
		}
		watchdog.Reset(silence)
		if change.Revision <= f.query.Since && change.Kind != KindHeartbeat {
			continue // seen: a feed does not go back, but nobody should count on a node for that
		}
		f.query.Since = max(f.query.Since, change.Revision)
		if (change.Kind != KindHeartbeat || f.query.Heartbeats) && !f.yield(change, nil) {
			return true, nil
		}
	}
}

func (f *changeFeed) parameters() url.Values {
	q := url.Values{"since": {strconv.FormatUint(f.query.Since, 10)}}
	for key, value := range map[string]string{"scope": f.query.Scope, "kind": f.query.Kinds, "rse_expression": f.query.RSEs} {
		if value != "" {
			q.Set(key, value)
		}
	}
	if f.query.Present {
		q.Set("follow", "false")
	}
	return q
}
