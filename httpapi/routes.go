package httpapi

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
)

// route is one row of the table. A path template is made of literals, of ":param", which is one segment, and of "*name",
// which is one segment or more: the name of a DID, which may hold slashes. Literals and params after "*name" are its suffix.
// Every path is served with and without a slash at its end.
type route struct {
	method  string
	path    string
	handler gin.HandlerFunc
	access  access
}

// access says who may call a route, and for what.
type access uint8

const (
	// needsToken is the rule: a valid token.
	needsToken access = iota
	// public routes need none.
	public
	// reading is needsToken for a POST that changes nothing. It is read at a level, as every GET that needs a token.
	reading
	// unserved routes are Rucio's and not this program's: every method is answered with CodeNotServed, with and without a token.
	unserved
)

// reads reports whether a route shows the catalogue and changes nothing.
func (r *route) reads() bool { return r.access == reading || r.method == get && r.access == needsToken }

// routes is the whole table: each resource file lists its own rows.
func (s *Server) routes() []route {
	return withUnserved(slices.Concat(
		s.systemRoutes(),
		s.settingRoutes(),
		s.signingKeyRoutes(),
		s.documentRoutes(),
		s.authRoutes(),
		s.accountRoutes(),
		s.rseRoutes(),
		s.didRoutes(),
		s.replicaRoutes(),
		s.changeRoutes(),
	))
}

// Methods, to keep the rows short.
const (
	get     = http.MethodGet
	post    = http.MethodPost
	put     = http.MethodPut
	remove  = http.MethodDelete
	options = http.MethodOptions
)
