package cluster

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"dapple/command"
	"dapple/transport"
	"dapple/transport/transporttest"
)

// certified is a fleet whose nodes show each other certificates of one authority, for names that a pattern ties to them.
type certified struct {
	*fleet
	authority *transporttest.Authority
	files     map[string]transporttest.Files
}

// nodeNames is the pattern of the names in the certificates.
const nodeNames = "{node}.cluster.example.org"

func newCertified(t *testing.T, names ...string) *certified {
	t.Helper()
	c := &certified{fleet: newFleet(t, names...), authority: transporttest.NewAuthority(t), files: map[string]transporttest.Files{}}
	for _, name := range names {
		c.issue(name, name+".cluster.example.org")
	}
	c.tweak = func(cfg *Config) { cfg.TLS = c.tls(cfg.NodeID) }
	return c
}

// issue makes a certificate for somebody.
func (c *certified) issue(holder string, names ...string) {
	c.t.Helper()
	c.files[holder] = c.authority.Issue(c.t, c.authority, names...)
}

func (c *certified) tls(holder string) *transport.TLSFiles {
	f := c.files[holder]
	return &transport.TLSFiles{Cert: f.Cert, Key: f.Key, CA: f.CA, Names: []string{nodeNames}}
}

// outsider is a transport of whoever holds a certificate, and says that it is the server of some id.
func (c *certified) outsider(holder, serverID string, id transport.ClusterID) *transport.Transport {
	return outsider(c.t, transport.Config{Listen: "127.0.0.1:0", Name: serverID, TLS: c.tls(holder)}, id)
}

// hugeTerm would end every leadership, and the numbers of terms with it.
const hugeTerm = 1 << 40

// usurp asks a member for its vote and tells it of a leader, both with a huge term, and returns the errors.
func (f *fleet) usurp(tr *transport.Transport, as, at string) (vote, lead error) {
	f.t.Helper()
	layer := tr.OpenRaft(as, "127.0.0.1:1", func(string) {})
	layer.StopWaiting()
	trans := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: layer, MaxPool: 1, Timeout: patience})
	defer func() { require.NoError(f.t, trans.Close()) }()
	id := f.nodes[at].consensus.Load().id
	target := transport.RaftTarget(id, raft.ServerAddress(f.addrs[at]))
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(as), Addr: []byte("127.0.0.1:1")}
	vote = trans.RequestVote(id, target, &raft.RequestVoteRequest{
		RPCHeader: header, Term: hugeTerm, LastLogIndex: hugeTerm, LastLogTerm: hugeTerm, LeadershipTransfer: true,
	}, &raft.RequestVoteResponse{})
	lead = trans.AppendEntries(id, target, &raft.AppendEntriesRequest{RPCHeader: header, Term: hugeTerm + 1}, &raft.AppendEntriesResponse{})
	return vote, lead
}

// keepsOut requires that somebody who says that they are the server of an id can do nothing at any node.
func (f *fleet) keepsOut(tr *transport.Transport, as string) {
	f.t.Helper()
	forged := encodeCommands([]command.Command{{Type: command.TypeAddIdentity, Issuer: "root", Payload: []byte("stolen")}})
	for _, name := range f.names {
		at := f.addrs[name]
		for _, method := range []byte{methodPropose, methodPoll, methodCommit, methodStatus, methodConfirm, methodReadIndex, methodNotice} {
			code, body, err := tr.Call(deadline(f.t), at, method, forged)
			require.NoError(f.t, err)
			require.Equal(f.t, command.CodeNotReady, code, "method %d at %s: %s", method, name, body)
		}
		vote, lead := f.usurp(tr, as, name)
		for _, err := range []error{vote, lead} {
			var refused *transport.Refusal
			require.ErrorAs(f.t, err, &refused, "at %s", name)
		}
		require.Zero(f.t, f.nodes[name].machine.counter("stolen"))
		require.Less(f.t, f.nodes[name].Status(f.t.Context()).Term, uint64(hugeTerm), "the term at %s", name)
	}
}

// saysNothing requires that a text has neither the cluster's id nor the server id of a member.
func (f *fleet) saysNothing(text string) {
	f.t.Helper()
	for _, name := range f.names {
		require.NotContains(f.t, text, f.nodes[name].currentMeta().Cluster)
		require.NotContains(f.t, text, f.nodes[name].currentMeta().Incarnation)
	}
}

// joinAs asks a node to take a server in, and returns its answer. Whatever else the message says is taken from it.
func (f *fleet) joinAs(tr *transport.Transport, at string, q joinMessage) (command.Code, string) {
	f.t.Helper()
	body, err := json.Marshal(q)
	require.NoError(f.t, err)
	code, body, err := tr.Call(deadline(f.t), f.addrs[at], methodJoin, body)
	require.NoError(f.t, err)
	return code, string(body)
}

// A certificate of the nodes' authority that is for somebody else opens nothing, even if its holder knows the cluster's id
// and says that they are a member, and however they lie about what was proved. A member's certificate does.
func TestCertificateOfAStranger(t *testing.T) {
	t.Parallel()
	c := newCertified(t, "a", "b", "c")
	c.startAll()
	c.voters(3)
	c.add(c.followers()[0], "x") // forwarded between nodes
	id := c.nodes["a"].currentMeta().clusterID()
	c.issue("joe", "joe.example.org", "10.1.2.3")
	c.issue("other", "other.cluster.example.org")
	for _, holder := range []string{"joe", "other"} {
		for _, as := range []string{"joe@1", c.nodes["b"].serverID()} {
			tr := c.outsider(holder, as, id)
			c.keepsOut(tr, as)
			for _, q := range []joinMessage{
				{Name: "joe", ServerID: "joe@1", Address: "10.1.2.3:7080"},
				{Name: "joe", ServerID: "joe@1", Address: "127.0.0.1:1", Passed: true, Proof: joinProof{Listed: true, Covers: []string{"127.0.0.1:1"}}},
				{Name: "b", ServerID: "b@2", Address: c.addrs["b"]},
				{Name: "b", ServerID: c.nodes["b"].serverID(), Address: "127.0.0.1:1", HasState: true},
				{Name: "b", ServerID: c.nodes["b"].serverID(), Address: c.addrs["b"], HasState: true},
				{Name: "b", ServerID: c.nodes["b"].serverID(), Address: "127.0.0.1:1", HasState: true, Passed: true, Proof: joinProof{Self: true}},
			} {
				for _, at := range c.names {
					code, body := c.joinAs(tr, at, q)
					require.Equal(t, command.CodeAccessDenied, code, "%+v at %s: %s", q, at, body)
					c.saysNothing(body)
				}
			}
		}
	}
	for _, name := range c.names {
		require.Len(t, c.nodes[name].servers(), 3)
	}
	c.add(c.followers()[0], "x")

	// A member can do all of it.
	as, at := c.nodes[c.followers()[0]].serverID(), c.followers()[1]
	vote, lead := c.usurp(c.outsider(nameOf(as), as, id), as, at)
	require.NoError(t, vote)
	require.NoError(t, lead)
	eventually(t, func() bool { return c.nodes[at].Status(t.Context()).Term >= hugeTerm }, "the term has not moved")
}

// Nor can anybody who does not show that they are a member move the term, whether nodes prove a key or nothing.
func TestTermsOfStrangers(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) (*fleet, func(id transport.ClusterID) *transport.Transport){
		"cluster key": func(t *testing.T) (*fleet, func(id transport.ClusterID) *transport.Transport) {
			k := newKeyed(t, "a", "b", "c")
			return k.fleet, func(id transport.ClusterID) *transport.Transport { return k.outsider("x@1", id, true) }
		},
		"nothing": func(t *testing.T) (*fleet, func(id transport.ClusterID) *transport.Transport) {
			return newFleet(t, "a", "b", "c"), func(id transport.ClusterID) *transport.Transport {
				return outsider(t, transport.Config{Listen: "127.0.0.1:0", Name: "x@1"}, id)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, stranger := start(t)
			f.startAll()
			f.voters(3)
			for _, id := range []transport.ClusterID{{}, f.nodes["a"].currentMeta().clusterID()} {
				f.keepsOut(stranger(id), "x@1")
			}
			// Whoever asks is not told the incarnation of a member, with which its name goes.
			tr := stranger(f.nodes["a"].currentMeta().clusterID())
			for _, q := range []joinMessage{
				{Name: "b", ServerID: "b@2", Address: f.addrs["b"]},
				{Name: "b", ServerID: "b@2", Address: f.addrs["b"], HasState: true},
			} {
				for _, at := range f.names {
					_, body := f.joinAs(tr, at, q)
					f.saysNothing(body)
				}
			}
			f.add(f.followers()[0], "x")
		})
	}
}

// A member whose certificate becomes one for another name is refused by the members that it dials, and refused where it is
// dialled. With the right one it is back.
func TestMemberWithAnotherCertificate(t *testing.T) {
	t.Parallel()
	c := newCertified(t, "a", "b", "c")
	c.startAll()
	c.voters(3)
	leader, out := c.leader(), c.followers()[0]
	c.stop(out)
	c.authority.Reissue(t, c.files[out], "joe.example.org")
	m := c.start(out)
	c.add(leader, "x")
	address := m.transport.Addr().String()
	eventually(t, func() bool { // the leader may have found a connection that has ended meanwhile
		_, _, err := c.nodes[leader].transport.Call(deadline(t), address, methodPoll, nil)
		return err != nil && strings.Contains(err.Error(), "joe.example.org")
	}, "the leader talks to somebody else's certificate")
	code, _, err := m.transport.Call(deadline(t), c.addrs[leader], methodPoll, nil)
	require.NoError(t, err)
	require.Equal(t, command.CodeNotReady, code)
	require.Zero(t, m.machine.counter("x"))
	c.authority.Reissue(t, c.files[out], out+".cluster.example.org")
	c.ready(out)
	c.counted(out, "x", 1)
}

// Raft's connections are made to a member, whose name the certificate must have, not only to some member's.
func TestDialledMemberHasItsOwnName(t *testing.T) {
	t.Parallel()
	c := newCertified(t, "a", "b")
	c.startAll()
	c.voters(2)
	id := c.nodes["a"].currentMeta().clusterID()
	impostor := c.outsider("b", "x@1", id)
	impostor.OpenRaft("x@1", "127.0.0.1:1", func(string) {})
	layer := c.nodes["a"].consensus.Load().layer
	_, err := layer.Dial(transport.RaftTarget("x@1", raft.ServerAddress(impostor.Addr().String())), 10*time.Second)
	require.ErrorContains(t, err, "b.cluster.example.org")
}

// A node whose certificate matches the pattern joins without a token. One whose certificate is for the host of its address,
// which nobody knows, needs a token; one whose certificate is for something else is refused even with a token.
func TestListedCertificateJoins(t *testing.T) {
	t.Parallel()
	c := newCertified(t, "a", "b")
	tokens := &keyed{fleet: c.fleet, tokens: map[string]string{}, given: map[string]string{}, asked: map[string]int{}}
	c.tweak = func(cfg *Config) {
		cfg.TLS = c.tls(cfg.NodeID)
		tokens.takeTokens(cfg)
		if cfg.NodeID != "a" && cfg.NodeID != "b" {
			cfg.BootstrapExpect = 2
		}
	}
	c.startAll()
	c.voters(2)

	c.place("c")
	c.dirs["c"] = t.TempDir()
	c.issue("c", "c.cluster.example.org")
	c.start("c")
	c.ready("c")
	c.voters(3)
	c.add("c", "x")

	// A dot in a node id does not make a name of more parts match.
	c.issue("x", "joe.users.cluster.example.org")
	dotted := c.outsider("x", "joe.users@1", transport.ClusterID{})
	code, body := c.joinAs(dotted, "a", joinMessage{Name: "joe.users", ServerID: "joe.users@1", Address: "10.1.2.3:7080"})
	require.Equal(t, command.CodeAccessDenied, code, body)

	c.place("d")
	_, port, err := net.SplitHostPort(c.addrs["d"])
	require.NoError(t, err)
	c.addrs["d"], c.dirs["d"] = net.JoinHostPort("localhost", port), t.TempDir()
	c.issue("d", "joe.example.org")
	c.start("d")
	c.waiting("d", "a new member needs a certificate that matches")
	tokens.give("d", "one")
	c.waiting("d", "certificate is not for "+c.addrs["d"])
	c.authority.Reissue(t, c.files["d"], "localhost")
	c.ready("d")
	c.voters(4)
	c.add("d", "x")
	require.NotEmpty(t, tokens.tokens["one"], "it was used")
}
