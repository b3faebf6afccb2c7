package transport

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
)

// ends are the TLS settings of both ends of a connection that a cluster key protects. TLS encrypts; that the peer is the
// right one is proved afterwards.
type ends struct{ server, client *tls.Config }

func newEnds() (*ends, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, err
	}
	return &ends{
		server: &tls.Config{
			MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true,
			Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}},
		},
		client: &tls.Config{
			MinVersion:         tls.VersionTLS13,
			InsecureSkipVerify: true, //nolint:gosec // the proof of the key takes the place of the certificate
		},
	}, nil
}

// server proves the key to a peer that has dialled, after the peer has.
func (k *KeyFile) server(ctx context.Context, c *trackedConn) (net.Conn, error) {
	secure := tls.Server(c, k.ends.server)
	exporter, err := handshake(ctx, secure)
	if err != nil {
		return nil, err
	}
	got := make([]byte, sha256.Size)
	if _, err := io.ReadFull(secure, got); err != nil {
		return nil, fmt.Errorf("proof of the cluster key: %w", err)
	}
	for _, key := range k.current() {
		if hmac.Equal(got, proof(key.secret, proofOfClient, exporter)) {
			c.setKey(key)
			_, err := secure.Write(proof(key.secret, proofOfServer, exporter))
			return secure, err
		}
	}
	return nil, errNoKey
}

// client proves the first key to a peer that was dialled, and has it prove the same.
func (k *KeyFile) client(ctx context.Context, c *trackedConn) (net.Conn, error) {
	secure := tls.Client(c, k.ends.client)
	exporter, err := handshake(ctx, secure)
	if err != nil {
		return nil, err
	}
	key := k.current()[0]
	if _, err := secure.Write(proof(key.secret, proofOfClient, exporter)); err != nil {
		return nil, err
	}
	got := make([]byte, sha256.Size)
	if _, err := io.ReadFull(secure, got); err != nil {
		return nil, fmt.Errorf("%w (%w)", errKeyProof, err)
	}
	if !hmac.Equal(got, proof(key.secret, proofOfServer, exporter)) {
		return nil, errNoKey
	}
	c.setKey(key)
	return secure, nil
}

// handshake returns what binds a proof to the connection (RFC 9266).
func handshake(ctx context.Context, c *tls.Conn) ([]byte, error) {
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("cluster key: %w", err)
	}
	state := c.ConnectionState()
	return state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
}
