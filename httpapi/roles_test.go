package httpapi

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

// roleSet is a set of roles; a larger one is part of those before it.
type roleSet int

// role is somebody who makes requests.
type role struct {
	name    string
	account string // whose token is shown
	// rank is the smallest set that has the role; everybody for a token that is refused everywhere.
	rank roleSet
	// token changes the account's token.
	token func(token string) string
}

func sameToken(token string) string { return token }

// roles are those who ask. The last four have tokens that stand.
var roles = []role{
	{"no token", "root", everybody, func(string) string { return "" }},
	{"no token but text", "root", everybody, func(string) string { return "root" }},
	{"forged token", "ann", everybody, func(token string) string { return forged(token, "ann", "root") }},
	{"expired token", "late", everybody, sameToken},
	{"revoked token", "out", everybody, sameToken},
	{"suspended account", "idle", everybody, sameToken},
	{"deleted account", "gone", everybody, sameToken},
	{"plain account", "joe", anyAccount, sameToken},
	{"owner", "ann", scopeOwners, sameToken},
	{"admin", "adm", adminsOnly, sameToken},
	{"root", "root", rootOnly, sameToken},
}

// forged returns a token whose account is replaced, under the signature of before.
func forged(token, from, to string) string {
	parts := strings.Split(token, ".")
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		panic(err)
	}
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(claims), `"`+from+`"`, `"`+to+`"`, 1)))
	return strings.Join(parts, ".")
}

// statusOf is what a request is answered that nothing but the role can refuse, where that is not 2xx.
var statusOf = map[string]int{
	"GET /auth/userpass": 401, "GET /auth/x509": 401, "GET /auth/x509/webui": 401, "GET /auth/x509_proxy": 401, // without credentials
	"GET /replicas/:scope": 400, // a name is missing
	"POST /dids/resurrect": 404, // nothing has ended
	"GET /dids/:guid/guid": 404, // nobody has it
	"GET /dids/new":        404, // as Rucio answers it
	// No protocol has such a host, or port 0.
	"PUT /rses/:rse/protocols/:scheme": 404, "PUT /rses/:rse/protocols/:scheme/:hostname": 404,
}

// newRoleServer has what the rows name, and every command.
func newRoleServer(t *testing.T) *testServer {
	t.Helper()
	all := executors{
		command.TypeAddJoinToken: execute(catalogue.AddJoinToken), command.TypeSetSetting: execute(catalogue.SetSetting), command.TypeResurrectDIDs: execute(catalogue.ResurrectDIDs),
	}
	for _, some := range []executors{registryExecutors, replicaCommands(), authExecutors, didExecutors} {
		maps.Copy(all, some)
	}
	ts := newTestServer(t, all, func(c *Config) { c.Limits.LoginFailures = 1000 })
	ts.command(command.TypeGenesis, &command.Genesis{
		Schema: catalogue.SchemaVersion, Features: catalogue.NewestFeatureLevel,
		ClusterId: testCluster[:], RootIdentity: "ddmlab", RootPassword: hashOfSecret(), KeyId: "k1", KeySeed: make([]byte, 32),
	})
	ts.command(command.TypeRotateSigningKey, &command.RotateSigningKey{Id: "k0", Seed: []byte("00000000000000000000000000000001")})
	ts.command(command.TypeRotateSigningKey, &command.RotateSigningKey{Id: "k2", Seed: []byte("00000000000000000000000000000002")})
	ts.cluster.digests.Store(uint64(7), "digest")
	for _, name := range []string{"joe", "ann", "adm", "late", "out", "idle", "gone"} {
		ts.command(command.TypeAddAccount, &command.AddAccount{Name: name, Type: "USER"})
		ts.command(command.TypeAddIdentity, &command.AddIdentity{Account: name, Type: "X509", Identity: "/CN=" + name})
	}
	ts.command(command.TypeAddIdentity, &command.AddIdentity{Account: "ann", Type: "USERPASS", Identity: "anns", PasswordHash: hashOfSecret()})
	ts.command(command.TypeSetAccountAttribute, &command.SetAccountAttribute{Account: "adm", Key: "admin", Value: "true"})
	for _, step := range [][2]string{
		{"/accounts/ann/scopes/own", ""},
		{"/accounts/root/scopes/mock", ""},
		{"/rses/DISK", "{}"},
		{"/rses/EMPTY", "{}"},
		{"/rses/CERN_SCRATCHDISK", "{}"},
		{"/rses/DISK/attr/site", `{"value": "X"}`},
		{"/rses/DISK/protocols/davs", roleProtocol},
		{"/rses/DISK/distances/EMPTY", `{"distance": 3}`},
		{"/replicas", `{"rse": "DISK", "files": [{"scope": "own", "name": "f", "bytes": 1}, {"scope": "own", "name": "g", "bytes": 1}]}`},
		{"/dids/own/set", `{"type": "DATASET", "dids": [{"scope": "own", "name": "f"}], "meta": {"own": "x"}}`},
		{"/dids/own/closed", `{"type": "DATASET"}`},
	} {
		ts.do("POST", step[0], step[1]).want(t, 201, "")
	}
	ts.do("PUT", "/dids/own/closed/status", `{"open": false}`).want(t, 200, "")
	ts.do("PUT", "/rses/DISK/limits", `{"name": "Max", "value": 1}`).want(t, 200, "")
	return ts
}

// roleTokens gives every role its token and then takes back what some stand on.
func (ts *testServer) roleTokens(t *testing.T) map[string]string {
	t.Helper()
	tokens := map[string]string{}
	for _, r := range roles {
		v, err := ts.reader.View()
		require.NoError(t, err)
		identity := &catalogue.Identity{Type: catalogue.IdentityX509, Name: "/CN=" + r.account}
		if r.account == "root" {
			identity = &catalogue.Identity{Type: catalogue.IdentityUserpass, Name: "ddmlab"}
		}
		ts.tokens.now = time.Now
		if r.account == "late" {
			ts.tokens.now = func() time.Time { return time.Now().Add(-2 * time.Hour) }
		}
		token, _, err := ts.tokens.issue(v, r.account, identity)
		v.Close()
		require.NoError(t, err)
		tokens[r.name] = r.token(token)
	}
	ts.tokens.now = time.Now
	suspended := "SUSPENDED"
	ts.command(command.TypeRevokeAccountTokens, &command.RevokeAccountTokens{Account: "out", Before: endOfTime})
	ts.command(command.TypeUpdateAccount, &command.UpdateAccount{Name: "idle", Status: &suspended})
	ts.command(command.TypeDeleteAccount, &command.DeleteAccount{Name: "gone"})
	return tokens
}

// TestRoles makes the request of every row in every role, each in the same catalogue, and requires that the row's roles and no others
// get what they ask for.
func TestRoles(t *testing.T) {
	ts := newRoleServer(t)
	tokens := ts.roleTokens(t)
	ts.authenticator = ts.tokens
	base := ts.store.tx
	for _, row := range roleRows {
		for _, r := range roles {
			ts.store.tx = base.Clone()
			ts.store.advance(ts.store.index + 1)
			got := ts.do(row.method, row.target, row.body, header(headerToken, tokens[r.name]), userpassHeaders(row))
			assert.NoError(t, row.check(r, got), "%s %s as %s: %s", row.method, row.target, r.name, got.Body)
		}
	}
}

// userpassHeaders names the identity that PUT /identities/:account/userpass is about.
func userpassHeaders(row roleRow) option {
	return func(r *http.Request) {
		if row.method == put && row.path == "/identities/:account/userpass" {
			r.Header.Set("X-Rucio-Username", "newcomer")
			r.Header.Set("X-Rucio-Password", "long enough")
			r.Header.Set("X-Rucio-Email", "a@b.c")
		}
	}
}

// check compares an answer with what the row says of the role.
func (row roleRow) check(r role, got answer) error {
	class, want := "", row.wantedStatus()
	switch {
	case row.may != everybody && r.rank == everybody:
		class, want = "CannotAuthenticate", 401
	case r.rank < row.may:
		class, want = "AccessDenied", 401
	case want/100 == 2 && got.Code/100 == 2:
		return nil
	case want == got.Code:
		return nil
	}
	if got.Code != want || got.class() != class {
		return fmt.Errorf("got %d %s, the table wants %d %s (%s)", got.Code, got.class(), want, class, row.policy)
	}
	return nil
}

func (row roleRow) wantedStatus() int {
	if status, ok := statusOf[row.method+" "+row.path]; ok {
		return status
	}
	return 200
}

// TestRolesHaveEveryRoute compares the rows with the table of routes, both ways.
func TestRolesHaveEveryRoute(t *testing.T) {
	ts := newTestServer(t, nil)
	rows := map[string]roleSet{}
	for _, row := range roleRows {
		name := row.method + " " + row.path
		if before, found := rows[name]; !found || row.may < before {
			rows[name] = row.may
		}
		require.NotEmpty(t, row.policy, "%s: say in policy where the rule is from", name)
	}
	for _, r := range ts.routes() {
		if r.access == unserved {
			continue
		}
		name := r.method + " " + r.path
		may, found := rows[name]
		require.True(t, found, "%s is in the table of routes and not in roleRows (rolerows_test.go): add a row with a request that "+
			"succeeds in the catalogue of newRoleServer, who may make it, and where the rule is from", name)
		require.Equal(t, r.access == public, may == everybody, "%s: whether it needs a token", name)
		delete(rows, name)
	}
	require.Empty(t, rows, "in roleRows (rolerows_test.go) and not served: take them out")
}

// Routes of Rucio that are not served say so to everybody, and tell nobody more.
func TestUnservedRoutesHaveNoRoles(t *testing.T) {
	ts := newTestServer(t, nil)
	variable := strings.NewReplacer(":", "x", "*", "x")
	for _, r := range ts.routes() {
		if r.access == unserved {
			ts.do(r.method, variable.Replace(r.path), "", header(headerToken, "")).want(t, 404, "UnsupportedOperation")
		}
	}
}
