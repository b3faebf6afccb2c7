package httpapi

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

// newLevelServer is newReplicaServer with metadata, identities and settings of the cluster, at the newest feature level.
func newLevelServer(t *testing.T) *testServer {
	t.Helper()
	ts := newReplicaServer(t)
	for kind, run := range (executors{
		command.TypeUpdateRSE: execute(catalogue.UpdateRSE), command.TypeSetSetting: execute(catalogue.SetSetting),
		command.TypeAddIdentity: execute(catalogue.AddIdentity), command.TypeDeleteIdentity: execute(catalogue.DeleteIdentity),
		command.TypeUpdateAccount: execute(catalogue.UpdateAccount), command.TypeAddAccount: execute(catalogue.AddAccount),
		command.TypeAddDIDs: execute(catalogue.AddDIDs), command.TypeSetDIDStatus: execute(catalogue.SetDIDStatus),
		command.TypeRaiseFeatures: func(tx catalogue.Tx, at catalogue.Stamp, payload []byte) ([]byte, error) {
			at.Issuer = ""
			return execute(catalogue.RaiseFeatures)(tx, at, payload)
		},
	}) {
		ts.store.commands[kind] = run
	}
	ts.command(command.TypeRaiseFeatures, &command.RaiseFeatures{Level: catalogue.NewestFeatureLevel})
	return ts
}

const (
	listA     = `{"dids": [{"scope": "s", "name": "a"}]`
	algorithm = "/rses/ONE/attr/lfn2pfn_algorithm"
)

// fixedValues is the inventory of what requests say out of a fixed list: an unknown value of each, how it is refused, and a part of
// the list that the refusal has.
//
// What is not here is free: quality-of-service classes, reasons, the names of usage sources and limits, attributes other than
// lfn2pfn_algorithm (naming_convention decides nothing here), the schemes that protocols are added with, and parameters that do
// not exist, which are ignored as Rucio does. GET /rses/<rse>/protocols ignores its parameters, as Rucio does too.
var fixedValues = [...]struct {
	method, path, body string
	status             int
	class              string
	value, list        string
}{
	// RSEs.
	{"POST", "/rses/NEW", `{"lfn2pfn_algorithm": "no_such"}`, 400, "ValueError", "no_such", "hash, identity"},
	{"POST", algorithm, `{"value": "no_such"}`, 400, "ValueError", "no_such", "hash, identity"},
	{"POST", algorithm, `{"value": "Hash"}`, 400, "ValueError", "Hash", "hash, identity"},
	{"POST", "/rses/NEW", `{"rse_type": "FLOPPY"}`, 400, "InvalidObject", "FLOPPY", "DISK, TAPE"},
	{"PUT", "/rses/ONE", `{"rse_type": "disk"}`, 400, "InvalidObject", "disk", "DISK, TAPE"},
	{"PUT", "/rses/ONE", `{"availability": 9}`, 400, "InvalidObject", "availability", "7"},
	{"POST", "/rses/ONE/protocols/x", `{"impl": "x.y.Z", "domains": {"WAN": {"read": 1}}}`, 404, "RSEProtocolDomainNotSupported", "WAN", "lan, wan"},
	{
		"POST", "/rses/ONE/protocols/x", `{"impl": "x.y.Z", "domains": {"wan": {"list": 1}}}`, 400, "ValueError",
		"list", "read, write, delete, third_party_copy_read, third_party_copy_write",
	},
	{"GET", "/rses/ONE/lfns2pfns?lfn=s:a&operation=list", "", 400, "ValueError", "list", "read, write, delete"},
	{"GET", "/rses/ONE/lfns2pfns?lfn=s:a&domain=WAN", "", 404, "RSEProtocolDomainNotSupported", "WAN", "lan, wan"},
	{"GET", "/rses/ONE/lfns2pfns?lfn=s:a&scheme=davs,nosuch", "", 400, "ValueError", "nosuch", "davs"},
	{"GET", "/rses/ONE/usage?per_account=maybe", "", 400, "TypeError", "maybe", "true or false"},
	// Lists of replicas.
	{"POST", "/replicas/list", listA + `, "domain": "WAN"}`, 400, "ValueError", "WAN", "wan, lan, all or null"},
	{"POST", "/replicas/list", listA + `, "domain": "both"}`, 400, "ValueError", "both", "wan, lan, all or null"},
	{"POST", "/replicas/list", listA + `, "domain": ""}`, 400, "ValueError", "''", "wan, lan, all or null"},
	{"POST", "/replicas/list", listA + `, "sort": "nosuch"}`, 400, "SortingAlgorithmNotSupported", "nosuch", "'geoip', 'custom_table'"},
	{"POST", "/replicas/list?select=nosuch&sort=geoip", listA + "}", 400, "SortingAlgorithmNotSupported", "nosuch", "'geoip'"},
	{"POST", "/replicas/list?sort=geoip", listA + `, "sort": "nosuch"}`, 400, "SortingAlgorithmNotSupported", "nosuch", "'geoip'"},
	{"GET", "/replicas/s/a?select=nosuch", "", 404, "SortingAlgorithmNotSupported", "nosuch", "'geoip'"},
	{"GET", "/replicas/s/a?schemes=nosuch", "", 400, "ValueError", "nosuch", "davs"},
	{"POST", "/replicas/list", listA + `, "schemes": ["root", "DAVS"]}`, 400, "ValueError", "DAVS", "davs"},
	{"POST", "/replicas/list", listA + `, "schemes": "nosuch"}`, 400, "ValueError", "nosuch", "root"},
	{"POST", "/replicas/list", listA + `, "all_states": "maybe"}`, 400, "TypeError", "maybe", "true or false"},
	{"POST", "/replicas/list", `{"dids": [{"scope": "s", "name": "a", "type": "file"}]}`, 400, "InvalidObject", "file", "DATASET, CONTAINER, FILE, F"},
	{"GET", "/replicas/s/a?limit=few", "", 400, "ValueError", "few", "whole number"},
	{"GET", "/replicas/s/a?consistency=strong", "", 400, "ValueError", "strong", "local, session, bounded or linearizable"},
	{"GET", "/replicas/s/ds/datasets?deep=maybe", "", 400, "ValueError", "maybe", "true or false"},
	// States and types of replicas and DIDs.
	{"POST", "/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "n", "bytes": 1, "state": "X"}]}`, 400, "InvalidObject", "X", "'A', 'U'"},
	{"POST", "/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "n", "bytes": 1, "type": "X"}]}`, 400, "InvalidObject", "X", "DATASET"},
	{"POST", "/replicas?on_error=skip", `{"rse": "ONE", "files": []}`, 400, "ValueError", "skip", "fail or report"},
	{"PUT", "/replicas", `{"rse": "ONE", "files": [{"scope": "s", "name": "a", "state": "a"}]}`, 400, "InvalidObject", "'a'", "'A', 'U'"},
	{"POST", "/replicas/bad/pfns", `{"pfns": [], "state": "BROKEN"}`, 400, "ValueError", "BROKEN", "BAD, SUSPICIOUS or TEMPORARY_UNAVAILABLE"},
	{"GET", "/replicas/bad/states?state=X", "", 400, "ValueError", "X", "B, D, L, R, S, T"},
	{"GET", "/replicas/bad/states?list_pfns=maybe", "", 400, "TypeError", "maybe", "true or false"},
	{"POST", "/dids", `[{"scope": "s", "name": "ds", "type": "SET"}]`, 400, "InvalidObject", "SET", "DATASET, CONTAINER"},
	{"POST", "/dids/s/ds", `{"type": "SET"}`, 400, "InvalidObject", "SET", "DATASET, CONTAINER"},
	{"POST", "/dids/s/ds/dids", `{"dids": [{"scope": "s", "name": "a", "type": "X"}]}`, 400, "InvalidObject", "X", "DATASET, CONTAINER, FILE, F"},
	{"POST", "/dids/s/ds/dids", `{"rse": "ONE", "dids": [{"scope": "s", "name": "n", "bytes": 1, "state": "X"}]}`, 400, "InvalidObject", "X", "A, U, C, B, D, T"},
	{"GET", "/dids/s/a?dynamic_depth=x", "", 400, "ValueError", "X", "FILE, DATASET"},
	{"GET", "/dids/s/a?dynamic=maybe", "", 400, "TypeError", "maybe", "true or false"},
	{"GET", "/dids/s/a/files?long=maybe", "", 400, "TypeError", "maybe", "true or false"},
	{"GET", "/dids/s/?recursive=maybe", "", 400, "TypeError", "maybe", "true or false"},
	{"GET", "/dids/s/dids/search?type=set", "", 409, "UnsupportedOperation", "set", "all, collection, container, dataset, file"},
	{"GET", "/dids/s/dids/search?limit=few", "", 400, "ValueError", "few", "whole number"},
	{"GET", "/dids/s/a/meta?plugin=MINE", "", 400, "UnsupportedMetadataPlugin", "MINE", "DID_COLUMN, JSON and ALL"},
	{"POST", "/dids/bulkmeta", `{"dids": [], "plugin": "MINE"}`, 400, "UnsupportedMetadataPlugin", "MINE", "DID_COLUMN, JSON and ALL"},
	{"PUT", "/dids/s/ds/status", `{"closed": true}`, 409, "UnsupportedStatus", "closed", "open"},
	// Accounts and identities.
	{"POST", "/accounts/new", `{"type": "ROBOT", "email": ""}`, 400, "InvalidAccountType", "ROBOT", "'USER', 'GROUP', 'SERVICE'"},
	{"PUT", "/accounts/joe", `{"status": "BORED"}`, 400, "ValueError", "BORED", "ACTIVE, SUSPENDED, DELETED"},
	{"PUT", "/accounts/joe", `{"account_type": "ROBOT"}`, 400, "InvalidAccountType", "ROBOT", "'USER', 'GROUP', 'SERVICE'"},
	{"GET", "/accounts?account_type=ROBOT", "", 400, "InvalidAccountType", "ROBOT", "'USER', 'GROUP', 'SERVICE'"},
	{"POST", "/accounts/joe/identities", `{"identity": "j", "authtype": "FACE", "email": "e"}`, 400, "ValueError", "FACE", "X509, GSS, USERPASS, SSH, SAML, OIDC"},
	{"DELETE", "/accounts/joe/identities", `{"identity": "j", "authtype": "FACE"}`, 400, "ValueError", "FACE", "X509, GSS, USERPASS"},
	{"GET", "/identities/j/FACE/accounts", "", 400, "ValueError", "FACE", "X509, GSS, USERPASS"},
	{"GET", "/identities/accounts?identity_key=j&type=FACE", "", 400, "ValueError", "FACE", "X509, GSS, USERPASS"},
	// The cluster.
	{"GET", "/changes?kind=repl&follow=false&since=0", "", 400, "ValueError", "repl", "replica, replica.added"},
	{"GET", "/changes?follow=maybe", "", 400, "TypeError", "maybe", "true or false"},
	{"PUT", "/cluster/settings/name-schema", `{"value": "none"}`, 400, "ValueError", "none", "generic"},
	{"PUT", "/cluster/settings/default-path-algorithm", `{"value": "none"}`, 400, "ValueError", "none", "hash, identity"},
	{"PUT", "/cluster/settings/path-algorithm/mine", `{"value": "{nam}/{name}"}`, 400, "ValueError", "{nam}", "scope, scope_path, name, md5"},
	{"PUT", "/cluster/settings/no-such", `{"value": "x"}`, 400, "ValueError", "no-such", "name-schema, path-algorithm/"},
}

func TestUnknownValuesAreRefused(t *testing.T) {
	ts := newLevelServer(t)
	for _, c := range fixedValues {
		request := c.method + " " + c.path + " " + c.body
		got := ts.do(c.method, c.path, c.body)
		require.Equal(t, c.status, got.Code, "%s: %s", request, got.Body)
		message := got.want(t, c.status, c.class).value(t).(map[string]any)["ExceptionMessage"]
		require.Contains(t, message, c.value, request)
		require.Contains(t, message, c.list, request)
	}
}

// The values that are in the lists are taken as ever.
func TestKnownValuesAreTaken(t *testing.T) {
	ts := newLevelServer(t)
	for _, path := range []string{
		"/replicas/s/a?schemes=srm,root", "/replicas/s/a?select=random", "/replicas/bad/states?list_pfns=False", "/replicas/bad/states?list_pfns=True",
		"/replicas/bad/states?state=B", "/dids/s/a/files?long", "/dids/s/a/files?long=True", "/dids/s/a/files?long=0", "/dids/s/a?dynamic", "/dids/s/a?dynamic=false",
		"/dids/s/a?dynamic_depth=dataset", "/accounts?account_type=user", "/changes?kind=replica,did.added&since=0&follow=false", "/replicas/s/a?nosuch=x",
	} {
		ts.do("GET", path, "").want(t, 200, "")
	}
	for _, body := range []string{`, "domain": null}`, `, "domain": "all"}`, `, "sort": null}`, `, "schemes": ["s3"]}`, `, "schemes": null}`} {
		ts.do("POST", "/replicas/list", listA+body).want(t, 200, "")
	}
	// A scheme is known once a protocol has it.
	ts.do("POST", "/replicas/list", listA+`, "schemes": ["mine"]}`).want(t, 400, "ValueError")
	ts.do("POST", "/rses/TWO/protocols/mine", `{"impl": "x.y.Z", "hostname": "h", "domains": {"wan": {"read": 1}}}`).want(t, 201, "")
	ts.do("POST", "/replicas/list", listA+`, "schemes": ["mine"]}`).want(t, 200, "")

	long := func(query string) bool {
		return strings.Contains(ts.do("GET", "/dids/s/a/files"+query, "").want(t, 200, "").Body.String(), "lumiblocknr")
	}
	require.True(t, long("?long"))
	require.False(t, long("?long=False"))
}

// A template makes the paths of RSEs, from one file to the whole list.
func TestPathAlgorithmsByConfiguration(t *testing.T) {
	ts := newLevelServer(t)
	const setting = "/cluster/settings/path-algorithm/mine"
	ts.do("PUT", setting, `{"value": "{scope}/{name/[0]}/{name}"}`).want(t, 200, "")
	ts.do("POST", "/rses/NEW", `{"lfn2pfn_algorithm": "mine"}`).want(t, 201, "")
	ts.do("POST", "/rses/NEW/protocols/davs", `{"impl": "rucio.rse.protocols.gfal.Default", "hostname": "h", "port": 1, "prefix": "/p",
		"domains": {"wan": {"read": 1, "write": 1}}}`).want(t, 201, "")
	require.Equal(t, "mine", ts.do("GET", "/rses/NEW", "").want(t, 200, "").value(t).(map[string]any)["lfn2pfn_algorithm"])
	const pfn = "davs://h:1/p/s/dir/dir/b"
	require.Equal(t, map[string]any{"s:dir/b": pfn}, ts.do("GET", "/rses/NEW/lfns2pfns?lfn=s:dir/b", "").want(t, 200, "").value(t))
	add := func(pfn string) answer {
		return ts.do("POST", "/replicas", `{"rse": "NEW", "files": [{"scope": "s", "name": "dir/b", "bytes": 6, "pfn": "`+pfn+`"}]}`)
	}
	add("davs://h:1/p/s/dir/b").want(t, 400, "InvalidPath")
	add(pfn).want(t, 201, "")
	require.Equal(t, []string{pfn}, ts.pfns(`{"dids": [{"scope": "s", "name": "dir/b"}], "rse_expression": "NEW"}`)["dir/b"])
	found := ts.do("POST", "/replicas/dids", `{"rse": null, "pfns": ["`+pfn+`"]}`).want(t, 200, "").lines(t)
	require.Equal(t, []any{map[string]any{pfn: map[string]any{"scope": "s", "name": "dir/b"}}}, found)

	require.Contains(t, ts.do("DELETE", setting, "").want(t, 409, "UnsupportedOperation").Body.String(), "NEW")
	require.Contains(t, ts.do("PUT", setting, `{"value": "{scope}/{name}"}`).want(t, 409, "UnsupportedOperation").Body.String(), "NEW")
	require.Contains(t, ts.do("PUT", "/cluster/settings/default-path-algorithm", `{"value": "mine"}`).want(t, 409, "UnsupportedOperation").Body.String(), "ONE, TWO")
	require.Contains(t, ts.do("POST", algorithm, `{"value": "x"}`).want(t, 400, "ValueError").Body.String(), "hash, identity, mine")
}
