package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	headerToken    = "X-Rucio-Auth-Token"
	headerAccount  = "X-Rucio-Account"
	headerAccounts = "X-Rucio-Auth-Accounts"
)

// timeLayout is how the API writes times.
const timeLayout = "Mon, 02 Jan 2006 15:04:05 UTC"

// renewBefore is how long before its end a token is replaced.
const renewBefore = time.Minute

// tokenKeeper holds the token until shortly before its end.
type tokenKeeper struct {
	mu    sync.Mutex
	token string
	ends  time.Time // zero for one whose end is not known
}

// drop forgets a token that was not accepted.
func (k *tokenKeeper) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.token = ""
}

// canLogIn reports whether the client has what a login needs.
func (c *Client) canLogIn() bool { return c.cfg.User != "" || c.cfg.X509 }

// token returns a token, a new one from the node where there is none. Others wait for it.
func (c *Client) token(ctx context.Context, node string) (string, error) {
	k := &c.tokens
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.token != "" && (k.ends.IsZero() || time.Until(k.ends) > renewBefore || !c.canLogIn()) {
		return k.token, nil
	}
	if !c.canLogIn() {
		return "", &Error{Status: http.StatusUnauthorized, Message: "no token, and nothing to log in with"}
	}
	token, ends, err := c.logIn(ctx, node)
	if err == nil {
		k.token, k.ends = token, ends
	}
	return token, err
}

// logIn asks a node for a token.
func (c *Client) logIn(ctx context.Context, node string) (token string, ends time.Time, err error) {
	method := "/auth/userpass"
	if c.cfg.X509 {
		method = "/auth/x509"
	}
	out, err := http.NewRequestWithContext(ctx, http.MethodGet, node+method, nil)
	if err != nil {
		return "", ends, err
	}
	if c.cfg.Account != "" {
		out.Header.Set(headerAccount, c.cfg.Account)
	}
	if !c.cfg.X509 {
		out.Header.Set("X-Rucio-Username", c.cfg.User)
		out.Header.Set("X-Rucio-Password", c.cfg.Password)
	}
	response, err := c.http.Do(out)
	if err != nil {
		return "", ends, err
	}
	if response.StatusCode != http.StatusOK {
		return "", ends, fmt.Errorf("log in: %w", errorOf(response))
	}
	defer response.Body.Close()
	if token = response.Header.Get(headerToken); token == "" {
		return "", ends, errors.New("log in: the answer has no token")
	}
	if ends, err = time.Parse(timeLayout, response.Header.Get("X-Rucio-Auth-Token-Expires")); err != nil {
		ends = time.Time{}
	}
	return token, ends, nil
}
