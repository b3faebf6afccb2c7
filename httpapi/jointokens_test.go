package httpapi

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

func newJoinTokenServer(t *testing.T, features uint32) *testServer {
	t.Helper()
	ts := newTestServer(t, executors{
		command.TypeGenesis: execute(catalogue.Genesis), command.TypeAddJoinToken: execute(catalogue.AddJoinToken),
		command.TypeAddAccount: execute(catalogue.AddAccount),
	})
	ts.command(command.TypeGenesis, &command.Genesis{
		ClusterId: testCluster[:], RootIdentity: "ddmlab", RootPassword: "$hash", KeyId: "k", KeySeed: make([]byte, 32),
		Schema: catalogue.SchemaVersion, Features: features,
	})
	return ts
}

func TestJoinTokens(t *testing.T) {
	ts := newJoinTokenServer(t, catalogue.NewestFeatureLevel)
	answer, _ := ts.do("POST", "/cluster/join-tokens", `{"lifetime": 60}`).want(t, 201, "").value(t).(map[string]any)
	token, _ := answer["token"].(string)
	require.Len(t, token, 43)
	answer, _ = ts.do("POST", "/cluster/join-tokens", `{"digest": "`+strings.Repeat("ab", 32)+`"}`).want(t, 201, "").value(t).(map[string]any)
	require.NotContains(t, answer, "token")
	v, err := ts.reader.View()
	require.NoError(t, err)
	sum := sha256.Sum256([]byte(token))
	checked := catalogue.CheckJoinToken(v, sum[:], "d@1", 0)
	v.Close()
	require.NoError(t, checked)

	ts.do("POST", "/cluster/join-tokens", `{"lifetime": 100000000}`).want(t, 400, "InvalidObject")
	ts.do("POST", "/cluster/join-tokens", `{"lifetime": 0}`).want(t, 400, "ValueError")
	ts.do("POST", "/cluster/join-tokens", `{"digest": "ab"}`).want(t, 400, "ValueError")
	ts.do("POST", "/accounts/joe", `{"type": "USER", "email": ""}`).want(t, 201, "")
	ts.do("POST", "/cluster/join-tokens", `{}`, as("joe")).want(t, 401, "AccessDenied")
}

// A member of an earlier version would stop at the command.
func TestJoinTokensWaitForTheFeatureLevel(t *testing.T) {
	ts := newJoinTokenServer(t, 1)
	ts.do("POST", "/cluster/join-tokens", `{}`).want(t, 503, "ResourceTemporaryUnavailable")
}
