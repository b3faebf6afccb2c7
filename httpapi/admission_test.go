package httpapi

import (
	"crypto/ed25519"
	"encoding/hex"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"dapple/command"
)

// farAhead is an index that no node comes to.
const farAhead = 1 << 60

// forgedToken says that it is of this cluster, of an index far ahead, and signed with a key that the node does not know.
func forgedToken(t *testing.T) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, &claims{RegisteredClaims: jwt.RegisteredClaims{
		Issuer: tokenIssuer, Subject: "root", ID: "x", Audience: jwt.ClaimStrings{hex.EncodeToString(testCluster[:])},
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}, Index: farAhead})
	token.Header["kid"] = "k9"
	text, err := token.SignedString(ed25519.NewKeyFromSeed([]byte("00000000000000000000000000000009")))
	require.NoError(t, err)
	return text
}

// Nobody is made to wait for the state whose token is none: not for an index, nor for what a level asks for.
func TestNobodyWaitsWithoutAToken(t *testing.T) {
	ts := newAuthServer(t, func(c *Config) { c.Limits.Wait = time.Hour })
	ts.fresh.index = farAhead
	far := header(headerMinIndex, strconv.Itoa(farAhead))
	session := header("Cookie", sessionCookie+"="+hex.EncodeToString(testCluster[:])+":"+strconv.Itoa(farAhead))
	for name, request := range map[string]struct {
		method, path string
		options      []option
	}{
		"index":        {"GET", "/accounts/whoami", []option{far}},
		"session":      {"GET", "/accounts/whoami", []option{session}},
		"write":        {"POST", "/accounts/ann", []option{session}},
		"linearizable": {"GET", "/accounts/whoami", []option{header(headerLevel, "linearizable")}},
		"bounded":      {"GET", "/accounts/whoami?max_stale=1s&consistency=bounded", nil},
	} {
		for kind, token := range map[string]string{"none": "", "nonsense": "nonsense"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				ts.do(request.method, request.path, "", append(request.options, bearing(token))...).want(t, 401, "CannotAuthenticate")
			})
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/ping", "/"} {
		ts.do("GET", path, "", session, far).want(t, 200, "")
	}
}

// Requests that wait hold a place of their account, and those whose account is not known yet one of their source.
func TestPlacesToWait(t *testing.T) {
	ts := newAuthServer(t, func(c *Config) { c.Limits.Wait = time.Hour })
	ts.waits.most, ts.strangerWaits.most = 1, 1
	joe, root := ts.token("joe"), ts.token("root")
	far := header(headerMinIndex, "1000")
	session := header("Cookie", sessionCookie+"="+hex.EncodeToString(testCluster[:])+":1000")
	done := make(chan answer, 2)
	waits := func(shares *shares) {
		require.Eventually(t, func() bool {
			shares.mu.Lock()
			defer shares.mu.Unlock()
			return len(shares.held) == 1
		}, 20*time.Second, time.Millisecond)
	}
	go func() { done <- ts.do("GET", "/accounts/whoami", "", bearing(joe), far) }()
	waits(ts.waits)
	ts.do("GET", "/accounts/whoami", "", bearing(joe), far).want(t, 503, "ResourceTemporaryUnavailable")
	ts.do("GET", "/accounts/whoami", "", bearing(joe), session, header(headerLevel, "linearizable")).want(t, 503, "ResourceTemporaryUnavailable")
	ts.do("GET", "/accounts/whoami", "", bearing(joe)).want(t, 200, "")

	forged := forgedToken(t)
	go func() { done <- ts.do("GET", "/auth/userpass", "", credentials("joe", "ddmlab", "secret"), session) }()
	waits(ts.strangerWaits)
	ts.do("GET", "/accounts/whoami", "", bearing(forged)).want(t, 503, "ResourceTemporaryUnavailable")
	ts.do("GET", "/auth/userpass", "", credentials("joe", "ddmlab", "secret"), session).want(t, 503, "ResourceTemporaryUnavailable")
	ts.do("GET", "/auth/userpass", "", credentials("joe", "ddmlab", "secret")).want(t, 200, "")
	require.EqualValues(t, 4, counterValue(t, ts.registry, "dapple_http_limit_refusals_total", "limit", "waits"))

	ts.store.advance(1000)
	for range cap(done) {
		(<-done).want(t, 200, "")
	}
	ts.do("GET", "/accounts/whoami", "", bearing(root), far).want(t, 200, "")
	require.Empty(t, ts.waits.held)
}

// Whether a token stands is asked of the state that the request has waited for.
func TestATokenIsJudgedAfterTheWait(t *testing.T) {
	ahead := newAuthServer(t)
	behind := newAuthServer(t, func(c *Config) { c.Limits.Wait = time.Hour })
	joe := behind.token("joe")
	ahead.command(command.TypeRevokeAccountTokens, &command.RevokeAccountTokens{Account: "joe", Before: endOfTime})
	ahead.store.advance(100)
	done := make(chan answer)
	go func() { done <- behind.do("GET", "/accounts/whoami", "", bearing(joe), header(headerMinIndex, "100")) }()
	behind.store.awaitWaiter(t)
	behind.store.adopt(ahead.store)
	require.Equal(t, http.StatusUnauthorized, (<-done).Code)
}
