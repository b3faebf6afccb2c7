package httpapi

import (
	"strings"

	"github.com/gin-gonic/gin"
)

// listContentHistory answers GET /dids/<scope>/<name>/dids/history with what was once attached to a collection and no longer is:
// nothing, since the catalogue does not keep what was detached. A DID that does not exist has no history either.
func (s *Server) listContentHistory(c *gin.Context) {
	s.readRows(c, func(View, *stream) error { return nil })
}

// listNewDIDs answers GET /dids/new, Rucio's list of the latest DIDs, which is not served. With a slash at its end the path is that of
// a scope.
func (s *Server) listNewDIDs(c *gin.Context) {
	if !strings.HasSuffix(c.Request.URL.Path, "/") {
		s.fail(c, errNotServed(c))
		return
	}
	c.Params = append(c.Params, gin.Param{Key: "scope", Value: "new"})
	s.listScope(c)
}
