package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// resolver finds the route of a request. It is built once and only read afterwards.
//
// gin's own tree is not used: it cannot hold a name with slashes beside routes that go on after the name.
type resolver struct {
	// templates by first literal, in the order in which they are tried: those without a name before those with one; of the
	// former the one with literals further to the left, of the latter the one with the longest suffix.
	templates map[string][]*template
}

// template is one path with its methods.
type template struct {
	path     string
	segments []string
	// name is the index of "*name" in segments, -1 where the template has none.
	name   int
	routes map[string]*route
}

// newResolver fails on a table with a row twice or a template that it does not understand.
func newResolver(routes []route) (*resolver, error) {
	byPath := map[string]*template{}
	r := &resolver{templates: map[string][]*template{}}
	for i := range routes {
		row := &routes[i]
		t := byPath[row.path]
		if t == nil {
			t = newTemplate(row.path)
			if t == nil {
				return nil, fmt.Errorf("route %s %s: malformed path", row.method, row.path)
			}
			byPath[row.path] = t
			top := t.segments[0]
			r.templates[top] = append(r.templates[top], t)
		}
		if t.routes[row.method] != nil || row.handler == nil {
			return nil, fmt.Errorf("route %s %s: twice in the table, or without handler", row.method, row.path)
		}
		t.routes[row.method] = row
	}
	for _, list := range r.templates {
		slices.SortStableFunc(list, compareTemplates)
	}
	return r, nil
}

func newTemplate(path string) *template {
	t := &template{path: path, name: -1, routes: map[string]*route{}}
	rest, rooted := strings.CutPrefix(path, "/")
	t.segments = strings.Split(rest, "/")
	if path == "/" {
		return t
	}
	if !rooted || isVariable(t.segments[0]) || slices.Contains(t.segments, "") {
		return nil
	}
	for i, segment := range t.segments {
		if segment[0] == '*' {
			if t.name >= 0 {
				return nil
			}
			t.name = i
		}
	}
	return t
}

// bare reports whether the template ends in a name.
func (t *template) bare() bool { return t.name == len(t.segments)-1 }

func isVariable(segment string) bool {
	return segment == "" || segment[0] == ':' || segment[0] == '*'
}

func compareTemplates(a, b *template) int {
	if (a.name < 0) != (b.name < 0) {
		if a.name < 0 {
			return -1
		}
		return 1
	}
	if a.name >= 0 && len(a.segments) != len(b.segments) {
		return len(b.segments) - len(a.segments)
	}
	for i := range min(len(a.segments), len(b.segments)) {
		if va, vb := isVariable(a.segments[i]), isVariable(b.segments[i]); va != vb {
			if vb {
				return -1
			}
			return 1
		}
	}
	return 0
}

// resolve finds the route of a method and a raw (escaped) path and decodes what the path names. If there is none, allow lists the
// methods that the path has; it is empty if there is no such path. A path with unserved routes alone has one of them for every
// method.
//
// Templates are tried one after the other until one has the method: GET /dids/attachments lists a scope of that name. But a
// path that ends in a known suffix is never taken for a bare name: POST /dids/s/n/files does not make a DID n/files, which
// a client can always write as n%2Ffiles.
func (r *resolver) resolve(method, raw string) (found *route, params gin.Params, allow []string) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	rest, rooted := strings.CutPrefix(raw, "/")
	rest, _ = strings.CutSuffix(rest, "/")
	segments := strings.Split(rest, "/")
	if !rooted {
		return nil, nil, nil
	}
	suffixed := false
	var lacking *route
	for _, t := range r.templates[segments[0]] {
		params, fits := t.match(segments)
		if !fits || (suffixed && t.bare()) {
			continue
		}
		suffixed = suffixed || t.name >= 0
		if found := t.routes[method]; found != nil {
			return found, params, nil
		}
		for m, row := range t.routes {
			if row.access != unserved {
				allow = append(allow, m)
			} else if lacking == nil || m == get {
				lacking = row
			}
		}
	}
	if len(allow) == 0 && lacking != nil {
		return lacking, nil, nil
	}
	slices.Sort(allow)
	return nil, nil, slices.Compact(allow)
}

// match fits raw segments to the template. An encoded slash belongs to its segment.
func (t *template) match(segments []string) (gin.Params, bool) {
	spare := len(segments) - len(t.segments)
	if spare < 0 || (t.name < 0 && spare > 0) || !t.matchLiterals(segments, spare) {
		return nil, false
	}
	var params gin.Params
	at := 0
	for i, want := range t.segments {
		got := segments[at]
		at++
		if i == t.name {
			got = strings.Join(segments[at-1:at+spare], "/")
			at += spare
		}
		if want == "" || !isVariable(want) { // empty is the root
			continue
		}
		value, err := url.PathUnescape(got)
		if err != nil || got == "" {
			return nil, false
		}
		params = append(params, gin.Param{Key: want[1:], Value: value})
	}
	return params, true
}

// matchLiterals compares what is written out in the template, before anything is decoded: most templates of a resource do not fit.
func (t *template) matchLiterals(segments []string, spare int) bool {
	for i, want := range t.segments {
		at := i
		if t.name >= 0 && i > t.name {
			at += spare
		}
		if !isVariable(want) && segments[at] != want {
			return false
		}
	}
	return true
}

// didParam returns the scope and the name in the path of a DID, decoded.
func didParam(c *gin.Context) (scope, name string) { return c.Param("scope"), c.Param("name") }
