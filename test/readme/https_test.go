package readme

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
	"dapple/node"
)

// loginLine returns the README's command that logs in, with another server in the place of the first node.
func loginLine(t *testing.T, url string) string {
	t.Helper()
	for _, l := range sessions(t) {
		if strings.HasPrefix(l.command, "AUTH=") {
			require.Contains(t, l.command, "http://127.0.0.1:8080")
			return strings.ReplaceAll(l.command, "http://127.0.0.1:8080", url)
		}
	}
	require.Fail(t, "the README does not log in")
	return ""
}

// certificate writes a certificate of the loopback address and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "readme"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	require.NoError(t, err)
	private, err := x509.MarshalECPrivateKey(secret)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), 0o600))
	return cert, key
}

// TestLoginLine runs the README's login as it stands, over HTTP, over HTTPS, and over HTTPS with HTTP/2, whose names of headers are in
// lower case.
func TestLoginLine(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "grep", "cut", "tr"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not here", tool)
		}
	}
	cert, key := certificate(t)
	t.Setenv("SSL_CERT_FILE", cert) // testcluster asks the node whether it is ready
	https := func(http2 bool) func(*node.Config) {
		return func(cfg *node.Config) {
			cfg.HTTPTLSCert, cfg.HTTPTLSKey, cfg.HTTP2 = cert, key, http2
			cfg.HTTPAdvertise = strings.Replace(cfg.HTTPAdvertise, "http:", "https:", 1)
		}
	}
	for name, c := range map[string]struct {
		option func(*node.Config)
		// spelled is how the header's name arrives.
		spelled string
	}{
		"HTTP":               {func(*node.Config) {}, "X-Rucio-Auth-Token: "},
		"HTTPS":              {https(false), "X-Rucio-Auth-Token: "},
		"HTTPS, with HTTP/2": {https(true), "\nx-rucio-auth-token: "},
	} {
		t.Run(name, func(t *testing.T) {
			url := testcluster.Start(t, 1, c.option).URLs()[0]
			shell := func(script string) string {
				cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
				cmd.Env = append(os.Environ(), "CURL_CA_BUNDLE="+cert)
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, string(out))
				return string(out)
			}
			login := loginLine(t, url)
			require.Contains(t, shell(login+`; curl -sS -H "X-Rucio-Auth-Token: $AUTH" `+url+"/accounts/whoami"), `"account": "root"`)
			command, _, _ := strings.Cut(strings.TrimPrefix(login, "AUTH=$("), "|")
			require.Contains(t, shell(command), c.spelled)
		})
	}
}
