package command

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

func TestFrees(t *testing.T) {
	pack := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		require.NoError(t, err)
		return b
	}
	once := func(inner Type, payload []byte) Command {
		return Command{Type: TypeOnce, Payload: pack(&Once{Key: []byte("k"), Type: uint32(inner), Payload: payload})}
	}
	lifetime := pack(&SetMetadata{Dids: []*DIDMetadata{{Set: map[string]string{"lifetime": "-1"}}}})
	other := pack(&SetMetadata{Dids: []*DIDMetadata{{Set: map[string]string{"lifetime": "-1", "project": "1"}}}})
	for _, tt := range []struct {
		name string
		c    Command
		want bool
	}{
		{"replicas are deleted", Command{Type: TypeDeleteReplicas}, true},
		{"replicas are deleted once", once(TypeDeleteReplicas, nil), true},
		{"DIDs are detached", Command{Type: TypeDetachDIDs}, true},
		{"a tombstone", Command{Type: TypeSetTombstones}, true},
		{"tokens are revoked", Command{Type: TypeRevokeAccountTokens}, true},
		{"a term starts", Command{Type: TypeTermStart}, true},
		{"replicas are added", Command{Type: TypeAddReplicas}, false},
		{"replicas are added once", once(TypeAddReplicas, nil), false},
		{"DIDs are attached", Command{Type: TypeAttachDIDs}, false},
		{"a lifetime ends", Command{Type: TypeSetMetadata, Payload: lifetime}, true},
		{"a lifetime ends once", once(TypeSetMetadata, lifetime), true},
		{"other metadata too", Command{Type: TypeSetMetadata, Payload: other}, false},
		{"unreadable", Command{Type: TypeOnce, Payload: []byte{0xff}}, false},
		{"unreadable metadata", Command{Type: TypeSetMetadata, Payload: []byte{0xff}}, false},
		{"unknown", Command{Type: 999}, false},
	} {
		require.Equal(t, tt.want, tt.c.Frees(), tt.name)
	}
	for _, c := range Types() {
		require.True(t, !c.LeaderOnly() || c.Frees(), "%s: the leader itself goes on", c)
	}
}
