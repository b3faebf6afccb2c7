package httpapi

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// observe counts, times and logs every request, turns a panic into an answer, and gives back what the request held.
func (s *Server) observe(c *gin.Context) {
	begin := time.Now()
	s.metrics.inFlight.Inc()
	defer func() {
		cause := recover()
		s.releaseBody(c)
		s.metrics.inFlight.Dec()
		aborted := isAbort(cause)
		if cause != nil && !aborted {
			s.log.Error("panic in a handler", "method", c.Request.Method, "route", routeOf(c), "panic", cause,
				"stack", string(debug.Stack()))
			if aborted = c.Writer.Written(); !aborted {
				s.fail(c, errPanic)
			}
		}
		elapsed := time.Since(begin)
		s.metrics.served(c, elapsed)
		if s.log.Enabled(c.Request.Context(), slog.LevelDebug) { // or its arguments would be made for nothing
			s.log.Debug("request", "method", c.Request.Method, "route", routeOf(c), "status", c.Writer.Status(),
				"bytes", max(c.Writer.Size(), 0), "elapsed", elapsed, "account", issuer(c), "remote", c.Request.RemoteAddr)
		}
		if aborted {
			panic(http.ErrAbortHandler)
		}
		s.extendWrite(c)
		s.linger(c)
	}()
	_ = s.boundUnread(c) // a large answer is sent before its handler ends
	c.Next()
}

var errPanic = errors.New("panic in a handler")

func isAbort(cause any) bool {
	err, ok := cause.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

// dispatch takes every request to its route's handler.
func (s *Server) dispatch(c *gin.Context) {
	// gin calls this for a path that it does not know and has set 404.
	c.Status(http.StatusOK)
	c.Header(headerNode, s.node)
	s.secure(c.Writer.Header())
	s.tellState(c)
	found, params, allow := s.resolver.resolve(c.Request.Method, c.Request.URL.EscapedPath())
	c.Params = params
	if found == nil {
		s.refuseRoute(c, allow)
		return
	}
	c.Set(keyRoute, found)
	if found.access == unserved {
		s.fail(c, errNotServed(c))
		return
	}
	err := s.admit(c, found)
	if err == nil {
		err = checkTarget(c.Request)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	found.handler(c)
}

// refuseRoute answers a request for which there is no route; allow lists the methods that its path has.
func (s *Server) refuseRoute(c *gin.Context, allow []string) {
	if len(allow) == 0 {
		s.fail(c, catalogue.Errorf(command.CodeNoRoute, "nothing is served at this path; /docs lists what is"))
		return
	}
	c.Header("Allow", strings.Join(allow, ", "))
	s.fail(c, catalogue.Errorf(command.CodeMethodNotAllowed, "the path has no method %.32s; it has %s",
		c.Request.Method, strings.Join(allow, ", ")))
}

// admit does what comes before every handler: the path's text, the state's freshness, the token. Nobody waits for a state before the
// token has been looked at; whether it stands is asked of the state that was waited for.
func (s *Server) admit(c *gin.Context, found *route) error {
	for _, p := range c.Params {
		if !utf8.ValidString(p.Value) || strings.ContainsRune(p.Value, 0) {
			return catalogue.Errorf(command.CodeInvalidObject, "the %s in the path is no valid text", p.Key)
		}
	}
	if found.access == public {
		return s.admitPublic(c, found)
	}
	if err := s.formed(); err != nil {
		return err
	}
	if err := s.freshen(c, found); err != nil {
		return err
	}
	who, err := s.authenticator.authenticate(c)
	if err != nil {
		return err
	}
	c.Set(keyPrincipal, who)
	return s.admitPage(c)
}

// admitPublic is admit for a route that needs no token. Of these, logins wait for what the session has seen; probes never wait.
func (s *Server) admitPublic(c *gin.Context, found *route) error {
	if strings.HasPrefix(found.path, "/auth/") {
		if err := s.freshen(c, found); err != nil {
			return err
		}
	}
	return s.admitPage(c)
}

func (s *Server) admitPage(c *gin.Context) error {
	p, err := readPage(c)
	if p != nil {
		c.Set(keyPage, p)
	}
	return err
}

// formed returns CodeNotReady before this node belongs to a cluster: nobody is known to it then, and saying so to a client with
// a good token would be wrong.
func (s *Server) formed() error {
	if _, formed := s.clusterID(); !formed {
		return catalogue.Errorf(command.CodeNotReady, "this node does not belong to a cluster yet")
	}
	return nil
}

// routeOf returns the path template of the request's route, never the path itself.
func routeOf(c *gin.Context) string {
	if r, ok := c.Get(keyRoute); ok {
		return r.(*route).path
	}
	return "unmatched"
}

// topOf returns the first segment of the request's route.
func topOf(c *gin.Context) string {
	top, _, _ := strings.Cut(strings.TrimPrefix(routeOf(c), "/"), "/")
	return top
}
