package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"
)

// AddJoinToken lets one new node join the cluster with a token within its lifetime; for root. The token, a random text of
// at least 128 bits, is not sent: only its digest is.
func (c *Client) AddJoinToken(ctx context.Context, token string, lifetime time.Duration) error {
	digest := sha256.Sum256([]byte(token))
	return c.write(ctx, http.MethodPost, "/cluster/join-tokens", map[string]any{
		"digest": hex.EncodeToString(digest[:]), "lifetime": int64(lifetime / time.Second),
	})
}
