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

// TestNamesByFeatureLevel registers files with names that are no generic ones. Below feature level 1 the node refuses them, since
// apply would not; from level 1 on apply decides, by the schema of the cluster.
func TestNamesByFeatureLevel(t *testing.T) {
	for features, taken := range map[uint32]int{0: 400, catalogue.NewestFeatureLevel: 201} {
		ts := newTestServer(t, replicaCommands())
		g := &command.Genesis{
			ClusterId: testCluster[:], RootIdentity: "ddmlab", RootPassword: "$hash", KeyId: "k", KeySeed: make([]byte, 32),
			Schema: catalogue.SchemaVersion, Features: features,
		}
		if features > 0 {
			g.Settings = []*command.Setting{{Name: catalogue.SettingNameSchema, Value: "lsst"}}
		}
		ts.command(command.TypeGenesis, g)
		ts.do("POST", "/accounts/root/scopes/s", "").want(t, 201, "")
		ts.do("POST", "/rses/ONE", "{}").want(t, 201, "")
		for name, status := range map[string]int{"a+b~c": taken, "plain": 201, "a b": 400, "": 400, `a\u0000`: 400} {
			file := `{"scope": "s", "name": "` + name + `", "bytes": 1}`
			class := map[int]string{400: "InvalidObject"}[status]
			ts.do("POST", "/replicas", `{"rse": "ONE", "files": [`+file+`]}`).want(t, status, class)
			if status == 400 && features == 0 {
				ts.do("POST", "/dids/attachments", `[{"scope": "s", "name": "set", "rse": "ONE", "dids": [`+file+`]}]`).want(t, status, class)
			}
		}
	}
}
