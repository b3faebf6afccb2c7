package httpapi

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLSFiles names the PEM files of HTTPS. They are read again when they have changed, so that a renewed certificate needs no
// restart; files that cannot be used leave the last good ones in place.
type TLSFiles struct {
	// Cert and Key are the server's certificate chain and key.
	Cert, Key string
	// ClientCA holds the authorities of client certificates; "" lets nobody log in by certificate.
	ClientCA string
}

// tlsStore holds what the files of TLSFiles held when they last could be used.
type tlsStore struct {
	files TLSFiles
	http2 bool
	log   *slog.Logger

	mu      sync.Mutex
	seen    string // sizes and times of the files when they were last read
	config  *tls.Config
	clients *x509.CertPool
}

// newTLSStore reads the files, which must be usable. With http2 clients may choose HTTP/2.
func newTLSStore(files TLSFiles, http2 bool, log *slog.Logger) (*tlsStore, error) {
	t := &tlsStore{files: files, http2: http2, log: log, seen: files.state()}
	err := t.read()
	return t, err
}

// state tells whether the files have changed since another call.
func (f TLSFiles) state() (text string) {
	for _, name := range [...]string{f.Cert, f.Key, f.ClientCA} {
		if info, err := os.Stat(name); err == nil {
			text += fmt.Sprintf("%d %s;", info.Size(), info.ModTime().Format(time.RFC3339Nano))
		} else {
			text += ";"
		}
	}
	return text
}

// read loads the files. Any client certificate is let through the handshake: it is checked where it is used, so that the
// answer can say what is wrong with it.
func (t *tlsStore) read() error {
	cert, err := tls.LoadX509KeyPair(t.files.Cert, t.files.Key)
	if err != nil {
		return fmt.Errorf("HTTPS certificate %s: %w", t.files.Cert, err)
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"},
	}
	if t.http2 {
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	var clients *x509.CertPool
	if t.files.ClientCA != "" {
		pem, err := os.ReadFile(t.files.ClientCA)
		if err != nil {
			return fmt.Errorf("authorities of client certificates: %w", err)
		}
		clients = x509.NewCertPool()
		if !clients.AppendCertsFromPEM(pem) {
			return fmt.Errorf("authorities of client certificates: no certificate in %s", t.files.ClientCA)
		}
		config.ClientAuth, config.ClientCAs = tls.RequestClientCert, clients
	}
	t.config, t.clients = config, clients
	return nil
}

// current returns the configuration and the authorities of client certificates, after a look at the files.
func (t *tlsStore) current() (*tls.Config, *x509.CertPool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if state := t.files.state(); state != t.seen {
		t.seen = state
		if err := t.read(); err != nil {
			t.log.Error("the changed certificate files cannot be used; the old ones stay", "error", err)
		} else {
			t.log.Info("certificate files have been read again")
		}
	}
	return t.config, t.clients
}

// serverConfig is what the HTTP server listens with.
func (t *tlsStore) serverConfig() *tls.Config {
	base, _ := t.current()
	config := base.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		current, _ := t.current()
		return current, nil
	}
	return config
}
