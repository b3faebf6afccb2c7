package httpapi

import (
	"context"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// sessionCookie carries the id of the cluster and the index of the client's last write: "<hex>:<index>". A node that gets it
// waits until it has applied that index, so that a client reads its own writes on every node.
const sessionCookie = "dapple-session"

const (
	headerNode    = "X-Dapple-Node"
	headerIndex   = "X-Dapple-Index"
	headerContact = "X-Dapple-Leader-Contact"
)

// tellState tells the client how far this node is, and how many seconds ago it heard from a leader, where it ever did. Whoever
// has waited tells it again: both have changed.
func (s *Server) tellState(c *gin.Context) {
	setIndex(c, s.reader.AppliedIndex())
	if age, known := s.freshness.LeaderContact(); known {
		c.Header(headerContact, strconv.FormatFloat(age.Seconds(), 'f', 3, 64))
	}
}

// setIndex tells the client what index its answer is of.
func setIndex(c *gin.Context, index uint64) {
	c.Header(headerIndex, strconv.FormatUint(index, 10))
}

// setSession tells the client's session to see the entry at index on every node.
func (s *Server) setSession(c *gin.Context, index uint64) {
	setIndex(c, index)
	id, formed := s.clusterID()
	if !formed {
		return
	}
	c.Writer.Header().Del("Set-Cookie") // an earlier index of the same request
	http.SetCookie(c.Writer, &http.Cookie{
		Name: sessionCookie, Value: hex.EncodeToString(id[:]) + ":" + strconv.FormatUint(index, 10),
		Path: "/", HttpOnly: true, Secure: c.Request.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
}

// sessionIndex returns the highest index among the request's session cookies, 0 for none. A cookie of another cluster, or one
// that cannot be read, does not count.
func (s *Server) sessionIndex(c *gin.Context) uint64 {
	id, formed := s.clusterID()
	if !formed {
		return 0
	}
	var highest uint64
	for _, cookie := range c.Request.CookiesNamed(sessionCookie) {
		cluster, text, _ := strings.Cut(cookie.Value, ":")
		index, err := strconv.ParseUint(text, 10, 64)
		if err == nil && cluster == hex.EncodeToString(id[:]) {
			highest = max(highest, index)
		}
	}
	return highest
}

// waitApplied waits until this node has applied index, within the limits. A client whose token is none does not wait at all.
func (s *Server) waitApplied(c *gin.Context, index uint64) error {
	if index <= s.reader.AppliedIndex() {
		return nil
	}
	client, err := s.waiter(c)
	if err != nil {
		return err
	}
	defer s.tellState(c)
	ctx, cancel := context.WithTimeout(c.Request.Context(), s.limits.Wait)
	defer cancel()
	return s.waitFor(ctx, c, client, index)
}

// waitFor waits until this node has applied index, if the client has a place left to wait; see waiter.
func (s *Server) waitFor(ctx context.Context, c *gin.Context, client string, index uint64) error {
	if index <= s.reader.AppliedIndex() {
		return nil
	}
	shares := s.waits
	if client == "" {
		client, shares = s.limitedSource(c), s.strangerWaits
	}
	if !shares.take(client, 1) {
		return overLimit(limitWaits, 0, "too many requests of one client wait for index %d or others; try again later", index)
	}
	defer shares.release(client, 1)
	return s.waitUntil(ctx, index)
}

// waiter returns whose token a request that is to wait has, "" if that cannot be known yet or none is needed.
func (s *Server) waiter(c *gin.Context) (client string, err error) {
	if value, ok := c.Get(keyRoute); ok && value.(*route).access == public {
		return "", nil
	}
	return s.authenticator.prove(c)
}

// waitUntil waits until this node has applied index.
func (s *Server) waitUntil(ctx context.Context, index uint64) error {
	if err := s.reader.WaitApplied(ctx, index); err != nil {
		return catalogue.Errorf(command.CodeNotReady, "this node has not caught up with index %d in time", index)
	}
	return nil
}

// view opens a view for the request, which ends the query when the client leaves or it takes too long; the caller closes
// it. Where that fails the error is answered and ok is false.
func (s *Server) view(c *gin.Context) (v *queryView, ok bool) {
	opened, err := s.reader.View()
	if err != nil {
		s.fail(c, err)
		return nil, false
	}
	setIndex(c, opened.Index())
	return newQueryView(c.Request.Context(), opened, s.limits.Query), true
}

// supported returns CodeNotReady where the cluster has members that do not know the command yet. The feature level only
// rises, so that this node's own state can be asked.
func (s *Server) supported(t command.Type) error {
	if t.Features() == 0 {
		return nil
	}
	level, err := s.featureLevel()
	if err == nil && level < t.Features() {
		err = catalogue.Errorf(command.CodeNotReady, "the cluster is being upgraded: %s needs feature level %d, and it has %d until every member "+
			"runs a version that knows it", t, t.Features(), level)
	}
	return err
}

// featureLevel returns the feature level of this node's state. It only rises, so that the newest one is read once.
func (s *Server) featureLevel() (uint64, error) {
	if level := s.level.Load(); level == catalogue.NewestFeatureLevel {
		return level, nil
	}
	v, err := s.reader.View()
	if err != nil {
		return 0, err
	}
	defer v.Close()
	level, err := catalogue.FeatureLevel(v)
	if err == nil {
		s.level.Store(level)
	}
	return level, err
}

// propose sends a command in the name of the request's account and waits for its outcome. Where it did not take effect the
// error is answered and ok is false.
func (s *Server) propose(c *gin.Context, t command.Type, message proto.Message) (result command.Result, ok bool) {
	if err := s.checkItems(message); err != nil {
		s.fail(c, err)
		return command.Result{}, false
	}
	payload, err := proto.Marshal(message)
	if err != nil {
		// The only text that protobuf refuses is invalid UTF-8.
		s.fail(c, catalogue.Errorf(command.CodeInvalidValue, "the request cannot be encoded: %v", err))
		return command.Result{}, false
	}
	if err = s.supported(t); err == nil {
		err = s.checkNames(message)
	}
	if err == nil {
		t, payload, err = s.once(c, t, payload)
	}
	if err == nil {
		err = s.refusedWrites.admit(issuer(c))
	}
	if err != nil {
		s.fail(c, err)
		return command.Result{}, false
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), s.limits.Write)
	defer cancel()
	s.arrived(c)
	result, err = s.proposer.Propose(ctx, t, issuer(c), payload)
	if err != nil {
		s.fail(c, err)
		return command.Result{}, false
	}
	s.refusedWrites.settle(issuer(c), result.Code)
	if result.Repeated {
		c.Header(headerRepeated, "true")
		s.metrics.repeated.Inc()
	}
	if result.Index > 0 {
		// Refusals too: what they were decided on may not have come to every node yet.
		s.setSession(c, result.Index)
	}
	if result.Code != command.CodeOK {
		s.fail(c, refusalOf(result))
		return command.Result{}, false
	}
	return result, true
}
