package httpapi

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"dapple/command"
)

// signed is a certificate with its key.
type signed struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// sign makes a certificate; without a signer it signs itself.
func sign(t *testing.T, by *signed, subject pkix.Name, change func(*x509.Certificate)) *signed {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &signed{cert, key}
}

func authority(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
}

func proxy(c *x509.Certificate) {
	c.ExtraExtensions = []pkix.Extension{{Id: proxyInfo, Critical: true, Value: []byte{0x30, 0x0c, 0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 21, 1}}}
}

// name makes a subject of DC and CN parts in that order.
func name(cns ...string) (n pkix.Name) {
	n.ExtraNames = append(n.ExtraNames, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}, Value: "ch"})
	for _, cn := range cns {
		n.ExtraNames = append(n.ExtraNames, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: cn})
	}
	return n
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func (s *signed) write(t *testing.T, cert, key string) {
	t.Helper()
	writePEM(t, cert, "CERTIFICATE", s.cert.Raw)
	der, err := x509.MarshalECPrivateKey(s.key)
	require.NoError(t, err)
	writePEM(t, key, "EC PRIVATE KEY", der)
}

// tlsServer is a server behind HTTPS with an authority of its own.
type tlsServer struct {
	*testServer
	authority *signed
	files     TLSFiles
	url       string
}

func newTLSServer(t *testing.T) *tlsServer {
	t.Helper()
	dir := t.TempDir()
	s := &tlsServer{
		authority: sign(t, nil, name("CA"), authority),
		files:     TLSFiles{Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key"), ClientCA: filepath.Join(dir, "ca")},
	}
	sign(t, s.authority, name("server"), nil).write(t, s.files.Cert, s.files.Key)
	writePEM(t, s.files.ClientCA, "CERTIFICATE", s.authority.cert.Raw)
	s.testServer = newAuthServer(t, func(c *Config) { c.TLS = &s.files })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
		require.NoError(t, <-served)
	})
	s.url = "https://" + listener.Addr().String()
	return s
}

// get asks with a certificate chain, none for nil.
func (s *tlsServer) get(t *testing.T, path string, headers map[string]string, chain ...*signed) *http.Response {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(s.authority.cert)
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if len(chain) > 0 {
		cert := tls.Certificate{PrivateKey: chain[0].key}
		for _, c := range chain {
			cert.Certificate = append(cert.Certificate, c.cert.Raw)
		}
		// Whatever authorities the server names: another client would show it all the same.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	require.NoError(t, err)
	for key, value := range headers {
		request.Header.Set(key, value)
	}
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response
}

func TestX509Login(t *testing.T) {
	s := newTLSServer(t)
	s.command(command.TypeAddIdentity, &command.AddIdentity{Account: "joe", Type: "X509", Identity: "/DC=ch/CN=users/CN=joe"})
	s.command(command.TypeAddIdentity, &command.AddIdentity{Account: "joe", Type: "X509", Identity: "CN=ann,DC=ch"})
	joe := sign(t, s.authority, name("users", "joe"), nil)
	ann := sign(t, s.authority, name("ann"), nil)
	delegated := sign(t, joe, name("users", "joe", "1234"), proxy)
	twice := sign(t, delegated, name("users", "joe", "1234", "5678"), proxy)
	for what, chain := range map[string][]*signed{"own": {joe}, "other form": {ann}, "proxy": {delegated, joe}, "proxy of a proxy": {twice, delegated, joe}} {
		t.Run(what, func(t *testing.T) {
			got := s.get(t, "/auth/x509", nil, chain...)
			require.Equal(t, 200, got.StatusCode, got.Header)
			require.Equal(t, "joe", got.Header.Get(headerAccount))
			valid := s.get(t, "/auth/validate", map[string]string{headerToken: got.Header.Get(headerToken)})
			require.Equal(t, 200, valid.StatusCode)
		})
	}
	stranger := sign(t, nil, name("users", "CA"), authority)
	imposter := sign(t, stranger, name("users", "joe"), nil)
	late := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	lateProxy := func(c *x509.Certificate) { proxy(c); late(c) }
	for what, c := range map[string]struct {
		chain  []*signed
		reason string
	}{
		"none":              {nil, "no client certificate"},
		"another authority": {[]*signed{sign(t, stranger, name("users", "joe"), nil)}, "unknown authority"},
		"expired":           {[]*signed{sign(t, s.authority, name("users", "joe"), late)}, "expired"},
		"unknown":           {[]*signed{sign(t, s.authority, name("nobody"), nil)}, "no account has the identity"},
		"expired proxy":     {[]*signed{sign(t, joe, name("users", "joe", "1"), lateProxy), joe}, "not valid now"},
		"alone":             {[]*signed{delegated}, "is missing"},
		"proxy of another":  {[]*signed{sign(t, ann, name("users", "joe", "1"), proxy), joe}, "does not belong"},
		"forged proxy":      {[]*signed{sign(t, imposter, name("users", "joe", "1"), proxy), joe}, "signature"},
		"two names in one":  {[]*signed{sign(t, s.authority, name("users/CN=joe"), nil)}, "two ways"},
		"no proxy at all":   {[]*signed{sign(t, joe, name("users", "joe", "1"), nil), joe}, ""},
	} {
		t.Run(what, func(t *testing.T) {
			got := s.get(t, "/auth/x509", nil, c.chain...)
			require.Equal(t, 401, got.StatusCode)
			require.Equal(t, "CannotAuthenticate", got.Header.Get("ExceptionClass"))
			require.Contains(t, got.Header.Get("ExceptionMessage"), c.reason)
			require.Empty(t, got.Header.Get(headerToken))
		})
	}
	require.Equal(t, 401, s.get(t, "/auth/x509", map[string]string{"X-Rucio-Account": "root"}, joe).StatusCode, "joe is not root")
	forged := map[string]string{"X-Ssl-Client-S-Dn": "/DC=ch/CN=users/CN=joe", "X-Ssl-Client-Verify": "SUCCESS"}
	require.Equal(t, 401, s.get(t, "/auth/x509", forged).StatusCode, "nobody's word is taken")
}

func TestCertificatesAreReadAgain(t *testing.T) {
	s := newTLSServer(t)
	serial := func() *big.Int {
		return s.get(t, "/ping", nil).TLS.PeerCertificates[0].SerialNumber
	}
	first := serial()
	renewed := sign(t, s.authority, name("server"), nil)
	renewed.write(t, s.files.Cert, s.files.Key)
	require.Equal(t, renewed.cert.SerialNumber, serial())
	require.NotEqual(t, first, renewed.cert.SerialNumber)
	require.NoError(t, os.WriteFile(s.files.Cert, []byte("half a file"), 0o600))
	require.Equal(t, renewed.cert.SerialNumber, serial(), "what cannot be used leaves the old one")
	require.Contains(t, s.logs.String(), "cannot be used")

	other := sign(t, nil, name("other"), authority)
	s.command(command.TypeAddIdentity, &command.AddIdentity{Account: "joe", Type: "X509", Identity: "/DC=ch/CN=joe"})
	joe := sign(t, other, name("joe"), nil)
	require.Equal(t, 401, s.get(t, "/auth/x509", nil, joe).StatusCode)
	renewed.write(t, s.files.Cert, s.files.Key)
	writePEM(t, s.files.ClientCA, "CERTIFICATE", other.cert.Raw)
	require.Equal(t, 200, s.get(t, "/auth/x509", nil, joe).StatusCode, "a new authority counts at once")
}

func TestTrustedProxy(t *testing.T) {
	ts := newAuthServer(t, func(c *Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	ts.command(command.TypeAddIdentity, &command.AddIdentity{Account: "joe", Type: "X509", Identity: "/DC=ch/CN=joe"})
	from := func(address string) option { return func(r *http.Request) { r.RemoteAddr = address } }
	for what, c := range map[string]struct {
		address, subject, verdict string
		status                    int
	}{
		"grid form":     {"10.1.2.3:4", "/DC=ch/CN=joe", "SUCCESS", 200},
		"RFC 4514":      {"10.1.2.3:4", "CN=joe,DC=ch", "SUCCESS", 200},
		"no verdict":    {"10.1.2.3:4", "/DC=ch/CN=joe", "", 401},
		"lower case":    {"10.1.2.3:4", "/DC=ch/CN=joe", "success", 401},
		"not verified":  {"10.1.2.3:4", "/DC=ch/CN=joe", "FAILED:expired", 401},
		"nothing":       {"10.1.2.3:4", "(null)", "NONE", 401},
		"two in one":    {"10.1.2.3:4", "CN=x/CN=joe,DC=ch", "SUCCESS", 401},
		"another":       {"10.1.2.3:4", "/DC=ch/CN=ann", "SUCCESS", 401},
		"no such proxy": {"11.1.2.3:4", "/DC=ch/CN=joe", "SUCCESS", 401},
	} {
		t.Run(what, func(t *testing.T) {
			got := ts.do("GET", "/auth/x509", "", from(c.address), header("X-Ssl-Client-S-Dn", c.subject), header("X-Ssl-Client-Verify", c.verdict))
			require.Equal(t, c.status, got.Code, got.Body)
		})
	}
	for forwarded, want := range map[string]string{"": "10.1.2.3", "1.1.1.1": "1.1.1.1", "6.6.6.6, 1.1.1.1, 10.9.9.9": "1.1.1.1", "nonsense": "10.1.2.3"} {
		require.Equal(t, want, ts.sourceOf(t, "10.1.2.3:4", forwarded), forwarded)
	}
	require.Equal(t, ts.limitedOf(t, "[2001:db8::1]:4"), ts.limitedOf(t, "[2001:db8::ffff:1]:9"), "one network")
	require.NotEqual(t, ts.limitedOf(t, "[2001:db8::1]:4"), ts.limitedOf(t, "[2001:db8:0:1::1]:4"))
	require.Equal(t, "11.1.2.3", ts.sourceOf(t, "11.1.2.3:4", "1.1.1.1"), "the word of a stranger")
}

// sourceOf returns what a request counts as coming from.
func (ts *testServer) sourceOf(t *testing.T, address, forwarded string) string {
	t.Helper()
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequest(http.MethodGet, "/", nil)
	c.Request.RemoteAddr = address
	if forwarded != "" {
		c.Request.Header.Set("X-Forwarded-For", forwarded)
	}
	return ts.source(c).String()
}

// limitedOf returns what the failures of a connection count for.
func (ts *testServer) limitedOf(t *testing.T, address string) string {
	t.Helper()
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequest(http.MethodGet, "/", nil)
	c.Request.RemoteAddr = address
	return ts.limitedSource(c)
}

// oidcServer is an issuer with one key.
func oidcServer(t *testing.T) (url string, issue func(change jwt.MapClaims, key *ecdsa.PrivateKey) string, key *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, err := key.PublicKey.ECDH()
	require.NoError(t, err)
	point := public.Bytes()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	answer := func(path string, value any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(value) })
	}
	answer("/.well-known/openid-configuration", map[string]any{
		"issuer": server.URL, "jwks_uri": server.URL + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"},
	})
	encode := base64.RawURLEncoding.EncodeToString
	answer("/keys", map[string]any{"keys": []any{map[string]string{
		"kty": "EC", "crv": "P-256", "kid": "1", "alg": "ES256", "use": "sig", "x": encode(point[1:33]), "y": encode(point[33:]),
	}}})
	issue = func(change jwt.MapClaims, key *ecdsa.PrivateKey) string {
		claims := jwt.MapClaims{"iss": server.URL, "sub": "u1", "aud": "rucio", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()}
		for k, v := range change {
			claims[k] = v
		}
		token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
		token.Header["kid"] = "1"
		text, err := token.SignedString(key)
		require.NoError(t, err)
		return text
	}
	return server.URL, issue, key
}

func TestOIDCTokens(t *testing.T) {
	url, issue, key := oidcServer(t)
	ts := newAuthServer(t, func(c *Config) { c.OIDC = map[string]string{url: "rucio", "http://127.0.0.1:1": "rucio"} })
	ts.command(command.TypeAddIdentity, &command.AddIdentity{Account: "joe", Type: "OIDC", Identity: "SUB=u1, ISS=" + url})
	good := issue(nil, key)
	for what, with := range map[string]option{"Rucio's header": bearing(good), "the standard one": func(r *http.Request) {
		r.Header.Del(headerToken)
		r.Header.Set("Authorization", "Bearer "+good)
	}} {
		t.Run(what, func(t *testing.T) {
			got := ts.do("GET", "/accounts/whoami", "", with)
			require.Contains(t, got.want(t, 200, "").Body.String(), `"joe"`)
		})
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"iss": url, "sub": "u1", "aud": "rucio", "exp": time.Now().Add(time.Hour).Unix()}).
		SignedString(jwt.UnsafeAllowNoneSignatureType)
	require.NoError(t, err)
	for what, c := range map[string]struct{ token, reason string }{
		"expired":          {issue(jwt.MapClaims{"exp": time.Now().Add(-time.Minute).Unix()}, key), "expired"},
		"another issuer":   {issue(jwt.MapClaims{"iss": "https://elsewhere"}, key), "not trusted"},
		"another audience": {issue(jwt.MapClaims{"aud": "other"}, key), "audience"},
		"another key":      {issue(nil, other), "signature"},
		"no signature":     {unsigned, "none"},
		"unknown":          {issue(jwt.MapClaims{"sub": "u2"}, key), "no account has the identity"},
	} {
		t.Run(what, func(t *testing.T) {
			got := ts.do("GET", "/accounts/whoami", "", bearing(c.token)).want(t, 401, "CannotAuthenticate")
			require.Contains(t, got.Body.String(), c.reason)
		})
	}
	ts.do("GET", "/accounts/whoami", "", bearing(good), header("X-Rucio-Account", "root")).want(t, 401, "CannotAuthenticate")
	ts.do("GET", "/accounts/whoami", "", bearing(issue(jwt.MapClaims{"iss": "http://127.0.0.1:1"}, key))).want(t, 503, "ResourceTemporaryUnavailable")
	for range 2 { // the second is not even asked for
		ts.do("GET", "/accounts/whoami", "", bearing(issue(jwt.MapClaims{"iss": "http://127.0.0.1:1"}, key))).want(t, 503, "ResourceTemporaryUnavailable")
	}
	require.NotContains(t, ts.logs.String(), good)
}

// A token of another issuer is void once it was revoked, alone or with all of its account, and one that claims to be issued in the
// future, and so would be newer than a revocation, is refused.
func TestOIDCTokensAreRevoked(t *testing.T) {
	url, issue, key := oidcServer(t)
	ts := newAuthServer(t, func(c *Config) { c.OIDC = map[string]string{url: "rucio"} })
	ts.command(command.TypeAddAccount, &command.AddAccount{Name: "ann", Type: "USER"})
	ts.command(command.TypeAddIdentity, &command.AddIdentity{Account: "joe", Type: "OIDC", Identity: "SUB=u1, ISS=" + url})
	ts.command(command.TypeAddIdentity, &command.AddIdentity{Account: "ann", Type: "OIDC", Identity: "SUB=u2, ISS=" + url})
	later := func(d time.Duration) jwt.MapClaims { return jwt.MapClaims{"iat": time.Now().Add(d).Unix()} }
	whoami := func(token string, status int) {
		t.Helper()
		require.Equal(t, status, ts.do("GET", "/accounts/whoami", "", bearing(token)).Code)
	}
	whoami(issue(later(5*time.Second), key), 200)
	whoami(issue(later(2*time.Minute), key), 401)
	whoami(issue(jwt.MapClaims{"nbf": time.Now().Add(2 * time.Minute).Unix()}, key), 401)
	whoami(issue(jwt.MapClaims{"iat": nil}, key), 401)

	one, two := issue(jwt.MapClaims{"jti": "1"}, key), issue(jwt.MapClaims{"jti": "2"}, key)
	anns := issue(jwt.MapClaims{"sub": "u2"}, key)
	ts.do("POST", "/auth/revoke", `{"token":"`+one+`"}`, bearing(anns)).want(t, 401, "AccessDenied")
	whoami(one, 200)
	ts.do("POST", "/auth/revoke", `{"token":"`+one+`"}`, bearing(two)).want(t, 200, "")
	whoami(one, 401)
	whoami(two, 200)
	whoami(one[:strings.LastIndexByte(one, '.')]+two[strings.LastIndexByte(two, '.'):], 401)
	ts.do("POST", "/auth/revoke", `{"token":"`+two[:len(two)-9]+`"}`, bearing(two)).want(t, 400, "ValueError")

	ts.store.time = time.Now().UnixMicro()
	ahead := issue(later(20*time.Second), key)
	whoami(ahead, 200)
	ts.do("POST", "/auth/revoke", `{"account":"joe"}`, bearing(two)).want(t, 200, "")
	whoami(two, 401)
	whoami(ahead, 401)
	whoami(anns, 200)
}

func TestWrongPasswordsAreSlowedDown(t *testing.T) {
	ts := newAuthServer(t, func(c *Config) { c.Limits.LoginFailures = 3 })
	now := time.Now()
	ts.loginLimit.now = func() time.Time { return now }
	from := func(address string) option { return func(r *http.Request) { r.RemoteAddr = address } }
	attempt := func(address, user, secret string) int {
		return ts.do("GET", "/auth/userpass", "", credentials("", user, secret), from(address)).Code
	}
	statuses := map[int]int{}
	for range 100 {
		statuses[attempt("1.1.1.1:1", "ddmlab", "wrong")]++
	}
	require.Equal(t, map[int]int{401: 3, 503: 97}, statuses)
	require.EqualValues(t, 97, counterValue(t, ts.registry, "dapple_http_logins_total", "outcome", "overloaded"))
	limited := ts.do("GET", "/auth/userpass", "", credentials("", "ddmlab", "secret"), from("1.1.1.1:2")).want(t, 503, "ResourceTemporaryUnavailable")
	require.Equal(t, "6", limited.Header().Get("Retry-After"))
	require.Equal(t, 200, attempt("2.2.2.2:1", "ddmlab", "secret"), "its owner, from elsewhere")
	require.Equal(t, 401, attempt("1.1.1.1:1", "another", "wrong"), "another user, from there")
	now = now.Add(6 * time.Second)
	require.Equal(t, 401, attempt("1.1.1.1:1", "ddmlab", "wrong"))
	require.Equal(t, 503, attempt("1.1.1.1:1", "ddmlab", "wrong"))
	now = now.Add(6 * time.Second)
	for range 5 {
		require.Equal(t, 200, attempt("1.1.1.1:1", "ddmlab", "secret"), "what succeeds costs nothing")
	}
	for i := range 20 {
		attempt("3.3.3.3:1", "user"+string(rune('a'+i)), "wrong")
	}
	require.Equal(t, 200, attempt("3.3.3.3:1", "ddmlab", "secret"), "others behind the same address log in")
	require.NotContains(t, ts.logs.String(), "wrong")
}
