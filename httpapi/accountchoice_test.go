package httpapi

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"dapple/command"
)

// sharedIdentity is granted to eve and joe, without a default unless one is named.
func (ts *testServer) sharedIdentity(kind, identity string, defaults ...string) {
	ts.t.Helper()
	for _, account := range []string{"eve", "joe"} {
		add := &command.AddIdentity{Account: account, Type: kind, Identity: identity}
		if kind == "USERPASS" {
			add.PasswordHash = hashOfSecret()
		}
		for _, name := range defaults {
			add.Default = add.Default || name == account
		}
		ts.command(command.TypeAddIdentity, add)
	}
}

// choiceServer has eve and joe, and can be reached by user name, certificate and OIDC token; login logs in as identity "x" of a kind.
func choiceServer(t *testing.T) (ts *testServer, login map[string]func(account string, more ...option) answer, issuer string) {
	t.Helper()
	url, issue, key := oidcServer(t)
	ts = newAuthServer(t, func(c *Config) {
		c.OIDC = map[string]string{url: "rucio"}
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})
	ts.command(command.TypeAddAccount, &command.AddAccount{Name: "eve", Type: "USER"})
	ask := func(path string, account string, with ...option) answer {
		if account != "" {
			with = append(with, header("X-Rucio-Account", account))
		}
		return ts.do("GET", path, "", with...)
	}
	certificate := func(path string) func(string, ...option) answer {
		return func(account string, more ...option) answer {
			return ask(path, account, append([]option{header("X-Ssl-Client-S-Dn", "/CN=x"), header("X-Ssl-Client-Verify", "SUCCESS")}, more...)...)
		}
	}
	token := issue(jwt.MapClaims{"sub": "x"}, key)
	return ts, map[string]func(string, ...option) answer{
		"userpass": func(account string, more ...option) answer {
			return ask("/auth/userpass", account, append([]option{credentials("", "x", "secret")}, more...)...)
		},
		"x509":       certificate("/auth/x509"),
		"x509 webui": certificate("/auth/x509/webui"),
		"x509 proxy": certificate("/auth/x509_proxy"),
		"OIDC": func(account string, more ...option) answer {
			return ask("/auth/validate", account, append([]option{bearing(token)}, more...)...)
		},
	}, url
}

// grantAll grants the identities of choiceServer to eve and joe.
func (ts *testServer) grantAll(issuer string, defaults ...string) {
	ts.t.Helper()
	ts.sharedIdentity("USERPASS", "x", defaults...)
	ts.sharedIdentity("X509", "/CN=x", defaults...)
	ts.sharedIdentity("OIDC", "SUB=x, ISS="+issuer, defaults...)
}

func TestSeveralAccountsAndNoDefault(t *testing.T) {
	ts, logins, issuer := choiceServer(t)
	ts.grantAll(issuer)
	index := ts.store.AppliedIndex()
	for how, login := range logins {
		t.Run(how, func(t *testing.T) {
			got := login("").want(t, 206, "")
			require.Equal(t, typeBytes, got.Header().Get("Content-Type"))
			require.Equal(t, `["eve", "joe"]`, got.Body.String())
			require.Equal(t, "eve,joe", got.raw("X-Rucio-Auth-Accounts"))
			require.Equal(t, "no-store", got.Header().Get("Cache-Control"))
			require.Empty(t, got.Header().Get(headerToken))
			require.Empty(t, got.Header().Get(headerAccount))
			login("joe").want(t, 200, "")
			refused := login("root").want(t, 401, "CannotAuthenticate")
			require.Empty(t, refused.Header()["X-Rucio-Auth-Accounts"])
			require.NotContains(t, refused.Body.String(), "eve")
		})
	}
	require.Equal(t, index, ts.store.AppliedIndex())
	require.EqualValues(t, 4, counterValue(t, ts.registry, "dapple_http_logins_total", "outcome", "undecided"))
}

func TestSeveralAccountsAndADefault(t *testing.T) {
	for name, defaults := range map[string][]string{"one": {"joe"}, "several: the one granted first": {"eve", "joe"}} {
		t.Run(name, func(t *testing.T) {
			ts, logins, issuer := choiceServer(t)
			ts.grantAll(issuer, defaults...)
			for how, login := range logins {
				got := login("").want(t, 200, "")
				if how == "OIDC" {
					require.Contains(t, got.Body.String(), `"account": "`+defaults[0]+`"`)
					continue
				}
				require.Equal(t, defaults[0], got.Header().Get(headerAccount), how)
			}
		})
	}
}

// Accounts that nobody can log in to are not offered; a default that is suspended does not give way to another account.
func TestSuspendedAccountsAreNotOffered(t *testing.T) {
	suspended := "SUSPENDED"
	suspend := func(ts *testServer, account string) {
		ts.command(command.TypeUpdateAccount, &command.UpdateAccount{Name: account, Status: &suspended})
	}
	for _, defaults := range [][]string{nil, {"joe"}} {
		ts, logins, issuer := choiceServer(t)
		ts.grantAll(issuer, defaults...)
		suspend(ts, "joe")
		status, class := 200, ""
		if defaults != nil {
			status, class = 401, "CannotAuthenticate"
		}
		for _, login := range logins {
			login("").want(t, status, class)
		}
		suspend(ts, "eve")
		for _, login := range logins {
			got := login("").want(t, 401, "CannotAuthenticate")
			require.Empty(t, got.Header()["X-Rucio-Auth-Accounts"])
		}
	}
}

// Who may log in as whom is for those who have proved who they are.
func TestAWrongPasswordLearnsNothing(t *testing.T) {
	ts, _, issuer := choiceServer(t)
	ts.grantAll(issuer)
	wrong := ts.do("GET", "/auth/userpass", "", credentials("", "x", "wrong")).want(t, 401, "CannotAuthenticate")
	unknown := ts.do("GET", "/auth/userpass", "", credentials("", "nobody", "wrong")).want(t, 401, "CannotAuthenticate")
	require.Equal(t, unknown.Body.String(), wrong.Body.String())
	require.Empty(t, wrong.Header()["X-Rucio-Auth-Accounts"])
	require.NotContains(t, wrong.Body.String(), "eve")
	for _, headers := range []option{header("X-Ssl-Client-S-Dn", "/CN=x"), header("X-Ssl-Client-Verify", "SUCCESS")} {
		stranger := func(r *http.Request) { r.RemoteAddr = "198.51.100.7:1" }
		got := ts.do("GET", "/auth/x509_proxy", "", headers, stranger).want(t, 401, "CannotAuthenticate")
		require.Contains(t, got.Body.String(), "Cannot get DN")
		require.Empty(t, got.Header()["X-Rucio-Auth-Accounts"])
	}
}

// Guesses are counted and choices are not: whoever has the password is not slowed down.
func TestChoicesAreNoFailures(t *testing.T) {
	ts, logins, issuer := choiceServer(t)
	ts.grantAll(issuer)
	ts.loginLimit.burst = 1
	for range 3 {
		logins["userpass"]("").want(t, 206, "")
	}
	logins["userpass"]("eve").want(t, 200, "")
}

// A token of OpenID Connect comes with every request: reads are answered as a login is, writes are refused, for 206 would look
// like success.
func TestWritesOfAnUndecidedIdentity(t *testing.T) {
	url, issue, key := oidcServer(t)
	ts := newAuthServer(t, func(c *Config) { c.OIDC = map[string]string{url: "rucio"} })
	ts.command(command.TypeAddAccount, &command.AddAccount{Name: "eve", Type: "USER"})
	ts.sharedIdentity("OIDC", "SUB=u1, ISS="+url)
	token := bearing(issue(jwt.MapClaims{"iat": 1}, key))
	index := ts.store.AppliedIndex()
	for _, request := range [][2]string{{"GET", "/accounts/whoami"}, {"GET", "/dids/s/n"}, {"POST", "/replicas/list"}, {"POST", "/dids/bulkmeta"}} {
		got := ts.do(request[0], request[1], `{}`, token).want(t, 206, "")
		require.Equal(t, []any{"eve", "joe"}, got.value(t), request[1])
	}
	for _, request := range [][2]string{{"POST", "/replicas"}, {"DELETE", "/accounts/joe"}, {"PUT", "/replicas"}, {"POST", "/auth/revoke"}} {
		got := ts.do(request[0], request[1], `{}`, token).want(t, 401, "CannotAuthenticate")
		require.Equal(t, "eve,joe", got.raw("X-Rucio-Auth-Accounts"))
		require.Contains(t, got.Body.String(), "eve, joe")
	}
	require.Equal(t, index, ts.store.AppliedIndex())

	// A token that was revoked for an account learns nothing of it.
	ts.command(command.TypeRevokeAccountTokens, &command.RevokeAccountTokens{Account: "eve", Before: endOfTime})
	got := ts.do("GET", "/accounts/whoami", "", token).want(t, 200, "")
	require.Contains(t, got.Body.String(), `"joe"`)
	require.NotContains(t, got.Body.String(), "eve")
}
