package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"dapple/command"
)

const (
	// quorumPatience is how long calls to a voter must have failed before it counts as missing. A higher value rides out
	// longer pauses of a busy machine, but writes without a quorum wait longer for their error.
	quorumPatience = time.Second
	// probeTime bounds one call that finds out whether a member can be reached, probePause separates two of them.
	probeTime  = 500 * time.Millisecond
	probePause = 200 * time.Millisecond
	// settleTime is how long a member that is back from an announced stop, or reached again, may still cause errors of the
	// time before: connections that were made to the process before it, a log that is behind.
	settleTime = 5 * time.Second
)

// reach is what this node knows, from its own calls, of whether the other members can be reached. Calls are made by the
// leader, which polls the members, and by a node that has no leader, or whose leader does not answer. A follower with a leader
// makes none, and so knows nothing here.
type reach struct {
	kick      chan struct{} // holds a token when the members should be probed
	suspected atomic.Bool   // the leader has not answered since
	cut       atomic.Bool   // this node leads, and heartbeats to so many voters fail that no majority is left

	mu         sync.Mutex
	peers      map[string]*peer // by server id
	quorum     quorum
	warned     bool                   // that there is no quorum; of watchReach alone
	lost       time.Time              // when the quorum was last lost; of watchReach alone
	heartbeats map[raft.ServerID]bool // whose heartbeats fail, kept by the leader
}

// peer is what is known of one member.
type peer struct {
	applied  uint64
	failing  time.Time // since when calls have failed; zero where the last was answered, or none was made
	failures int       // in a row
	answered bool      // the last call was answered
	ever     bool      // some call was, since this node was started
	warned   bool      // that it is missing
	again    time.Time // when it last answered after failures
	left     time.Time // when it said that it stops; zero where it has not, or is back
	back     time.Time // when it was back after that
}

// quorum ends while the voters that can be reached are no majority.
type quorum struct {
	context.Context
	lose context.CancelFunc
}

func newQuorum() quorum {
	ctx, lose := context.WithCancel(context.Background())
	return quorum{ctx, lose}
}

func newReach() *reach {
	return &reach{kick: make(chan struct{}, 1), peers: map[string]*peer{}, quorum: newQuorum(), heartbeats: map[raft.ServerID]bool{}}
}

// of returns the peer of an id. r.mu is held.
func (r *reach) of(id string) *peer {
	if r.peers[id] == nil {
		r.peers[id] = &peer{}
	}
	return r.peers[id]
}

func (r *reach) peer(id string) peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.peers[id]; p != nil {
		return *p
	}
	return peer{}
}

// note takes down the outcome of a call that began at start.
func (r *reach) note(id string, ok bool, applied uint64, start time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.of(id)
	p.answered = ok
	if !ok {
		if p.failures++; p.failing.IsZero() {
			p.failing = start
		}
		return
	}
	if p.failures > 0 {
		p.again = time.Now()
	}
	if !p.left.IsZero() && start.After(p.left) {
		p.left, p.back = time.Time{}, time.Now()
	}
	p.ever, p.applied, p.failures, p.failing = true, applied, 0, time.Time{}
	delete(r.heartbeats, raft.ServerID(id))
}

// forget drops what calls have brought: from now on none are made that would keep it true.
func (r *reach) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.peers {
		p.failing, p.failures, p.answered = time.Time{}, 0, false
	}
}

// suspect has the members probed, because a call to the leader brought no answer.
func (r *reach) suspect() {
	r.suspected.Store(true)
	signal(r.kick)
}

// enough returns a context that ends while there is no quorum.
func (r *reach) enough() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.quorum
}

// set says whether there is a quorum, and reports whether that is news.
func (r *reach) set(has bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if has == (r.quorum.Err() == nil) {
		return false
	}
	if has {
		r.quorum = newQuorum()
	} else {
		r.quorum.lose()
	}
	return true
}

// watchReach probes the members while this node has no leader that answers, until the node ends.
func (n *Node) watchReach() {
	for n.ctx.Err() == nil {
		v := n.views.get()
		if (v.leading && !n.reach.cut.Load()) || (!v.leading && v.leaderAddr != "" && !n.reach.suspected.Load()) {
			if !v.leading {
				n.reach.forget()
			}
			n.weighQuorum(true)
			select {
			case <-v.changed:
			case <-n.reach.kick:
			case <-n.ctx.Done():
			}
			continue
		}
		if n.probe() {
			n.reach.suspected.Store(false)
		}
		n.weighHeartbeats() // there may be nobody left to probe
		has := n.hasQuorum()
		n.weighQuorum(has)
		pause := probePause
		if !has {
			pause = n.cfg.PollInterval
			n.warnQuorum()
		}
		n.sleep(pause, v.changed)
	}
}

// probe calls all other members at once and reports whether one of them is the leader.
func (n *Node) probe() (leaderAnswers bool) {
	leader := n.views.get().leaderID
	var answers atomic.Bool
	var asking sync.WaitGroup
	for _, s := range n.servers() {
		if id := string(s.ID); id != n.serverID() {
			asking.Go(func() {
				if _, ok := n.callPoll(n.ctx, s, nil, probeTime); ok && id == leader {
					answers.Store(true)
				}
			})
		}
	}
	asking.Wait()
	return answers.Load()
}

// callPoll asks a member how far it is, and takes down whether it answers. q is a pollQuestion, or nil.
func (n *Node) callPoll(ctx context.Context, s raft.Server, q any, limit time.Duration) (a pollMessage, ok bool) {
	start := time.Now()
	call, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	code, err := n.askLong(call, string(s.Address), methodPoll, q, &a)
	ok = err == nil && code == command.CodeOK && a.ServerID == string(s.ID)
	if ok || ctx.Err() == nil { // a call that the end of its cause cut off says nothing
		if ok && n.reach.peer(string(s.ID)).failures > 0 {
			n.repeats.forget(" " + string(s.ID))
		}
		n.reach.note(string(s.ID), ok, a.Applied, start)
		n.weighHeartbeats()
	}
	return a, ok
}

// warnMissing warns, once, of a voter that this leader cannot reach, unless it has said that it stops or may still be
// starting.
func (n *Node) warnMissing(s raft.Server) {
	if s.Suffrage != raft.Voter {
		return
	}
	quiet := n.reach.isAway(string(s.ID)) || n.notHereYet(string(s.ID))
	n.reach.mu.Lock()
	p := n.reach.of(string(s.ID))
	since, missing, warned := p.failing, p.missing(time.Now()), p.warned
	p.warned = warned && p.failures > 0 || missing && !quiet
	now := p.warned
	n.reach.mu.Unlock()
	switch {
	case now && !warned:
		n.log.Warn(nameOf(string(s.ID))+" cannot be reached", "member", s.ID, "address", s.Address, "since", since)
	case warned && !now:
		n.log.Info(nameOf(string(s.ID))+" can be reached again", "member", s.ID)
	}
}

// notHereYet tells that a member has not answered since this node was started, a moment ago: it may still be starting.
func (n *Node) notHereYet(id string) bool {
	return !n.reach.peer(id).ever && n.justStarted()
}

// missing tells that a voter has not answered for so long that no write should wait for it.
func (p *peer) missing(now time.Time) bool {
	return p.failures > 1 && now.Sub(p.failing) >= quorumPatience
}

// hasQuorum reports whether the voters that are not missing, this node among them, are a majority, or a leader answers.
func (n *Node) hasQuorum() bool {
	if v := n.views.get(); v.leading || (v.leaderAddr != "" && !n.reach.suspected.Load()) {
		return true
	}
	voters, have, now := 0, 0, time.Now()
	for _, s := range n.servers() {
		if s.Suffrage != raft.Voter {
			continue
		}
		voters++
		if p := n.reach.peer(string(s.ID)); string(s.ID) == n.serverID() || !p.missing(now) {
			have++
		}
	}
	return have > voters/2 || voters == 0
}

// weighQuorum takes over whether there is a quorum.
func (n *Node) weighQuorum(has bool) {
	switch {
	case !n.reach.set(has):
	case has:
		n.reach.warned = false
		n.log.Info("a majority of the voters can be reached again")
	default:
		n.reach.lost = time.Now()
		n.log.Info("no majority of the voters can be reached", "voters", n.reachText())
	}
}

// warnQuorum warns, once, of a majority that cannot be reached, unless that is expected.
func (n *Node) warnQuorum() {
	if !n.reach.warned && !n.mayLackQuorum(n.reach.lost) {
		n.reach.warned = true
		n.log.Warn("writes are refused: no majority of the voters can be reached", "voters", n.reachText())
	}
}

// mayLackQuorum tells that it is no news that a majority cannot be reached since then: it may still be starting, or has said that
// it stops. If it stays away, for whatever reason, the cluster does not serve, which is news.
func (n *Node) mayLackQuorum(since time.Time) bool {
	return n.starting() || (n.majorityLeft() && time.Since(since) < startGrace)
}

// noQuorum returns the error of what needs a majority while none can be reached, nil otherwise.
func (n *Node) noQuorum() *Error {
	if n.reach.enough().Err() == nil {
		return nil
	}
	return errorf(command.CodeNoLeader, "no leader: %s; retry when a majority is back", n.reachText())
}

// noLeader returns the error of what needs a leader where none is known.
func (n *Node) noLeader() *Error {
	if err := n.noQuorum(); err != nil {
		return err
	}
	return errorf(command.CodeNoLeader, "no leader: %s; an election is under way, retry", n.reachText())
}

// reachText says how many of the voters this node reaches, and which not since when.
func (n *Node) reachText() string {
	voters, have := 0, 0
	byAge := map[string][]string{}
	var ages []string
	for _, s := range n.servers() {
		if s.Suffrage != raft.Voter {
			continue
		}
		voters++
		p := n.reach.peer(string(s.ID))
		if string(s.ID) == n.serverID() || p.failing.IsZero() {
			have++
			continue
		}
		age := time.Since(p.failing).Round(time.Second).String()
		if byAge[age] == nil {
			ages = append(ages, age)
		}
		byAge[age] = append(byAge[age], nameOf(string(s.ID)))
	}
	text := fmt.Sprintf("%d of %d voters reachable", have, voters)
	parts := make([]string, len(ages))
	for i, age := range ages {
		slices.Sort(byAge[age])
		parts[i] = strings.Join(byAge[age], ", ") + " unreachable for " + age
	}
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, "; ") + ")"
	}
	return text
}

// reachableVoters is reachText's count for metrics; -1 on a follower with a leader, which calls no others.
func (n *Node) reachableVoters() float64 {
	v := n.views.get()
	if !v.leading && v.leaderAddr != "" && !n.reach.suspected.Load() {
		return -1
	}
	have := 0
	for _, s := range n.servers() {
		p := n.reach.peer(string(s.ID))
		if s.Suffrage == raft.Voter && (string(s.ID) == n.serverID() || p.failing.IsZero()) {
			have++
		}
	}
	return float64(have)
}
