package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"dapple/catalogue"
	"dapple/command"
)

// systemRoutes are the rows of the operator's endpoints.
func (s *Server) systemRoutes() []route {
	return []route{
		{get, "/", s.showLanding, public},
		{get, "/ping", s.ping, public},
		{get, "/healthz", s.health, public},
		{get, "/readyz", s.ready, public},
		{get, "/metrics", s.showMetrics, public},
		{get, "/cluster/status", s.clusterStatus, needsToken},
		{get, "/cluster/digest", s.clusterDigest, needsToken},
	}
}

// probeTime bounds what the operator's endpoints wait for; probes give up soon.
const probeTime = 2 * time.Second

// ping tells the version, as Rucio's clients expect it.
func (s *Server) ping(c *gin.Context) {
	s.json(c, http.StatusOK, map[string]string{"version": s.version})
}

// health answers as long as the process does.
func (s *Server) health(c *gin.Context) {
	s.write(c, http.StatusOK, "text/plain; charset=utf-8", []byte("ok\n"))
}

// ready answers 200 where this node can serve, with a line for each member that does not answer, otherwise 503 with the reason.
func (s *Server) ready(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), probeTime)
	defer cancel()
	missing, err := s.cluster.Ready(ctx)
	if err != nil {
		s.fail(c, catalogue.Errorf(command.CodeNotReady, "not ready: %s", withoutAddresses(err.Error())))
		return
	}
	text := []byte("ready\n")
	for _, m := range missing {
		text = fmt.Appendf(text, "%s unreachable since %s (%s)\n", m.Name, m.Since.UTC().Format(timeLayout), time.Since(m.Since).Round(time.Second))
	}
	s.write(c, http.StatusOK, "text/plain; charset=utf-8", text)
}

func (s *Server) showMetrics(c *gin.Context) {
	s.extendWrite(c)
	s.metricsPage.ServeHTTP(c.Writer, c.Request)
}

// newMetricsPage shows a registry. A collector that fails does not hide the others.
func newMetricsPage(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	})
}

// clusterStatus describes the cluster as this node sees it.
func (s *Server) clusterStatus(c *gin.Context) {
	if err := s.mayOperate(c, "see the state of the cluster"); err != nil {
		s.fail(c, err)
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), probeTime)
	defer cancel()
	s.json(c, http.StatusOK, s.cluster.Status(ctx))
}

// clusterDigest answers this node's digest of the state as of one entry. Without index= it makes all nodes digest theirs
// first, so that the answers of the others to the same index can be compared.
func (s *Server) clusterDigest(c *gin.Context) {
	index, err := queryUint(c, "index", 1<<63)
	if err == nil {
		err = s.mayOperate(c, "digest the state")
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	if index == 0 {
		result, ok := s.propose(c, command.TypeDigest, &command.Digest{})
		if !ok {
			return
		}
		index = result.Index
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), s.limits.Stall)
	defer cancel()
	digest, err := s.cluster.Digest(ctx, index)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, http.StatusOK, map[string]any{"node_id": s.node, "index": index, "digest": digest})
}

// mayOperate returns CodeAccessDenied where the request's account may not do what operators do.
func (s *Server) mayOperate(c *gin.Context, what string) error {
	return s.may(c, catalogue.ActionOperate, what)
}

// queryUint returns a number from 0 to limit in the query, 0 where it is missing.
func queryUint(c *gin.Context, key string, limit uint64) (uint64, error) {
	text := c.Query(key)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > limit {
		return 0, catalogue.Errorf(command.CodeInvalidValue, "'%s' must be a number from 0 to %d", key, limit)
	}
	return n, nil
}
