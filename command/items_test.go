package command

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

func TestItems(t *testing.T) {
	files, children, names := make([]*NewFile, 80), make([]*Child, 80), make([]*ReplicaName, 80)
	at, pfns, changes := make([]*ReplicaAt, 80), make([]string, 80), make([]*ReplicaChange, 80)
	keys := map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"}
	ten := make([]*Child, 10_000)
	require.LessOrEqual(t, Items(&AttachDIDs{Attachments: []*Attachment{{Children: ten}}}), 10_000, "as many as a request may name pass")
	require.LessOrEqual(t, Items(&AddDIDs{Dids: []*NewCollection{{Meta: keys, Children: ten}}}), 10_000)
	for _, c := range []struct {
		c    proto.Message
		want int
	}{
		{&AddReplicas{Files: files}, 40},
		{&AddReplicasReporting{Files: files[:1]}, 1},
		{&AddReplicas{Files: []*NewFile{{Meta: keys}, {Meta: keys}}}, 2},
		{&UpdateReplicaStates{Files: changes}, 240},
		{&UpdateReplicaStatesIf{Update: &UpdateReplicaStates{Files: changes}}, 240},
		{&DeleteReplicas{Files: names}, 240},
		{&DeleteReplicasIf{Deletion: &DeleteReplicas{Files: names}}, 240},
		{&DeclareBad{Pfns: pfns}, 100},
		{&DeclareBad{Replicas: at}, 100},
		{&DeclareBadPFNs{Pfns: pfns}, 100},
		{&DeclareSuspicious{Replicas: at}, 80},
		{&SetTombstones{Replicas: at}, 80},
		{&Quarantine{Files: make([]*Quarantine_File, 80)}, 80},
		{&DetachDIDs{Children: make([]*DIDName, 80)}, 100},
		{&AttachDIDs{Attachments: []*Attachment{{Children: children}, {Children: []*Child{{File: &NewFile{Meta: keys}}}}}}, 74},
		{&AddDIDs{Dids: []*NewCollection{{Meta: keys, Children: children}, {}}}, 72},
		{&SetMetadata{Dids: []*DIDMetadata{{Set: keys, Delete: []string{"e"}}, {}}}, 7},
		{&SetDIDStatus{}, 0},
	} {
		require.Equal(t, c.want, Items(c.c), "%T", c.c)
	}
}
