package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"

	"dapple/command"
)

// poll is what the leader last heard of a member.
type poll struct {
	applied  uint64
	features uint64
	disk     disk
	at       time.Time // of the last answer
	ok       bool      // the last call was answered
	target   uint64    // the commit index at the time of the poll
	// caughtUp tells that it had applied, at the last poll, what was committed at the one before.
	caughtUp bool
}

// lead is the work of a leader through one term: it catches up, then looks after the members.
func (n *Node) lead(epoch context.Context) {
	if !n.startTerm(epoch) {
		return
	}
	now := time.Now()
	n.leadSince.Store(&now)
	n.reach.resetHeartbeats()
	n.mu.Lock()
	n.polls = map[string]poll{}
	n.mu.Unlock()
	n.views.lead(epoch, true, n.currentMeta().Forming == 0)
	r := n.consensus.Load().raft
	watch := newStalls(n, r.CurrentTerm())
	for epoch.Err() == nil {
		n.confirms.enter() // so that this node knows how long it has surely led, whether anybody asks or not
		learners := n.pollMembers(epoch)
		n.weighDisks()
		n.promote(epoch, learners)
		n.checkFormed(epoch)
		watch.look(epoch, r.LastIndex())
		pause := n.cfg.PollInterval
		if len(learners) > 0 || n.currentMeta().Forming > 0 {
			pause /= 5
		}
		n.sleep(pause, epoch.Done())
	}
}

// startTerm proposes the first command of the term and, in a cluster that has none, Genesis. It returns true when the state
// machine has applied them: all that earlier terms committed is then applied too.
func (n *Node) startTerm(epoch context.Context) bool {
	payload, err := proto.Marshal(&command.TermStart{Leader: n.serverID()})
	if err != nil {
		n.fail(err)
		return false
	}
	if !n.applyUntil(epoch, command.Command{Type: command.TypeTermStart, Payload: payload}) {
		return false
	}
	if _, ok := n.cfg.Machine.ClusterID(); ok {
		return true
	}
	g, err := n.genesis(n.currentMeta().clusterID())
	if err == nil {
		payload, err = proto.Marshal(g)
	}
	if err != nil {
		n.fail(err)
		return false
	}
	return n.applyUntil(epoch, command.Command{Type: command.TypeGenesis, Payload: payload})
}

// applyUntil applies a command of the cluster itself, trying again while the epoch lasts. A refused one fails the node.
func (n *Node) applyUntil(epoch context.Context, c command.Command) bool {
	for epoch.Err() == nil {
		r, err := n.applyDirect(c)
		switch {
		case err != nil:
			level := slog.LevelWarn
			if n.stopping.Load() || n.majorityLeft() {
				level = slog.LevelInfo
			}
			n.log.Log(epoch, level, "a command of the cluster was not applied", "command", c.Type, "error", err)
			n.sleep(jitter(50*time.Millisecond), epoch.Done())
		case r.Code == command.CodeOK, r.Code == command.CodeDuplicateGenesis:
			return true
		default:
			n.fail(fmt.Errorf("%s was refused: %s (%s)", c.Type, r.Message, r.Code))
			return false
		}
	}
	return false
}

// pollMembers asks every other member how far it is, and returns the learners that have caught up, or not yet.
func (n *Node) pollMembers(epoch context.Context) (learners []raft.Server) {
	commit := n.consensus.Load().raft.CommitIndex()
	question := n.digests.question(n)
	question.Marks = n.acknowledged()
	var asking sync.WaitGroup
	for _, s := range n.servers() {
		if string(s.ID) == n.serverID() {
			continue
		}
		if s.Suffrage != raft.Voter {
			learners = append(learners, s)
		}
		asking.Go(func() {
			a, ok := n.callPoll(epoch, s, question, askTime)
			n.digests.heard(string(s.ID), question.Digest, a.Digest)
			n.heard(string(s.ID), a, ok, commit)
			n.warnMissing(s)
		})
	}
	asking.Wait()
	n.compareDigests()
	return learners
}

// heard notes the outcome of a poll.
func (n *Node) heard(id string, a pollMessage, ok bool, commit uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.polls[id]
	p.ok = ok
	if ok {
		// It has caught up with what was committed at the poll before: it follows as fast as the log grows.
		p.caughtUp = p.target > 0 && a.Applied >= p.target
		p.applied, p.features, p.disk, p.at, p.target = a.Applied, a.Features, a.Disk, time.Now(), commit
	}
	n.polls[id] = p
}

func (n *Node) polled(id string) poll {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.polls[id]
}

// promote makes voters of the learners that have caught up.
func (n *Node) promote(epoch context.Context, learners []raft.Server) {
	for _, s := range learners {
		if p := n.polled(string(s.ID)); epoch.Err() != nil || !p.ok || !p.caughtUp {
			continue
		}
		n.membership.Lock()
		err := n.change(n.consensus.Load().raft.AddVoter(s.ID, s.Address, 0, time.Second))
		n.membership.Unlock()
		if err != nil {
			n.log.Warn("a learner was not promoted", "member", s.ID, "error", err)
			continue
		}
		n.log.Info("a learner has become a voter", "member", s.ID)
	}
}

// checkFormed opens a new cluster for writes once it has as many voters as it was to be formed with. Until then a write
// would be on the forming node alone.
func (n *Node) checkFormed(epoch context.Context) {
	expect := n.currentMeta().Forming
	if expect == 0 || n.voters() < expect || epoch.Err() != nil {
		return
	}
	if err := n.updateMeta(func(m *meta) { m.Forming = 0 }); err != nil {
		n.fail(err)
		return
	}
	n.log.Info("the cluster is formed", "voters", expect)
	n.views.lead(epoch, true, true)
}

func (n *Node) voters() int { return countVoters(n.servers()) }

func countVoters(servers []raft.Server) (voters int) {
	for _, s := range servers {
		if s.Suffrage == raft.Voter {
			voters++
		}
	}
	return voters
}

func (n *Node) formingMessage() string {
	return fmt.Sprintf("forming: %d of %d voters", n.voters(), n.currentMeta().Forming)
}
