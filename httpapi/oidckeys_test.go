package httpapi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"dapple/command"
)

// countedTransport counts what an issuer is asked.
type countedTransport struct {
	keys atomic.Int64
	base http.RoundTripper
}

func (c *countedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/keys") {
		c.keys.Add(1)
	}
	return c.base.RoundTrip(r)
}

// Whoever forges tokens, with unknown keys or with known ones, does not make the node fetch the issuer's keys for each.
func TestForgedTokensFetchKeysSeldom(t *testing.T) {
	url, issue, key := oidcServer(t)
	ts := newAuthServer(t, func(c *Config) { c.OIDC = map[string]string{url: "rucio"} })
	counted := &countedTransport{base: http.DefaultTransport}
	ts.issuers[url].client.Transport.(*issuerTransport).base = counted
	ts.command(command.TypeAddIdentity, &command.AddIdentity{Account: "joe", Type: "OIDC", Identity: "SUB=u1, ISS=" + url})
	forger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	forge := func(i int) string {
		token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": url, "sub": "u1", "aud": "rucio", "exp": 1 << 33})
		token.Header["kid"] = strconv.Itoa(i)
		text, err := token.SignedString(forger)
		require.NoError(t, err)
		return text
	}
	for i := range 200 {
		ts.do("GET", "/accounts/whoami", "", bearing(forge(i))).want(t, 401, "CannotAuthenticate")
	}
	ts.do("GET", "/accounts/whoami", "", bearing(issue(nil, key))).want(t, 200, "")
	require.LessOrEqual(t, counted.keys.Load(), int64(20), "4, and one in 10 s of a slow test")
	require.NotZero(t, counterValue(t, ts.registry, "dapple_http_limit_refusals_total", "limit", "oidc_keys"))
}

// An issuer that is asked too often and has never answered is not asked at all.
func TestIssuerThatNeverAnswered(t *testing.T) {
	asked := 0
	transport := newIssuerTransport(func() {})
	transport.base = roundTripper(func(*http.Request) (*http.Response, error) {
		asked++
		return &http.Response{StatusCode: 500, Body: io.NopCloser(strings.NewReader(""))}, nil
	})
	for range 50 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://issuer/keys", nil)
		require.NoError(t, err)
		if response, err := transport.RoundTrip(request); err == nil {
			require.NoError(t, response.Body.Close())
		}
	}
	require.LessOrEqual(t, asked, 20)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
