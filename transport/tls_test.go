package transport

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// authority signs certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{cert: cert, key: key}
}

// files writes a certificate of the authority, and which authority its holder trusts.
func (a *authority) files(t *testing.T, trusted *authority, ip net.IP) *TLSFiles {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{ip},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	f := &TLSFiles{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), CA: filepath.Join(dir, "ca.pem")}
	for path, block := range map[string]*pem.Block{
		f.Cert: {Type: "CERTIFICATE", Bytes: der},
		f.Key:  {Type: "PRIVATE KEY", Bytes: private},
		f.CA:   {Type: "CERTIFICATE", Bytes: trusted.cert.Raw},
	} {
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	}
	return f
}

func TestMutualTLS(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	local := net.IPv4(127, 0, 0, 1)
	server := open(t, Config{TLS: ours.files(t, ours, local)}, clusterA)
	cases := []struct {
		name string
		tls  *TLSFiles
		ok   bool
	}{
		{"ours", ours.files(t, ours, local), true},
		{"plain", nil, false},
		{"certificate of another authority", theirs.files(t, ours, local), false},
		{"server of another authority", ours.files(t, theirs, local), false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			client := open(t, Config{TLS: c.tls}, clusterA)
			code, _, err := client.Call(callTime(t), server.Addr().String(), echo, []byte("x"))
			if c.ok {
				require.NoError(t, err)
				require.Equal(t, command.CodeOK, code)
				return
			}
			require.False(t, sent(t, err), "%v", err)
		})
	}
	elsewhere := open(t, Config{TLS: ours.files(t, ours, net.IPv4(10, 0, 0, 1))}, clusterA)
	client := open(t, Config{TLS: ours.files(t, ours, local)}, clusterA)
	_, _, err := client.Call(callTime(t), elsewhere.Addr().String(), echo, nil)
	require.False(t, sent(t, err), "the certificate is for another address: %v", err)
}

// Certificates are judged by their names in both roles: those of the hosts that are dialled, or of the patterns.
func TestCertificateNames(t *testing.T) {
	ours, local := newAuthority(t), net.IPv4(127, 0, 0, 1)
	elsewhere := net.IPv4(10, 1, 2, 3)
	named := func(ip net.IP, names ...string) *TLSFiles {
		f := ours.files(t, ours, ip)
		f.Names = names
		return f
	}
	for name, c := range map[string]struct {
		server net.IP
		names  []string
		ok     bool
	}{
		"its host": {local, nil, true}, "another host": {elsewhere, nil, false},
		"pattern": {elsewhere, []string{"n*.example.org", "10.1.2.*"}, true}, "a star is one part": {elsewhere, []string{"10.*"}, false},
		"pattern or host": {local, []string{"10.1.2.*"}, true}, "neither": {elsewhere, []string{"10.1.3.*"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := open(t, Config{TLS: named(c.server)}, clusterA)
			client := open(t, Config{TLS: named(local, c.names...)}, clusterA)
			_, _, err := client.Call(callTime(t), server.Addr().String(), echo, nil)
			if c.ok {
				require.NoError(t, err)
				return
			}
			require.False(t, sent(t, err), "%v", err)
		})
	}

	// The server is told whose certificate the client has.
	peers := make(chan Peer, 1)
	methods := testMethods()
	methods[echo] = Method{Name: "echo", Forming: true, Handle: func(ctx context.Context, _ []byte) (command.Code, []byte) {
		peers <- PeerOf(ctx)
		return command.CodeOK, nil
	}}
	server := open(t, Config{TLS: named(local, "{node}.2.3.*"), Methods: methods}, clusterA)
	client := open(t, Config{TLS: named(net.IPv4(1, 2, 3, 4)), Name: "1@a"}, clusterA)
	_, _, err := client.Call(callTime(t), server.Addr().String(), echo, nil)
	require.NoError(t, err)
	peer := <-peers
	require.True(t, peer.Is("1@a"))
	require.True(t, peer.Covers("1.2.3.4:7080", "n"), "its host")
	require.False(t, peer.Covers("1.2.3.5:7080", "n"), "another host")
	require.True(t, peer.Covers("1.2.3.5:7080", "1"), "the name of node 1")
}

func TestTLSFilesAreChecked(t *testing.T) {
	_, err := New(Config{Listen: "127.0.0.1:0", TLS: &TLSFiles{Cert: "/nowhere"}})
	require.ErrorContains(t, err, "/nowhere")
}
