package system

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// quorumLimit is how soon a node without a quorum answers what needs one.
const quorumLimit = 2 * time.Second

// refused sends a request that no node can serve without a quorum, and requires its 503 in time.
func refused(t *testing.T, c *client, method, path string, body any, statuses ...int) string {
	t.Helper()
	began := time.Now()
	status, b, err := c.do(t.Context(), method, path, body)
	took := time.Since(began)
	require.NoError(t, err)
	require.Contains(t, statuses, status, "%s", b)
	require.Less(t, took, quorumLimit, "%s", b)
	t.Logf("%s %s: %d after %v: %s", method, path, status, took.Round(time.Millisecond), b)
	return string(b)
}

// requireMissing requires that the node that is left names the others and since when they are away.
func requireMissing(t *testing.T, root *client, left *process, killed []*process) {
	t.Helper()
	status, err := root.at(left).status(t.Context())
	require.NoError(t, err)
	require.Len(t, status.Members, len(killed)+1)
	for _, m := range status.Members {
		if m.Name == left.name {
			require.True(t, m.Reachable)
			require.Empty(t, m.UnreachableSince)
			continue
		}
		require.False(t, m.Reachable, m.Name)
		since, err := time.Parse("Mon, 02 Jan 2006 15:04:05 UTC", m.UnreachableSince)
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), since, time.Minute)
		require.Greater(t, m.UnreachableSeconds, 0.5, m.Name)
	}
	response, err := http.Get(left.url() + "/readyz")
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	require.Equal(t, "1", response.Header.Get("Retry-After"))
	require.Contains(t, response.Header.Get("ExceptionMessage"), "1 of 3 voters reachable")
	require.EqualValues(t, 1, left.metric("dapple_cluster_reachable_voters"))
}

// With two of three nodes killed, a write at the third is answered in less than two seconds with 503, and the answer names the
// two, be the third the leader or a follower. When they are back writes go on.
func TestWritesWithoutQuorum(t *testing.T) {
	t.Parallel()
	for name, leaderStays := range map[string]bool{"the leader is left": true, "a follower is left": false} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 3)
			c.start()
			root := login(t, c.nodes[0])
			root.prepare(t, "quorum", "QUORUM")
			c.waitVoters(root, 3)
			leader := c.leader(root, c.nodes...)
			left := leader
			var killed []*process
			for _, p := range c.nodes {
				switch {
				case p == leader && leaderStays:
				case p != leader && !leaderStays && left == leader:
					left = p
				default:
					killed = append(killed, p)
				}
			}
			at := root.at(left)
			for _, p := range killed {
				require.NoError(t, p.cmd.Process.Kill())
			}
			for _, p := range killed {
				p.kill()
			}
			// A leader may have put this one into its log before it knew: then nobody knows what becomes of it.
			refused(t, at, http.MethodPost, "/replicas", registration("QUORUM", "quorum", "first"), 503, 504)
			for range 2 {
				text := refused(t, at, http.MethodPost, "/replicas", registration("QUORUM", "quorum", "second"), 503)
				require.Contains(t, text, "no leader: 1 of 3 voters reachable")
				for _, p := range killed {
					require.Contains(t, text, p.name)
				}
				require.True(t, strings.Contains(text, "unreachable for"), text)
			}
			refused(t, at, http.MethodGet, "/replicas/quorum/second?consistency=linearizable", nil, 503)
			at.must(t, http.MethodGet, "/accounts/root/scopes/", nil, 200) // reads of the node's own copy go on
			requireMissing(t, root, left, killed)

			for _, p := range killed {
				p.start()
			}
			c.waitReady(c.nodes...)
			at.must(t, http.MethodPost, "/replicas", registration("QUORUM", "quorum", "third"), 201)
			require.False(t, at.existing(t, "quorum", []string{"second"})["second"], "what was refused took effect")
			require.Eventually(t, func() bool {
				s, err := at.status(t.Context())
				if err != nil {
					return false
				}
				for _, m := range s.Members {
					if !m.Reachable || m.UnreachableSince != "" {
						return false
					}
				}
				return true
			}, 30*time.Second, 50*time.Millisecond, "all are reachable again")
		})
	}
}
