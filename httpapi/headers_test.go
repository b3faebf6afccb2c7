package httpapi

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func TestHeadersForBrowsers(t *testing.T) {
	ts := newTestServer(t, nil)
	for _, path := range []string{"/", "/ping", "/docs", "/metrics", "/readyz", "/none", "/rules/x", "/accounts/whoami"} {
		got := ts.do("GET", path, "", header("Accept", "text/html, */*"), header(headerToken, ""))
		require.Equal(t, "nosniff", got.Header().Get("X-Content-Type-Options"), path)
		require.Empty(t, got.Header().Get("Strict-Transport-Security"), "%s over plain HTTP", path)
	}
	for _, path := range []string{"/", "/docs"} {
		got := ts.do("GET", path, "", header("Accept", "text/html"))
		require.Contains(t, got.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
		require.Equal(t, "DENY", got.Header().Get("X-Frame-Options"), path)
		require.Equal(t, "no-referrer", got.Header().Get("Referrer-Policy"), path)
	}
	secured := newTLSServer(t)
	require.Equal(t, "max-age=31536000", secured.get(t, "/ping", nil).Header.Get("Strict-Transport-Security"))
}

// fault is an error of another layer that names addresses.
type addressFault struct{ error }

func (addressFault) Code() command.Code { return command.CodeNoLeader }

// Nobody learns from a failure where the nodes listen for each other; their names stay.
func TestFailuresNameNoAddresses(t *testing.T) {
	ts := newTestServer(t, nil)
	said := "the leader node2 cannot be reached: call to 10.0.0.2:7080: dial tcp [fd00::7]:7080: lookup node2.example.org:7080 on 10.0.0.53: refused after 12s"
	ts.store.fault = addressFault{errors.New(said)}
	ts.cluster.notReady = errors.New(said)
	for _, request := range [][2]string{{"GET", "/readyz"}, {"GET", "/scopes"}, {"POST", "/accounts/joe/scopes/s"}} {
		got := ts.do(request[0], request[1], "").want(t, 503, "ResourceTemporaryUnavailable")
		for _, text := range []string{got.Body.String(), got.raw(headerMessage)} {
			require.Contains(t, text, "the leader node2 cannot be reached", request)
			require.NotRegexp(t, `10\.0|fd00|7080|example`, text, request)
		}
	}
	require.Equal(t, "no leader: 1 of 3 voters reachable (node2, node3 unreachable for 12s); retry", withoutAddresses("no leader: 1 of 3 voters reachable (node2, node3 unreachable for 12s); retry"))
}
