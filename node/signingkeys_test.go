package node_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
	"dapple/node"
)

// TestSigningKeysAreRotated has keys that sign for two seconds: each token is good until it ends, at every node, while keys
// come and go.
func TestSigningKeysAreRotated(t *testing.T) {
	t.Parallel()
	const age = 2 * time.Second
	cluster := testcluster.Start(t, 3, func(cfg *node.Config) {
		cfg.ExpiryInterval, cfg.SigningKeyAge, cfg.TokenLifetime = 20*time.Millisecond, age, age
	})
	nodes := make([]*client, 3)
	for i, url := range cluster.URLs() {
		nodes[i] = &client{t: t, base: url}
	}
	keys := func(at *client) (ids []string) {
		at.login()
		var all []struct{ ID string }
		response, text := at.do(http.MethodGet, "/cluster/signing-keys", nil, nil)
		if response.StatusCode != http.StatusOK { // the token has ended on a busy machine
			return nil
		}
		require.NoError(t, json.Unmarshal([]byte(text), &all))
		for _, key := range all {
			ids = append(ids, key.ID)
		}
		return ids
	}
	var first string
	require.Eventually(t, func() bool {
		if ids := keys(nodes[0]); len(ids) > 0 {
			first = ids[0]
		}
		return first != ""
	}, time.Minute, time.Millisecond)
	type held struct {
		token string
		began time.Time
	}
	var young []held
	require.Eventually(t, func() bool {
		began := time.Now()
		nodes[0].login()
		young = append(young, held{nodes[0].token, began})
		for i, h := range young {
			at := nodes[i%3]
			at.token = h.token
			status := at.status(http.MethodGet, "/auth/validate", nil)
			// A token's end is a full second.
			require.True(t, status == http.StatusOK || time.Since(h.began) >= age-time.Second, "%s: %d", at.base, status)
		}
		young = slices.DeleteFunc(young, func(h held) bool { return time.Since(h.began) >= age-time.Second })
		ids := keys(nodes[1])
		return len(ids) > 0 && ids[0] != first
	}, 2*time.Minute, 50*time.Millisecond, "the first key is still there")
}

// TestSigningKeyAgeIsChecked refuses an age that makes no sense.
func TestSigningKeyAgeIsChecked(t *testing.T) {
	_, err := node.Start(t.Context(), node.Config{
		NodeID: "n", DataDir: t.TempDir(), HTTPAddr: "127.0.0.1:0", ClusterAddr: "127.0.0.1:0", SigningKeyAge: -time.Hour,
	})
	require.ErrorContains(t, err, "signing-key-age")
}
