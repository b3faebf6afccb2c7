package node

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"dapple/catalogue"
	"dapple/cluster"
	"dapple/command"
	"dapple/transport"
)

// secure fills in how nodes prove to each other who they are.
func (n *Node) secure(c *cluster.Config, cfg Config) error {
	c.Insecure, c.JoinToken, c.CheckJoinToken = cfg.ClusterInsecure, cfg.joinToken, n.checkJoinToken
	if cfg.TLSCert != "" || cfg.TLSKey != "" || cfg.TLSCA != "" {
		c.TLS = &transport.TLSFiles{Cert: cfg.TLSCert, Key: cfg.TLSKey, CA: cfg.TLSCA, Names: cfg.TLSNames}
	}
	switch {
	case cfg.ClusterKeyFile == "":
		return nil
	case c.TLS != nil:
		return errors.New("give either --cluster-key-file or certificates for traffic between nodes, not both")
	}
	var err error
	c.Key, err = transport.OpenKeyFile(cfg.ClusterKeyFile)
	return err
}

// joinToken returns the node's join token, "" for none. The file is read at each try to join.
func (c Config) joinToken() (string, error) {
	if c.JoinTokenFile == "" {
		return c.JoinToken, nil
	}
	b, err := os.ReadFile(c.JoinTokenFile)
	if err != nil {
		return "", fmt.Errorf("join token: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// checkJoinToken returns why a token does not let a server in, as this node's state has it.
func (n *Node) checkJoinToken(digest [32]byte, serverID string) error {
	v, err := n.machine.View()
	if err != nil {
		return err
	}
	level, err := catalogue.FeatureLevel(v)
	if needs := command.TypeUseJoinToken.Features(); err == nil && level < needs {
		err = fmt.Errorf("the cluster is being upgraded: join tokens need feature level %d, and it has %d", needs, level)
	}
	if err == nil {
		err = catalogue.CheckJoinToken(v, digest[:], serverID, time.Now().UnixMicro())
	}
	return errors.Join(err, v.Close())
}
