package transport

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
)

// TLSFiles names the PEM files of mutual TLS: this node's certificate and key, and the authorities that a peer's
// certificate must come from. They are read again for every connection, so that renewed ones need no restart.
type TLSFiles struct {
	Cert, Key, CA string
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
	return cert, pool, nil
}

// server wraps an accepted connection; without files it is plain TCP.
func (f *TLSFiles) server(c net.Conn) (net.Conn, error) {
	if f == nil {
		return c, nil
	}
	cert, pool, err := f.load()
	if err != nil {
		return nil, err
	}
	return tls.Server(c, &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cert},
		ClientCAs:    pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	}), nil
}

// client wraps a connection to address, whose host must be in the peer's certificate.
func (f *TLSFiles) client(c net.Conn, address string) (net.Conn, error) {
	if f == nil {
		return c, nil
	}
	cert, pool, err := f.load()
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return tls.Client(c, &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cert},
		RootCAs:      pool,
		ServerName:   host,
	}), nil
}
