package node_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"dapple/command"
	"dapple/internal/testcluster"
	"dapple/transport"
)

// methodPropose is the number of the internal call that forwards commands.
const methodPropose = 4

// peer speaks to the port between nodes as another node does.
type peer struct {
	t       *testing.T
	port    *transport.Transport
	leader  string // its cluster address
	session command.SessionID
	seq     uint64
}

// newPeer makes a peer with a session of its own in the cluster of which c asks a node. It poses as a member: without a key or
// certificates nothing keeps it from that.
func newPeer(t *testing.T, c *client) *peer {
	t.Helper()
	var status struct {
		ClusterID string `json:"cluster_id"`
		Leader    struct {
			ID string `json:"id"`
		} `json:"leader"`
		Members []struct{ ID, Address string } `json:"members"`
	}
	require.NoError(t, json.Unmarshal([]byte(c.must(http.MethodGet, "/cluster/status", nil)), &status))
	id, err := hex.DecodeString(status.ClusterID)
	require.NoError(t, err)
	port, err := transport.New(transport.Config{Listen: "127.0.0.1:0", Name: status.Leader.ID})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, port.Close()) })
	port.SetCluster(transport.ClusterID(id))
	port.Identify(status.Members[len(status.Members)-1].ID) // who is no member may do nothing at all
	p := &peer{t: t, port: port, session: command.SessionID{0: 9}}
	for _, m := range status.Members {
		if m.ID == status.Leader.ID {
			p.leader = m.Address
		}
	}
	require.NotEmpty(t, p.leader)
	r := p.send(command.Command{Type: command.TypeRegisterSession, Payload: marshal(t, &command.RegisterSession{Session: p.session[:], Node: "stranger"})})
	require.Equal(t, command.CodeOK, r.Code, r.Message)
	return p
}

func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	require.NoError(t, err)
	return b
}

// propose sends a command in the peer's session in the name of root.
func (p *peer) propose(number command.Type, payload []byte) command.Result {
	p.t.Helper()
	p.seq++
	return p.send(command.Command{Type: number, Session: p.session, Seq: p.seq, Lowest: p.seq, Issuer: "root", Payload: payload})
}

// send makes the call and returns the outcome of its one command.
func (p *peer) send(c command.Command) command.Result {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	code, body, err := p.port.Call(ctx, p.leader, methodPropose, command.AppendCommand(binary.AppendUvarint(nil, 1), &c))
	require.NoError(p.t, err)
	require.Equal(p.t, command.CodeOK, code, string(body))
	require.Greater(p.t, len(body), 2)
	result, _, err := command.ParseResult(body[2:])
	require.NoError(p.t, err)
	return result
}

// TestNoFrameStopsTheCluster proposes what apply would stop at, as a node of the cluster could: the leader refuses each, names
// it, and all nodes go on, also after they have started again.
func TestNoFrameStopsTheCluster(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Start(t, 3)
	c := &client{t: t, base: cluster.URLs()[0]}
	c.login()
	p := newPeer(t, c)

	good := marshal(t, &command.AddScope{Name: "s", Account: "root"})
	unknown := protowire.AppendVarint(protowire.AppendTag(nil, 500, protowire.VarintType), 1)
	once := func(number uint32, payload []byte) []byte {
		return marshal(t, &command.Once{Key: []byte("k"), Type: number, Payload: payload, Window: 1})
	}
	nested := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), unknown)
	for _, test := range []struct {
		what    string
		number  command.Type
		payload []byte
		code    command.Code
		names   string
	}{
		{"an unknown number", 999, nil, command.CodeUnknownMethod, "command(999)"},
		{"garbage", command.TypeAddScope, []byte{0xff, 0xff, 0xff}, command.CodeInvalidValue, "AddScope"},
		{"an unknown field", command.TypeAddScope, append(good[:len(good):len(good)], unknown...), command.CodeInvalidValue, "AddScope"},
		{"an unknown field inside", command.TypeAddDIDs, nested, command.CodeInvalidValue, "AddDIDs"},
		{"text that is none", command.TypeAddScope, []byte{1<<3 | 2, 1, 0xff}, command.CodeInvalidValue, "AddScope"},
		{"an unknown number carried", command.TypeOnce, once(999, nil), command.CodeUnknownMethod, "command(999)"},
		{"garbage carried", command.TypeOnce, once(uint32(command.TypeAddScope), []byte{0xff, 0xff, 0xff}), command.CodeInvalidValue, "AddScope"},
		{"garbage around", command.TypeOnce, []byte{0xff, 0xff, 0xff}, command.CodeInvalidValue, "Once"},
	} {
		r := p.propose(test.number, test.payload)
		require.Equal(t, test.code, r.Code, "%s: %s", test.what, r.Message)
		require.Contains(t, r.Message, test.names, test.what)
		require.Zero(t, r.Index, "%s is in the log", test.what)
	}
	// A file of which nothing is said: the encoding is right.
	r := p.propose(command.TypeAddDIDs, marshal(t, &command.AddDIDs{Dids: []*command.NewCollection{{
		Scope: "s", Name: "d", Type: 'D', Rse: "ONE", Children: []*command.Child{{}},
	}}}))
	require.NotEqual(t, command.CodeOK, r.Code)

	require.Equal(t, command.CodeOK, p.propose(command.TypeAddScope, good).Code, "what is right goes on")
	restart(t, cluster, 3)
	c.login()
	c.must(http.MethodPost, "/accounts/root/scopes/later", nil)
	requireSameDigest(t, c, cluster.URLs())
}

// TestLeadersCommandsFromTheWire proposes what only a leader makes, and what names nobody that asks for it.
func TestLeadersCommandsFromTheWire(t *testing.T) {
	cluster := testcluster.Start(t, 1)
	c := &client{t: t, base: cluster.URLs()[0]}
	c.login()
	p := newPeer(t, c)
	key := marshal(t, &command.AddSigningKey{Id: "mine", Seed: make([]byte, 32)})
	for number, payload := range map[command.Type][]byte{
		command.TypeTermStart:         nil,
		command.TypeGenesis:           marshal(t, &command.Genesis{ClusterId: make([]byte, 16)}),
		command.TypeTrimChanges:       marshal(t, &command.TrimChanges{Through: 1 << 40}),
		command.TypeRaiseFeatures:     marshal(t, &command.RaiseFeatures{Level: 1 << 30}),
		command.TypeAddSigningKey:     key,
		command.TypeExpireUnavailable: marshal(t, &command.ExpireUnavailable{Limit: 1}),
		command.TypeForgetExpired:     marshal(t, &command.ForgetExpired{Limit: 1}),
		command.TypeIndexLifetimes:    marshal(t, &command.IndexLifetimes{Limit: 1}),
	} {
		for _, issuer := range []string{"", "root"} {
			for _, session := range []command.SessionID{{}, p.session} {
				p.seq++
				r := p.send(command.Command{Type: number, Session: session, Seq: p.seq, Issuer: issuer, Payload: payload})
				require.Equal(t, command.CodeAccessDenied, r.Code, "%s by %q: %s", number, issuer, r.Message)
				require.Contains(t, r.Message, number.String())
			}
		}
	}
	r := p.propose(command.TypeOnce, marshal(t, &command.Once{Key: []byte("k"), Type: uint32(command.TypeAddSigningKey), Payload: key, Window: 1}))
	require.Equal(t, command.CodeAccessDenied, r.Code, r.Message)
	for _, anonymous := range []command.Command{
		{Type: command.TypeExpireDIDs, Payload: marshal(t, &command.ExpireDIDs{Limit: 1})},
		{Type: command.TypeAddIdentity, Payload: marshal(t, &command.AddIdentity{Type: "USERPASS", Identity: "x", Account: "root"})},
	} {
		p.seq++
		anonymous.Session, anonymous.Seq = p.session, p.seq
		r = p.send(anonymous)
		require.Equal(t, command.CodeAccessDenied, r.Code, r.Message)
	}
	r = p.send(command.Command{Type: command.TypeAddScope, Issuer: "root", Payload: marshal(t, &command.AddScope{Name: "s", Account: "root"})})
	require.Equal(t, command.CodeInvalidValue, r.Code, "a command outside of any session")
}

// restart stops all nodes and starts them again on their folders.
func restart(t *testing.T, cluster *testcluster.Cluster, nodes int) {
	t.Helper()
	for i := range nodes {
		cluster.StopNode(i)
	}
	for i := range nodes {
		cluster.StartNode(i)
	}
	cluster.WaitReady()
}

// requireSameDigest compares the states of all nodes as of one entry.
func requireSameDigest(t *testing.T, c *client, urls []string) {
	t.Helper()
	var first struct {
		Index  uint64
		Digest string
	}
	require.NoError(t, json.Unmarshal([]byte(c.must(http.MethodGet, "/cluster/digest", nil)), &first))
	for _, url := range urls {
		at := &client{t: t, base: url, token: c.token}
		var other struct{ Digest string }
		require.NoError(t, json.Unmarshal([]byte(at.must(http.MethodGet, "/cluster/digest?index="+strconv.FormatUint(first.Index, 10), nil)), &other))
		require.Equal(t, first.Digest, other.Digest, url)
	}
}
