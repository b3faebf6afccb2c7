package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"dapple/internal/halt"
	"dapple/transport"
)

// meta is the node's own small file: what it must know before Raft runs. It is written anew and renamed into place.
type meta struct {
	// Name and Incarnation are made with the folder and make up the Raft server id. An emptied folder gets a new
	// incarnation, and so never votes or acknowledges as the server that it was before.
	Name        string `json:"name"`
	Incarnation string `json:"incarnation"`
	// Cluster is set, in hexadecimal, before Raft is started for the first time.
	Cluster string `json:"cluster,omitempty"`
	// Forming is set in the node that forms the cluster, until that many voters have been there once.
	Forming int `json:"forming,omitempty"`
	// JoinedForming is set in a node that joined a cluster which was still forming: how many voters were expected. It
	// ends, like Forming, once they have been there.
	JoinedForming int `json:"joined_forming,omitempty"`
	// Started tells that Raft's store holds a term: if it holds none later, it was lost.
	Started bool `json:"started,omitempty"`
	// Remembers tells that memory.json is there: if it is not later, it was lost. Earlier versions wrote none.
	Remembers bool `json:"remembers,omitempty"`
	// Rejoining is set while a node whose folder is an older copy asks to be taken in as a new incarnation.
	Rejoining bool `json:"rejoining,omitempty"`
}

const metaName = "node.json"

// errNoMeta is returned for a folder without the file.
var errNoMeta = errors.New("no node file")

func newMeta(name string) (meta, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return meta{}, err
	}
	return meta{Name: name, Incarnation: hex.EncodeToString(b[:])}, nil
}

func (m meta) serverID() string { return m.Name + "@" + m.Incarnation }

// clusterID returns zero where there is none.
func (m meta) clusterID() transport.ClusterID {
	id, _ := parseClusterID(m.Cluster)
	return id
}

func parseClusterID(text string) (transport.ClusterID, error) {
	var id transport.ClusterID
	if text == "" {
		return id, nil
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("cluster id %q is not 16 bytes in hexadecimal", text)
	}
	copy(id[:], b)
	return id, nil
}

func loadMeta(dir string) (meta, error) {
	b, err := os.ReadFile(filepath.Join(dir, metaName))
	if errors.Is(err, fs.ErrNotExist) {
		return meta{}, errNoMeta
	}
	if err != nil {
		return meta{}, halt.Classify(err)
	}
	var m meta
	if err := parseSmall(b, &m); err != nil {
		return meta{}, fmt.Errorf("%w: %s: %w", halt.ErrFolderIncomplete, metaName, err)
	}
	if m.Name == "" || m.Incarnation == "" {
		return meta{}, fmt.Errorf("%w: %s: name or incarnation is missing", halt.ErrFolderIncomplete, metaName)
	}
	if _, err := parseClusterID(m.Cluster); err != nil {
		return meta{}, fmt.Errorf("%w: %s: %w", halt.ErrFolderIncomplete, metaName, err)
	}
	return m, nil
}

func saveMeta(dir string, m meta) error {
	err := writeSmallFile(filepath.Join(dir, metaName), m)
	if err == nil {
		err = syncDir(dir)
	}
	return halt.Classify(err)
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
