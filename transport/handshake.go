package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"dapple/command"
)

// ClusterID names a cluster: 16 random bytes made when it was formed. The zero value is a node that has none yet.
type ClusterID [16]byte

// Kinds of connections, the first byte that is sent on one.
const (
	kindRaft     = 'R'
	kindInternal = 'I'
)

const (
	protocolVersion = 1
	maxName         = 255
	maxMessage      = 1 << 10
	helloHead       = 1 + 1 + 16 + 1 + 1
	answerHead      = 1 + 2 + 16 + 2
)

// hello is what the side that dials sends first.
type hello struct {
	kind    byte
	version byte
	cluster ClusterID
	from    string // the server id or name of the side that dials
	to      string // the server id that is meant; empty is whoever answers at the address
}

// helloAnswer is what the side that was dialled replies; with another code than CodeOK it then closes.
type helloAnswer struct {
	version byte
	code    command.Code
	cluster ClusterID
	message string
}

// Refusal is a handshake or a call that the peer refused before it did anything.
type Refusal struct {
	// Code tells why: CodeOtherCluster, CodeNotReady, CodeUnknownMethod, CodeQueueFull.
	Code command.Code
	// Message is for people.
	Message string
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("refused by the peer: %s (%s)", r.Message, r.Code)
}

var errHandshake = errors.New("malformed handshake")

func writeHello(w io.Writer, h hello) error {
	if len(h.from) > maxName || len(h.to) > maxName {
		return fmt.Errorf("%w: name longer than %d bytes", errHandshake, maxName)
	}
	b := make([]byte, 0, helloHead+len(h.from)+len(h.to))
	b = append(b, h.kind, h.version)
	b = append(b, h.cluster[:]...)
	b = append(b, byte(len(h.from)), byte(len(h.to)))
	b = append(b, h.from...)
	b = append(b, h.to...)
	_, err := w.Write(b)
	return err
}

func readHello(r io.Reader) (hello, error) {
	var head [helloHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return hello{}, err
	}
	h := hello{kind: head[0], version: head[1], cluster: ClusterID(head[2:18])}
	if h.kind != kindRaft && h.kind != kindInternal {
		return hello{}, fmt.Errorf("%w: first byte %#x", errHandshake, h.kind)
	}
	names := make([]byte, int(head[18])+int(head[19]))
	if _, err := io.ReadFull(r, names); err != nil {
		return hello{}, err
	}
	h.from, h.to = string(names[:head[18]]), string(names[head[18]:])
	return h, nil
}

func writeAnswer(w io.Writer, a helloAnswer) error {
	if len(a.message) > maxMessage {
		a.message = a.message[:maxMessage]
	}
	b := make([]byte, 0, answerHead+len(a.message))
	b = append(b, a.version)
	b = binary.BigEndian.AppendUint16(b, uint16(a.code))
	b = append(b, a.cluster[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(a.message)))
	b = append(b, a.message...)
	_, err := w.Write(b)
	return err
}

func readAnswer(r io.Reader) (helloAnswer, error) {
	var head [answerHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return helloAnswer{}, err
	}
	a := helloAnswer{
		version: head[0],
		code:    command.Code(binary.BigEndian.Uint16(head[1:])),
		cluster: ClusterID(head[3:19]),
	}
	n := int(binary.BigEndian.Uint16(head[19:]))
	if n > maxMessage {
		return helloAnswer{}, fmt.Errorf("%w: message of %d bytes", errHandshake, n)
	}
	message := make([]byte, n)
	if _, err := io.ReadFull(r, message); err != nil {
		return helloAnswer{}, err
	}
	a.message = string(message)
	return a, nil
}

// judge decides on a hello that arrived here. serverID is this node's id where it takes part in Raft, else empty. The
// answer names the cluster only to a peer that has named it.
func judge(h hello, own ClusterID, serverID string, member bool) helloAnswer {
	a := helloAnswer{version: protocolVersion}
	none := ClusterID{}
	if h.cluster == own {
		a.cluster = own
	}
	switch {
	case h.version != protocolVersion:
		a.code, a.message = command.CodeUnknownMethod, fmt.Sprintf("protocol version %d is not spoken here, %d is", h.version, protocolVersion)
	case h.cluster != none && own != none && h.cluster != own:
		a.code, a.message = command.CodeOtherCluster, "this node belongs to another cluster"
	case h.kind == kindInternal:
		return a
	case h.cluster == none || own == none:
		a.code, a.message = command.CodeNotReady, "no Raft with a node that has no cluster"
	case serverID == "":
		a.code, a.message = command.CodeNotReady, "this node takes no part in Raft yet"
	case !member:
		a.code, a.message = command.CodeNotReady, fmt.Sprintf("this node knows no member %s", h.from)
	case h.to != serverID:
		// The address of a member may have been taken over by another incarnation; it must not vote in the member's name.
		a.code, a.message = command.CodeNotReady, fmt.Sprintf("this node is %s, not %s", serverID, h.to)
	}
	return a
}
