package node

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"dapple/catalogue"
	"dapple/transport"
)

// Config is everything that one node needs to know. NodeID, DataDir, HTTPAddr and ClusterAddr are required.
type Config struct {
	// NodeID is the node's stable name in the cluster.
	NodeID string
	// DataDir holds the node's log and state. It is made where it is missing.
	DataDir string

	// HTTPAddr is where clients connect, host:port; HTTPAdvertise the base URL at which they reach the node.
	HTTPAddr, HTTPAdvertise string
	// AdminAddr is where clients connect too, host:port, with places of its own; "" for no such port.
	AdminAddr string
	// ClusterAddr is where other nodes connect, host:port; ClusterAdvertise the host:port at which they reach the node.
	ClusterAddr, ClusterAdvertise string
	// HTTPListener and ClusterListener, if set, are used instead of listening on HTTPAddr and ClusterAddr. The node closes them.
	HTTPListener, ClusterListener net.Listener
	// BootstrapExpect is how many nodes must have found each other before a new cluster is formed; 0 is all that Join
	// names, with this one.
	BootstrapExpect int
	// Join lists the cluster addresses of the nodes to join or to form the cluster with.
	Join []string

	// RootUser and RootPassword are root's first identity, used only when the cluster is formed.
	RootUser, RootPassword string
	// PasswordMinLength is how many characters a new password must have at least; 0 takes any.
	PasswordMinLength int

	// TLSCert, TLSKey and TLSCA are PEM files; all three or none. With them nodes prove to each other who they are.
	TLSCert, TLSKey, TLSCA string
	// TLSNames are patterns of the names in the nodes' certificates, for nodes whose certificates are not for the hosts of
	// their addresses.
	TLSNames []string
	// ClusterKeyFile holds the cluster keys, one per line, that nodes prove to each other; not together with TLSCert.
	ClusterKeyFile string
	// JoinToken, or the content of JoinTokenFile, lets the node join a cluster.
	JoinToken, JoinTokenFile string
	// ClusterInsecure lets the node listen for other nodes on an address that other hosts can reach although nothing
	// proves who they are.
	ClusterInsecure bool

	// HTTPTLSCert and HTTPTLSKey are the PEM files of HTTPS, both or none; HTTPClientCA holds the authorities of client
	// certificates. They are read again when they change.
	HTTPTLSCert, HTTPTLSKey, HTTPClientCA string
	// TrustedProxies are addresses, or networks in CIDR notation, of proxies whose word is taken for the client's address and
	// certificate.
	TrustedProxies []string
	// CORSOrigins are the origins whose pages may read answers, as scheme://host[:port] with at most one star, or "*" for any.
	CORSOrigins []string
	// HTTP2 serves HTTP/2 over TLS beside HTTP/1.1.
	HTTP2 bool
	// OIDCIssuers maps the URL of each issuer whose tokens are taken to the audience that they must have.
	OIDCIssuers map[string]string

	// Settings of the API; 0 is the default of package httpapi.
	WriteTimeout, IndexTimeout, StreamTimeout, QueryTimeout, TokenLifetime time.Duration
	MaxBody, MaxBodiesInFlight                                             int64
	MaxItems, MaxConnections, LoginFailures                                int
	LoginInterval, IdempotencyWindow, BodyTimeout                          time.Duration

	// GeoIPDatabase is a file with the places of addresses, by which the API sorts replicas; "" for none.
	GeoIPDatabase string

	// Settings of consensus; 0 is the default of package cluster.
	HeartbeatTimeout, ElectionTimeout, LeaseTimeout time.Duration
	LogBytes                                        int
	SnapshotInterval                                time.Duration
	// MinFreeDisk is how many bytes the data folder's file system must have free before writes that need space are refused. 0 is
	// the default of package cluster; a negative value turns that off.
	MinFreeDisk int64

	// SigningKeyAge is how old a key may become that signs tokens before the leader replaces it. Less than TokenLifetime counts as that; 0 replaces none.
	SigningKeyAge time.Duration

	// ExpiryInterval is how often the leader looks for temporary unavailability, lifetimes of DIDs and signing keys whose time is over;
	// 0 is 10 seconds.
	ExpiryInterval time.Duration

	// DigestInterval is how often the members compare their states; 0 is 6 hours.
	DigestInterval time.Duration

	// ChangesMaxAge and ChangesMaxBytes bound what is kept of the change feed; 0 is 168 hours and 256 MiB. ChangesTrimInterval is
	// how often the leader looks for what is more than that; 0 is a minute. All nodes should have the same.
	ChangesMaxAge       time.Duration
	ChangesMaxBytes     int64
	ChangesTrimInterval time.Duration
	// ChangesReaders is how many requests may follow the changes on this node, ChangesHeartbeat how often each is told where it
	// stands; 0 is the default of package httpapi.
	ChangesReaders   int
	ChangesHeartbeat time.Duration
	// MaxConnectionsPerSource is how many client connections one source may have; 0 is the default of package httpapi.
	MaxConnectionsPerSource int
	// ChangesReadersPerAccount is how many of them one account may have; 0 is the default of package httpapi.
	ChangesReadersPerAccount int

	// NameSchema is the syntax of names of a cluster that the node forms, "" for the default. One that exists keeps its own.
	NameSchema string

	// FeatureLevel is the newest feature level that the node says it knows; nil is the newest that it does know. A lower one lets
	// a test act as an earlier program.
	FeatureLevel *uint64

	// DrainTime is how long Close lets requests go on; 0 is 5 s.
	DrainTime time.Duration

	// Hook disturbs the network between nodes in tests.
	Hook transport.Hook

	// CacheBytes is the memory for the store's block cache, beside memtables; 0 is the default of package fsm.
	CacheBytes int64

	Logger  *slog.Logger
	Version string
}

// withDefaults checks the configuration and fills in what follows from it.
func (c Config) withDefaults() (Config, error) {
	if c.NodeID == "" || c.DataDir == "" || c.HTTPAddr == "" || c.ClusterAddr == "" {
		return c, errors.New("a node needs an id, a data folder, an HTTP address and a cluster address")
	}
	if (c.HTTPTLSCert == "") != (c.HTTPTLSKey == "") || c.HTTPClientCA != "" && c.HTTPTLSCert == "" {
		return c, errors.New("HTTPS needs a certificate and a key, and client certificates need HTTPS")
	}
	if err := c.checkNumbers(); err != nil {
		return c, err
	}
	if err := catalogue.ValidateSetting(catalogue.SettingNameSchema, c.NameSchema); err != nil {
		return c, fmt.Errorf("name-schema: %w", err)
	}
	if c.FeatureLevel == nil {
		c.FeatureLevel = new(uint64(catalogue.NewestFeatureLevel))
	}
	c.TokenLifetime = orDefault(c.TokenLifetime, time.Hour)
	c.DrainTime = orDefault(c.DrainTime, 5*time.Second)
	c.ExpiryInterval = orDefault(c.ExpiryInterval, 10*time.Second)
	c.ChangesMaxAge, c.ChangesMaxBytes = cmp.Or(c.ChangesMaxAge, 7*24*time.Hour), cmp.Or(c.ChangesMaxBytes, 256<<20)
	c.DigestInterval = orDefault(c.DigestInterval, 6*time.Hour)
	c.ChangesTrimInterval = orDefault(c.ChangesTrimInterval, time.Minute)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	address, err := c.clusterAddress()
	if err != nil {
		return c, err
	}
	c.ClusterAddr = address
	if c.ClusterAdvertise == "" {
		address, err := advertised(c.ClusterAddr)
		if err != nil {
			return c, fmt.Errorf("cluster-advertise: %w", err)
		}
		c.ClusterAdvertise = address
	}
	if c.HTTPAdvertise == "" {
		address, err := advertised(c.HTTPAddr)
		if err != nil {
			return c, fmt.Errorf("http-advertise: %w", err)
		}
		c.HTTPAdvertise = "http://" + address
		if c.HTTPTLSCert != "" {
			c.HTTPAdvertise = "https://" + address
		}
	}
	return c, nil
}

// checkNumbers refuses numbers and times that make no sense.
func (c *Config) checkNumbers() error {
	switch {
	case c.BootstrapExpect < 0:
		return fmt.Errorf("bootstrap-expect is %d, it must not be negative", c.BootstrapExpect)
	case c.ChangesMaxBytes < 0 || c.ChangesMaxAge < 0:
		return errors.New("changes-max-bytes and changes-max-age must not be negative")
	case c.SigningKeyAge < 0:
		return fmt.Errorf("signing-key-age is %s, it must not be negative; 0 leaves the rotation of keys to you", c.SigningKeyAge)
	}
	return nil
}

// orDefault returns an interval, or another where it is none.
func orDefault(interval, absent time.Duration) time.Duration {
	if interval <= 0 {
		return absent
	}
	return interval
}

// advertised turns a listening address into one that others can reach: where it names no host, the name of this one.
func advertised(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return listen, nil
	}
	if host, err = os.Hostname(); err != nil {
		return "", err
	}
	return net.JoinHostPort(host, port), nil
}

// prefixes reads addresses and networks.
func prefixes(texts []string) ([]netip.Prefix, error) {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		if address, err := netip.ParseAddr(text); err == nil {
			all[i] = netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen())
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("trusted proxy %q is no address and no network: %w", text, err)
		}
		all[i] = prefix
	}
	return all, nil
}
