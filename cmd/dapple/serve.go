package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"dapple/internal/version"
	"dapple/node"
)

// rootPasswordVariable holds the password of root's first identity. No flag stands for it: the flags of a process can be
// seen by every user of the host.
const rootPasswordVariable = "DAPPLE_ROOT_PASSWORD"

// joinTokenVariable holds the token with which the node joins a cluster. No flag stands for it either.
const joinTokenVariable = "DAPPLE_JOIN_TOKEN"

// serveCmd is one node. Every flag is also an environment variable (DAPPLE_NODE_ID for --node-id) and a key of the
// configuration file. Acronyms need a name of their own, since kong would take HTTPTLS for one word; aliases and the second
// variable are spellings of earlier versions.
type serveCmd struct {
	Config configFile `help:"YAML file of settings, by the names of these flags." placeholder:"FILE" env:"DAPPLE_CONFIG"`

	NodeID           string   `required:"" help:"The node's stable name in the cluster."`
	DataDir          string   `required:"" help:"Folder of the node's log and state."`
	HTTPAddr         string   `name:"http-addr" default:":8080" help:"Address that clients connect to."`
	AdminAddr        string   `help:"Another address that clients connect to, with places of its own: it answers while --http-addr is full." placeholder:"HOST:PORT"`
	HTTPAdvertise    string   `name:"http-advertise" help:"Base URL at which clients reach this node; by default from --http-addr and the host's name."`
	ClusterAddr      string   `default:":7080" help:"Address that other nodes connect to."`
	ClusterAdvertise string   `help:"host:port at which other nodes reach this node; by default from --cluster-addr and the host's name."`
	BootstrapExpect  int      `help:"Number of nodes that must have found each other before a new cluster is formed; 0 is all that --join names, with this one."`
	Join             []string `help:"Cluster addresses of nodes to join or to form the cluster with, this node's own allowed." placeholder:"HOST:PORT"`

	RootUser         string `help:"User name of root's first identity, used when the cluster is formed. Its password is in the environment variable DAPPLE_ROOT_PASSWORD or in a file."`
	RootPasswordFile string `help:"File with the password of root's first identity." placeholder:"FILE"`

	PasswordMinLength int `default:"8" help:"Fewest characters of a new password. Passwords that are there stay good; root's first one is warned about."`

	NameSchema string `help:"Syntax of names in a cluster that this node forms: generic, atlas, belleii, cms, dune, lsst and others. A cluster that exists keeps its own." placeholder:"SCHEMA"`

	ClusterTLSCert  string   `name:"cluster-tls-cert" help:"Certificate of this node for traffic between nodes (PEM). With key and CA, nodes must prove who they are."`
	ClusterTLSKey   string   `name:"cluster-tls-key" help:"Key of the certificate (PEM)."`
	ClusterTLSCA    string   `name:"cluster-tls-ca" aliases:"cluster-tlsca" env:"DAPPLE_CLUSTER_TLS_CA,DAPPLE_CLUSTER_TLSCA" help:"Certificates of the authorities that other nodes' certificates must come from (PEM)."`
	ClusterTLSNames []string `name:"cluster-tls-names" env:"DAPPLE_CLUSTER_TLS_NAMES" help:"Patterns of the names in the certificates of nodes, if these are not for the hosts of their addresses. * is any text without a dot, {node} the node's id." placeholder:"PATTERN"`
	ClusterKeyFile  string   `help:"File with the key that nodes prove to each other, made by dapple cluster-key. One per line: the first is proved, all are accepted. It is read again when it changes." placeholder:"FILE"`
	JoinTokenFile   string   `help:"File with the token that lets this node join a cluster, made by dapple join-token. It can be in the environment variable DAPPLE_JOIN_TOKEN too." placeholder:"FILE"`
	ClusterInsecure bool     `help:"Listen for other nodes on any address although nothing proves who they are: whoever reaches the port can read and change everything."`

	HTTPTLSCert  string            `name:"http-tls-cert" aliases:"httptls-cert" env:"DAPPLE_HTTP_TLS_CERT,DAPPLE_HTTPTLS_CERT" help:"Certificate chain for HTTPS (PEM). It is read again when it changes."`
	HTTPTLSKey   string            `name:"http-tls-key" aliases:"httptls-key" env:"DAPPLE_HTTP_TLS_KEY,DAPPLE_HTTPTLS_KEY" help:"Key of the certificate (PEM)."`
	HTTPClientCA string            `name:"http-client-ca" help:"Authorities of the client certificates that may log in (PEM)."`
	TrustedProxy []string          `help:"Addresses or networks of proxies whose word is taken for a client's address and certificate." placeholder:"CIDR"`
	CORSOrigins  []string          `name:"cors-origins" env:"DAPPLE_CORS_ORIGINS" help:"Origins whose pages may read answers in a browser; * is any." placeholder:"SCHEME://HOST"`
	HTTP2        bool              `name:"http2" env:"DAPPLE_HTTP2" help:"Serve HTTP/2 over TLS too. Its names of headers are in lower case."`
	OIDCIssuer   map[string]string `name:"oidc-issuer" help:"Issuers whose OpenID Connect tokens are taken, each with the audience that they must have." placeholder:"URL=AUDIENCE"`

	GeoIPDatabase string `name:"geoip-database" help:"File with the places of addresses (GeoLite2-City.mmdb): replicas are listed nearest to the client first." placeholder:"FILE"`

	Tuning tuning `embed:""`

	LogLevel  slog.Level `default:"info" help:"debug, info, warn or error."`
	LogFormat string     `default:"text" enum:"text,json" help:"text or json."`
}

// tuning are the settings that few need to touch.
type tuning struct {
	WriteTimeout             time.Duration `default:"10s" help:"Deadline of a write."`
	IndexTimeout             time.Duration `default:"5s" help:"How long a read waits for the index that its session has seen."`
	QueryTimeout             time.Duration `default:"30s" help:"Longest time that a query may work without finding anything, before it is refused."`
	StreamTimeout            time.Duration `default:"30s" help:"How long a client may take no data of an answer before it is cut off."`
	TokenLifetime            time.Duration `default:"1h" help:"Lifetime of a token. Set it alike on all nodes."`
	SigningKeyAge            time.Duration `default:"720h" help:"How old a key may become that signs tokens before the leader replaces it. Set it alike on all nodes. 0 turns that off."`
	IdempotencyWindow        time.Duration `default:"1h" help:"For how long a repeat of a write with the same Idempotency-Key is answered as the first."`
	LoginFailures            int           `default:"10" help:"Wrong passwords in a row for one user from one source before one per --login-interval may be tried; after four times as many from a source, every user from it is limited so."`
	LoginInterval            time.Duration `default:"6s" help:"How often a password may be tried after too many wrong ones."`
	MaxBody                  int64         `default:"67108864" help:"Largest request body in bytes."`
	MaxBodiesInFlight        int64         `default:"268435456" help:"Bytes of request bodies held at a time; beyond it the answer is 503."`
	BodyTimeout              time.Duration `default:"2m" help:"How long the body of a request may take to arrive."`
	MaxItems                 int           `default:"10000" help:"Most items in a bulk request."`
	MaxConnections           int           `default:"4096" help:"Most client connections at a time; beyond it, idle ones are closed."`
	MaxConnectionsPerSource  int           `help:"Most of them from one source, unless it is a trusted proxy. 0 is a quarter of --max-connections."`
	HeartbeatTimeout         time.Duration `help:"A follower that hears nothing of its leader for so long starts an election. 0 is the built-in default."`
	ElectionTimeout          time.Duration `help:"A candidate that is not elected in so long tries again. 0 is the built-in default."`
	LeaseTimeout             time.Duration `help:"A leader that hears nothing of a majority for so long steps down. 0 is the built-in default."`
	LogBytes                 int           `help:"Size of Raft's log at which it is cut, about. 0 is the built-in default, 64 MiB."`
	MinFreeDisk              freeDisk      `default:"auto" help:"Free bytes of the data folder's file system below which writes that need space are refused. auto is 5 % of it, at most 1 GiB; 0 turns that off."`
	ExpiryInterval           time.Duration `default:"10s" help:"How often the leader looks for temporary unavailability, lifetimes and signing keys that have ended."`
	DigestInterval           time.Duration `default:"6h" help:"How often the members compare digests of their states."`
	ChangesMaxAge            time.Duration `default:"168h" help:"How long changes are kept for GET /changes. Set it alike on all nodes: the leader's counts."`
	ChangesMaxBytes          int64         `default:"268435456" help:"How many bytes of changes are kept. Set it alike on all nodes."`
	ChangesTrimInterval      time.Duration `default:"1m" help:"How often the leader looks for changes that are no longer to be kept."`
	ChangesReaders           int           `default:"64" help:"Most requests that follow the changes on this node at a time; beyond it the answer is 503."`
	ChangesReadersPerAccount int           `help:"Most of them for one account. 0 is a quarter of --changes-readers, at least 2."`
	ChangesHeartbeat         time.Duration `default:"10s" help:"How often a reader of the changes is told where it stands."`
	SnapshotInterval         time.Duration `help:"How often to look whether the log is to be cut. 0 is the built-in default, 10s."`
	CacheBytes               int64         `default:"268435456" help:"Memory for the store's block cache; memtables come on top."`
}

// Run serves until ctx ends or the node fails.
func (c *serveCmd) Run(ctx context.Context, s *streams) error {
	password, err := rootPassword(c.RootPasswordFile)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	cfg := c.nodeConfig(newLogger(s.err, c.LogLevel, c.LogFormat))
	cfg.RootUser, cfg.RootPassword = c.RootUser, password
	n, err := node.Start(ctx, cfg)
	if err != nil {
		return withExitCode(err, c.DataDir)
	}
	return withExitCode(waitAndClose(ctx, n), c.DataDir)
}

// waitAndClose waits for the end of ctx or of the node, and stops the node.
func waitAndClose(ctx context.Context, n *node.Node) error {
	var failure error
	select {
	case <-ctx.Done():
	case <-n.Done():
		failure = n.Err()
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 8*time.Second)
	defer cancel()
	return errors.Join(failure, n.Close(stop))
}

func (c *serveCmd) nodeConfig(logger *slog.Logger) node.Config {
	cfg := node.Config{
		NodeID: c.NodeID, DataDir: c.DataDir,
		HTTPAddr: c.HTTPAddr, HTTPAdvertise: c.HTTPAdvertise, AdminAddr: c.AdminAddr,
		ClusterAddr: c.ClusterAddr, ClusterAdvertise: c.ClusterAdvertise,
		BootstrapExpect: c.BootstrapExpect, Join: c.Join, NameSchema: c.NameSchema, PasswordMinLength: c.PasswordMinLength,
		TLSCert: c.ClusterTLSCert, TLSKey: c.ClusterTLSKey, TLSCA: c.ClusterTLSCA,
		TLSNames: c.ClusterTLSNames, ClusterKeyFile: c.ClusterKeyFile, ClusterInsecure: c.ClusterInsecure,
		JoinToken: os.Getenv(joinTokenVariable), JoinTokenFile: c.JoinTokenFile,
		HTTPTLSCert: c.HTTPTLSCert, HTTPTLSKey: c.HTTPTLSKey, HTTPClientCA: c.HTTPClientCA,
		TrustedProxies: c.TrustedProxy, CORSOrigins: c.CORSOrigins, HTTP2: c.HTTP2, OIDCIssuers: c.OIDCIssuer,
		GeoIPDatabase: c.GeoIPDatabase, Logger: logger, Version: version.String(),
	}
	c.Tuning.apply(&cfg)
	return cfg
}

func (t *tuning) apply(cfg *node.Config) {
	cfg.WriteTimeout, cfg.IndexTimeout, cfg.StreamTimeout, cfg.QueryTimeout = t.WriteTimeout, t.IndexTimeout, t.StreamTimeout, t.QueryTimeout
	cfg.SigningKeyAge = t.SigningKeyAge
	cfg.TokenLifetime, cfg.LoginFailures, cfg.LoginInterval = t.TokenLifetime, t.LoginFailures, t.LoginInterval
	cfg.MaxBody, cfg.MaxBodiesInFlight, cfg.BodyTimeout = t.MaxBody, t.MaxBodiesInFlight, t.BodyTimeout
	cfg.MaxItems, cfg.MaxConnections, cfg.MaxConnectionsPerSource = t.MaxItems, t.MaxConnections, t.MaxConnectionsPerSource
	cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaseTimeout = t.HeartbeatTimeout, t.ElectionTimeout, t.LeaseTimeout
	cfg.ExpiryInterval, cfg.IdempotencyWindow = t.ExpiryInterval, t.IdempotencyWindow
	cfg.DigestInterval = t.DigestInterval
	cfg.MinFreeDisk = int64(t.MinFreeDisk)
	cfg.LogBytes, cfg.SnapshotInterval = t.LogBytes, t.SnapshotInterval
	cfg.ChangesMaxAge, cfg.ChangesMaxBytes, cfg.ChangesTrimInterval = t.ChangesMaxAge, t.ChangesMaxBytes, t.ChangesTrimInterval
	cfg.ChangesReaders, cfg.ChangesReadersPerAccount, cfg.ChangesHeartbeat = t.ChangesReaders, t.ChangesReadersPerAccount, t.ChangesHeartbeat
	cfg.CacheBytes = t.CacheBytes
}

// rootPassword reads the password from the environment or a file: never from a flag, which every user of the host can see.
func rootPassword(file string) (string, error) {
	if file == "" {
		return os.Getenv(rootPasswordVariable), nil
	}
	password, err := readPassword(file)
	if err != nil {
		return "", fmt.Errorf("root's %w", err)
	}
	return password, nil
}

func newLogger(w io.Writer, level slog.Level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
