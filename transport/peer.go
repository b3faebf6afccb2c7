package transport

import (
	"context"
	"crypto/x509"
	"net"
	"strings"
)

// Peer is what an accepted connection has shown of the node that made it.
type Peer struct {
	// Name is the server id that the peer claims; earlier versions claim only their node name.
	Name string
	// SameCluster reports whether the peer named this node's cluster.
	SameCluster bool

	keyed bool              // the peer has proved a cluster key, which earlier versions do not know
	cert  *x509.Certificate // verified against the authorities; nil without TLS
	files *TLSFiles
}

// Is reports whether the peer claims to be the server of that id.
func (p Peer) Is(serverID string) bool {
	return p.Name == serverID || !p.keyed && p.Name == nodeOf(serverID)
}

// nodeOf returns the node name of a server id.
func nodeOf(serverID string) string {
	name, _, _ := strings.Cut(serverID, "@")
	return name
}

// Covers reports whether the peer's certificate is for the host of an address, or matches a configured name for the
// node. Without TLS it returns true.
func (p Peer) Covers(address, node string) bool {
	return p.files == nil || p.files.covers(p.cert, address, node)
}

type peerKey struct{}

// PeerOf returns the peer whose call a Handler answers.
func PeerOf(ctx context.Context) Peer {
	p, _ := ctx.Value(peerKey{}).(Peer)
	return p
}

// isMember reports whether a peer may act as a member of this node's cluster.
func (t *Transport) isMember(p Peer) bool {
	return p.SameCluster && (t.cfg.IsMember == nil || t.cfg.IsMember(p))
}

// peer returns what a connection has shown.
func (t *Transport) peer(h hello, secure net.Conn) Peer {
	own := t.Cluster()
	return Peer{
		Name: h.from, SameCluster: own != ClusterID{} && h.cluster == own,
		keyed: t.cfg.Key != nil, cert: certificateOf(secure), files: t.cfg.TLS,
	}
}
