package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"dapple/command"
)

func TestExpireUnavailable(t *testing.T) {
	s := newReplicaStore(t)
	s.add("ONE", newFile("a"), newFile("b"), newFile("bad"), newFile("gone"), newFile("later"))
	now := s.at("").Time
	declare := func(expires int64, names ...string) {
		c := &command.DeclareBadPFNs{State: 'T', Reason: "r", ExpiresAt: expires}
		for _, name := range names {
			c.Pfns = append(c.Pfns, s.pfn("ONE", name))
		}
		didDo(s, "root", DeclareBadPFNs, c)
	}
	declare(now+10_000_000, "a", "b", "bad", "gone")
	declare(now+10_000_000_000, "later")
	didDo(s, "root", DeclareBadPFNs, &command.DeclareBadPFNs{State: 'B', Reason: "r", Pfns: []string{s.pfn("ONE", "bad")}})
	didDo(s, "root", DeleteReplicas, deleteAt("ONE", "gone"))
	require.NoError(t, CheckInvariants(s.tx))
	next, found, err := NextExpiry(s.tx)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, now+10_000_000, next)

	expire := func(at int64, limit uint32) int {
		stamp := s.at("")
		stamp.Time = at
		payload, err := ExpireUnavailable(s.tx, stamp, &command.ExpireUnavailable{Limit: limit})
		require.NoError(t, err)
		require.NoError(t, CheckInvariants(s.tx))
		var expired command.Expired
		require.NoError(t, proto.Unmarshal(payload, &expired))
		return int(expired.Count)
	}
	require.Zero(t, expire(next-1, 10), "not yet")
	require.Equal(t, StateTemporarilyUnavailable, s.replica("ONE", "a").State)
	require.Equal(t, 1, expire(next, 1))
	require.Equal(t, StateAvailable, s.replica("ONE", "a").State)
	require.Equal(t, StateTemporarilyUnavailable, s.replica("ONE", "b").State)
	expire(next, 10)
	require.Zero(t, expire(next, 10), "nothing is left")
	require.Equal(t, StateAvailable, s.replica("ONE", "b").State)
	require.Equal(t, StateBad, s.replica("ONE", "bad").State, "what became bad meanwhile stays bad")
	require.Equal(t, "B", s.badStatesOf("ONE", "bad"))
	require.Empty(t, s.badStatesOf("ONE", "a"))
	require.Equal(t, StateTemporarilyUnavailable, s.replica("ONE", "later").State)
}

func TestSetScopeOwner(t *testing.T) {
	s := newReplicaStore(t)
	give := &command.SetScopeOwner{Name: "s", Account: "bob"}
	didRefused(s, command.CodeAccessDenied, "bob", SetScopeOwner, give)
	didRefused(s, command.CodeScopeNotFound, "root", SetScopeOwner, &command.SetScopeOwner{Name: "no", Account: "bob"})
	didRefused(s, command.CodeAccountNotFound, "root", SetScopeOwner, &command.SetScopeOwner{Name: "s", Account: "nobody"})
	before, err := GetScope(s.tx, "s")
	require.NoError(t, err)
	didDo(s, "root", SetScopeOwner, give)
	names, err := AccountScopes(s.tx, "bob")
	require.NoError(t, err)
	require.Contains(t, names, "s")
	names, err = AccountScopes(s.tx, before.Account)
	require.NoError(t, err)
	require.NotContains(t, names, "s")
	require.NoError(t, CheckInvariants(s.tx))
}
