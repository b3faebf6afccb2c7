package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/cors"
)

// Server serves the HTTP interface of one node. It is made by New, started by Serve and ended by Shutdown.
type Server struct {
	node        string
	version     string
	clusterID   func() ([16]byte, bool)
	proposer    Proposer
	reader      Reader
	freshness   Freshness
	cluster     Cluster
	limits      Limits
	log         *slog.Logger
	bodies      budget
	bodyShares  *shares // of accounts and sources
	coming      coming
	held        atomic.Int64 // refused requests that wait to be told
	metrics     *metrics
	registry    *prometheus.Registry
	metricsPage http.Handler
	tokens      *tokens
	gate        *gate
	hashGate    *gate
	// waits are the requests of each account that wait for the state, strangerWaits those of each source whose account is not known.
	waits, strangerWaits *shares
	authenticator        authenticator
	resolver             *resolver
	engine               *gin.Engine
	http                 *http.Server
	// places is nil where no database tells where hosts are.
	places *places
	// tlsFiles is nil where plain HTTP is served.
	tlsFiles       *tlsStore
	trustedProxies []netip.Prefix
	issuers        map[string]*oidcIssuer
	loginLimit     *loginLimit
	refusedWrites  *refusedWrites
	compressors    compressors
	buffers        streamBuffers
	onceWindow     time.Duration
	document       *apiDocument
	landing        *landingPage
	feeds          *feeds
	guidTurns      chan struct{}
	crossOrigin    *cors.Cors
	level          atomic.Uint64 // the highest feature level that was read
}

// New makes a server. It fails on a configuration that lacks something, and where the registry has its metrics already.
func New(cfg Config) (*Server, error) {
	if cfg.Node == "" || cfg.ClusterID == nil || cfg.Proposer == nil || cfg.Reader == nil || cfg.Freshness == nil || cfg.Cluster == nil {
		return nil, errors.New("httpapi: incomplete configuration")
	}
	cfg.setDefaults()
	s := &Server{
		node: cfg.Node, version: cfg.Version, clusterID: cfg.ClusterID, proposer: cfg.Proposer, reader: cfg.Reader, freshness: cfg.Freshness,
		cluster: cfg.Cluster, limits: cfg.Limits, log: cfg.Logger, registry: cfg.Registry, trustedProxies: cfg.TrustedProxies,
		onceWindow: cfg.IdempotencyWindow,
	}
	s.tokens = newTokens(s, cfg.TokenLifetime)
	s.authenticator = s.tokens
	s.feeds = newFeeds(cfg.Reader, cfg.Limits.FeedReaders, cfg.Limits.FeedReadersPerAccount)
	s.gate, s.hashGate = newGate(limitLoginQueue, cfg.Limits.Logins), newGate(limitHashQueue, hashPlaces)
	s.waits, s.strangerWaits = newShares(int64(max(1, cfg.Limits.Connections/2))), newShares(strangerWaits)
	s.guidTurns = make(chan struct{}, guidScans)
	s.bodies.limit = cfg.Limits.BodiesInFlight
	s.bodyShares = newShares(max(cfg.Limits.BodiesInFlight/2, cfg.Limits.Body+1))
	var err error
	if cfg.GeoIPDatabase != "" {
		if s.places, err = openPlaces(cfg.GeoIPDatabase); err != nil {
			return nil, fmt.Errorf("httpapi: %w", err)
		}
	}
	if s.loginLimit, err = newLoginLimit(cfg.Limits.LoginFailures, cfg.Limits.LoginInterval, cfg.Limits.Logins); err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	if s.refusedWrites, err = newRefusedWrites(); err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	var serverTLS *tls.Config
	if cfg.TLS != nil {
		if s.tlsFiles, err = newTLSStore(*cfg.TLS, cfg.HTTP2, cfg.Logger); err != nil {
			return nil, fmt.Errorf("httpapi: %w", err)
		}
		serverTLS = s.tlsFiles.serverConfig()
	}
	if s.crossOrigin, err = newCrossOrigin(cfg.CORSOrigins); err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	if s.metrics, err = newMetrics(s); err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	keyRefused := func() { s.metrics.refusals.WithLabelValues(string(limitIssuerKeys)).Inc() }
	if s.issuers, err = newOIDCIssuers(cfg.OIDC, keyRefused); err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	s.metricsPage = newMetricsPage(cfg.Registry)
	if s.document, err = newAPIDocument(); err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	if s.landing, err = newLandingPage(cfg.Node, cfg.Version); err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	if s.resolver, err = newResolver(s.routes()); err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	s.engine = s.newEngine()
	s.http = &http.Server{
		Handler:           s.engine,
		TLSConfig:         serverTLS,
		ReadHeaderTimeout: s.limits.ReadHeader,
		IdleTimeout:       s.limits.Idle,
		MaxHeaderBytes:    s.limits.HeaderBytes,
		ConnState:         noteState,
		Protocols:         protocols(cfg.HTTP2),
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.http.RegisterOnShutdown(s.feeds.stop)
	return s, nil
}

// protocols are the versions of HTTP that are spoken. HTTP/2 writes names of headers in lower case alone, which clients that look
// for them as Rucio spells them do not find: it is spoken only if the operator asks for it.
func protocols(http2 bool) *http.Protocols {
	p := &http.Protocols{}
	p.SetHTTP1(true)
	p.SetHTTP2(http2)
	return p
}

// newEngine makes the gin engine: middleware, and one handler for every path, for the resolver has the routes.
func (s *Server) newEngine() *gin.Engine {
	// The mode is the process's; release mode keeps gin from printing.
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.RedirectTrailingSlash = false
	engine.Use(s.observe, s.allowOrigin)
	engine.NoRoute(s.dispatch)
	return engine
}

// Handler returns the server's handler, for use without Serve.
func (s *Server) Handler() http.Handler { return s.engine }

// Serve answers requests on the listener, which it closes at the end. It returns nil after Shutdown or Close.
func (s *Server) Serve(listener net.Listener) error {
	return s.serve(s.limitListener(listener, s.limits.Connections, s.limits.ConnectionsPerSource))
}

// adminConnections is how many connections the listener of administration has at one time.
const adminConnections = 64

// ServeAdmin is Serve for a listener with places of its own, which answers while that of clients is full.
func (s *Server) ServeAdmin(listener net.Listener) error {
	return s.serve(s.limitListener(listener, adminConnections, adminConnections))
}

func (s *Server) serve(listener net.Listener) error {
	var err error
	if s.tlsFiles != nil {
		err = s.http.ServeTLS(listener, "", "")
	} else {
		err = s.http.Serve(listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve HTTP: %w", err)
}

// Shutdown stops taking requests and waits for those in flight until the context ends; what is left then is cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}
