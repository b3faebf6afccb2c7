package transport

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"slices"
	"strings"
)

// TLSFiles names the PEM files of mutual TLS: this node's certificate and key, and the authorities that a peer's
// certificate must come from. They are read again for every connection, so that renewed ones need no restart.
type TLSFiles struct {
	Cert, Key, CA string
	// Names are patterns of the DNS names and addresses of the nodes' certificates, for nodes whose certificates are not
	// for the hosts of their addresses. A star stands for any text without a dot, {node} for the name of the node.
	Names []string
}

func (f *TLSFiles) load() (tls.Certificate, *x509.CertPool, error) {
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("certificate %s: %w", f.Cert, err)
	}
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return tls.Certificate{}, nil, fmt.Errorf("authorities: no certificate in %s", f.CA)
	}
	for _, pattern := range f.Names {
		if _, err := matchName(pattern, "a", "a"); err != nil || pattern == "" {
			return tls.Certificate{}, nil, fmt.Errorf("names of certificates: %q is no pattern", pattern)
		}
	}
	return cert, pool, nil
}

// server secures an accepted connection. The peer needs a certificate of the authorities; whose it is, is judged by what
// the peer asks for.
func (f *TLSFiles) server(ctx context.Context, c net.Conn) (net.Conn, error) {
	cert, pool, err := f.load()
	if err != nil {
		return nil, err
	}
	secure := tls.Server(c, &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cert},
		ClientCAs:    pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	})
	return secure, secure.HandshakeContext(ctx)
}

// client secures a connection to address. The peer's certificate must be for its host, or match one of the names for the
// node, of which "" is any.
func (f *TLSFiles) client(ctx context.Context, c net.Conn, address, node string) (net.Conn, error) {
	cert, pool, err := f.load()
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cert},
		RootCAs:      pool,
		ServerName:   host,
	}
	if len(f.Names) > 0 {
		config.InsecureSkipVerify = true //nolint:gosec // VerifyConnection does it, with other names
		config.VerifyConnection = func(state tls.ConnectionState) error { return f.verify(state.PeerCertificates, pool, address, node) }
	}
	secure := tls.Client(c, config)
	return secure, secure.HandshakeContext(ctx)
}

// verify checks the certificates that the node at address has shown.
func (f *TLSFiles) verify(shown []*x509.Certificate, pool *x509.CertPool, address, node string) error {
	if len(shown) == 0 {
		return errors.New("the peer has no certificate")
	}
	options := x509.VerifyOptions{Roots: pool, Intermediates: x509.NewCertPool()}
	for _, c := range shown[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := shown[0].Verify(options); err != nil {
		return err
	}
	if !f.covers(shown[0], address, cmp.Or(node, "*")) {
		return fmt.Errorf("the certificate of %s at %s is for %s, not for that host or for %s", cmp.Or(node, "the node"),
			address, strings.Join(namesOf(shown[0]), ", "), strings.Join(f.Names, ", "))
	}
	return nil
}

// covers reports whether a certificate is for the host of an address, or matches one of the names for the node.
func (f *TLSFiles) covers(cert *x509.Certificate, address, node string) bool {
	if cert == nil {
		return false
	}
	if host, _, err := net.SplitHostPort(address); err == nil && cert.VerifyHostname(host) == nil {
		return true
	}
	return slices.ContainsFunc(namesOf(cert), func(name string) bool {
		return slices.ContainsFunc(f.Names, func(pattern string) bool {
			matches, err := matchName(pattern, node, name)
			return err == nil && matches
		})
	})
}

// matchName reports whether a name matches a pattern for the node.
func matchName(pattern, node, name string) (bool, error) {
	// path.Match's star stops at slashes.
	parts := strings.NewReplacer(".", "/", ":", "/")
	pattern = strings.ToLower(strings.ReplaceAll(pattern, "{node}", node))
	return path.Match(parts.Replace(pattern), parts.Replace(strings.ToLower(name)))
}

// namesOf returns the DNS names and addresses that a certificate is for.
func namesOf(cert *x509.Certificate) []string {
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}
