package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"dapple/command"
	"dapple/transport"
)

// pledge is this node's word to let one candidate form the cluster.
type pledge struct {
	to    string
	until time.Time
}

// discover asks the other addresses until this node has joined a cluster, or may form one: it returns when the node file
// names the cluster. Until then the node runs no Raft, and so votes for nobody.
func (n *Node) discover() error {
	for n.ctx.Err() == nil {
		answers := n.survey()
		done, err := n.decide(answers)
		if done || err != nil {
			return err
		}
		n.sleep(jitter(200*time.Millisecond), nil)
	}
	return n.ctx.Err()
}

// survey says hello to all other addresses at once and returns who answered. An answer by this node itself is left out.
func (n *Node) survey() []helloMessage {
	var (
		mu      sync.Mutex
		answers []helloMessage
		asking  sync.WaitGroup
	)
	for _, address := range n.candidates() {
		asking.Go(func() {
			var a helloMessage
			if code, err := n.ask(n.ctx, address, methodHello, n.hello(), &a); err != nil || code != command.CodeOK || a.ServerID == n.serverID() {
				return
			}
			n.hear(a)
			mu.Lock()
			defer mu.Unlock()
			answers = append(answers, a)
		})
	}
	asking.Wait()
	return answers
}

// maxHeard bounds the addresses that are remembered of nodes which said hello.
const maxHeard = 64

// candidates returns the addresses to ask: those of the configuration, and those of nodes that have asked this one, so that
// it is enough that each node can be told of one other.
func (n *Node) candidates() []string {
	n.mu.Lock()
	all := append(n.cfg.addresses(), n.callers...)
	n.mu.Unlock()
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(a string) bool { return a == n.cfg.ClusterAdvertise })
}

// hear remembers a node without a cluster, and those that it knows.
func (n *Node) hear(m helloMessage) {
	if m.Cluster != "" {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, address := range append(m.Peers, m.Address) {
		_, _, err := net.SplitHostPort(address)
		if err == nil && len(n.callers) < maxHeard && !slices.Contains(n.callers, address) {
			n.callers = append(n.callers, address)
		}
	}
}

// decide does what the answers allow. It returns true when the node file names a cluster.
func (n *Node) decide(answers []helloMessage) (bool, error) {
	own := n.hello()
	lowest, known := own, map[string]helloMessage{}
	clusters := map[string][]helloMessage{}
	for _, a := range answers {
		if a.Cluster != "" {
			name := publicNameOf(a.Cluster)
			clusters[name] = append(clusters[name], a)
			continue
		}
		if a.Name == own.Name {
			n.setPhase(fmt.Sprintf("another node is named %s too, at %s", a.Name, a.Address))
			return false, nil
		}
		known[a.ServerID] = a
		if a.Name < lowest.Name {
			lowest = a
		}
	}
	switch {
	case len(clusters) > 1:
		n.setPhase("the nodes to join belong to different clusters")
		return false, nil
	case len(clusters) == 1:
		for name, members := range clusters {
			return n.join(name, members)
		}
	case len(known)+1 < n.cfg.BootstrapExpect:
		n.setPhase(fmt.Sprintf("forming: %d of %d nodes are there", len(known)+1, n.cfg.BootstrapExpect))
		return false, nil
	case lowest.Name != own.Name:
		n.setPhase("forming: waiting for node " + lowest.Name)
		return false, nil
	}
	return n.form(known)
}

// form makes the cluster, if enough nodes pledge to let this one do it. The node file is written before anything else, so
// that a crash at any later point ends in the same cluster.
func (n *Node) form(others map[string]helloMessage) (bool, error) {
	start := time.Now()
	own := n.serverID()
	if to := n.givePledge(own); to != own {
		n.setPhase("forming: waiting for " + to)
		return false, nil
	}
	pledges := 1
	for _, o := range others {
		var a pledgeMessage
		if code, err := n.ask(n.ctx, o.Address, methodPledge, pledgeMessage{Candidate: own}, &a); err == nil && code == command.CodeOK && a.Granted {
			pledges++
		}
	}
	if pledges < n.cfg.BootstrapExpect || time.Since(start) > n.cfg.PledgeTime/2 {
		n.dropPledge(own)
		n.setPhase(fmt.Sprintf("forming: %d of %d pledges", pledges, n.cfg.BootstrapExpect))
		return false, nil
	}
	var id transport.ClusterID
	if _, err := rand.Read(id[:]); err != nil {
		return false, err
	}
	if _, err := n.genesis(id); err != nil {
		return false, err
	}
	n.log.Info("forming a cluster", "cluster", hexOf(id), "voters_expected", n.cfg.BootstrapExpect)
	err := n.updateMeta(func(m *meta) { m.Cluster, m.Forming = hexOf(id), n.cfg.BootstrapExpect })
	return err == nil, err
}

// genesis makes the first command of a new cluster.
func (n *Node) genesis(id transport.ClusterID) (*command.Genesis, error) {
	if n.cfg.Genesis == nil {
		return nil, errors.New("this node may not form a cluster: it was given no first account")
	}
	g, err := n.cfg.Genesis(id)
	if err != nil {
		return nil, fmt.Errorf("forming a cluster is refused: %w", err)
	}
	g.ClusterId = id[:]
	return g, nil
}

// givePledge gives this node's word to a candidate, unless another has it, and returns who has it.
func (n *Node) givePledge(to string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	if n.pledge.to == to || now.After(n.pledge.until) {
		n.pledge = pledge{to: to, until: now.Add(n.cfg.PledgeTime)}
	}
	return n.pledge.to
}

func (n *Node) dropPledge(to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pledge.to == to {
		n.pledge = pledge{}
	}
}

func (n *Node) hello() helloMessage {
	m := n.currentMeta()
	if id := m.clusterID(); id != (transport.ClusterID{}) {
		return helloMessage{Name: m.Name, Address: n.cfg.ClusterAdvertise, Cluster: publicName(id)}
	}
	return helloMessage{Name: m.Name, ServerID: m.serverID(), Address: n.cfg.ClusterAdvertise, Peers: n.candidates()}
}

func (n *Node) handleHello(ctx context.Context, body []byte) (command.Code, []byte) {
	var from helloMessage
	if err := json.Unmarshal(body, &from); err == nil && n.isListed(transport.PeerOf(ctx)) {
		n.hear(from)
	}
	return answer(n.hello())
}

func (n *Node) handlePledge(ctx context.Context, body []byte) (command.Code, []byte) {
	var q pledgeMessage
	if err := json.Unmarshal(body, &q); err != nil || q.Candidate == "" {
		return command.CodeInvalidValue, nil
	}
	if peer := transport.PeerOf(ctx); !n.isListed(peer) || !peer.Is(q.Candidate) {
		return command.CodeAccessDenied, nil
	}
	if n.currentMeta().Cluster != "" {
		return answer(pledgeMessage{Candidate: q.Candidate})
	}
	to := n.givePledge(q.Candidate)
	return answer(pledgeMessage{Candidate: q.Candidate, To: to, Granted: to == q.Candidate})
}

// askTime bounds the small calls between nodes.
const askTime = time.Second

// ask makes a call with JSON in both directions. With another code than CodeOK, to is left as it is.
func (n *Node) ask(ctx context.Context, address string, method byte, from, to any) (command.Code, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return n.askLong(ctx, address, method, from, to)
}

func (n *Node) askLong(ctx context.Context, address string, method byte, from, to any) (command.Code, error) {
	body, err := json.Marshal(from)
	if err != nil {
		return 0, err
	}
	code, body, err := n.transport.Call(ctx, address, method, body)
	if err != nil {
		return 0, err
	}
	if code != command.CodeOK {
		return code, nil
	}
	if err := json.Unmarshal(body, to); err != nil {
		return 0, fmt.Errorf("answer of %s: %w", address, err)
	}
	return code, nil
}

// answer encodes the answer of a small call.
func answer(v any) (command.Code, []byte) {
	b, err := json.Marshal(v)
	if err != nil {
		return command.CodeInternal, []byte(err.Error())
	}
	return command.CodeOK, b
}
