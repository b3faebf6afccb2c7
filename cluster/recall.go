package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"dapple/command"
	"dapple/transport"
)

// A member that is put back to an older copy of its folder has forgotten what it acknowledged, and its vote may elect a leader
// that never had it. So a member asks the others, before it runs Raft, what they remember of it.

const (
	// recallGrace is how long a start waits for more answers where enough have come: a member that is down must not delay it.
	recallGrace = 300 * time.Millisecond
	// recallPause separates two questions to a member that does not answer.
	recallPause = 100 * time.Millisecond
)

// recall asks the other members what they remember of this one, and acts on it: a process with a copy of a live member's folder
// ends, and one that has less than it had acknowledged rejoins as a new incarnation. It waits for so many members as make a
// majority with this one, Config.RecallTime at most: with fewer than that nobody can be elected anyway.
func (n *Node) recall() error {
	q, err := n.recallQuestion()
	if err != nil {
		return err
	}
	answers, held := n.askRecall(q), q.Held
	if where := runningElsewhere(answers); where != "" {
		return n.duplicate(where)
	}
	for _, a := range answers {
		switch {
		case a.Contradicts, n.contradicts(a.Last):
			return errTwoHistories(a.ServerID)
		case isLost(held, a):
			n.log.Error("the data folder is an older copy: this node rejoins as a new member, which votes when it has caught up",
				"acknowledged", a.Had.String(), "has", held.String(), "known_to", a.ServerID)
			return n.renew()
		}
	}
	return nil
}

// isLost reports whether a member has forgotten what it acknowledged, and that matters. A mark is from a term that the member had
// on its disk before it acknowledged anything. An index is compared within one term alone: a later leader may have cut the tail.
// Of two voters each is needed for every decision, so that the one with the longer log decides.
func isLost(held mark, a recallAnswer) bool {
	return held.before(a.Had) && a.Voters != 2
}

// held returns the term that this node knows and the last entry that it has. In this order: where the log is cut meanwhile, the term
// is already the later one.
func (n *Node) held() (mark, error) {
	last, err := n.store.LastIndex()
	if err != nil {
		return mark{}, err
	}
	list, err := n.cfg.Machine.Snapshots().List()
	if err != nil {
		return mark{}, err
	}
	for _, s := range list {
		last = max(last, s.Index)
	}
	last = max(last, n.cfg.Machine.AppliedIndex())
	term, err := n.store.term()
	return mark{Term: term, Index: last}, err
}

// recallQuestion says what this node has.
func (n *Node) recallQuestion() (q recallQuestion, err error) {
	q = recallQuestion{ServerID: n.serverID(), Run: n.run, Marks: n.remembered()}
	if q.Held, err = n.held(); err == nil {
		q.Last, err = n.lastEntry()
	}
	return q, err
}

// askRecall returns what the others answer, once enough have.
func (n *Node) askRecall(q recallQuestion) (all []recallAnswer) {
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.RecallTime)
	addresses, enough := n.recallees()
	answers := make(chan recallAnswer, len(addresses))
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	for _, address := range addresses {
		asking.Go(func() {
			for ctx.Err() == nil {
				var a recallAnswer
				code, err := n.ask(ctx, address, methodRecall, q, &a)
				if err == nil {
					if a.ServerID == n.serverID() {
						if a.Run == n.run {
							return // this process has another address too
						}
						a.Elsewhere = address
					}
					// With another code than CodeOK it knows nothing: it runs an earlier version, or has no such member.
					n.log.Debug("asked what is remembered of this node", "of", address, "code", code, "had", a.Had)
					answers <- a
					return
				}
				n.sleep(recallPause, ctx.Done())
			}
		})
	}
	var grace <-chan time.Time
	for len(all) < len(addresses) {
		select {
		case a := <-answers:
			if all = append(all, a); len(all) == enough {
				grace = time.After(recallGrace)
			}
		case <-grace:
			return all
		case <-ctx.Done():
			return all
		}
	}
	return all
}

// recallees returns the addresses of the other members, and how many of them make a majority with this one.
func (n *Node) recallees() (addresses []string, enough int) {
	addresses = n.cfg.addresses()
	for _, s := range n.knownServers() {
		addresses = append(addresses, string(s.Address))
	}
	slices.Sort(addresses)
	addresses = slices.DeleteFunc(slices.Compact(addresses), func(a string) bool { return a == n.cfg.ClusterAdvertise })
	return addresses, max(1, n.knownVoters()/2)
}

// handleRecall answers a member that starts.
func (n *Node) handleRecall(ctx context.Context, body []byte) (command.Code, []byte) {
	var q recallQuestion
	if err := json.Unmarshal(body, &q); err != nil || q.ServerID == "" {
		return command.CodeInvalidValue, nil
	}
	if !transport.PeerOf(ctx).Is(q.ServerID) {
		return command.CodeAccessDenied, nil
	}
	a := recallAnswer{
		ServerID: n.serverID(), Run: n.run, Had: n.remembered()[q.ServerID], Voters: n.knownVoters(), Address: n.addressOf(q.ServerID),
		Elsewhere: n.elsewhere(ctx, q.ServerID, q.Run),
	}
	// Where nobody leads, nobody can tell whose history is the cluster's.
	if n.views.get().leaderID != "" {
		a.Contradicts = n.contradicts(q.Last)
		a.Last, _ = n.lastEntry()
	}
	if a.Elsewhere == "" && isLost(q.Held, a) {
		n.raise(AlarmRolledBack, q.ServerID, fmt.Sprintf("%s had acknowledged %s and has %s: its folder is an older copy; it may not vote, and rejoins as a new member",
			nameOf(q.ServerID), a.Had, q.Held))
	}
	n.reconsider(q.Marks[n.serverID()], q.ServerID)
	return answer(a)
}

// reconsider hears from another member, while Raft runs, what this one is known to have had. It may have voted meanwhile, and by now
// it follows the leader, so it goes on: to leave would undo nothing and cost the cluster a voter. An operator has to know.
func (n *Node) reconsider(had mark, by string) {
	c := n.consensus.Load()
	if c == nil || !(mark{c.raft.CurrentTerm(), c.raft.LastIndex()}).before(had) {
		return
	}
	held, err := n.held() // which costs more, and is sure
	if err != nil || !isLost(held, recallAnswer{Had: had, Voters: n.knownVoters()}) {
		return
	}
	n.raise(AlarmRolledBack, n.serverID(), fmt.Sprintf("%s remembers that %s had acknowledged %s, and it had %s while it was a voter: its folder is an older copy",
		nameOf(by), n.cfg.NodeID, had, held))
}

// knownServers returns the membership, before Raft runs as it was last known.
func (n *Node) knownServers() []raft.Server {
	if n.consensus.Load() != nil {
		return n.servers()
	}
	remembered := n.memories.members()
	all := make([]raft.Server, len(remembered))
	for i, m := range remembered {
		all[i] = raft.Server{ID: raft.ServerID(m.ID), Address: raft.ServerAddress(m.Address), Suffrage: raft.Nonvoter}
		if m.Voter {
			all[i].Suffrage = raft.Voter
		}
	}
	return all
}

// knownVoters returns how many of knownServers vote; 0 where that is not known.
func (n *Node) knownVoters() int { return countVoters(n.knownServers()) }

// addressOf returns where the membership has a server, empty for none.
func (n *Node) addressOf(id string) string {
	for _, s := range n.servers() {
		if s.ID == raft.ServerID(id) {
			return string(s.Address)
		}
	}
	return ""
}
