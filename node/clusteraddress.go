package node

import (
	"fmt"
	"net"

	"dapple/transport"
)

// protected reports whether other nodes have to prove who they are.
func (c Config) protected() bool {
	return c.TLSCert != "" || c.TLSKey != "" || c.TLSCA != "" || c.ClusterKeyFile != ""
}

// clusterAddress returns the address to listen on for other nodes. Without protection, an address that names no host
// becomes loopback if no other host takes part in the cluster. It returns transport.ErrOpen if other hosts do.
func (c Config) clusterAddress() (string, error) {
	host, port, err := net.SplitHostPort(c.ClusterAddr)
	if err != nil {
		return "", fmt.Errorf("cluster-addr: %w", err)
	}
	if c.protected() || c.ClusterInsecure || c.ClusterListener != nil || !namesNoHost(host) {
		return c.ClusterAddr, nil
	}
	host = "127.0.0.1"
	if c.ClusterAdvertise != "" {
		if host, _, err = net.SplitHostPort(c.ClusterAdvertise); err != nil {
			return "", fmt.Errorf("cluster-advertise: %w", err)
		}
	}
	for _, address := range append([]string{net.JoinHostPort(host, port)}, c.Join...) {
		if !isLoopback(address) {
			return "", fmt.Errorf("cluster-addr %s, with %s in the cluster: %w", c.ClusterAddr, address, transport.ErrOpen)
		}
	}
	return net.JoinHostPort(host, port), nil
}

func namesNoHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || (ip != nil && ip.IsUnspecified())
}

// isLoopback reports whether a host:port names the loopback interface.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || (ip != nil && ip.IsLoopback()))
}
