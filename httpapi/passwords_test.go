package httpapi

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

// newPasswordServer is newAuthServer at the newest feature level, with the user anna / secret of the account ann, an admin, and the
// user joes / secret of joe.
func newPasswordServer(t *testing.T, configure ...func(*Config)) *testServer {
	t.Helper()
	all := executors{command.TypeRaiseFeatures: execute(catalogue.RaiseFeatures), command.TypeSetAccountAttribute: execute(catalogue.SetAccountAttribute)}
	for number, run := range authExecutors {
		all[number] = run
	}
	ts := newAuthServer(t, configure...)
	ts.store.commands = all
	ts.commandAs("", command.TypeRaiseFeatures, &command.RaiseFeatures{Level: catalogue.NewestFeatureLevel})
	ts.command(command.TypeAddAccount, &command.AddAccount{Name: "ann", Type: "USER"})
	ts.command(command.TypeSetAccountAttribute, &command.SetAccountAttribute{Account: "ann", Key: "admin", Value: "true"})
	for account, user := range map[string]string{"ann": "anna", "joe": "joes"} {
		ts.command(command.TypeAddIdentity, &command.AddIdentity{Account: account, Type: "USERPASS", Identity: user, PasswordHash: hashOfSecret()})
	}
	return ts
}

// login returns the status of a login, and its token.
func (ts *testServer) loginAs(account, user, secret string) (int, string) {
	got := ts.do("GET", "/auth/userpass", "", credentials(account, user, secret))
	return got.Code, got.Header().Get(headerToken)
}

func TestOwnersChangeTheirPassword(t *testing.T) {
	ts := newPasswordServer(t, func(c *Config) { c.Limits.PasswordLength = 8 })
	_, joe := ts.loginAs("joe", "joes", "secret")
	other := ts.token("joe")
	ts.do("PUT", "/auth/password", `{"current": "wrong", "password": "another one"}`, bearing(joe)).want(t, 401, "CannotAuthenticate")
	ts.do("PUT", "/auth/password", `{"current": "secret", "password": "short"}`, bearing(joe)).want(t, 400, "ValueError")
	ts.do("PUT", "/auth/password", `{"password": "another one"}`, bearing(joe)).want(t, 400, "ValueError")
	ts.do("PUT", "/auth/password", `{"current": "secret"}`, bearing(joe)).want(t, 400, "KeyError")
	ts.do("PUT", "/auth/password", `{"current": "secret", "password": "another one"}`, bearing(joe)).want(t, 200, "")
	status, _ := ts.loginAs("joe", "joes", "secret")
	require.Equal(t, 401, status)
	ts.do("GET", "/auth/validate", "", bearing(joe)).want(t, 401, "CannotAuthenticate")
	ts.do("GET", "/auth/validate", "", bearing(other)).want(t, 200, "")
	status, joe = ts.loginAs("joe", "joes", "another one")
	require.Equal(t, 200, status)
	ts.do("GET", "/auth/validate", "", bearing(joe)).want(t, 200, "")
	require.NotContains(t, ts.logs.String(), "another one")

	// A stolen token does not help to guess.
	for range 20 {
		ts.do("PUT", "/auth/password", `{"current": "guess", "password": "another two"}`, bearing(joe))
	}
	ts.do("PUT", "/auth/password", `{"current": "guess", "password": "another two"}`, bearing(joe)).want(t, 503, "ResourceTemporaryUnavailable")
}

func TestAdminsResetPasswords(t *testing.T) {
	ts := newPasswordServer(t)
	root := ts.token("root")
	_, ann := ts.loginAs("ann", "anna", "secret")
	_, joe := ts.loginAs("joe", "joes", "secret")
	reset := func(user string) string { return `{"identity": "` + user + `", "password": "reset now"}` }
	ts.do("PUT", "/auth/password", reset("anna"), bearing(joe)).want(t, 401, "AccessDenied")
	ts.do("PUT", "/auth/password", reset("joes"), bearing(joe)).want(t, 401, "AccessDenied")
	ts.do("PUT", "/auth/password", reset("nobody"), bearing(ann)).want(t, 404, "IdentityError")
	ts.do("PUT", "/auth/password", reset("ddmlab"), bearing(ann)).want(t, 401, "AccessDenied") // it may act as root
	ts.do("PUT", "/auth/password", reset("joes"), bearing(ann)).want(t, 200, "")
	status, _ := ts.loginAs("joe", "joes", "reset now")
	require.Equal(t, 200, status)
	ts.do("PUT", "/auth/password", reset("anna"), bearing(root)).want(t, 200, "")
}

// An identity that exists is not granted with another password, which would have been ignored.
func TestGrantsKeepPasswords(t *testing.T) {
	ts := newPasswordServer(t, func(c *Config) { c.Limits.PasswordLength = 6 })
	grant := func(identity, secret string) string {
		return `{"identity": "` + identity + `", "authtype": "USERPASS", "email": "", "password": "` + secret + `"}`
	}
	root := bearing(ts.token("root"))
	ts.do("POST", "/accounts/ann/identities", grant("joes", "another"), root).want(t, 409, "Duplicate")
	ts.do("POST", "/accounts/ann/identities", grant("joes", "secret"), root).want(t, 201, "")
	ts.do("POST", "/accounts/root/identities", `{"identity": "joes", "authtype": "USERPASS", "email": ""}`, root).want(t, 201, "")
	ts.do("POST", "/accounts/ann/identities", grant("joes", "secret"), root).want(t, 409, "Duplicate")
	ts.do("POST", "/accounts/ann/identities", grant("x", "1"), root).want(t, 400, "ValueError")
	ts.do("POST", "/accounts/ann/identities", grant("xxxxxx", "xxxxxx"), root).want(t, 400, "ValueError")
	ts.do("POST", "/accounts/ann/identities", grant("x", "123456"), root).want(t, 201, "")
	status, _ := ts.loginAs("ann", "joes", "secret")
	require.Equal(t, 200, status)
}

func TestSigningKeysRotate(t *testing.T) {
	ts := newPasswordServer(t)
	before := ts.token("root")
	old := bearing(before)
	made := ts.do("POST", "/cluster/signing-keys", "", old).want(t, 201, "").value(t).(map[string]any)["id"].(string)
	fresh := ts.token("root")
	ts.do("GET", "/auth/validate", "", old).want(t, 200, "")
	keys := ts.do("GET", "/cluster/signing-keys", "", bearing(fresh)).want(t, 200, "").value(t).([]any)
	require.Len(t, keys, 2)
	require.Equal(t, []any{"k1", false}, []any{keys[0].(map[string]any)["id"], keys[0].(map[string]any)["signs"]})
	require.Equal(t, []any{made, true}, []any{keys[1].(map[string]any)["id"], keys[1].(map[string]any)["signs"]})
	ts.do("DELETE", "/cluster/signing-keys/"+made, "", bearing(fresh)).want(t, 409, "UnsupportedOperation")
	ts.do("DELETE", "/cluster/signing-keys/none", "", bearing(fresh)).want(t, 404, "KeyNotFound")
	ts.do("DELETE", "/cluster/signing-keys/k1", "", bearing(fresh)).want(t, 200, "")
	ts.do("GET", "/auth/validate", "", old).want(t, 401, "CannotAuthenticate")
	ts.do("GET", "/auth/validate", "", bearing(fresh)).want(t, 200, "")

	// Whoever has the deleted key makes no tokens with it.
	_, joe := ts.loginAs("joe", "joes", "secret")
	ts.do("POST", "/cluster/signing-keys", "", bearing(joe)).want(t, 401, "AccessDenied")
	ts.do("GET", "/cluster/signing-keys", "", bearing(joe)).want(t, 401, "AccessDenied")
	ts.do("DELETE", "/cluster/signing-keys/k1", "", bearing(joe)).want(t, 401, "AccessDenied")
}
