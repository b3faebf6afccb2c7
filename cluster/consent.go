package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"

	"dapple/command"
	"dapple/transport"
)

// isProtected reports whether peers have to prove who they are.
func (n *Node) isProtected() bool { return n.cfg.TLS != nil || n.cfg.Key != nil }

// isMember reports whether a peer that names this node's cluster may act as a member. It must be in the membership, with
// a certificate for its address. A node that lags behind may not know a new member yet, and must not keep it from being
// elected: without a membership or a leader it takes any peer that is listed.
func (n *Node) isMember(p transport.Peer) bool {
	servers := n.servers()
	for _, s := range servers {
		if p.Is(string(s.ID)) && p.Covers(string(s.Address), nameOf(string(s.ID))) {
			return true
		}
	}
	return (len(servers) == 0 || n.views.get().leaderID == "") && n.isListed(p)
}

// isListed reports whether a peer's certificate is for a host that this node knows: of a member, or of its settings.
// Without TLS every peer is listed.
func (n *Node) isListed(p transport.Peer) bool {
	n.mu.Lock()
	known := slices.Concat(n.cfg.addresses(), n.hosts)
	n.mu.Unlock()
	for _, s := range n.servers() {
		known = append(known, string(s.Address))
	}
	node := nameOf(p.Name)
	if strings.Contains(node, ".") {
		node = "" // the peer has chosen it: {node} must not stand for more parts of a name than a star does
	}
	return slices.ContainsFunc(known, func(address string) bool { return p.Covers(address, node) })
}

// meet remembers where the members are: until the membership has come with the log, their certificates are known by it.
func (n *Node) meet(addresses []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts = addresses
}

// proofOf is what a connection proves of the node that asks to join.
func (n *Node) proofOf(p transport.Peer, q joinMessage) joinProof {
	proof := joinProof{
		Self:   p.SameCluster && p.Is(q.ServerID) && n.isMember(p),
		Listed: n.cfg.TLS != nil && n.isListed(p),
	}
	if n.cfg.TLS == nil {
		return proof
	}
	addresses := []string{q.Address}
	for _, s := range n.servers() {
		addresses = append(addresses, string(s.Address))
	}
	for _, a := range addresses {
		if p.Covers(a, q.Name) {
			proof.Covers = append(proof.Covers, a)
		}
	}
	return proof
}

// consent returns why a node may not become a member, and whether a join token has to be used for it. It may while the
// cluster forms, with a join token, or with a listed certificate for its own address and for those of the incarnations that
// it replaces. A certificate for its own address it needs in any case. Without a cluster key or TLS anybody may.
// n.membership is held.
func (n *Node) consent(q joinMessage, old []raft.Server) (token bool, err *Error) {
	m := n.currentMeta()
	forming := len(n.servers()) < max(m.Forming, m.JoinedForming)
	switch {
	case !n.isProtected(), forming && n.cfg.Key != nil, q.Proof.isFor(q, old):
		return false, nil
	case q.Token == "" && n.cfg.Key != nil:
		return false, errorf(command.CodeAccessDenied, "a new member needs a join token: make one with 'dapple join-token' and give it to the node")
	case q.Token == "":
		return false, errorf(command.CodeAccessDenied, "a new member needs a certificate that matches --cluster-tls-names, or a join token")
	}
	return true, n.checkToken(q)
}

// consentAgain returns why a server that is a member at that address is not told so once more. It may not have had the
// answer, and so not know the cluster's id yet.
func (n *Node) consentAgain(q joinMessage) *Error {
	if q.Proof.Self {
		return nil
	}
	return n.checkCertificate(q)
}

// checkCertificate returns why a node cannot act as a member at its address: with TLS its certificate must be for it.
func (n *Node) checkCertificate(q joinMessage) *Error {
	if n.cfg.TLS == nil || slices.Contains(q.Proof.Covers, q.Address) {
		return nil
	}
	return errorf(command.CodeAccessDenied, "the certificate is not for %s and does not match --cluster-tls-names, which a join token does not replace", q.Address)
}

// isFor reports whether a certificate lets a node join at its address in place of earlier incarnations.
func (p joinProof) isFor(q joinMessage, old []raft.Server) bool {
	return p.Listed && slices.Contains(p.Covers, q.Address) && !slices.ContainsFunc(old, func(s raft.Server) bool {
		return !slices.Contains(p.Covers, string(s.Address))
	})
}

// consentAddress returns why a node may not take the address of a member to another place.
func (n *Node) consentAddress(q joinMessage) *Error {
	switch {
	case !n.isProtected(), q.Proof.Self:
		return nil
	case q.Token != "":
		if err := n.checkToken(q); err != nil {
			return err
		}
		return n.useToken(q)
	}
	return errorf(command.CodeAccessDenied, "%s is known at another address: a new one needs the member's own connection, or a join token", q.Name)
}

// checkToken returns why a join token does not let a server in, as the state of this leader has it, so that wrong ones do
// not fill the log.
func (n *Node) checkToken(q joinMessage) *Error {
	if n.cfg.CheckJoinToken == nil {
		return errorf(command.CodeAccessDenied, "join tokens are not taken here")
	}
	if err := n.checkCertificate(q); err != nil {
		return err
	}
	if err := n.cfg.CheckJoinToken(sha256.Sum256([]byte(q.Token)), q.ServerID); err != nil {
		return errorf(command.CodeAccessDenied, "%v", err)
	}
	return nil
}

// useToken lets a server in by a join token, once.
func (n *Node) useToken(q joinMessage) *Error {
	digest := sha256.Sum256([]byte(q.Token))
	payload, err := proto.Marshal(&command.UseJoinToken{Digest: digest[:], ServerId: q.ServerID})
	if err != nil {
		return errorf(command.CodeInternal, "%v", err)
	}
	r, failure := n.applyDirect(command.Command{Type: command.TypeUseJoinToken, Payload: payload})
	switch {
	case failure != nil:
		return failure
	case r.Code != command.CodeOK:
		return errorf(command.CodeAccessDenied, "%s", r.Message)
	}
	n.log.Info("a join token was used", "node", q.ServerID, "address", q.Address)
	return nil
}

// checkJoinedForming notes that a cluster which this node joined while it formed has had all its voters.
func (n *Node) checkJoinedForming() error {
	expect := n.currentMeta().JoinedForming
	if expect == 0 || n.voters() < expect {
		return nil
	}
	return n.updateMeta(func(m *meta) { m.JoinedForming = 0 })
}

// publicPrefix begins the name of a cluster that nodes outside it are told.
const publicPrefix = "#"

// publicName returns a name that tells clusters apart and does not give the id away.
func publicName(id transport.ClusterID) string {
	digest := sha256.Sum256(append([]byte("dapple cluster "), id[:]...))
	return publicPrefix + hex.EncodeToString(digest[:8])
}

// publicNameOf returns the public name of a cluster from what a member says: earlier versions say the id itself.
func publicNameOf(text string) string {
	id, err := parseClusterID(text)
	if err != nil || strings.HasPrefix(text, publicPrefix) {
		return text
	}
	return publicName(id)
}
