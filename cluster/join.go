package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"dapple/command"
	"dapple/internal/halt"
	"dapple/transport"
)

// joinTime bounds one attempt to join: a flush where the log is cut, and two changes of the membership, each a write of the log.
const joinTime = 20 * time.Second

// join asks members of a cluster to take this node in as a learner. It returns true when the node file names the cluster,
// which is written only after the leader has committed the new membership: the old incarnation of this name is out by then.
func (n *Node) join(cluster string, members []helloMessage) (bool, error) {
	joining := "joining cluster " + cluster
	if !strings.HasPrefix(n.currentPhase(), joining) {
		n.setPhase(joining)
	}
	slices.SortFunc(members, func(a, b helloMessage) int { return strings.Compare(a.Name, b.Name) })
	var reasons []string
	for _, m := range members {
		a, err := n.askJoin(m.Address, false)
		if err != nil {
			n.log.Debug("not taken in yet", "by", m.Name, "error", err)
			reasons = append(reasons, fmt.Sprintf("%s at %s %s", m.Name, m.Address, whyNotYet(err)))
			continue
		}
		if err := n.refusal(a); err != nil {
			return false, err
		}
		if a.Renew {
			// A copy of the folder from before it joined: it knows nothing of its time as a member.
			n.log.Error("the data folder is an older copy, from before this node was a member: it joins as a new one", "known_to", m.Name)
			return false, n.renew()
		}
		n.meet(a.Members)
		err = n.updateMeta(func(m *meta) { m.Cluster, m.JoinedForming = a.Cluster, a.Forming })
		return err == nil, err
	}
	n.setPhase(joining + ": " + strings.Join(reasons, "; ") + " (retrying)")
	n.transport.DropIdle() // they show the certificate that was not enough
	n.sleep(jitter(joinPause), nil)
	return false, nil
}

// refusal is the error of a node that may never join as it is, nil where it may.
func (n *Node) refusal(a joinAnswer) error {
	switch {
	case a.Duplicate:
		return fmt.Errorf("%w: %s", halt.ErrDuplicate, a.Refused)
	case a.Refused != "":
		return fmt.Errorf("the cluster refuses this node: %s", a.Refused)
	}
	return nil
}

// joinPause is how long a node that was not let in waits before it asks again, beside the pause between two surveys.
const joinPause = 300 * time.Millisecond

// whyNotYet says, after the name of a member, why it did not let this node in.
func whyNotYet(err error) string {
	var refused *Error
	switch {
	case !errors.As(err, &refused):
		return "does not answer"
	case refused.Message != "":
		return "says: " + refused.Message
	case refused.Code == command.CodeNoLeader:
		return "knows no leader yet"
	case refused.Code == command.CodeNotLeader:
		return "does not lead any more"
	case refused.Code == command.CodeNotReady:
		return "has not caught up as the new leader yet"
	default:
		return "refuses: " + refused.Code.String()
	}
}

// askJoin makes one call to take this node in or, with hasState, to make its address known. An answer other than yes is
// an *Error with the member's words.
func (n *Node) askJoin(address string, hasState bool) (a joinAnswer, err error) {
	ctx, cancel := context.WithTimeout(n.ctx, joinTime)
	defer cancel()
	q := joinMessage{Name: n.cfg.NodeID, ServerID: n.serverID(), Run: n.run, Address: n.cfg.ClusterAdvertise, HasState: hasState}
	if n.cfg.JoinToken != nil && n.isProtected() {
		if q.Token, err = n.cfg.JoinToken(); err != nil {
			return a, errorf(command.CodeNotReady, "this node's join token: %v", err)
		}
	}
	body, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	code, body, err := n.transport.Call(ctx, address, methodJoin, body)
	switch {
	case err != nil:
		return a, err
	case code != command.CodeOK:
		return a, errorf(code, "%s", body)
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return a, fmt.Errorf("answer of %s: %w", address, err)
	}
	return a, nil
}

// announce makes this member's address known after a start, since it may have changed, and learns whether the node was
// removed while it was down. Only the leader can tell that: a node that was removed may hear its leader once more, by a
// last message that was meant for it, and its own membership still has it.
func (n *Node) announce() {
	for n.sleep(jitter(n.cfg.Heartbeat), nil) {
		v := n.views.get()
		if v.leading {
			if v.ready {
				if _, _, err := n.admit(n.ctx, joinMessage{Name: n.cfg.NodeID, ServerID: n.serverID(), Run: n.run, Address: n.cfg.ClusterAdvertise, HasState: true, Proof: joinProof{Self: true}}); err == nil {
					return
				}
			}
			continue
		}
		for _, address := range n.peers(v) {
			a, err := n.askJoin(address, true)
			if err != nil {
				n.log.Debug("address not announced", "to", address, "error", err)
				continue
			}
			n.meet(a.Members)
			if err := n.refusal(a); err != nil {
				n.fail(err)
			}
			return
		}
	}
}

// peers returns the addresses at which other members may be: the leader's, those of the membership, those to join.
func (n *Node) peers(v view) []string {
	all := []string{v.leaderAddr}
	for _, s := range n.servers() {
		all = append(all, string(s.Address))
	}
	all = append(all, n.cfg.Join...)
	seen := map[string]bool{"": true, n.cfg.ClusterAdvertise: true}
	peers := all[:0]
	for _, a := range all {
		if !seen[a] {
			seen[a] = true
			peers = append(peers, a)
		}
	}
	return peers
}

// servers returns the latest membership that Raft knows here.
func (n *Node) servers() []raft.Server {
	c := n.consensus.Load()
	if c == nil {
		return nil
	}
	return c.raft.GetConfiguration().Configuration().Servers
}

// handleJoin takes a node in, or passes the call on to the leader, once.
func (n *Node) handleJoin(ctx context.Context, body []byte) (command.Code, []byte) {
	var q joinMessage
	if err := json.Unmarshal(body, &q); err != nil || !validName.MatchString(q.Name) || nameOf(q.ServerID) != q.Name || q.Address == "" {
		return command.CodeInvalidValue, nil
	}
	peer := transport.PeerOf(ctx)
	switch {
	case !q.Passed:
		q.Proof = n.proofOf(peer, q)
	case !peer.SameCluster || !n.isMember(peer):
		return command.CodeAccessDenied, []byte("only members pass on what others ask")
	}
	v := n.views.get()
	switch {
	case v.leading && v.ready:
		code, a, err := n.admit(ctx, q)
		if err != nil {
			n.log.Log(ctx, n.repeats.level(slog.LevelWarn, q.ServerID+err.Error()), "a node was not taken in",
				"node", q.ServerID, "address", q.Address, "error", err)
			return code, []byte(err.Error())
		}
		return answer(a)
	case v.leading:
		return command.CodeNotReady, nil
	case q.Passed:
		return command.CodeNotLeader, nil
	case v.leaderAddr == "":
		return command.CodeNoLeader, nil
	}
	q.Passed = true
	passed, err := json.Marshal(q)
	if err != nil {
		return command.CodeInternal, nil
	}
	code, body, err := n.transport.Call(ctx, v.leaderAddr, methodJoin, passed)
	if err != nil {
		return command.CodeNoLeader, []byte("the leader cannot be reached")
	}
	return code, body
}

// admit is the leader's answer to a join. It returns when the new membership is committed.
func (n *Node) admit(ctx context.Context, q joinMessage) (command.Code, joinAnswer, error) {
	n.membership.Lock()
	defer n.membership.Unlock()
	r := n.consensus.Load().raft
	id, address := raft.ServerID(q.ServerID), raft.ServerAddress(q.Address)
	var old []raft.Server
	for _, s := range n.servers() {
		switch {
		case s.ID == id && !q.HasState && n.remembered()[q.ServerID].Index > 0:
			a := n.welcome()
			a.Renew = true
			return command.CodeOK, a, nil
		case s.ID == id && s.Address == address:
			if err := n.consentAgain(q); err != nil {
				return err.Code, joinAnswer{}, err
			}
			return command.CodeOK, n.welcome(), nil
		case s.ID == id:
			return n.readdress(ctx, r, q, s)
		case nameOf(string(s.ID)) == q.Name:
			old = append(old, s)
		}
	}
	if q.HasState {
		return command.CodeOK, joinAnswer{Refused: removedMessage(q, old)}, nil
	}
	token, refusal := n.consent(q, old)
	if refusal != nil {
		return refusal.Code, joinAnswer{}, refusal
	}
	for _, s := range old {
		if n.alive(ctx, s) {
			return command.CodeNotReady, joinAnswer{}, fmt.Errorf("a node named %s is running at %s", q.Name, s.Address)
		}
	}
	if token {
		if err := n.useToken(q); err != nil {
			return err.Code, joinAnswer{}, err
		}
	}
	for _, s := range old {
		n.log.Info("removing an earlier incarnation", "member", s.ID, "address", s.Address)
		if err := n.change(r.RemoveServer(s.ID, 0, time.Second)); err != nil {
			return command.CodeNotLeader, joinAnswer{}, err
		}
	}
	n.cutLog(r)
	n.log.Info("taking in a learner", "member", q.ServerID, "address", q.Address)
	err := n.change(addServer(r, id, address, raft.Nonvoter))
	return command.CodeNotLeader, n.welcome(), err
}

// readdress gives a member another address.
func (n *Node) readdress(ctx context.Context, r *raft.Raft, q joinMessage, s raft.Server) (command.Code, joinAnswer, error) {
	if err := n.consentAddress(q); err != nil {
		return err.Code, joinAnswer{}, err
	}
	if refused := n.refuseDuplicate(ctx, q, s); refused != nil {
		return command.CodeOK, *refused, nil
	}
	n.log.Info("a member has another address", "member", q.ServerID, "address", q.Address, "before", s.Address)
	err := n.change(addServer(r, s.ID, raft.ServerAddress(q.Address), s.Suffrage))
	return command.CodeNotLeader, n.welcome(), err
}

// welcome is the leader's answer to a node that is a member.
func (n *Node) welcome() joinAnswer {
	m := n.currentMeta()
	a := joinAnswer{Cluster: m.Cluster, Forming: max(m.Forming, m.JoinedForming)}
	for _, s := range n.servers() {
		a.Members = append(a.Members, string(s.Address))
	}
	return a
}

// replayBytes is the size of the log from which on a node without state had better get a snapshot: replaying takes many times as long as
// copying what comes of it (docs/capacity.md).
const replayBytes = 4 << 20

// joinTrailing is how many entries stay behind the snapshot that is taken for a new member: members that follow are not as far behind.
const joinTrailing = 64

// cutLog takes a snapshot where the log still has everything from its beginning, so that Raft does not let a new member replay it.
// Where that fails the member replays.
func (n *Node) cutLog(r *raft.Raft) {
	first, err := n.store.FirstIndex()
	if err != nil || first > 1 || n.store.fileBytes() < replayBytes {
		return
	}
	n.tuning.Lock()
	defer n.tuning.Unlock()
	have := r.ReloadableConfig()
	short := have
	short.TrailingLogs = joinTrailing
	if err = r.ReloadConfig(short); err == nil {
		err = n.change(r.Snapshot())
		err = errors.Join(err, r.ReloadConfig(have))
	}
	if err != nil {
		n.log.Warn("the log was not cut for a new member", "error", err)
	}
}

func removedMessage(q joinMessage, old []raft.Server) string {
	if len(old) > 0 {
		return fmt.Sprintf("%s was replaced by a later incarnation of node %s; this data folder is of no more use", q.ServerID, q.Name)
	}
	return fmt.Sprintf("%s was removed from the cluster; empty the data folder to join again as a new member", q.ServerID)
}

// addServer adds a server, or changes the address of one that is there.
func addServer(r *raft.Raft, id raft.ServerID, address raft.ServerAddress, as raft.ServerSuffrage) raft.Future {
	if as == raft.Voter {
		return r.AddVoter(id, address, 0, time.Second)
	}
	return r.AddNonvoter(id, address, 0, time.Second)
}

// change waits until a change of the membership is committed. It ends at the latest when this node loses the leadership.
func (n *Node) change(f raft.Future) error {
	c := n.consensus.Load()
	if !c.enter() {
		return errorf(command.CodeNotReady, "the node is stopping")
	}
	defer c.pending.Done()
	if err := c.wait(f); err != nil {
		return fmt.Errorf("membership: %w", err)
	}
	return nil
}

// alive asks whether the very server of that id, not another incarnation, answers at its address.
func (n *Node) alive(ctx context.Context, s raft.Server) bool {
	if string(s.ID) == n.serverID() {
		return true
	}
	var a pollMessage
	code, err := n.ask(ctx, string(s.Address), methodPoll, nil, &a)
	var refused *transport.Refusal
	if errors.As(err, &refused) {
		return false
	}
	return err == nil && code == command.CodeOK && a.ServerID == string(s.ID)
}

// nameOf returns the node name of a server id.
func nameOf(serverID string) string {
	name, _, _ := strings.Cut(serverID, "@")
	return name
}
