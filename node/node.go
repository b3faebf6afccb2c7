// Package node makes one node out of its parts: it opens them in order, wires the interfaces of one to the methods of another,
// and closes them in the reverse order. It is the only package that sees all of them.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dapple/cluster"
	"dapple/fsm"
	"dapple/httpapi"
)

// ErrMachineFailed is in the chain of Err where the state machine has stopped: the data must not be served or written on.
var ErrMachineFailed = errors.New("the state machine has failed")

// Node is one running node.
type Node struct {
	logger  *slog.Logger
	newest  uint64 // feature level that the node says it knows
	machine *fsm.Machine
	cluster *cluster.Node
	server  *httpapi.Server
	watch   sync.WaitGroup
	stop    context.CancelFunc

	drainTime time.Duration

	failOnce sync.Once
	done     chan struct{}
	err      error
}

// Start starts a node and returns once it listens for clients and other nodes; forming or joining a cluster goes on in the
// background, and /readyz tells when it is done. An error means that nothing runs.
//
// The order, each part needing those before it: state machine (what is on disk), cluster (log, consensus, the port between
// nodes), API server. Close goes backwards: first no new requests, then no consensus, then no store.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	n := &Node{logger: cfg.Logger, newest: *cfg.FeatureLevel, drainTime: cfg.DrainTime, done: make(chan struct{})}
	if err := n.open(ctx, cfg); err != nil {
		closeErr := n.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("node %s: %w", cfg.NodeID, errors.Join(err, closeErr))
	}
	return n, nil
}

func (n *Node) open(ctx context.Context, cfg Config) (err error) {
	if err = secureFolder(cfg.DataDir, cfg.Logger); err != nil {
		return err
	}
	n.machine, err = fsm.Open(fsm.Config{
		Dir: filepath.Join(cfg.DataDir, "state"), Logger: cfg.Logger, CacheBytes: cfg.CacheBytes, Failed: n.machineFailed,
	})
	if err != nil {
		return err
	}
	clusterConfig, err := n.clusterConfig(cfg)
	if err != nil {
		return err
	}
	if n.cluster, err = cluster.Start(ctx, clusterConfig); err != nil {
		return err
	}
	serverConfig, err := n.serverConfig(cfg)
	if err != nil {
		return err
	}
	if n.server, err = httpapi.New(serverConfig); err != nil {
		return err
	}
	if err = n.listen(cfg); err != nil {
		return err
	}
	watchCtx, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.watch.Go(func() { n.watchCluster(watchCtx) })
	n.watch.Go(func() { n.expire(watchCtx, cfg.ExpiryInterval) })
	n.watch.Go(func() { n.endDIDs(watchCtx, cfg.ExpiryInterval) })
	n.watch.Go(func() { n.rotateKeys(watchCtx, cfg.ExpiryInterval, keyRotation{cfg.SigningKeyAge, cfg.TokenLifetime}) })
	n.watch.Go(func() { n.digestStates(watchCtx, cfg.DigestInterval) })
	n.watch.Go(func() { n.raiseFeatures(watchCtx, featureInterval) })
	n.watch.Go(func() { n.compareNameSchema(watchCtx, cfg.NameSchema) })
	keep := retention{cfg.ChangesMaxAge, uint64(cfg.ChangesMaxBytes)}
	n.watch.Go(func() { n.trimChanges(watchCtx, cfg.ChangesTrimInterval, keep) })
	return nil
}

// listen serves clients, on the port of administration too if there is one.
func (n *Node) listen(cfg Config) (err error) {
	listener := cfg.HTTPListener
	if listener == nil {
		if listener, err = net.Listen("tcp", cfg.HTTPAddr); err != nil {
			return err
		}
	}
	n.serve(n.server.Serve, listener)
	if cfg.AdminAddr == "" {
		return nil
	}
	if listener, err = net.Listen("tcp", cfg.AdminAddr); err != nil {
		return fmt.Errorf("admin-addr: %w", err)
	}
	n.serve(n.server.ServeAdmin, listener)
	return nil
}

func (n *Node) serve(serve func(net.Listener) error, listener net.Listener) {
	n.watch.Go(func() {
		if err := serve(listener); err != nil {
			n.fail(err)
		}
	})
}

func (n *Node) clusterConfig(cfg Config) (cluster.Config, error) {
	c := cluster.Config{
		NodeID: cfg.NodeID, DataDir: cfg.DataDir, Version: cfg.Version, Features: *cfg.FeatureLevel,
		ClusterAddr: cfg.ClusterAddr, Listener: cfg.ClusterListener, ClusterAdvertise: cfg.ClusterAdvertise, HTTPAdvertise: cfg.HTTPAdvertise,
		Join: cfg.Join, BootstrapExpect: cfg.BootstrapExpect,
		Genesis: genesis(cfg), Machine: machine{n.machine}, Check: machine{n.machine}.Check, Digests: n.machine, Logger: cfg.Logger, Hook: cfg.Hook,
		Heartbeat: cfg.HeartbeatTimeout, Election: cfg.ElectionTimeout, Lease: cfg.LeaseTimeout,
		MinFreeDisk: cfg.MinFreeDisk, LogBytes: cfg.LogBytes, SnapshotInterval: cfg.SnapshotInterval,
	}
	err := n.secure(&c, cfg)
	return c, err
}

func (n *Node) serverConfig(cfg Config) (httpapi.Config, error) {
	proxies, err := prefixes(cfg.TrustedProxies)
	if err != nil {
		return httpapi.Config{}, err
	}
	var files *httpapi.TLSFiles
	if cfg.HTTPTLSCert != "" {
		files = &httpapi.TLSFiles{Cert: cfg.HTTPTLSCert, Key: cfg.HTTPTLSKey, ClientCA: cfg.HTTPClientCA}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(n.machine.Collector())
	registry.MustRegister(n.cluster.Collectors()...)
	return httpapi.Config{
		Node: cfg.NodeID, ClusterID: n.machine.ClusterID, Version: cfg.Version,
		Proposer: proposer{n.cluster}, Reader: reader{n.machine}, Freshness: freshness{n.cluster}, Cluster: operator{n.cluster, n.machine},
		Limits: httpapi.Limits{
			Body: cfg.MaxBody, BodiesInFlight: cfg.MaxBodiesInFlight, Items: cfg.MaxItems, Connections: cfg.MaxConnections,
			ConnectionsPerSource: cfg.MaxConnectionsPerSource, Write: cfg.WriteTimeout, Wait: cfg.IndexTimeout, Stall: cfg.StreamTimeout, Query: cfg.QueryTimeout, PasswordLength: cfg.PasswordMinLength, LoginFailures: cfg.LoginFailures, LoginInterval: cfg.LoginInterval,
			BodyTime: cfg.BodyTimeout, FeedReaders: cfg.ChangesReaders, FeedReadersPerAccount: cfg.ChangesReadersPerAccount, Heartbeat: cfg.ChangesHeartbeat,
		},
		TLS: files, TrustedProxies: proxies, CORSOrigins: cfg.CORSOrigins, HTTP2: cfg.HTTP2, OIDC: cfg.OIDCIssuers,
		TokenLifetime: cfg.TokenLifetime, IdempotencyWindow: cfg.IdempotencyWindow, GeoIPDatabase: cfg.GeoIPDatabase, Logger: cfg.Logger, Registry: registry,
	}, nil
}

// drain lets requests that are under way end, for at most the drain time, and cuts off the others.
func (n *Node) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.drainTime)
	defer cancel()
	err := n.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		n.logger.Info("requests that did not end were cut off", "after", n.drainTime)
		return nil
	}
	return err
}

// machineFailed is called by the state machine, once, when it stops for good.
func (n *Node) machineFailed(err error) { n.fail(fmt.Errorf("%w: %w", ErrMachineFailed, err)) }

func (n *Node) watchCluster(ctx context.Context) {
	select {
	case err := <-n.cluster.Failed():
		n.fail(err)
	case <-ctx.Done():
	}
}

func (n *Node) fail(err error) {
	n.failOnce.Do(func() {
		n.logger.Error("the node stops", "error", err)
		n.err = err
		close(n.done)
	})
}

// Done is closed when the node has failed and must be stopped.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err returns why the node has failed; nil until Done is closed.
func (n *Node) Err() error {
	select {
	case <-n.done:
		return n.err
	default:
		return nil
	}
}

// Close stops the node within ctx. Where the node leads it hands the leadership over first: requests that are under way may
// take as long as their clients like, and writes elsewhere must not wait for them.
func (n *Node) Close(ctx context.Context) error {
	var errs []error
	if n.cluster != nil {
		n.cluster.HandOver(ctx)
	}
	if n.server != nil {
		errs = append(errs, n.drain(ctx))
	}
	if n.stop != nil {
		n.stop()
	}
	n.watch.Wait()
	if n.cluster != nil {
		errs = append(errs, n.cluster.Shutdown(ctx))
	}
	if n.machine != nil {
		errs = append(errs, n.machine.Close())
	}
	return errors.Join(errs...)
}
