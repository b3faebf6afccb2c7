package httpapi

// roleRow is a request and who may make it. The request must be one that succeeds in the catalogue of newRoleServer.
type roleRow struct {
	method, path string // as in the table of routes
	target       string // the path of the request, with its query
	body         string
	may          roleSet
	// policy says where the rule is from: a function of Rucio's rucio/core/permission/generic.py, or why the rule is ours.
	policy string
}

// Who may make a request. Each set has those after it: root may do everything that needs a token.
const (
	everybody   roleSet = iota // with a bad token too
	anyAccount                 // with a token that stands
	scopeOwners                // the account that owns the scope, or the account itself
	adminsOnly                 // accounts with the attribute admin
	rootOnly
)

// Reasons for rules that are not Rucio's.
const (
	noPermission = "Rucio asks for a token alone"
	ownRoute     = "Dapple's own: "
	preflight    = "what browsers ask before a request has no token"
)

// roleRows has every route. Where a rule depends on what is named, a route has more rows.
var roleRows = []roleRow{
	{get, "/", "/", "", everybody, ownRoute + "names nothing but the node and the version"},
	{get, "/ping", "/ping", "", everybody, noPermission + " for nothing here"},
	{get, "/healthz", "/healthz", "", everybody, ownRoute + "probes have no token"},
	{get, "/readyz", "/readyz", "", everybody, ownRoute + "probes have no token"},
	{get, "/metrics", "/metrics", "", everybody, ownRoute + "Prometheus has no token; see docs/security.md"},
	{get, "/openapi.json", "/openapi.json", "", everybody, ownRoute + "a description"},
	{get, "/docs", "/docs", "", everybody, ownRoute + "a description"},
	{get, "/cluster/status", "/cluster/status", "", adminsOnly, ownRoute + "shows addresses"},
	{get, "/cluster/digest", "/cluster/digest?index=7", "", adminsOnly, ownRoute + "costs a scan on each node"},
	{post, "/cluster/join-tokens", "/cluster/join-tokens", `{"lifetime": 60}`, rootOnly, ownRoute + "lets a node in, which then has all data"},
	{get, "/cluster/settings", "/cluster/settings", "", anyAccount, ownRoute + "rules that clients follow"},
	{get, "/cluster/settings/*setting", "/cluster/settings/name-schema", "", anyAccount, ownRoute + "rules that clients follow"},
	{put, "/cluster/settings/*setting", "/cluster/settings/name-schema", `{"value": "generic"}`, rootOnly, "perm_config lets admins too; here a setting changes what apply does on all nodes"},
	{remove, "/cluster/settings/*setting", "/cluster/settings/name-schema", "", rootOnly, "perm_config lets admins too; here a setting changes what apply does on all nodes"},

	{options, "/auth/userpass", "/auth/userpass", "", everybody, preflight},
	{options, "/auth/x509", "/auth/x509", "", everybody, preflight},
	{options, "/auth/x509/webui", "/auth/x509/webui", "", everybody, preflight},
	{options, "/auth/x509_proxy", "/auth/x509_proxy", "", everybody, preflight},
	{options, "/auth/validate", "/auth/validate", "", everybody, preflight},
	{options, "/auth/revoke", "/auth/revoke", "", everybody, preflight},
	{get, "/auth/userpass", "/auth/userpass", "", everybody, "the headers of the request log in"},
	{get, "/auth/x509", "/auth/x509", "", everybody, "the certificate of the request logs in"},
	{get, "/auth/x509/webui", "/auth/x509/webui", "", everybody, "the certificate of the request logs in"},
	{get, "/auth/x509_proxy", "/auth/x509_proxy", "", everybody, "the certificate of the request logs in"},
	{get, "/auth/validate", "/auth/validate", "", anyAccount, noPermission},
	{post, "/auth/revoke", "/auth/revoke", `{"account": "ann"}`, scopeOwners, ownRoute + "one's own tokens, or as admin"},

	{put, "/auth/password", "/auth/password", `{"identity": "anns", "password": "long enough"}`, adminsOnly, ownRoute + "a reset; one's own needs the present password"},
	{get, "/cluster/signing-keys", "/cluster/signing-keys", "", rootOnly, ownRoute + "who may forge tokens"},
	{post, "/cluster/signing-keys", "/cluster/signing-keys", "", rootOnly, ownRoute + "who may forge tokens"},
	{remove, "/cluster/signing-keys/:key", "/cluster/signing-keys/k0", "", rootOnly, ownRoute + "who may forge tokens"},

	{get, "/accounts", "/accounts", "", anyAccount, noPermission},
	{get, "/accounts/whoami", "/accounts/whoami", "", anyAccount, noPermission},
	{get, "/accounts/:account", "/accounts/ann", "", anyAccount, noPermission},
	{post, "/accounts/:account", "/accounts/new", `{"type": "USER", "email": ""}`, rootOnly, "perm_add_account"},
	{put, "/accounts/:account", "/accounts/ann", `{"email": "x@y.z"}`, adminsOnly, "perm_update_account"},
	{remove, "/accounts/:account", "/accounts/ann", "", rootOnly, "perm_del_account"},
	{get, "/accounts/:account/attr", "/accounts/ann/attr", "", anyAccount, noPermission},
	{get, "/accounts/:account/attr/:key", "/accounts/adm/attr/admin", "", anyAccount, noPermission},
	{post, "/accounts/:account/attr/:key", "/accounts/ann/attr/admin", `{"value": "true"}`, adminsOnly, "perm_add_account_attribute"},
	{remove, "/accounts/:account/attr/:key", "/accounts/adm/attr/admin", "", adminsOnly, "perm_del_account_attribute"},
	{get, "/accounts/:account/identities", "/accounts/ann/identities", "", anyAccount, noPermission},
	{
		post, "/accounts/:account/identities", "/accounts/root/identities", `{"identity": "/CN=new", "authtype": "X509", "email": ""}`,
		adminsOnly, "perm_add_account_identity",
	},
	{
		remove, "/accounts/:account/identities", "/accounts/ann/identities", `{"identity": "/CN=ann", "authtype": "X509"}`,
		adminsOnly, "perm_del_account_identity",
	},
	{get, "/identities/accounts", "/identities/accounts?identity_key=/CN=ann&type=x509", "", anyAccount, noPermission},
	{get, "/identities/:identity/:type/accounts", "/identities/ann/userpass/accounts", "", anyAccount, noPermission},
	{put, "/identities/:account/userpass", "/identities/ann/userpass", "", adminsOnly, "perm_add_account_identity"},

	{get, "/accounts/:account/scopes", "/accounts/ann/scopes", "", anyAccount, noPermission},
	{post, "/accounts/:account/scopes/:scope", "/accounts/ann/scopes/new", "", adminsOnly, "perm_add_scope"},
	{get, "/scopes", "/scopes", "", anyAccount, noPermission},
	{get, "/scopes/owner", "/scopes/owner", "", anyAccount, noPermission},
	{get, "/scopes/:account/scopes", "/scopes/ann/scopes", "", anyAccount, noPermission},
	{post, "/scopes/:account/:scope", "/scopes/ann/new", "", adminsOnly, "perm_add_scope"},
	{put, "/scopes/:account/:scope", "/scopes/joe/own", "", scopeOwners, "perm_update_scope"},

	{get, "/rses", "/rses", "", anyAccount, noPermission},
	{get, "/rses/:rse", "/rses/DISK", "", anyAccount, noPermission},
	{post, "/rses/:rse", "/rses/NEW", "{}", adminsOnly, "perm_add_rse"},
	{put, "/rses/:rse", "/rses/DISK", `{"availability_write": false}`, adminsOnly, "perm_update_rse"},
	{remove, "/rses/:rse", "/rses/EMPTY", "", adminsOnly, "perm_del_rse"},
	{get, "/rses/:rse/attr", "/rses/DISK/attr", "", anyAccount, noPermission},
	{get, "/rses/:rse/attr/:key", "/rses/DISK/attr/DISK", "", anyAccount, noPermission},
	{post, "/rses/:rse/attr/:key", "/rses/DISK/attr/tier", `{"value": "2"}`, adminsOnly, "perm_add_rse_attribute"},
	{remove, "/rses/:rse/attr/:key", "/rses/DISK/attr/site", "", adminsOnly, "perm_del_rse_attribute"},
	{get, "/rses/:rse/usage", "/rses/DISK/usage", "", anyAccount, noPermission},
	{put, "/rses/:rse/usage", "/rses/DISK/usage", `{"source": "storage", "used": 1}`, rootOnly, "perm_set_rse_usage"},
	{get, "/rses/:rse/usage/history", "/rses/DISK/usage/history", "", anyAccount, noPermission},
	{get, "/rses/:rse/limits", "/rses/DISK/limits", "", anyAccount, noPermission},
	{put, "/rses/:rse/limits", "/rses/DISK/limits", `{"name": "MinFreeSpace", "value": 2}`, adminsOnly, "perm_set_rse_limits"},
	{remove, "/rses/:rse/limits", "/rses/DISK/limits", `{"name": "Max"}`, adminsOnly, "perm_set_rse_limits"},
	{get, "/rses/:rse/distances/:destination", "/rses/DISK/distances/EMPTY", "", anyAccount, noPermission},
	{post, "/rses/:rse/distances/:destination", "/rses/EMPTY/distances/DISK", `{"distance": 1}`, adminsOnly, "perm_default"},
	{put, "/rses/:rse/distances/:destination", "/rses/DISK/distances/EMPTY", `{"distance": 2}`, adminsOnly, "perm_default"},
	{remove, "/rses/:rse/distances/:destination", "/rses/DISK/distances/EMPTY", "", adminsOnly, "perm_default"},
	{get, "/rses/:rse/protocols", "/rses/DISK/protocols", "", anyAccount, noPermission},
	{get, "/rses/:rse/protocols/:scheme", "/rses/DISK/protocols/davs", "", anyAccount, noPermission},
	{post, "/rses/:rse/protocols/:scheme", "/rses/DISK/protocols/root", roleProtocol, adminsOnly, "perm_add_protocol"},
	{put, "/rses/:rse/protocols/:scheme", "/rses/DISK/protocols/davs", `{"impl": "x"}`, adminsOnly, "perm_update_protocol"},
	{put, "/rses/:rse/protocols/:scheme/:hostname", "/rses/DISK/protocols/davs/h", `{"impl": "x"}`, adminsOnly, "perm_update_protocol"},
	{put, "/rses/:rse/protocols/:scheme/:hostname/:port", "/rses/DISK/protocols/davs/h/1", `{"impl": "x"}`, adminsOnly, "perm_update_protocol"},
	{remove, "/rses/:rse/protocols/:scheme", "/rses/DISK/protocols/davs", "", adminsOnly, "perm_del_protocol"},
	{remove, "/rses/:rse/protocols/:scheme/:hostname", "/rses/DISK/protocols/davs/h", "", adminsOnly, "perm_del_protocol"},
	{remove, "/rses/:rse/protocols/:scheme/:hostname/:port", "/rses/DISK/protocols/davs/h/1", "", adminsOnly, "perm_del_protocol"},
	{get, "/rses/:rse/lfns2pfns", "/rses/DISK/lfns2pfns?lfn=own:f", "", anyAccount, noPermission},

	{post, "/dids", "/dids", `[{"scope": "own", "name": "new", "type": "DATASET"}]`, scopeOwners, "perm_add_dids"},
	{post, "/dids", "/dids", `[{"scope": "mock", "name": "new", "type": "DATASET"}]`, anyAccount, "perm_add_did; the scope mock is open, as in Rucio"},
	{post, "/dids/attachments", "/dids/attachments", `[{"scope": "own", "name": "set", "dids": [{"scope": "own", "name": "g"}]}]`, scopeOwners, "perm_attach_dids_to_dids"},
	{post, "/dids/bulkfiles", "/dids/bulkfiles", `{"dids": [{"scope": "own", "name": "set"}]}`, anyAccount, noPermission},
	{post, "/dids/bulkmeta", "/dids/bulkmeta", `{"dids": [{"scope": "own", "name": "set"}]}`, anyAccount, noPermission},
	{post, "/dids/bulkdidsmeta", "/dids/bulkdidsmeta", `{"dids": [{"scope": "own", "name": "set", "meta": {"k": "v"}}]}`, scopeOwners, "perm_set_metadata_bulk"},
	{post, "/dids/resurrect", "/dids/resurrect", `[{"scope": "own", "name": "set"}]`, adminsOnly, "perm_resurrect"},
	{get, "/dids/:scope", "/dids/own", "", anyAccount, noPermission},
	{get, "/dids/new", "/dids/new", "", anyAccount, noPermission},
	{get, "/dids/:guid/guid", "/dids/00000000000000000000000000000000/guid", "", anyAccount, noPermission},
	{get, "/dids/:scope/dids/search", "/dids/own/dids/search?type=all&name=x", "", anyAccount, noPermission},
	{get, "/dids/:scope/*name", "/dids/own/set", "", anyAccount, noPermission},
	{post, "/dids/:scope/*name", "/dids/own/new", `{"type": "DATASET"}`, scopeOwners, "perm_add_did"},
	{post, "/dids/:scope/*name", "/dids/mock/new", `{"type": "DATASET"}`, anyAccount, "perm_add_did; the scope mock is open, as in Rucio"},
	{get, "/dids/:scope/*name/status", "/dids/own/set/status", "", anyAccount, noPermission},
	{put, "/dids/:scope/*name/status", "/dids/own/set/status", `{"open": false}`, scopeOwners, "perm_set_status"},
	{put, "/dids/:scope/*name/status", "/dids/own/closed/status", `{"open": true}`, adminsOnly, "perm_set_status; owners may not open again"},
	{get, "/dids/:scope/*name/dids", "/dids/own/set/dids", "", anyAccount, noPermission},
	{post, "/dids/:scope/*name/dids", "/dids/own/set/dids", `{"dids": [{"scope": "own", "name": "g"}]}`, scopeOwners, "perm_attach_dids"},
	{remove, "/dids/:scope/*name/dids", "/dids/own/set/dids", `{"dids": [{"scope": "own", "name": "f"}]}`, scopeOwners, "perm_detach_dids"},
	{get, "/dids/:scope/*name/dids/history", "/dids/own/set/dids/history", "", anyAccount, noPermission},
	{get, "/dids/:scope/*name/files", "/dids/own/set/files", "", anyAccount, noPermission},
	{get, "/dids/:scope/*name/parents", "/dids/own/f/parents", "", anyAccount, noPermission},
	{get, "/dids/:scope/*name/meta", "/dids/own/set/meta", "", anyAccount, noPermission},
	{post, "/dids/:scope/*name/meta", "/dids/own/set/meta", `{"meta": {"k": "v"}}`, scopeOwners, "perm_set_metadata_bulk"},
	{put, "/dids/:scope/*name/meta", "/dids/own/set/meta", `{"meta": {"k": "v"}}`, scopeOwners, "perm_set_metadata_bulk"},
	{remove, "/dids/:scope/*name/meta", "/dids/own/set/meta?key=own", "", scopeOwners, "perm_set_metadata; Rucio asks for a token alone, so that anybody could delete"},
	{post, "/dids/:scope/*name/meta/:key", "/dids/own/set/meta/k", `{"value": "v"}`, scopeOwners, "perm_set_metadata"},
	{get, "/dids/:scope/*name/rules", "/dids/own/set/rules", "", anyAccount, noPermission},
	{get, "/dids/:scope/*name/associated_rules", "/dids/own/f/associated_rules", "", anyAccount, noPermission},
	{get, "/archives/:scope/*name/files", "/archives/own/f/files", "", anyAccount, noPermission},

	{post, "/replicas", "/replicas", `{"rse": "DISK", "files": [{"scope": "own", "name": "n", "bytes": 1}]}`, adminsOnly, "perm_add_replicas"},
	{post, "/replicas", "/replicas", `{"rse": "CERN_SCRATCHDISK", "files": [{"scope": "mock", "name": "n", "bytes": 1}]}`, anyAccount, "perm_add_replicas; RSEs of such names are open, as in Rucio"},
	{put, "/replicas", "/replicas", `{"rse": "DISK", "files": [{"scope": "own", "name": "f", "state": "U"}]}`, adminsOnly, "perm_update_replicas_states"},
	{remove, "/replicas", "/replicas", `{"rse": "DISK", "files": [{"scope": "own", "name": "g"}]}`, adminsOnly, "perm_delete_replicas lets nobody; somebody must be able to, and no daemon does it here"},
	{post, "/replicas/list", "/replicas/list", `{"dids": [{"scope": "own", "name": "f"}]}`, anyAccount, noPermission},
	{post, "/replicas/exists", "/replicas/exists", `{"dids": [{"scope": "own", "name": "f"}]}`, anyAccount, ownRoute + "a read like POST /replicas/list"},
	{post, "/replicas/dids", "/replicas/dids", `{"rse": "DISK", "pfns": []}`, anyAccount, noPermission},
	{post, "/replicas/getdidsfromreplicas", "/replicas/getdidsfromreplicas", `{"rse": "DISK", "pfns": []}`, anyAccount, noPermission},
	{post, "/replicas/bad", "/replicas/bad", `{"replicas": [{"scope": "own", "name": "f", "rse": "DISK"}], "reason": "x"}`, rootOnly, "perm_declare_bad_file_replicas"},
	{post, "/replicas/badreplicas", "/replicas/badreplicas", `{"replicas": [{"scope": "own", "name": "f", "rse": "DISK"}], "reason": "x"}`, rootOnly, "perm_declare_bad_file_replicas"},
	{get, "/replicas/bad/states", "/replicas/bad/states", "", anyAccount, noPermission},
	{get, "/replicas/bad/summary", "/replicas/bad/summary", "", anyAccount, noPermission},
	{post, "/replicas/bad/pfns", "/replicas/bad/pfns", `{"pfns": ["davs://h:1/p/x"], "state": "BAD", "reason": "x"}`, rootOnly, "perm_add_bad_pfns"},
	{post, "/replicas/bad/dids", "/replicas/bad/dids", `{"rse": "DISK", "dids": [{"scope": "own", "name": "f"}], "reason": "x"}`, rootOnly, "perm_declare_bad_file_replicas"},
	{post, "/replicas/suspicious", "/replicas/suspicious", `{"pfns": ["davs://h:1/p/x"], "reason": "x"}`, anyAccount, "perm_declare_suspicious_file_replicas"},
	{get, "/replicas/suspicious", "/replicas/suspicious", "", anyAccount, noPermission},
	{post, "/replicas/tombstone", "/replicas/tombstone", `{"replicas": [{"rse": "DISK", "scope": "own", "name": "f"}]}`, adminsOnly, "perm_default"},
	{post, "/replicas/quarantine", "/replicas/quarantine", `{"rse": "DISK", "replicas": [{"path": "/p/x"}]}`, adminsOnly, "perm_default"},
	{post, "/replicas/datasets_bulk", "/replicas/datasets_bulk", `{"dids": [{"scope": "own", "name": "set"}]}`, anyAccount, noPermission},
	{get, "/replicas/rse/:rse", "/replicas/rse/DISK", "", anyAccount, noPermission},
	{get, "/replicas/:scope", "/replicas/own", "", anyAccount, noPermission},
	{get, "/replicas/:scope/*name", "/replicas/own/f", "", anyAccount, noPermission},
	{get, "/replicas/:scope/*name/datasets", "/replicas/own/set/datasets", "", anyAccount, noPermission},
	{get, "/replicas/:scope/*name/datasets_vp", "/replicas/own/set/datasets_vp", "", anyAccount, noPermission},

	{get, "/changes", "/changes?follow=false", "", anyAccount, ownRoute + "shows what reads show"},
}

const roleProtocol = `{"hostname": "h", "port": 1, "prefix": "/p", "impl": "x", "domains": {"wan": {"read": 1, "write": 1}}}`
