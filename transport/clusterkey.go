package transport

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// minKey is the shortest cluster key that is taken: a peer can try keys offline against one recorded proof.
const minKey = 32

// keyInterval is how often the file of keys is read again.
const keyInterval = time.Second

// NewKey returns a new cluster key, one line of text.
func NewKey() (string, error) {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// KeyFile holds the cluster keys of a file, one per line. This node proves the first one and accepts all of them. The
// file is read again every second. KeyFile is safe for concurrent use.
type KeyFile struct {
	path string
	ends *ends

	mu   sync.Mutex
	keys []clusterKey
}

type clusterKey struct {
	secret []byte
	id     [sha256.Size]byte // a digest, to tell keys apart
}

// OpenKeyFile reads a file of cluster keys. Empty lines and lines that begin with # are skipped.
func OpenKeyFile(path string) (*KeyFile, error) {
	e, err := newEnds()
	if err != nil {
		return nil, err
	}
	k := &KeyFile{path: path, ends: e}
	_, err = k.reload()
	return k, err
}

// reload reads the file again and reports whether the keys have changed. On an error the keys stay as they were.
func (k *KeyFile) reload() (bool, error) {
	b, err := os.ReadFile(k.path)
	if err != nil {
		return false, fmt.Errorf("cluster key: %w", err)
	}
	keys, err := parseKeys(b)
	if err != nil {
		return false, fmt.Errorf("cluster key: %s: %w", k.path, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	changed := !slices.EqualFunc(k.keys, keys, func(a, b clusterKey) bool { return a.id == b.id })
	k.keys = keys
	return changed, nil
}

func parseKeys(b []byte) ([]clusterKey, error) {
	var keys []clusterKey
	for line := range bytes.Lines(b) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if len(line) < minKey {
			return nil, fmt.Errorf("a key of %d characters is too short, at least %d are needed: make one with 'dapple cluster-key'", len(line), minKey)
		}
		keys = append(keys, clusterKey{secret: line, id: sha256.Sum256(line)})
	}
	if len(keys) == 0 {
		return nil, errors.New("no key: make one with 'dapple cluster-key'")
	}
	return keys, nil
}

func (k *KeyFile) current() []clusterKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys
}

// watchKey reads the keys again until the transport closes, and ends the connections that were proved by a key which is
// no longer there.
func (t *Transport) watchKey() {
	tick := time.NewTicker(keyInterval)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-t.ctx.Done():
			return
		case <-tick.C:
		}
		changed, err := t.cfg.Key.reload()
		if err != nil && !failing {
			t.cfg.Logger.Warn("the cluster key cannot be read again; the keys read before stay in use", "error", err)
		}
		failing = err != nil
		if changed {
			t.cfg.Logger.Info("the cluster keys have changed", "keys", len(t.cfg.Key.current()))
			t.dropKeys()
		}
	}
}

// dropKeys closes the connections that no present key has proved.
func (t *Transport) dropKeys() {
	keys := t.cfg.Key.current()
	t.mu.Lock()
	var gone []*trackedConn
	for c := range t.conns {
		if tc, ok := c.(*trackedConn); ok && tc.provedByOther(keys) {
			gone = append(gone, tc)
		}
	}
	t.mu.Unlock()
	for _, c := range gone {
		_ = c.Close()
	}
}

// Proofs of the key are 32 bytes each way, over TLS 1.3 with a certificate that proves nothing by itself. They are bound
// to the connection by its exporter (RFC 9266), so that nobody in between can pass them on.
const (
	proofOfClient = "dapple cluster key: client"
	proofOfServer = "dapple cluster key: server"
)

func proof(secret []byte, role string, exporter []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(role))
	mac.Write(exporter)
	return mac.Sum(nil)
}

var (
	errNoKey    = errors.New("it has no cluster key, or another one")
	errKeyProof = errors.New("it refuses this node's cluster key: the key files of both nodes need a key in common")
)

// setKey takes down which key has proved a connection.
func (c *trackedConn) setKey(k clusterKey) { c.key.Store(&k.id) }

// provedByOther reports whether a key that is not among these has proved the connection.
func (c *trackedConn) provedByOther(keys []clusterKey) bool {
	id := c.key.Load()
	return id != nil && !slices.ContainsFunc(keys, func(k clusterKey) bool { return k.id == *id })
}
