package cluster

import (
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// TestMajorityOfDigests: the voters decide, as soon as most of them agree; learners are compared and decide nothing.
func TestMajorityOfDigests(t *testing.T) {
	servers := []raft.Server{{ID: "a"}, {ID: "b"}, {ID: "c"}, {ID: "l", Suffrage: raft.Nonvoter}}
	for what, test := range map[string]struct {
		own    string
		others map[string]string
		agreed string
		differ []string
	}{
		"nobody has answered":       {"x", nil, "", nil},
		"an earlier version":        {"x", map[string]string{"l": "x"}, "", nil},
		"all agree":                 {"x", map[string]string{"b": "x", "c": "x", "l": "x"}, "x", nil},
		"one is silent":             {"x", map[string]string{"b": "x"}, "x", nil},
		"another differs":           {"x", map[string]string{"b": "y", "c": "x"}, "x", []string{"b"}},
		"a learner differs":         {"x", map[string]string{"b": "x", "l": "y"}, "x", []string{"l"}},
		"the leader differs":        {"y", map[string]string{"b": "x", "c": "x"}, "x", []string{"a"}},
		"two differ, one is silent": {"x", map[string]string{"b": "y", "l": "y"}, "", nil},
		"no majority":               {"x", map[string]string{"b": "y", "c": "z"}, "", []string{"a", "b", "c"}},
	} {
		c := comparison{index: 7, own: test.own, others: map[string]string{}}
		for member, digest := range test.others {
			c.heard(member, 7, digest)
			c.heard(member, 6, "of another index")
		}
		agreed, differ, news := c.settle("a", servers)
		require.Equal(t, test.agreed, agreed, what)
		require.Equal(t, test.differ, differ, what)
		require.Equal(t, len(differ) > 0, news, what)
		_, _, news = c.settle("a", servers)
		require.False(t, news, what)
	}
}
