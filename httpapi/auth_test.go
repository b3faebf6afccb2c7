package httpapi

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
	"dapple/internal/password"
)

// hashOfSecret is made once: hashing is slow by design.
var hashOfSecret = sync.OnceValue(func() string {
	hash, err := password.Hash("secret")
	if err != nil {
		panic(err)
	}
	return hash
})

// authExecutors are the commands that the tests of logins need.
var authExecutors = executors{
	command.TypeGenesis:             execute(catalogue.Genesis),
	command.TypeAddAccount:          execute(catalogue.AddAccount),
	command.TypeUpdateAccount:       execute(catalogue.UpdateAccount),
	command.TypeDeleteAccount:       execute(catalogue.DeleteAccount),
	command.TypeAddIdentity:         execute(catalogue.AddIdentity),
	command.TypeDeleteIdentity:      execute(catalogue.DeleteIdentity),
	command.TypeSetAccountAttribute: execute(catalogue.SetAccountAttribute),
	command.TypeRevokeToken:         execute(catalogue.RevokeToken),
	command.TypeRevokeAccountTokens: execute(catalogue.RevokeAccountTokens),
	command.TypeAddSigningKey:       execute(catalogue.AddSigningKey),
	command.TypeSetPassword:         execute(catalogue.SetPassword),
	command.TypeRotateSigningKey:    execute(catalogue.RotateSigningKey),
	command.TypeDeleteSigningKey:    execute(catalogue.DeleteSigningKey),
	command.TypeDigest:              execute(func(catalogue.Tx, catalogue.Stamp, *command.Digest) ([]byte, error) { return nil, nil }),
}

// newAuthServer is a server with real tokens and the identity ddmlab / secret for root and joe.
func newAuthServer(t *testing.T, configure ...func(*Config)) *testServer {
	t.Helper()
	ts := newTestServer(t, authExecutors, configure...)
	ts.authenticator = ts.tokens
	ts.command(command.TypeGenesis, &command.Genesis{
		Schema:    catalogue.SchemaVersion,
		ClusterId: testCluster[:], RootIdentity: "ddmlab", RootPassword: hashOfSecret(), KeyId: "k1", KeySeed: make([]byte, 32),
	})
	ts.command(command.TypeAddAccount, &command.AddAccount{Name: "joe", Type: "USER"})
	ts.command(command.TypeAddIdentity, &command.AddIdentity{Account: "joe", Type: "USERPASS", Identity: "ddmlab"})
	return ts
}

func credentials(account, user, secret string) option {
	return func(r *http.Request) {
		r.Header.Del(headerToken)
		for key, value := range map[string]string{"X-Rucio-Account": account, "X-Rucio-Username": user, "X-Rucio-Password": secret} {
			if value != "" {
				r.Header.Set(key, value)
			}
		}
	}
}

// token logs in.
func (ts *testServer) token(account string) string {
	ts.t.Helper()
	got := ts.do("GET", "/auth/userpass", "", credentials(account, "ddmlab", "secret")).want(ts.t, 200, "")
	return got.Header().Get(headerToken)
}

func bearing(token string) option { return header(headerToken, token) }

func TestLogin(t *testing.T) {
	ts := newAuthServer(t)
	got := ts.do("GET", "/auth/userpass", "", credentials("joe", "ddmlab", "secret")).want(t, 200, "")
	require.Equal(t, "application/octet-stream", got.Header().Get("Content-Type"))
	require.Equal(t, "joe", got.Header().Get(headerAccount))
	require.Equal(t, "no-store", got.Header().Get("Cache-Control"))
	require.Empty(t, got.Body.String())
	expires, err := time.Parse(timeLayout, got.Header().Get(headerExpires))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(time.Hour), expires, time.Minute)

	valid := ts.do("GET", "/auth/validate", "", bearing(" "+got.Header().Get(headerToken)+" ")).want(t, 200, "")
	require.Equal(t, "application/octet-stream", valid.Header().Get("Content-Type"))
	require.JSONEq(t, `{"account":"joe","identity":"ddmlab","lifetime":"`+got.Header().Get(headerExpires)+
		`","audience":null,"authz_scope":null,"vo":"def"}`, valid.Body.String())

	// Nobody named an account: it is the identity's first.
	got = ts.do("GET", "/auth/userpass", "", credentials("", "ddmlab", "secret")).want(t, 200, "")
	require.Equal(t, "root", got.Header().Get(headerAccount))
	require.EqualValues(t, 2, counterValue(t, ts.registry, "dapple_http_logins_total", "outcome", "ok"))
	require.Zero(t, ts.store.open.Load())
	require.NotContains(t, ts.logs.String(), "secret")
	require.NotContains(t, ts.logs.String(), got.Header().Get(headerToken))
}

func TestLoginRefused(t *testing.T) {
	ts := newAuthServer(t)
	ts.command(command.TypeAddAccount, &command.AddAccount{Name: "stranger", Type: "USER"})
	ts.command(command.TypeAddAccount, &command.AddAccount{Name: "idle", Type: "USER"})
	ts.command(command.TypeAddIdentity, &command.AddIdentity{Account: "idle", Type: "USERPASS", Identity: "ddmlab"})
	suspended := "SUSPENDED"
	ts.command(command.TypeUpdateAccount, &command.UpdateAccount{Name: "idle", Status: &suspended})
	ts.command(command.TypeAddIdentity, &command.AddIdentity{Account: "joe", Type: "X509", Identity: "/CN=joe"})
	index := ts.store.AppliedIndex()
	for name, tt := range map[string]option{
		"wrong password":         credentials("root", "ddmlab", "Secret"),
		"unknown user":           credentials("root", "nobody", "secret"),
		"unknown account":        credentials("nobody", "ddmlab", "secret"),
		"account not granted":    credentials("stranger", "ddmlab", "secret"),
		"account suspended":      credentials("idle", "ddmlab", "secret"),
		"no password":            credentials("root", "ddmlab", ""),
		"no user":                credentials("root", "", "secret"),
		"nothing":                credentials("", "", ""),
		"unknown, no account":    credentials("", "nobody", "secret"),
		"identity of x509":       credentials("joe", "/CN=joe", "secret"),
		"account of odd letters": credentials("ro/../ot", "ddmlab", "secret"),
	} {
		t.Run(name, func(t *testing.T) {
			got := ts.do("GET", "/auth/userpass", "", tt).want(t, 401, "CannotAuthenticate")
			require.Empty(t, got.Header().Get(headerToken))
		})
	}
	require.Equal(t, index, ts.store.AppliedIndex(), "logins write nothing to the log")
	require.EqualValues(t, 11, counterValue(t, ts.registry, "dapple_http_logins_total", "outcome", "refused"))
}

func TestLoginsAreBounded(t *testing.T) {
	ts := newAuthServer(t, func(c *Config) { c.Limits.Logins = 1; c.Limits.Wait = 30 * time.Millisecond })
	for i := range cap(ts.gate.turns) {
		require.NoError(t, ts.gate.enter(t.Context(), strconv.Itoa(i)))
	}
	// One may wait, and gives up.
	login := credentials("root", "ddmlab", "secret")
	got := ts.do("GET", "/auth/userpass", "", login).want(t, 503, "ResourceTemporaryUnavailable")
	require.Equal(t, "1", got.Header().Get("Retry-After"))
	// While one waits, another is sent away at once.
	ts.gate.waiting.Add(1)
	ts.limits.Wait = time.Hour
	ts.do("GET", "/auth/userpass", "", login).want(t, 503, "ResourceTemporaryUnavailable")
	ts.gate.waiting.Add(-1)
	ts.gate.leave("0")
	ts.do("GET", "/auth/userpass", "", login).want(t, 200, "")
	require.EqualValues(t, 2, counterValue(t, ts.registry, "dapple_http_logins_total", "outcome", "overloaded"))
	require.Zero(t, ts.gate.waiting.Load())
}

func TestTokensThatAreNone(t *testing.T) {
	ts := newAuthServer(t)
	good := ts.token("joe")
	parts := strings.Split(good, ".")
	tampered := func(i int, change func(map[string]any)) string {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		require.NoError(t, err)
		var fields map[string]any
		require.NoError(t, json.Unmarshal(raw, &fields))
		change(fields)
		raw, err = json.Marshal(fields)
		require.NoError(t, err)
		other := append([]string(nil), parts...)
		other[i] = base64.RawURLEncoding.EncodeToString(raw)
		return strings.Join(other, ".")
	}
	signed := func(method jwt.SigningMethod, key any, kid string, c *claims) string {
		token := jwt.NewWithClaims(method, c)
		token.Header["kid"] = kid
		text, err := token.SignedString(key)
		require.NoError(t, err)
		return text
	}
	root := func() *claims {
		return &claims{RegisteredClaims: jwt.RegisteredClaims{
			Issuer: tokenIssuer, Subject: "root", ID: "x", ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
		}, Identity: "ddmlab", IdentityType: "USERPASS", LogTime: endOfTime}
	}
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	other := ed25519.NewKeyFromSeed([]byte("00000000000000000000000000000001"))
	changed := func(change func(*claims)) string {
		c := root()
		change(c)
		return signed(jwt.SigningMethodEdDSA, key, "k1", c)
	}
	ts.do("GET", "/auth/validate", "", bearing(changed(func(*claims) {}))).want(t, 200, "")
	for name, token := range map[string]string{
		"empty":            "",
		"text":             "not-a-token",
		"as Rucio's":       "root-ddmlab-unknown-00000000",
		"dots":             "..",
		"cut":              good[:len(good)-4],
		"no signature":     parts[0] + "." + parts[1] + ".",
		"another account":  tampered(1, func(m map[string]any) { m["sub"] = "root" }),
		"longer":           tampered(1, func(m map[string]any) { m["exp"] = time.Now().Add(48 * time.Hour).Unix() }),
		"algorithm none":   tampered(0, func(m map[string]any) { m["alg"] = "none" }),
		"none, unsigned":   signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "k1", root()),
		"symmetric":        signed(jwt.SigningMethodHS256, []byte(key.Public().(ed25519.PublicKey)), "k1", root()),
		"another key":      signed(jwt.SigningMethodEdDSA, other, "k1", root()),
		"unknown key":      signed(jwt.SigningMethodEdDSA, other, "k2", root()),
		"no key":           signed(jwt.SigningMethodEdDSA, key, "", root()),
		"expired":          changed(func(c *claims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(-time.Second)) }),
		"without end":      changed(func(c *claims) { c.ExpiresAt = nil }),
		"another issuer":   changed(func(c *claims) { c.Issuer = "other" }),
		"unknown account":  changed(func(c *claims) { c.Subject = "nobody" }),
		"unknown identity": changed(func(c *claims) { c.Identity = "nobody" }),
		"unknown type":     changed(func(c *claims) { c.IdentityType = "NONE" }),
		"not granted":      changed(func(c *claims) { c.IdentityType = "X509" }),
	} {
		t.Run(name, func(t *testing.T) {
			ts.do("GET", "/auth/validate", "", bearing(token)).want(t, 401, "CannotAuthenticate")
			ts.do("GET", "/cluster/status", "", bearing(token)).want(t, 401, "CannotAuthenticate")
		})
	}
	absent := func(r *http.Request) { r.Header.Del(headerToken) }
	ts.do("GET", "/auth/validate", "", absent).want(t, 401, "CannotAuthenticate")
	require.Zero(t, ts.store.open.Load())
}

func TestATokenEnds(t *testing.T) {
	ts := newAuthServer(t)
	now := time.Now()
	ts.tokens.now = func() time.Time { return now }
	token := ts.token("joe")
	ts.do("GET", "/auth/validate", "", bearing(token)).want(t, 200, "")
	now = now.Add(time.Hour - 2*time.Second)
	ts.do("GET", "/auth/validate", "", bearing(token)).want(t, 200, "")
	now = now.Add(3 * time.Second)
	ts.do("GET", "/auth/validate", "", bearing(token)).want(t, 401, "CannotAuthenticate")
}

// What the catalogue says about a token counts from the moment that it is applied, also for a token that was seen before.
func TestATokenFallsWithWhatItStandsOn(t *testing.T) {
	suspended, active := "SUSPENDED", "ACTIVE"
	removal := &command.DeleteIdentity{Account: "joe", Type: "USERPASS", Identity: "ddmlab"}
	addition := &command.AddIdentity{Account: "joe", Type: "USERPASS", Identity: "ddmlab", PasswordHash: hashOfSecret()}
	tests := map[string]func(ts *testServer){
		"account suspended": func(ts *testServer) {
			ts.command(command.TypeUpdateAccount, &command.UpdateAccount{Name: "joe", Status: &suspended})
		},
		"account deleted": func(ts *testServer) {
			ts.command(command.TypeDeleteAccount, &command.DeleteAccount{Name: "joe"})
		},
		"identity taken away": func(ts *testServer) { ts.command(command.TypeDeleteIdentity, removal) },
		"identity made anew": func(ts *testServer) {
			ts.command(command.TypeDeleteIdentity, removal)
			ts.command(command.TypeDeleteIdentity, &command.DeleteIdentity{Account: "root", Type: "USERPASS", Identity: "ddmlab"})
			ts.command(command.TypeAddIdentity, addition)
		},
		"tokens revoked": func(ts *testServer) {
			ts.command(command.TypeRevokeAccountTokens, &command.RevokeAccountTokens{Account: "joe", Before: endOfTime})
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			ts := newAuthServer(t)
			token := ts.token("joe")
			ts.do("GET", "/auth/validate", "", bearing(token)).want(t, 200, "")
			change(ts)
			ts.do("GET", "/auth/validate", "", bearing(token)).want(t, 401, "CannotAuthenticate")
		})
	}
	ts := newAuthServer(t)
	token := ts.token("joe")
	ts.command(command.TypeUpdateAccount, &command.UpdateAccount{Name: "joe", Status: &suspended})
	ts.command(command.TypeUpdateAccount, &command.UpdateAccount{Name: "joe", Status: &active})
	ts.do("GET", "/auth/validate", "", bearing(token)).want(t, 200, "")
}

func TestRevoke(t *testing.T) {
	ts := newAuthServer(t)
	joe, second, root := ts.token("joe"), ts.token("joe"), ts.token("root")
	valid := func(token string, status int) {
		t.Helper()
		require.Equal(t, status, ts.do("GET", "/auth/validate", "", bearing(token)).Code)
	}
	// One's own, one of them.
	got := ts.do("POST", "/auth/revoke", `{"token":"`+joe+`"}`, bearing(joe)).want(t, 200, "")
	require.Contains(t, got.Header().Get("Set-Cookie"), sessionCookie)
	valid(joe, 401)
	valid(second, 200)
	// Not another's.
	ts.do("POST", "/auth/revoke", `{"token":"`+root+`"}`, bearing(second)).want(t, 401, "AccessDenied")
	ts.do("POST", "/auth/revoke", `{"account":"root"}`, bearing(second)).want(t, 401, "AccessDenied")
	valid(root, 200)
	// Root may; and who logs in afterwards has a good token.
	ts.do("POST", "/auth/revoke", `{"account":"joe"}`, bearing(root)).want(t, 200, "")
	valid(second, 401)
	valid(ts.token("joe"), 200)
	valid(root, 200)

	for body, class := range map[string]string{
		`{}`: "ValueError", `{"token":"x"}`: "ValueError", `{"token":7}`: "InvalidObject", `{"account":["joe"]}`: "InvalidObject",
		`{"token":"` + root + `","account":"joe"}`: "ValueError", `[]`: "TypeError", `{`: "ValueError", `{"token":null}`: "ValueError",
	} {
		ts.do("POST", "/auth/revoke", body, bearing(root)).want(t, 400, class)
	}
	ts.do("POST", "/auth/revoke", `{"account":"nobody"}`, bearing(root)).want(t, 404, "AccountNotFound")
}

func TestANewSigningKey(t *testing.T) {
	ts := newAuthServer(t)
	old := ts.token("joe")
	ts.command(command.TypeAddSigningKey, &command.AddSigningKey{Id: "k2", Seed: []byte("00000000000000000000000000000002")})
	fresh := ts.token("joe")
	for _, token := range []string{old, fresh} {
		ts.do("GET", "/auth/validate", "", bearing(token)).want(t, 200, "")
	}
	parsed, _, err := jwt.NewParser().ParseUnverified(fresh, &claims{})
	require.NoError(t, err)
	require.Equal(t, "k2", parsed.Header["kid"], "the newest key signs")
}

// A node that lags behind the one that gave the token gets to its index first, even where it does not have the key yet.
func TestATokenIsWaitedFor(t *testing.T) {
	ahead := newAuthServer(t)
	ahead.store.advance(100)
	token := ahead.token("joe")

	behind := newTestServer(t, authExecutors, func(c *Config) { c.Limits.Wait = time.Minute })
	behind.authenticator = behind.tokens
	done := make(chan answer)
	go func() { done <- behind.do("GET", "/auth/validate", "", bearing(token)) }()
	behind.store.awaitWaiter(t)
	behind.store.adopt(ahead.store)
	got := <-done
	got.want(t, 200, "")
	index, err := strconv.Atoi(got.Header().Get(headerIndex))
	require.NoError(t, err)
	require.GreaterOrEqual(t, index, 100)

	late := newTestServer(t, authExecutors, func(c *Config) { c.Limits.Wait = 20 * time.Millisecond })
	late.authenticator = late.tokens
	late.do("GET", "/auth/validate", "", bearing(token)).want(t, 503, "ResourceTemporaryUnavailable")
}

// A token of another cluster, which a client has kept, names an index that may never come here: it is refused at once.
func TestATokenOfAnotherCluster(t *testing.T) {
	theirs := newAuthServer(t, func(c *Config) { c.ClusterID = func() ([16]byte, bool) { return [16]byte{7}, true } })
	theirs.command(command.TypeAddSigningKey, &command.AddSigningKey{Id: "k7", Seed: []byte("00000000000000000000000000000007")})
	theirs.store.advance(theirs.store.AppliedIndex() + 1000)
	token := theirs.token("root")
	ours := newAuthServer(t)
	ours.do("GET", "/auth/validate", "", bearing(token)).want(t, 401, "CannotAuthenticate")
}

func TestTokenCacheIsBounded(t *testing.T) {
	var cache tokenCache
	now := time.Now()
	for i := range 2 * tokenCacheSize {
		expires := now.Add(time.Hour)
		if i%2 == 0 {
			expires = now.Add(-time.Hour)
		}
		digest := [32]byte{byte(i), byte(i >> 8), byte(i >> 16)}
		cache.put(digest, &claims{RegisteredClaims: jwt.RegisteredClaims{ExpiresAt: jwt.NewNumericDate(expires)}}, now)
		require.LessOrEqual(t, len(cache.held), tokenCacheSize)
		require.Equal(t, i%2 == 1, cache.get(digest, now) != nil, "an expired one is not given out")
	}
}
