package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func TestDIDReader(t *testing.T) {
	s := newDIDStore(t)
	didDo(s, "root", AddReplicas, addTo("ONE", newFile("f"), newFile("g")))
	didDo(s, "root", AddReplicas, addTo("TWO", newFile("g")))
	didDo(s, "root", AddDIDs, &command.AddDIDs{Dids: []*command.NewCollection{{Scope: "a", Name: "f", Type: uint32(TypeDataset)}}})
	reader := NewDIDReader(s.tx)
	for _, n := range []DIDName{{"s", "g"}, {"s", "f"}, {"a", "f"}, {"no", "f"}, {"s", "no"}, {"a", "f"}, {"", ""}, {"s", "g"}} {
		want, err := GetDID(s.tx, n.Scope, n.Name)
		got, found, loadErr := reader.Load(n.Scope, n.Name)
		require.NoError(t, loadErr)
		require.Equal(t, err == nil, found, n)
		require.Equal(t, want, got, n)
	}
	s.tx.Put(didKey(didRef{1, "broken"}), []byte{99})
	name, err := scopeName(s.tx, 1)
	require.NoError(t, err)
	_, _, err = reader.Load(name, "broken")
	require.ErrorIs(t, err, ErrRecord)
}
