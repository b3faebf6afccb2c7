package httpapi

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

// registryExecutors are the commands of accounts, identities, scopes and RSEs.
var registryExecutors = executors{
	command.TypeAddAccount:             execute(catalogue.AddAccount),
	command.TypeUpdateAccount:          execute(catalogue.UpdateAccount),
	command.TypeDeleteAccount:          execute(catalogue.DeleteAccount),
	command.TypeSetAccountAttribute:    execute(catalogue.SetAccountAttribute),
	command.TypeDeleteAccountAttribute: execute(catalogue.DeleteAccountAttribute),
	command.TypeAddIdentity:            execute(catalogue.AddIdentity),
	command.TypeDeleteIdentity:         execute(catalogue.DeleteIdentity),
	command.TypeAddScope:               execute(catalogue.AddScope),
	command.TypeAddRSE:                 execute(catalogue.AddRSE),
	command.TypeUpdateRSE:              execute(catalogue.UpdateRSE),
	command.TypeDeleteRSE:              execute(catalogue.DeleteRSE),
	command.TypeSetRSEAttribute:        execute(catalogue.SetRSEAttribute),
	command.TypeDeleteRSEAttribute:     execute(catalogue.DeleteRSEAttribute),
	command.TypeAddProtocol:            execute(catalogue.AddProtocol),
	command.TypeUpdateProtocols:        execute(catalogue.UpdateProtocols),
	command.TypeDeleteProtocols:        execute(catalogue.DeleteProtocols),
	command.TypeSetScopeOwner:          execute(catalogue.SetScopeOwner),
	command.TypeSetDistance:            execute(catalogue.SetDistance),
	command.TypeDeleteDistance:         execute(catalogue.DeleteDistance),
	command.TypeSetRSEUsage:            execute(catalogue.SetRSEUsage),
	command.TypeSetRSELimit:            execute(catalogue.SetRSELimit),
	command.TypeDeleteRSELimit:         execute(catalogue.DeleteRSELimit),
}

// step is one request of a story and what it must come to; the body is compared where want is not "".
type step struct {
	method, path, body string
	status             int
	class, want        string
}

// play runs a story as one account and sees that no view stays open and that a refusal leaves no trace.
func (ts *testServer) play(t *testing.T, account string, steps []step) {
	t.Helper()
	for _, s := range steps {
		writes := ts.store.tx.Writes
		got := ts.do(s.method, s.path, s.body, as(account)).want(t, s.status, s.class)
		if s.want != "" {
			if strings.HasPrefix(got.Header().Get("Content-Type"), "text/html") {
				require.Equal(t, s.want, got.Body.String(), "%s %s", s.method, s.path)
			} else {
				require.JSONEq(t, s.want, got.Body.String(), "%s %s", s.method, s.path)
			}
		}
		if s.status >= 400 {
			require.Equal(t, writes, ts.store.tx.Writes, "%s %s was refused and wrote", s.method, s.path)
		}
		require.Zero(t, ts.store.open.Load(), "%s %s left a view open", s.method, s.path)
	}
}

func TestAccounts(t *testing.T) {
	ts := newTestServer(t, registryExecutors)
	ts.play(t, "root", []step{
		{"POST", "/accounts/joe", `{"type":"USER","email":"j@x"}`, 201, "", "Created"},
		{"POST", "/accounts/joe", `{"type":"USER","email":"j@x"}`, 409, "Duplicate", ""},
		{"POST", "/accounts/ann", `{"type":"service","email":null}`, 201, "", ""},
		{"POST", "/accounts/bad", `{"type":"NOTYPE","email":"x"}`, 400, "InvalidAccountType", ""},
		{"POST", "/accounts/bad", `{"email":"x"}`, 400, "KeyError", ""},
		{"POST", "/accounts/bad", `{"type":"USER"}`, 400, "KeyError", ""},
		{"POST", "/accounts/bad", `{"type":1,"email":"x"}`, 400, "InvalidObject", ""},
		{"POST", "/accounts/bad", `{"type":"USER","email":["x"]}`, 400, "InvalidObject", ""},
		{"POST", "/accounts/bad", `{"type":`, 400, "ValueError", ""},
		{"POST", "/accounts/bad", `[]`, 400, "TypeError", ""},
		{"POST", "/accounts/bad", ``, 400, "ValueError", ""},
		{"POST", "/accounts/CF*BAD", `{"type":"USER","email":"x"}`, 400, "InvalidObject", ""},
		{"POST", "/accounts/" + strings.Repeat("a", 26), `{"type":"USER","email":"x"}`, 400, "InvalidObject", ""},
		{"POST", "/accounts/bad", `{"type":"USER","email":"` + strings.Repeat("x", 256) + `"}`, 400, "InvalidObject", ""},
		{"GET", "/accounts/none", "", 404, "AccountNotFound", ""},
		{"GET", "/accounts/?account=j*", "", 200, "", `{"account":"joe","type":"USER","email":"j@x"}`},
		{"GET", "/accounts?account_type=SERVICE", "", 200, "", `{"account":"ann","type":"SERVICE","email":""}`},
		{"PUT", "/accounts/joe", `{"email":"new@x","status":"SUSPENDED"}`, 200, "", ""},
		{"PUT", "/accounts/joe", `{"status":"NOSTATUS"}`, 400, "ValueError", ""},
		{"PUT", "/accounts/joe", `{"nosuch":"x"}`, 400, "InputValidationError", ""},
		{"PUT", "/accounts/none", `{"status":"ACTIVE"}`, 404, "AccountNotFound", ""},
		{"GET", "/accounts/joe/attr/", "", 404, "AccountNotFound", ""},
		{"PUT", "/accounts/joe", `{"status":"ACTIVE"}`, 200, "", ""},
		{"DELETE", "/accounts/joe", "", 200, "", ""},
		{"DELETE", "/accounts/joe", "", 404, "AccountNotFound", ""},
		{"DELETE", "/accounts/root", "", 404, "AccountNotFound", ""},
		{"POST", "/accounts/joe", `{"type":"USER","email":"j@x"}`, 409, "Duplicate", ""},
		{"GET", "/accounts/?account=j*", "", 200, "", ""},
	})
	joe := ts.do("GET", "/accounts/joe", "").want(t, 200, "").value(t).(map[string]any)
	require.Equal(t, "DELETED", joe["status"])
	require.Equal(t, "new@x", joe["email"])
	require.Nil(t, joe["suspended_at"])
	require.Equal(t, "2026-01-01T10:00:00", joe["deleted_at"])
	require.Equal(t, "ann", ts.do("GET", "/accounts/whoami", "", as("ann")).want(t, 200, "").value(t).(map[string]any)["account"])
	ts.do("GET", "/accounts/joe", "", header("Accept", "text/plain")).want(t, 406, "UnsupportedRequestedContentType")
}

func TestAccountAttributes(t *testing.T) {
	ts := newTestServer(t, registryExecutors)
	ts.play(t, "root", []step{
		{"POST", "/accounts/joe", `{"type":"USER","email":"j@x"}`, 201, "", ""},
		{"POST", "/accounts/joe/attr/admin", `{"key":"admin","value":"True"}`, 201, "", "Created"},
		{"POST", "/accounts/joe/attr/admin", `{"value":"x"}`, 409, "Duplicate", ""},
		{"POST", "/accounts/joe/attr/country-ch", `{"value":"a/b"}`, 201, "", ""},
		{"POST", "/accounts/joe/attr/k", `{}`, 400, "KeyError", ""},
		{"POST", "/accounts/joe/attr/k", `{"value":true}`, 400, "InvalidObject", ""},
		{"POST", "/accounts/joe/attr/k", `{"value":"a b"}`, 400, "InvalidObject", ""},
		{"POST", "/accounts/joe/attr/a%20b", `{"value":"x"}`, 400, "InvalidObject", ""},
		{"POST", "/accounts/none/attr/k", `{"value":"x"}`, 404, "AccountNotFound", ""},
		{"GET", "/accounts/joe/attr/", "", 200, "", `[{"key":"admin","value":true},{"key":"country-ch","value":"a/b"}]`},
		{"GET", "/accounts/joe/attr/admin", "", 200, "", `{"key":"admin","value":true}`},
		{"GET", "/accounts/?country-ch=a/b", "", 200, "", `{"account":"joe","type":"USER","email":"j@x"}`},
		{"DELETE", "/accounts/joe/attr/admin", "", 200, "", ""},
		{"DELETE", "/accounts/joe/attr/admin", "", 404, "AccountNotFound", ""},
		{"GET", "/accounts/none/attr/", "", 404, "AccountNotFound", ""},
	})
	ts.play(t, "joe", []step{
		{"POST", "/accounts/joe/attr/admin", `{"value":"true"}`, 401, "AccessDenied", ""},
		{"DELETE", "/accounts/joe/attr/country-ch", "", 401, "AccessDenied", ""},
		{"POST", "/accounts/ann", `{"type":"USER","email":"x"}`, 401, "AccessDenied", ""},
		{"PUT", "/accounts/joe", `{"email":"x"}`, 401, "AccessDenied", ""},
		{"DELETE", "/accounts/joe", "", 401, "AccessDenied", ""},
		{"POST", "/accounts/joe/scopes/user.joe", "", 401, "AccessDenied", ""},
		{"POST", "/accounts/joe/identities", `{"identity":"j","authtype":"X509","email":"x"}`, 401, "AccessDenied", ""},
		{"POST", "/rses/X", `{}`, 401, "AccessDenied", ""},
	})
}

func TestScopes(t *testing.T) {
	ts := newTestServer(t, registryExecutors)
	ts.play(t, "root", []step{
		{"POST", "/accounts/joe", `{"type":"USER","email":"j@x"}`, 201, "", ""},
		{"GET", "/scopes/", "", 200, "", `[]`},
		{"GET", "/accounts/joe/scopes/", "", 404, "ScopeNotFound", ""},
		{"POST", "/accounts/joe/scopes/user.joe", "", 201, "", "Created"},
		{"POST", "/accounts/joe/scopes/user.joe", "", 409, "Duplicate", ""},
		{"POST", "/accounts/none/scopes/user.none", "", 404, "AccountNotFound", ""},
		{"POST", "/accounts/joe/scopes/bad%21scope", "", 400, "InvalidObject", ""},
		{"POST", "/accounts/joe/scopes/" + strings.Repeat("s", 26), "", 400, "InvalidObject", ""},
		{"POST", "/scopes/joe/data", "", 201, "", "Created"},
		{"GET", "/accounts/joe/scopes/", "", 200, "", `["data","user.joe"]`},
		{"GET", "/accounts/none/scopes/", "", 404, "AccountNotFound", ""},
		{"GET", "/scopes/", "", 200, "", `["data","user.joe"]`},
		{"GET", "/scopes/owner/", "", 200, "", `[{"scope":"data","account":"joe"},{"scope":"user.joe","account":"joe"}]`},
	})
}

func TestIdentities(t *testing.T) {
	ts := newTestServer(t, registryExecutors)
	ts.play(t, "root", []step{
		{"POST", "/accounts/joe", `{"type":"USER","email":"j@x"}`, 201, "", ""},
		{"POST", "/accounts/joe/identities", `{"identity":"j","authtype":"userpass","email":"j@x","password":"pw","default":true}`, 201, "", "Created"},
		{"POST", "/accounts/joe/identities", `{"identity":"j","authtype":"USERPASS","email":"j@x","password":"pw"}`, 409, "Duplicate", ""},
		{"POST", "/accounts/joe/identities", `{"identity":"k","authtype":"USERPASS","email":"j@x"}`, 400, "IdentityError", ""},
		{"POST", "/accounts/joe/identities", `{"identity":"k","authtype":"MAGIC","email":"j@x"}`, 400, "ValueError", ""},
		{"POST", "/accounts/joe/identities", `{"authtype":"X509","email":"j@x"}`, 400, "KeyError", ""},
		{"POST", "/accounts/joe/identities", `{"identity":"k","authtype":"X509"}`, 400, "KeyError", ""},
		{"POST", "/accounts/joe/identities", `{"identity":"k","authtype":"X509","email":"x","default":"maybe"}`, 400, "TypeError", ""},
		{"POST", "/accounts/joe/identities", `{"identity":"","authtype":"X509","email":"x"}`, 400, "InvalidObject", ""},
		{"POST", "/accounts/none/identities", `{"identity":"k","authtype":"X509","email":"x"}`, 404, "AccountNotFound", ""},
		{"POST", "/accounts/joe/identities", `{"identity":"CN=Joe","authtype":"X509","email":"x","default":"1"}`, 201, "", ""},
		{"GET", "/identities/accounts?identity_key=CN%3DJoe&type=x509", "", 200, "", `["joe"]`},
		{"GET", "/identities/accounts?type=x509", "", 400, "ValueError", ""},
		{"GET", "/identities/j/userpass/accounts", "", 200, "", `["joe"]`},
		{"DELETE", "/accounts/joe/identities", `{"identity":"j","authtype":"GSS"}`, 404, "IdentityError", ""},
		{"DELETE", "/accounts/joe/identities", `{"identity":"j"}`, 400, "KeyError", ""},
	})
	require.ElementsMatch(t, []any{
		map[string]any{"type": "USERPASS", "identity": "j", "email": "j@x"},
		map[string]any{"type": "X509", "identity": "CN=Joe", "email": "x"},
	}, ts.do("GET", "/accounts/joe/identities", "").want(t, 200, "").lines(t))

	stored, err := catalogue.GetIdentity(ts.store.tx, catalogue.IdentityUserpass, "j")
	require.NoError(t, err)
	require.NotEqual(t, "pw", stored.PasswordHash, "the password itself is in the store")
	require.True(t, strings.HasPrefix(stored.PasswordHash, "$"), "no PHC string: %s", stored.PasswordHash)

	ts.play(t, "root", []step{
		{"DELETE", "/accounts/joe/identities", `{"identity":"j","authtype":"USERPASS"}`, 200, "", ""},
		{"GET", "/identities/j/userpass/accounts", "", 200, "", `[]`},
		{"GET", "/accounts/none/identities", "", 404, "AccountNotFound", ""},
	})
	ts.do("PUT", "/identities/joe/userpass", "", header("X-Rucio-Username", "u")).want(t, 400, "ValueError")
	ts.do("PUT", "/identities/joe/userpass", "", header("X-Rucio-Username", "u"), header("X-Rucio-Email", "u@x"),
		header("X-Rucio-Password", "pw")).want(t, 201, "")
}

func TestMatchesStars(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"joe", "joe", true},
		{"joe", "joey", false},
		{"*", "", true},
		{"j*", "joe", true},
		{"*e", "joe", true},
		{"j*o*e", "joe", true},
		{"j*x*e", "joe", false},
		{"jo*oe", "joe", false},
		{"", "", true},
		{"", "x", false},
	} {
		require.Equal(t, c.want, matchesStars(c.pattern, c.text), "%q against %q", c.text, c.pattern)
	}
}
