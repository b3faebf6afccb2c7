package httpapi

import (
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// unservedPaths are the routes that Rucio has beside those served here. They stand in the table so that none of them is taken for
// the name of a DID, and so that clients learn that it is the server that lacks them and not the item.
var unservedPaths = [...]struct{ methods, path string }{
	{"GET", "/auth/gss"},
	{"GET", "/auth/ssh"},
	{"GET", "/auth/ssh_challenge_token"},
	{"GET", "/auth/oidc"},
	{"GET", "/auth/oidc_code"},
	{"GET", "/auth/oidc_redirect"},
	{"GET", "/auth/oidc_refresh"},
	{"GET", "/auth/saml"},

	{"GET POST DELETE", "/accounts/:account/limits"},
	{"GET POST DELETE", "/accounts/:account/limits/:rse"},
	{"GET POST DELETE", "/accounts/:account/limits/:kind/:rse"},
	{"GET", "/accounts/:account/rules"},
	{"GET", "/accounts/:account/usage"},
	{"GET", "/accounts/:account/usage/:rse"},
	{"GET", "/accounts/:account/usage/:kind/:rse"},
	{"PUT", "/identities/:account/gss"},
	{"PUT", "/identities/:account/x509"},

	{"GET POST DELETE", "/dids/:scope/*name/follow"},
	{"POST", "/dids/:scope/:name/:output_scope/:output_name/:files/sample"},
	{"POST", "/dids/sample"},

	{"GET", "/rses/:rse/accounts/usage"},
	{"GET", "/rses/:rse/qos_policy"},
	{"POST DELETE", "/rses/:rse/qos_policy/:policy"},
}

// unservedResources are Rucio's resources of which nothing is served here.
var unservedResources = [...]string{
	"accountlimits", "config", "credentials", "dirac", "export", "heartbeats", "import", "lifetime_exceptions", "locks",
	"meta_conventions", "nongrid_traces", "opendata", "redirect", "requests", "rules", "subscriptions", "traces", "vos",
}

// withUnserved appends to the rows served those of Rucio's that are not.
func withUnserved(served []route) []route {
	rows := slices.Clone(served)
	add := func(method, path string) {
		if !slices.ContainsFunc(served, func(r route) bool { return r.method == method && r.path == path }) {
			rows = append(rows, route{method, path, notServed, unserved})
		}
	}
	for _, row := range unservedPaths {
		for method := range strings.FieldsSeq(row.methods) {
			add(method, row.path)
		}
	}
	for _, resource := range unservedResources {
		for _, method := range [...]string{get, post, put, remove} {
			add(method, "/"+resource)
			add(method, "/"+resource+"/*rest")
		}
	}
	return rows
}

// notServed stands where a row needs a handler: dispatch answers unserved routes itself.
func notServed(*gin.Context) {}

// errNotServed is the answer at a path that Rucio serves and this program does not.
func errNotServed(c *gin.Context) error {
	return catalogue.Errorf(command.CodeNotServed, "%s %s is part of Rucio's API and not served here: this is a catalogue of replicas alone",
		c.Request.Method, routeOf(c))
}
