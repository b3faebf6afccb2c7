package httpapi

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

func newSettingsServer(t *testing.T, features uint32) *testServer {
	t.Helper()
	ts := newTestServer(t, executors{
		command.TypeGenesis: execute(catalogue.Genesis), command.TypeSetSetting: execute(catalogue.SetSetting),
		command.TypeAddAccount: execute(catalogue.AddAccount),
	})
	ts.command(command.TypeGenesis, &command.Genesis{
		ClusterId: testCluster[:], RootIdentity: "ddmlab", RootPassword: "$hash", KeyId: "k", KeySeed: make([]byte, 32),
		Schema: catalogue.SchemaVersion, Features: features,
	})
	return ts
}

func TestSettings(t *testing.T) {
	ts := newSettingsServer(t, catalogue.NewestFeatureLevel)
	const path = "/cluster/settings/name-schema"
	require.Equal(t, map[string]any{"name-schema": nil}, ts.do("GET", path, "").want(t, 200, "").value(t))
	ts.do("PUT", path, `{"value": "generic"}`).want(t, 200, "")
	require.Equal(t, map[string]any{"name-schema": "generic"}, ts.do("GET", path, "").want(t, 200, "").value(t))
	require.Equal(t, map[string]any{"name-schema": "generic"}, ts.do("GET", "/cluster/settings", "").want(t, 200, "").value(t))
	ts.do("DELETE", path, "").want(t, 200, "")
	require.Equal(t, map[string]any{}, ts.do("GET", "/cluster/settings", "").want(t, 200, "").value(t))

	ts.do("PUT", path, `{"value": "none"}`).want(t, 400, "ValueError")
	ts.do("PUT", path, `{"value": ""}`).want(t, 400, "ValueError")
	ts.do("PUT", path, `{}`).want(t, 400, "KeyError")
	ts.do("GET", "/cluster/settings/none", "").want(t, 400, "ValueError")
	ts.do("POST", "/accounts/joe", `{"type": "USER", "email": ""}`).want(t, 201, "")
	ts.do("PUT", path, `{"value": "generic"}`, as("joe")).want(t, 401, "AccessDenied")
}

// A member of an earlier version would stop at the command.
func TestSettingsWaitForTheFeatureLevel(t *testing.T) {
	ts := newSettingsServer(t, 0)
	refused := ts.do("PUT", "/cluster/settings/name-schema", `{"value": "generic"}`).want(t, 503, "ResourceTemporaryUnavailable")
	require.Contains(t, refused.Body.String(), "feature level 1")
}
