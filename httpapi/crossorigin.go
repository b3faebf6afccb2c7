package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/rs/cors"
)

// preflightAge is for how many seconds a browser may remember the answer to a preflight.
const preflightAge = 600

// exposedHeaders are the headers of answers that a page of another origin may read beside the few that browsers always show.
var exposedHeaders = [...]string{
	headerToken, headerExpires, headerAccount, headerAccounts, headerClass, headerMessage,
	headerNode, headerIndex, headerContact, headerLevel, headerNext, headerRepeated, "Link", "Retry-After", "Allow",
}

// newCrossOrigin returns what lets the pages of origins read answers, nil for no origins. It fails on what is no origin.
func newCrossOrigin(origins []string) (*cors.Cors, error) {
	if len(origins) == 0 {
		return nil, nil
	}
	for _, origin := range origins {
		if err := checkOrigin(origin); err != nil {
			return nil, err
		}
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{get, http.MethodHead, post, put, remove, options},
		AllowedHeaders: []string{"*"},
		ExposedHeaders: exposedHeaders[:],
		// A page of any origin gets no cookie and no client certificate of its reader.
		AllowCredentials:     !slices.Contains(origins, "*"),
		OptionsSuccessStatus: http.StatusOK,
		MaxAge:               preflightAge,
	}), nil
}

// checkOrigin refuses what no browser sends as an origin, and a star anywhere but before a domain: with credentials, which all
// origins but * have, https://* would let in everybody, and https://a* also a.evil.net.
func checkOrigin(origin string) error {
	plain := strings.Replace(origin, "://*.", "://x.", 1)
	u, err := url.Parse(plain)
	switch {
	case origin == "*":
		return nil
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+u.Host != plain || strings.Contains(plain, "*"),
		plain != origin && strings.Trim(strings.TrimPrefix(u.Hostname(), "x"), ".") == "":
		return fmt.Errorf("CORS origin %q is not scheme://host[:port] or scheme://*.domain[:port], with http or https as scheme, or * alone", origin)
	}
	return nil
}

// allowOrigin adds to every answer what a browser asks for before it shows the answer to a page of another origin, and answers the
// preflights of browsers. Without configured origins it does nothing.
func (s *Server) allowOrigin(c *gin.Context) {
	if s.crossOrigin == nil {
		return
	}
	s.crossOrigin.HandlerFunc(c.Writer, c.Request)
	if c.Request.Method == options && c.GetHeader("Access-Control-Request-Method") != "" {
		c.Writer.WriteHeaderNow()
		c.Abort()
	}
}

// preflight answers OPTIONS at a login as Rucio does, for any origin. That shows nothing to a page: the answer to the login itself
// is for the configured origins alone.
func (s *Server) preflight(c *gin.Context) {
	header := c.Writer.Header()
	header.Add("Vary", "Origin, Access-Control-Request-Headers")
	for name, asked := range map[string]string{"Access-Control-Allow-Origin": "Origin", "Access-Control-Allow-Headers": "Access-Control-Request-Headers"} {
		if value := c.GetHeader(asked); value != "" {
			header.Set(name, value)
		}
	}
	header.Set("Access-Control-Allow-Methods", "*")
	header.Set("Access-Control-Allow-Credentials", "true")
	header.Set("Access-Control-Expose-Headers", strings.Join([]string{headerToken, headerExpires, headerAccount, headerAccounts}, ", "))
	s.empty(c)
}
