package catalogue

import "strings"

// matchSteps bounds what the search for the files of one path may try. Templates with many fields that could be anything
// would otherwise take time without end; what is not found within the bound is not found.
const matchSteps = 1 << 14

// maxMatchSteps bounds the steps for all paths of one command from workFeatures on.
const maxMatchSteps = 1 << 20

// lookSteps is how many steps it counts for to look whether a file exists.
const lookSteps = 64

// digestSteps is how many steps a digest counts for, about as it costs.
const digestSteps = 16

// reversible reports whether paths tell scope and name.
func (t *pathTemplate) reversible() bool {
	scope, name := false, false
	for i := range t.pieces {
		p := &t.pieces[i]
		scope = scope || p.whole() && (p.field == fieldOfScope || p.field == fieldOfScopePath && !p.sliced)
		name = name || p.whole() && p.field == fieldOfName
	}
	return scope && name
}

// filesAt visits the files that the template puts at a path, the shortest scope first, until visit returns false. It returns the
// number of steps that it took.
func (t *pathTemplate) filesAt(path string, visit func(scope, name string) bool) (steps int) {
	if len(path) > maxTemplatePath {
		return 0 // no template makes it
	}
	m := pathMatch{template: t, path: path, visit: visit, steps: matchSteps}
	m.match(0, 0, false)
	return matchSteps - m.steps
}

// pathMatch takes a path apart by a template: it tries every end of a field, and proves what it finds by making the path again.
type pathMatch struct {
	template    *pathTemplate
	path        string
	visit       func(scope, name string) bool
	scope, name string // "" while unknown
	digest      lastDigest
	digestOf    [2]string // scope and name of the digest
	steps       int
}

// match matches the pieces from i on with the path from p on; empty is set where the piece before was empty. It returns false
// when the search is to end.
func (m *pathMatch) match(i, p int, empty bool) bool {
	if m.steps--; m.steps < 0 {
		return false
	}
	if i == len(m.template.pieces) {
		if p < len(m.path) || m.scope == "" || m.name == "" {
			return true
		}
		made := m.template.appendPath(make([]byte, 0, len(m.path)), m.scope, m.name)
		return string(made) != m.path || m.visit(m.scope, m.name)
	}
	piece, rest := &m.template.pieces[i], m.path[p:]
	switch {
	case piece.field == "":
		return m.literal(i, p, empty, piece.literal)
	case m.known(piece):
		return m.made(i, p, piece)
	case piece.whole() && piece.field == fieldOfName:
		return m.capture(i, p, &m.name, piece.unjoin)
	case piece.whole() && (piece.field == fieldOfScope || piece.field == fieldOfScopePath):
		return m.capture(i, p, &m.scope, piece.unjoin)
	}
	first, last := 0, min(len(rest), piece.longest())
	if size := digestSizes[piece.field]; size > 0 {
		first = len(piece.text("", "", &lastDigest{}))
		last = min(first, last)
	}
	for n := first; n <= last; n++ {
		if !m.match(i+1, p+n, n == 0) {
			return false
		}
	}
	return true
}

// made matches a piece that can be made of what is known.
func (m *pathMatch) made(i, p int, piece *pathPiece) bool {
	rest := m.path[p:]
	if digestSizes[piece.field] > 0 {
		if !piece.digitsBegin(rest) {
			return true
		}
		m.steps -= digestSteps
	}
	if of := [2]string{m.scope, m.name}; m.digestOf != of {
		m.digest, m.digestOf = lastDigest{}, of
	}
	text := piece.text(m.scope, m.name, &m.digest)
	if p == 0 {
		text = strings.TrimLeft(text, "/")
	}
	return !strings.HasPrefix(rest, text) || m.match(i+1, p+len(text), text == "")
}

// digitsBegin reports whether a text begins with as many hexadecimal digits as the piece, of a digest, takes.
func (p *pathPiece) digitsBegin(text string) bool {
	size := digestSizes[p.field]
	if p.sliced {
		from, to := p.bounds(size)
		size = to - from
	}
	return len(text) >= size && isHex(text[:size], size)
}

// literal matches a literal: as it is; where what is before it was empty, without its leading slash; and at the end of the
// path without its last, which is left out where nothing comes after it.
func (m *pathMatch) literal(i, p int, empty bool, literal string) bool {
	rest := m.path[p:]
	if strings.HasPrefix(rest, literal) && !m.match(i+1, p+len(literal), false) {
		return false
	}
	if tail, found := strings.CutPrefix(literal, "/"); found && empty && strings.HasPrefix(rest, tail) {
		if !m.match(i+1, p+len(tail), tail == "") {
			return false
		}
	}
	head, found := strings.CutSuffix(literal, "/")
	return !found || rest != head || m.match(i+1, len(m.path), false)
}

// known reports whether the piece can be made of what is known.
func (m *pathMatch) known(p *pathPiece) bool {
	switch of := p.of; {
	case p.field == fieldOfName || of == fieldOfName:
		return m.name != ""
	case p.field == fieldOfScope || p.field == fieldOfScopePath || of == fieldOfScope:
		return m.scope != ""
	default:
		return m.scope != "" && m.name != ""
	}
}

// capture takes every beginning of the rest for the field, where such a scope or name could be. A name that begins with a
// slash has lost it where it begins the path.
func (m *pathMatch) capture(i, p int, field *string, unjoin func(string) string) bool {
	defer func() { *field = "" }()
	longest := templateName
	if field == &m.scope {
		longest = templateScope
	}
	for end := p + 1; end <= len(m.path); end++ {
		end = m.fieldEnd(i+1, end)
		*field = unjoin(m.path[p:end])
		if len(*field) > longest {
			return true
		}
		if !m.match(i+1, end, false) {
			return false
		}
		if p == 0 && field == &m.name {
			*field = "/" + *field
			if !m.match(i+1, end, false) {
				return false
			}
		}
	}
	return true
}

// fieldEnd returns the first place from end on where the field before a piece may end: where the literal begins that the
// piece is, or at the end of the path, which is the only one for the last field.
func (m *pathMatch) fieldEnd(piece, end int) int {
	if piece == len(m.template.pieces) {
		return len(m.path)
	}
	if at := strings.Index(m.path[end:], m.template.pieces[piece].literal); at >= 0 {
		return end + at
	}
	return len(m.path)
}

// unjoin returns the scope or name of which the piece makes a text.
func (p *pathPiece) unjoin(text string) string {
	switch {
	case p.field == fieldOfScopePath:
		return strings.ReplaceAll(text, "/", ".")
	case p.join != p.separator:
		return strings.ReplaceAll(text, p.join, p.separator)
	default:
		return text
	}
}
