package httpapi

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config is what a Server is made of. Node, ClusterID, Proposer, Reader, Freshness and Cluster are required.
type Config struct {
	// Node is the stable name of this node; every answer carries it.
	Node string
	// ClusterID returns the id of the cluster, and false before the node belongs to one.
	ClusterID func() ([16]byte, bool)
	Proposer  Proposer
	Reader    Reader
	Freshness Freshness
	Cluster   Cluster
	// Version is the program's version.
	Version string
	// Limits bounds requests; zero fields take their defaults.
	Limits Limits
	// TokenLifetime is how long a token is good for; 0 is one hour.
	TokenLifetime time.Duration
	// IdempotencyWindow is for how long a repeat of a write with the same Idempotency-Key is answered as the first; 0 is one hour.
	IdempotencyWindow time.Duration
	// TLS names the files to serve HTTPS with; nil serves plain HTTP.
	TLS *TLSFiles
	// TrustedProxies are the addresses of proxies whose word is taken for the client's address and certificate.
	TrustedProxies []netip.Prefix
	// CORSOrigins are the origins whose pages may read answers, as scheme://host[:port] with at most one star, or "*" for any;
	// none by default.
	CORSOrigins []string
	// HTTP2 serves HTTP/2 over TLS beside HTTP/1.1.
	HTTP2 bool
	// OIDC maps the URL of each issuer whose tokens are taken to the audience that they must have.
	OIDC map[string]string
	// GeoIPDatabase is a file with the places of addresses, in MaxMind's format with cities; with it the PFNs of a file come in
	// the order of their distance from the client. "" for none.
	GeoIPDatabase string
	// Logger takes what an operator should read; nil is slog.Default().
	Logger *slog.Logger
	// Registry takes the server's metrics and is what /metrics shows; nil is a new one.
	Registry *prometheus.Registry
}

// Limits bounds what requests may cost. A zero field takes the default that its comment names.
type Limits struct {
	// Body is the largest request body in bytes: 64 MiB.
	Body int64
	// BodiesInFlight is how many bytes of bodies may be held at one time: 256 MiB. Beyond, requests are answered 503. One account,
	// or one source, may hold half of it.
	BodiesInFlight int64
	// Items is how many items a bulk request may name: 10,000.
	Items int
	// HeaderBytes is the largest request header: 64 KiB.
	HeaderBytes int
	// Connections is how many connections are served at one time: 4,096. Beyond, idle ones are closed; if there are none, others wait.
	Connections int
	// ConnectionsPerSource is how many of them one source may have, unless it is a trusted proxy: a quarter of Connections.
	ConnectionsPerSource int
	// ReadHeader is the time for a request's header to arrive: 10 s.
	ReadHeader time.Duration
	// Idle is how long a connection may be silent between requests: 120 s.
	Idle time.Duration
	// Stall is how long a body or an answer may make no progress: 30 s.
	Stall time.Duration
	// Query is how long a query may work without lines to show for it: 30 s.
	Query time.Duration
	// BodyTime is how long a body may take to arrive: 2 minutes.
	BodyTime time.Duration
	// Refusal is how long a write that meets an overload is held before it is told: 1 s, by chance up to half of it less or more, so that those
	// who were refused together do not come again together. A client that comes again at once takes as much of the processors as one
	// that is served.
	Refusal time.Duration
	// Write is the deadline of a command: 10 s.
	Write time.Duration
	// Wait is how long a request waits for the state that its level asks for: 5 s.
	Wait time.Duration
	// Logins is how many logins may wait for their turn at the password check: 32. Beyond, they are answered 503.
	Logins int
	// PasswordLength is how many characters a new password must have at least: 0 takes any.
	PasswordLength int
	// LoginFailures is how many passwords may be wrong in a row for one user from one source: 10. After them one per LoginInterval
	// may be tried, 6 s. After four times as many from a source this holds for every user from it.
	LoginFailures int
	LoginInterval time.Duration
	// FeedReaders is how many requests may follow the changes at one time: 64. Beyond, they are answered 503.
	FeedReaders int
	// FeedReadersPerAccount is how many of them one account may have: a quarter of FeedReaders, at least 2.
	FeedReadersPerAccount int
	// Heartbeat is how often a reader of the changes is told where it stands: 10 s.
	Heartbeat time.Duration
}

func (l *Limits) setDefaults() {
	setDefault(&l.Body, 64<<20)
	setDefault(&l.BodiesInFlight, 256<<20)
	setDefault(&l.Items, 10_000)
	setDefault(&l.HeaderBytes, 64<<10)
	setDefault(&l.Connections, 4096)
	setDefault(&l.ConnectionsPerSource, max(1, l.Connections/4))
	setDefault(&l.ReadHeader, 10*time.Second)
	setDefault(&l.Idle, 120*time.Second)
	setDefault(&l.Stall, 30*time.Second)
	setDefault(&l.Query, 30*time.Second)
	setDefault(&l.BodyTime, 2*time.Minute)
	setDefault(&l.Refusal, time.Second)
	setDefault(&l.Write, 10*time.Second)
	setDefault(&l.Wait, 5*time.Second)
	setDefault(&l.Logins, 32)
	setDefault(&l.LoginFailures, 10)
	setDefault(&l.LoginInterval, 6*time.Second)
	setDefault(&l.FeedReaders, 64)
	setDefault(&l.FeedReadersPerAccount, max(2, l.FeedReaders/4))
	setDefault(&l.Heartbeat, 10*time.Second)
}

func (c *Config) setDefaults() {
	c.Limits.setDefaults()
	setDefault(&c.TokenLifetime, time.Hour)
	setDefault(&c.IdempotencyWindow, time.Hour)
	setDefault(&c.Logger, slog.Default())
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
