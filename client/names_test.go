package client_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/client"
	"dapple/internal/testcluster"
	"dapple/node"
)

// clients are one client for each node of a cluster, asked in turn.
type clients struct {
	all  []*client.Client
	next int
}

func (c *clients) turn() *client.Client {
	c.next++
	return c.all[c.next%len(c.all)]
}

// TestNamesOfSchemas registers, lists, finds by PFN and declares bad what generic names do not allow, from node to node: names
// with leading slashes, with #, + and ~, and RSEs with small letters.
func TestNamesOfSchemas(t *testing.T) {
	cluster := testcluster.Start(t, 3, func(cfg *node.Config) { cfg.NameSchema = "cms" })
	c := &clients{}
	for _, url := range cluster.URLs() {
		one, err := client.New(client.Config{URLs: []string{url}, User: testcluster.User, Password: testcluster.Password, Account: "root"})
		require.NoError(t, err)
		defer one.Close()
		c.all = append(c.all, one.Reading(client.Reads{Level: client.Linearizable}))
	}
	const block = "/SingleMuon/Run2018A-v1/RAW#b9f42eb0-0b0d"
	c.try(t, "cms", "T2_CH_CERN_Disk", block, "/store/data/Run2018A/a.root")
	require.ErrorIs(t, c.turn().AddRSE(t.Context(), "ONE", client.RSESettings{}), client.ErrInvalid)
	require.ErrorIs(t, c.turn().AddDID(t.Context(), client.DIDName{Scope: "cms", Name: "/a/b/RAW"}, "DATASET"), client.ErrInvalid)

	for schema, names := range map[string][3]string{
		"belleii": {"Napoli-TMP-SE", "/belle/MC/set", "/belle/MC/release-06/e1003+x/mdst_000001.root"},
		"icecube": {"WIPAC", "/data/exp/set#1", "/data/exp/2024/Level2#1/a#2.i3"},
		"lsst":    {"SLAC_DISK", "raw/set~1", "raw/2024-01-01/a+b~c_d.fits"},
		"generic": {"SITE_DISK", "set", "/a/b.c"},
	} {
		setNameSchema(t, cluster, schema)
		c.try(t, schema, names[0], names[1], names[2])
		// Names of the other schemas stay.
		children, err := all(c.turn().ListContent(t.Context(), client.DIDName{Scope: "cms", Name: block}))
		require.NoError(t, err)
		require.Len(t, children, 1)
	}
}

// try does with a file what may be done with it. Each step is asked of another node.
func (c *clients) try(t *testing.T, scope, rse, dataset, file string) {
	t.Helper()
	ctx := t.Context()
	set, name := client.DIDName{Scope: scope, Name: dataset}, client.DIDName{Scope: scope, Name: file}
	require.NoError(t, c.turn().AddScope(ctx, "root", scope))
	require.NoError(t, c.turn().AddRSE(ctx, rse, client.RSESettings{}))
	on := client.Priorities{Read: 1, Write: 1, Delete: 1}
	require.NoError(t, c.turn().AddProtocol(ctx, rse, client.Protocol{
		Scheme: "davs", Hostname: strings.ToLower(rse) + ".example", Port: 443, Prefix: "/x/", Impl: "rucio.rse.protocols.gfal.Default", LAN: on, WAN: on,
	}))
	require.NoError(t, c.turn().AddReplicas(ctx, rse, []client.NewFile{{Scope: scope, Name: file, Bytes: 1}}))
	require.NoError(t, c.turn().AddDID(ctx, set, "DATASET"))
	require.NoError(t, c.turn().Attach(ctx, set, []client.DIDName{name}))
	require.NoError(t, c.turn().SetMetadata(ctx, name, map[string]any{"project": "p"}))
	meta, err := c.turn().Metadata(ctx, name)
	require.NoError(t, err)
	require.Equal(t, file, meta["name"])
	parents, err := all(c.turn().ListContent(ctx, set))
	require.NoError(t, err)
	require.Len(t, parents, 1)

	listed, err := all(c.turn().ListReplicas(ctx, client.ReplicaQuery{DIDs: []client.DIDName{set}, RSEs: rse}))
	require.NoError(t, err)
	require.Len(t, listed, 1)
	pfns := listed[0].RSEs[rse]
	require.Len(t, pfns, 1)
	require.True(t, strings.HasSuffix(pfns[0], file), pfns[0])
	dids, err := all(c.turn().DIDsOfPFNs(ctx, pfns))
	require.NoError(t, err)
	require.Equal(t, []map[string]client.DIDName{{pfns[0]: name}}, dids)
	not, err := c.turn().DeclareBad(ctx, pfns, "broken")
	require.NoError(t, err)
	require.Empty(t, not)
	found, err := all(c.turn().Exists(ctx, []client.DIDName{name}, ""))
	require.NoError(t, err)
	require.True(t, found[0].Exists)
	require.Empty(t, found[0].RSEs, "its replica is bad")
}

// setNameSchema changes the setting as root. Apply decides what names fit, so that no node has to hear of it first.
func setNameSchema(t *testing.T, cluster *testcluster.Cluster, schema string) {
	t.Helper()
	url := cluster.URLs()[0]
	login := request(t, http.MethodGet, url+"/auth/userpass", "", map[string]string{
		"X-Rucio-Account": "root", "X-Rucio-Username": testcluster.User, "X-Rucio-Password": testcluster.Password,
	})
	token := map[string]string{"X-Rucio-Auth-Token": login.Get("X-Rucio-Auth-Token")}
	request(t, http.MethodPut, url+"/cluster/settings/name-schema", `{"value": "`+schema+`"}`, token)
}

func request(t *testing.T, method, url, body string, headers map[string]string) http.Header {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, url, bytes.NewReader([]byte(body)))
	require.NoError(t, err)
	for key, value := range headers {
		r.Header.Set(key, value)
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode, url)
	return response.Header
}
