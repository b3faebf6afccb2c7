package httpapi

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// A client that reaches a trusted proxy may add headers of its own. Only one verdict and one subject, in the documented
// headers, name a certificate's holder.
func TestProxyHeadersOfAClient(t *testing.T) {
	ts := newAuthServer(t, func(c *Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	ts.command(command.TypeAddIdentity, &command.AddIdentity{Account: "joe", Type: "X509", Identity: "/CN=joe"})
	ts.command(command.TypeAddIdentity, &command.AddIdentity{Account: "joe", Type: "X509", Identity: "/CN=other"})
	type headers map[string][]string
	for what, tt := range map[string]struct {
		headers headers
		status  int
	}{
		"the documented set":            {headers{"X-Ssl-Client-Verify": {"SUCCESS"}, "X-Ssl-Client-S-Dn": {"/CN=joe"}}, 200},
		"no verdict":                    {headers{"X-Ssl-Client-S-Dn": {"/CN=joe"}}, 401},
		"an empty verdict":              {headers{"X-Ssl-Client-Verify": {""}, "X-Ssl-Client-S-Dn": {"/CN=joe"}}, 401},
		"not verified":                  {headers{"X-Ssl-Client-Verify": {"NONE"}, "X-Ssl-Client-S-Dn": {"/CN=joe"}}, 401},
		"another verdict after it":      {headers{"X-Ssl-Client-Verify": {"SUCCESS", "NONE"}, "X-Ssl-Client-S-Dn": {"/CN=joe"}}, 401},
		"another verdict before it":     {headers{"X-Ssl-Client-Verify": {"NONE", "SUCCESS"}, "X-Ssl-Client-S-Dn": {"/CN=joe"}}, 401},
		"the same verdict twice":        {headers{"X-Ssl-Client-Verify": {"SUCCESS", "SUCCESS"}, "X-Ssl-Client-S-Dn": {"/CN=joe"}}, 401},
		"two verdicts in one":           {headers{"X-Ssl-Client-Verify": {"SUCCESS, NONE"}, "X-Ssl-Client-S-Dn": {"/CN=joe"}}, 401},
		"two subjects":                  {headers{"X-Ssl-Client-Verify": {"SUCCESS"}, "X-Ssl-Client-S-Dn": {"/CN=joe", "/CN=other"}}, 401},
		"the same subject twice":        {headers{"X-Ssl-Client-Verify": {"SUCCESS"}, "X-Ssl-Client-S-Dn": {"/CN=joe", "/CN=joe"}}, 401},
		"no subject":                    {headers{"X-Ssl-Client-Verify": {"SUCCESS"}}, 401},
		"an empty subject":              {headers{"X-Ssl-Client-Verify": {"SUCCESS"}, "X-Ssl-Client-S-Dn": {""}}, 401},
		"a verdict in another header":   {headers{"Ssl-Client-Verify": {"SUCCESS"}, "X-Ssl-Client-S-Dn": {"/CN=joe"}}, 401},
		"a subject in another header":   {headers{"X-Ssl-Client-Verify": {"SUCCESS"}, "Ssl-Client-S-Dn": {"/CN=joe"}}, 401},
		"a subject with underscores":    {headers{"X-Ssl-Client-Verify": {"SUCCESS"}, "Ssl_client_s_dn": {"/CN=joe"}}, 401},
		"undocumented headers alone":    {headers{"Ssl-Client-Verify": {"SUCCESS"}, "Ssl-Client-S-Dn": {"/CN=joe"}}, 401},
		"others do not replace the set": {headers{"X-Ssl-Client-Verify": {"SUCCESS"}, "X-Ssl-Client-S-Dn": {"/CN=joe"}, "Ssl-Client-S-Dn": {"/CN=other"}}, 200},
	} {
		t.Run(what, func(t *testing.T) {
			got := ts.do("GET", "/auth/x509", "", func(r *http.Request) {
				r.RemoteAddr = "10.1.2.3:4"
				for name, values := range tt.headers {
					r.Header[name] = values
				}
			})
			require.Equal(t, tt.status, got.Code, got.Body)
			if tt.status != 200 {
				require.Empty(t, got.Header().Get(headerToken))
			}
		})
	}
}
