// Package client speaks to a Dapple cluster, or to a Rucio server as far as Dapple's API is Rucio's.
//
// A Client knows several nodes and takes the next one when one does not answer. It repeats by itself only what is safe to
// repeat: reads, writes of which it is sure that they did not happen, and, once a Dapple server has answered, any write, since
// such a server does a request with the same Idempotency-Key once. It keeps the session, so that what it has written it
// reads on every node.
package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Config says where the nodes are and who asks. URLs is required; a Token, or a User with a Password, or a TLS configuration
// with a client certificate and X509 must be given for anything but Ping.
type Config struct {
	// URLs are the base URLs of the nodes, http://host:port.
	URLs []string
	// Account is the account to act for, "" for the identity's default or only one.
	Account string
	// User and Password log in.
	User, Password string
	// X509 logs in with the client certificate of TLS.
	X509 bool
	// Token is used as it is: one that was had elsewhere.
	Token string
	// TLS is the configuration of https connections.
	TLS *tls.Config
	// Attempts is how often a request is sent at most: 8.
	Attempts int
	// Timeout bounds each attempt until its answer begins: 30 s. The context bounds the whole.
	Timeout time.Duration
}

// Client is made by New. It may be used by many goroutines.
type Client struct {
	*connection
	reads Reads
}

// connection is what the Clients of one New share.
type connection struct {
	// keepsKeys is set once a server has answered that does a request with a key once.
	keepsKeys atomic.Bool
	cfg       Config
	nodes     []string
	http      *http.Client
	next      atomic.Uint32 // the node to ask first
	tokens    tokenKeeper

	mu      sync.Mutex
	session string // the session cookie with the highest index
	index   uint64
}

// New makes a client. It connects to nobody yet.
func New(cfg Config) (*Client, error) {
	if len(cfg.URLs) == 0 {
		return nil, errors.New("client: no URL of a node")
	}
	c := &Client{connection: &connection{}}
	for _, text := range cfg.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("client: %q is no base URL of a node", text)
		}
		c.nodes = append(c.nodes, strings.TrimSuffix(text, "/"))
	}
	cfg.Attempts, cfg.Timeout = cmp.Or(cfg.Attempts, 8), cmp.Or(cfg.Timeout, 30*time.Second)
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: cfg.TLS, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute,
		DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, ResponseHeaderTimeout: cfg.Timeout, ForceAttemptHTTP2: true,
	}
	c.cfg, c.http = cfg, &http.Client{Transport: transport}
	c.tokens.token = cfg.Token
	return c, nil
}

// dialTimeout bounds one attempt to reach a node: another may be there.
const dialTimeout = 5 * time.Second

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Ping returns the version of the node that answers. It needs no token.
func (c *Client) Ping(ctx context.Context) (version string, err error) {
	var answer struct{ Version string }
	err = c.call(ctx, request{method: http.MethodGet, path: "/ping", public: true}, &answer)
	return answer.Version, err
}

// Account is what the API tells of an account.
type Account struct {
	Account string `json:"account"`
	Type    string `json:"account_type"`
	Status  string `json:"status"`
	Email   string `json:"email"`
}

// Whoami returns the account that the client acts for.
func (c *Client) Whoami(ctx context.Context) (Account, error) {
	var a Account
	return a, c.call(ctx, request{method: http.MethodGet, path: "/accounts/whoami"}, &a)
}

// AddAccount adds an account of type USER, GROUP or SERVICE.
func (c *Client) AddAccount(ctx context.Context, account, kind, email string) error {
	return c.write(ctx, http.MethodPost, path("accounts", account), map[string]string{"type": kind, "email": email})
}

// AddScope adds a scope that an account owns.
func (c *Client) AddScope(ctx context.Context, account, scope string) error {
	return c.write(ctx, http.MethodPost, path("accounts", account, "scopes", scope), nil)
}

// Scopes returns the names of all scopes.
func (c *Client) Scopes(ctx context.Context) (names []string, err error) {
	return names, c.call(ctx, request{method: http.MethodGet, path: "/scopes"}, &names)
}

// path joins the parts of a path; a slash within a part stays within it.
func path(parts ...string) string {
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return "/" + strings.Join(parts, "/")
}
