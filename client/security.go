package client

import (
	"context"
	"net/http"
)

// SetPassword changes the password of the user that the client logs in as. Tokens that were had before are void.
func (c *Client) SetPassword(ctx context.Context, current, password string) error {
	return c.write(ctx, http.MethodPut, "/auth/password", map[string]string{"current": current, "password": password})
}

// ResetPassword gives another user name a new password, as an admin.
func (c *Client) ResetPassword(ctx context.Context, user, password string) error {
	return c.write(ctx, http.MethodPut, "/auth/password", map[string]string{"identity": user, "password": password})
}

// RevokeToken makes a token void.
func (c *Client) RevokeToken(ctx context.Context, token string) error {
	return c.write(ctx, http.MethodPost, "/auth/revoke", map[string]string{"token": token})
}

// RevokeTokens makes void all tokens that an account has now.
func (c *Client) RevokeTokens(ctx context.Context, account string) error {
	return c.write(ctx, http.MethodPost, "/auth/revoke", map[string]string{"account": account})
}

// SigningKey is a key that signs tokens; what is secret of it never leaves the cluster.
type SigningKey struct {
	ID      string `json:"id"`
	Created string `json:"created_at"`
	// Signs marks the key that signs new tokens.
	Signs bool `json:"signs"`
}

// SigningKeys returns the keys that sign tokens, the newest last, as root.
func (c *Client) SigningKeys(ctx context.Context) (keys []SigningKey, err error) {
	return keys, c.call(ctx, request{method: http.MethodGet, path: "/cluster/signing-keys"}, &keys)
}

// RotateSigningKey makes a new key, which signs tokens from now on, and returns its id. Tokens of the others stay valid.
func (c *Client) RotateSigningKey(ctx context.Context) (id string, err error) {
	var made struct{ ID string }
	err = c.call(ctx, request{method: http.MethodPost, path: "/cluster/signing-keys"}, &made)
	return made.ID, err
}

// DeleteSigningKey deletes a key; the tokens that it has signed are void.
func (c *Client) DeleteSigningKey(ctx context.Context, id string) error {
	return c.write(ctx, http.MethodDelete, path("cluster", "signing-keys", id), nil)
}
