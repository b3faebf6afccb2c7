package catalogue

import (
	"crypto/md5"  //nolint:gosec // spreads files over directories, protects nothing
	"crypto/sha1" //nolint:gosec // see md5
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/adler32"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"dapple/command"
)

// pathTemplate makes the paths of files from their scopes and names, as docs/configuration.md describes. It is compiled
// once and may be used by many goroutines.
type pathTemplate struct{ pieces []pathPiece }

// pathPiece is one piece of a template: a literal text, or a field of which it takes a part.
type pathPiece struct {
	literal string
	// field is "" for a literal, else one of templateFields; of is what a digest is made of.
	field, of string
	// separator splits the field into parts; "" takes characters. join goes between the parts that are taken.
	separator, join string
	// sliced is set where the piece takes a part: the one at from where single, else those from from up to to. Negative
	// positions count from the end.
	sliced, single bool
	from, to       int
}

// Fields of templates that are no digests.
const (
	fieldOfScope     = "scope"
	fieldOfScopePath = "scope_path"
	fieldOfName      = "name"
	fieldOfBoth      = "scope:name"
)

const (
	maxTemplate       = 512
	maxTemplatePieces = 32
	// maxTemplatePath bounds what a template may make of the longest scope and name. Its paths become part of PFNs, of
	// which maxPFN is the limit.
	maxTemplatePath = 2048
	// templateScope and templateName are the lengths of scopes and names that the bound is reckoned with.
	templateScope, templateName = 64, 500
	// templateEnd stands for an open end of a slice.
	templateEnd = 1 << 20
)

var (
	templateField = regexp.MustCompile(`\A(scope_path|scope|name|md5|sha1|sha256|adler32)(?:\((scope|name|scope:name)\))?` +
		`(?:([/._:+=~@-]{1,4})?\[(-?\d{1,4})?(?:(:)(-?\d{1,4})?)?\]([/._:+=~@-]{1,4})?)?\z`)
	templateLiteral = regexp.MustCompile(`\A[A-Za-z0-9/._:+=~@,-]+\z`)
)

// digestSizes are the lengths of the digests in hexadecimal digits, by field.
var digestSizes = map[string]int{"md5": 32, "sha1": 40, "sha256": 64, "adler32": 8}

// newPathTemplate compiles a template that is fit to make paths, or returns CodeInvalidValue.
func newPathTemplate(text string) (*pathTemplate, error) {
	t, err := parsePathTemplate(text)
	if err != nil {
		return nil, err
	}
	if why := t.unfit(); why != "" {
		return nil, Errorf(command.CodeInvalidValue, "path template '%.128s' %s", text, why)
	}
	return t, nil
}

// parsePathTemplate compiles a template by its syntax alone.
func parsePathTemplate(text string) (*pathTemplate, error) {
	invalid := func(why string, args ...any) (*pathTemplate, error) {
		return nil, Errorf(command.CodeInvalidValue, "path template '%.128s' %s", text, fmt.Sprintf(why, args...))
	}
	if len(text) > maxTemplate {
		return invalid("is longer than %d characters", maxTemplate)
	}
	t := &pathTemplate{}
	for rest := text; rest != ""; {
		literal, field, found := strings.Cut(rest, "{")
		if literal != "" {
			if !templateLiteral.MatchString(literal) {
				return invalid("has '%s' between its fields: allowed are letters, digits and / . _ : + = ~ @ , -", literal)
			}
			t.pieces = append(t.pieces, pathPiece{literal: literal})
		}
		if !found {
			break
		}
		if field, rest, found = strings.Cut(field, "}"); !found {
			return invalid("has a '{' without '}'")
		}
		piece, ok := parsePathPiece(field)
		if !ok {
			return invalid("has the field '{%s}': the fields are scope, scope_path, name, md5, sha1, sha256 and adler32, "+
				"with a part such as [0:2] or /[0], and for digests (scope) or (name)", field)
		}
		t.pieces = append(t.pieces, piece)
	}
	return t, nil
}

func parsePathPiece(text string) (p pathPiece, ok bool) {
	m := templateField.FindStringSubmatch(text)
	if m == nil {
		return p, false
	}
	digest := digestSizes[m[1]] > 0
	p = pathPiece{field: m[1], of: m[2], separator: m[3], join: m[7], sliced: strings.HasSuffix(text, "]") || m[7] != ""}
	p.single = p.sliced && m[5] == ""
	switch {
	case p.of != "" && !digest, digest && p.separator != "", p.join != "" && (p.separator == "" || p.single):
		return p, false
	case p.single && m[4] == "": // "[]"
		return p, false
	}
	if digest && p.of == "" {
		p.of = fieldOfBoth
	}
	if p.separator != "" && p.join == "" {
		p.join = p.separator
	}
	p.to = templateEnd
	if m[4] != "" {
		p.from, _ = strconv.Atoi(m[4])
	}
	if m[6] != "" {
		p.to, _ = strconv.Atoi(m[6])
	}
	return p, true
}

// unfit says why a template cannot make the paths of an RSE, "" where it can.
func (t *pathTemplate) unfit() string {
	if len(t.pieces) > maxTemplatePieces {
		return fmt.Sprintf("has more than %d fields and texts", maxTemplatePieces)
	}
	shape, longest, distinct := "", 0, false
	for i := range t.pieces {
		p := &t.pieces[i]
		shape += p.shape()
		longest += p.longest()
		distinct = distinct || p.distinguishes()
	}
	if slices.ContainsFunc(strings.Split(shape, "/"), func(directory string) bool {
		return directory == "" || directory == "." || directory == ".."
	}) {
		return "begins or ends with '/', or has an empty directory, '.' or '..'"
	}
	switch {
	case !distinct:
		return "makes one path of different files: it needs {name}, or all digits of {md5}, {sha1} or {sha256}"
	case longest > maxTemplatePath:
		return fmt.Sprintf("makes paths of up to %d characters: at most %d are allowed", longest, maxTemplatePath)
	}
	return ""
}

// shape is the literal, or something that stands for a field.
func (p *pathPiece) shape() string {
	if p.field != "" {
		return "x"
	}
	return p.literal
}

// longest is the most bytes that the piece makes.
func (p *pathPiece) longest() int {
	if p.field == "" {
		return len(p.literal)
	}
	all, found := digestSizes[p.field]
	switch {
	case found:
	case p.field == fieldOfName:
		all = templateName
	default:
		all = templateScope
	}
	switch {
	case !p.sliced || p.separator != "":
		return all * max(1, len(p.join))
	case p.single:
		return utf8.UTFMax
	case p.from >= 0 && p.to >= 0:
		return min(all, max(0, p.to-p.from)*utf8.UTFMax)
	default:
		return all
	}
}

// whole reports whether the piece takes all of its field: the field itself, or all parts with something else between them.
func (p *pathPiece) whole() bool {
	return !p.sliced || !p.single && p.from == 0 && p.to == templateEnd
}

// distinguishes reports whether the piece tells files of one scope apart.
func (p *pathPiece) distinguishes() bool {
	return p.whole() && (p.field == fieldOfName || digestSizes[p.field] >= 32 && p.of != fieldOfScope)
}

// appendPath appends the path of a file, without a leading slash. Parts that a scope or name does not have are empty, and a
// directory that has nothing but such parts is left out.
func (t *pathTemplate) appendPath(b []byte, scope, name string) []byte {
	start, empty := len(b), false
	var digits lastDigest
	for i := range t.pieces {
		p, before := &t.pieces[i], len(b)
		text := p.text(scope, name, &digits)
		atDirectory := before == start || b[before-1] == '/'
		if p.field == "" && empty && atDirectory {
			text = strings.TrimPrefix(text, "/")
		}
		if before == start {
			text = strings.TrimLeft(text, "/")
		}
		b = append(b, text...)
		empty = len(b) == before
	}
	if empty && len(b) > start && b[len(b)-1] == '/' {
		b = b[:len(b)-1]
	}
	return b
}

// lastDigest is the digest that a path needed last: templates mostly take several parts of one.
type lastDigest struct{ kind, of, digits string }

// text is what the piece makes of a file.
func (p *pathPiece) text(scope, name string, last *lastDigest) string {
	var text string
	switch p.field {
	case "":
		return p.literal
	case fieldOfScope:
		text = scope
	case fieldOfScopePath:
		text = scopeDirectory(scope)
	case fieldOfName:
		text = name
	default:
		if last.kind != p.field || last.of != p.of {
			*last = lastDigest{p.field, p.of, digestOf(p.field, p.of, scope, name)}
		}
		text = last.digits
	}
	if !p.sliced {
		return text
	}
	if p.separator == "" {
		if isASCII(text) {
			from, to := p.bounds(len(text))
			return text[from:to]
		}
		runes := []rune(text)
		from, to := p.bounds(len(runes))
		return string(runes[from:to])
	}
	parts := strings.Split(text, p.separator)
	from, to := p.bounds(len(parts))
	return strings.Join(parts[from:to], p.join)
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

// bounds returns which of so many characters or parts the piece takes, as Python's slices do: what is out of range is none.
func (p *pathPiece) bounds(count int) (from, to int) {
	from, to = p.from, p.to
	if from < 0 {
		from += count
	}
	switch {
	case p.single && (from < 0 || from >= count):
		return 0, 0
	case p.single:
		return from, from + 1
	case to < 0:
		to += count
	}
	from = min(max(from, 0), count)
	return from, max(from, min(to, count))
}

// digestOf returns the hexadecimal digits of a digest of the scope, the name or both with a colon between.
func digestOf(kind, of, scope, name string) string {
	var text [256]byte
	b := text[:0]
	if of != fieldOfName {
		b = append(b, scope...)
	}
	if of == fieldOfBoth {
		b = append(b, ':')
	}
	if of != fieldOfScope {
		b = append(b, name...)
	}
	var digits [2 * sha256.Size]byte
	switch kind {
	case "md5":
		sum := md5.Sum(b) //nolint:gosec // see the import
		return string(hex.AppendEncode(digits[:0], sum[:]))
	case "sha1":
		sum := sha1.Sum(b) //nolint:gosec // see the import
		return string(hex.AppendEncode(digits[:0], sum[:]))
	case "sha256":
		sum := sha256.Sum256(b)
		return string(hex.AppendEncode(digits[:0], sum[:]))
	default:
		return fmt.Sprintf("%08x", adler32.Checksum(b))
	}
}
