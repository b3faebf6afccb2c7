package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// view is what this node knows of the leadership. A new one is made for each change.
type view struct {
	term       uint64
	leading    bool // Raft says that this node leads
	ready      bool // and what earlier terms committed is applied
	open       bool // and commands of the catalogue are taken: not while the cluster forms
	leaderID   string
	leaderAddr string
	lastLeader string    // the last leader that was known, this one where there is one
	heard      time.Time // when this node had last heard from a leader as the view was made; zero for never
	// epoch ends when another leader or term is seen.
	epoch context.Context
	// changed is closed when the view is no longer the latest.
	changed chan struct{}
}

// views keeps the latest view.
type views struct {
	mu     sync.Mutex
	latest view
	cancel context.CancelFunc
}

func (v *views) init(ctx context.Context) {
	v.latest = view{changed: make(chan struct{})}
	v.latest.epoch, v.cancel = context.WithCancel(ctx)
}

func (v *views) get() view {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.latest
}

// observe takes over what Raft says and reports whether the term, the leader or this node's own part has changed.
func (v *views) observe(ctx context.Context, term uint64, leading bool, id raft.ServerID, address raft.ServerAddress, heard time.Time) (view, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	l := &v.latest
	if l.term == term && l.leading == leading && l.leaderID == string(id) && l.leaderAddr == string(address) {
		return v.latest, false
	}
	sameLead := l.leading && leading && l.term == term // only the leader's name came in
	next := view{term: term, leading: leading, leaderID: string(id), leaderAddr: string(address), heard: heard}
	if next.lastLeader = next.leaderID; next.leaderID == "" {
		next.lastLeader = l.lastLeader
	}
	if sameLead {
		next.ready, next.open, next.epoch = l.ready, l.open, l.epoch
	} else {
		v.cancel()
		next.epoch, v.cancel = context.WithCancel(ctx)
	}
	v.replace(next)
	return v.latest, !sameLead
}

// lead marks the progress of this node's own term; it does nothing once the term is over.
func (v *views) lead(epoch context.Context, ready, open bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.latest.epoch != epoch || (v.latest.ready == ready && v.latest.open == open) {
		return
	}
	next := v.latest
	next.ready, next.open = ready, open
	v.replace(next)
}

// poke makes everybody who waits for a change look again.
func (v *views) poke() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.replace(v.latest)
}

func (v *views) replace(next view) {
	close(v.latest.changed)
	next.changed = make(chan struct{})
	v.latest = next
}

func (v *views) stop() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cancel()
}
