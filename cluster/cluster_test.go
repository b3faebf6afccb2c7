package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func TestSingleNodeFormsAlone(t *testing.T) {
	f := newFleet(t, "a")
	f.startAll()
	f.add("a", "x")
	r, err := f.nodes["a"].Propose(t.Context(), command.TypeAddScope, "root", []byte("refuse me"))
	require.NoError(t, err)
	require.Equal(t, command.CodeAccessDenied, r.Code)
	f.counted("a", "x", 1)
	s := f.nodes["a"].Status(t.Context())
	require.Equal(t, RoleLeader, s.Role)
	require.Len(t, s.Members, 1)

	f.stop("a")
	f.start("a")
	f.ready("a")
	f.add("a", "x")
	f.counted("a", "x", 2)
}

func TestThreeNodesFormAndForward(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	for _, name := range f.names {
		f.add(name, "x")
	}
	for _, name := range f.names {
		f.counted(name, "x", 3)
	}
}
