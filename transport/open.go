package transport

import (
	"errors"
	"fmt"
	"net"
)

// ErrOpen is in the chain of New's error if other hosts could reach the port and nothing would prove who they are.
var ErrOpen = errors.New("without a cluster key or certificates a node listens for other nodes on loopback only: " +
	"set --cluster-key-file ('dapple cluster-key' makes a key) or --cluster-tls-cert, --cluster-tls-key and --cluster-tls-ca, " +
	"or --cluster-insecure to let every host in")

// protected reports whether peers have to prove who they are.
func (c *Config) protected() bool { return c.TLS != nil || c.Key != nil }

// checkOpen refuses a port that anybody can reach and use. If Insecure allows it, checkOpen warns.
func (c *Config) checkOpen(address net.Addr) error {
	if c.protected() || isLoopback(address) {
		return nil
	}
	if !c.Insecure {
		return fmt.Errorf("transport: %s: %w", address, ErrOpen)
	}
	c.Logger.Warn("the cluster port is open: every host that reaches it can read and change everything", "address", address.String())
	return nil
}

func isLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
