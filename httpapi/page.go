package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// A long list can be read in pages. A page ends with a cursor, which the next request brings along: it tells where the list was, in
// terms of the store's keys, so that any node can go on there, and it goes with that one request alone.

const (
	queryAfter    = "after"
	queryPageSize = "page_size"
	queryLimit    = "limit"
	headerNext    = "X-Dapple-Next"

	// maxPage is the most lines of a page; one whose lines are long ends after pageBytes and is shorter than asked.
	maxPage   = 10_000
	pageBytes = 8 << 20

	keyPage = "page"
	// keyByItem is set for a list that does not follow the scans that it is made of.
	keyByItem = "by item"
)

// page is the part of a list that a request asks for.
type page struct {
	// size is the number of lines, 0 for all.
	size  int
	after listPlace
	// given is set where the request brings a cursor, print the fingerprint in it.
	given bool
	print [printSize]byte
}

const printSize = 8

// errPageFull ends a query when the page has what it was to have.
var errPageFull = errors.New("the page is full")

// listPlace is where a list stands after a line: the keys at which the scans of the store stand, the outermost first, or for a line that
// came from none what tells it from others and how often that had come.
type listPlace struct {
	keys  [][]byte
	line  []byte
	count uint64
}

// same reports whether two lines come from the same keys: a page does not end between them.
func (a listPlace) same(b listPlace) bool {
	return len(a.keys) > 0 && slices.EqualFunc(a.keys, b.keys, bytes.Equal)
}

// readPage reads what part of a list a request asks for, nil for the whole.
func readPage(c *gin.Context) (*page, error) {
	p := &page{}
	for _, key := range [...]string{queryPageSize, queryLimit} {
		text, given := c.GetQuery(key)
		if !given || (key == queryLimit && ownLimit(c)) {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return nil, catalogue.Errorf(command.CodeInvalidValue, "'%s' is a number of lines from 1 to %d, not '%.64s'", key, maxPage, text)
		}
		p.size = n
		break
	}
	text, given := c.GetQuery(queryAfter)
	if given {
		if err := p.decode(text); err != nil {
			return nil, err
		}
	}
	if p.size == 0 && !given {
		return nil, nil
	}
	return p, nil
}

// ownLimit reports whether the parameter limit of a route means something else in Rucio's API.
func ownLimit(c *gin.Context) bool {
	switch routeOf(c) {
	case "/replicas/:scope/*name", "/replicas/list", "/replicas/bad/states", "/replicas/suspicious", "/dids/:scope/dids/search":
		return true
	}
	return false
}

// dropPaging takes out of a query what chooses the page, where all of it would be taken for filters.
func dropPaging(query url.Values) {
	for _, key := range [...]string{queryAfter, queryPageSize, queryLimit} {
		query.Del(key)
	}
}

// fingerprintOfList is that of a request without what changes from page to page.
func fingerprintOfList(c *gin.Context) [printSize]byte {
	query := c.Request.URL.Query()
	for _, key := range [...]string{queryAfter, queryPageSize, queryLevel, queryMaxStale} {
		query.Del(key)
	}
	if !ownLimit(c) {
		query.Del(queryLimit)
	}
	h := sha256.New()
	_, _ = io.WriteString(h, c.Request.Method+" "+c.Request.URL.EscapedPath()+"?"+query.Encode()+" "+c.GetHeader("Accept")+"\n")
	if digest, ok := c.Get(keyDigest); ok {
		_, _ = h.Write(digest.([]byte))
	}
	return [printSize]byte(h.Sum(nil))
}

// encode makes the cursor of a place.
func (p *page) encode(at listPlace) string {
	b := append([]byte{}, p.print[:]...)
	b = binary.AppendUvarint(b, uint64(len(at.keys)))
	for _, key := range at.keys {
		b = append(binary.AppendUvarint(b, uint64(len(key))), key...)
	}
	b = binary.AppendUvarint(b, at.count)
	return base64.RawURLEncoding.EncodeToString(append(b, at.line...))
}

func (p *page) decode(text string) error {
	refusal := catalogue.Errorf(command.CodeInvalidValue, "'%s' is no cursor of a list", queryAfter)
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < printSize {
		return refusal
	}
	copy(p.print[:], b)
	b = b[printSize:]
	number := func() uint64 {
		n, k := binary.Uvarint(b)
		if k <= 0 {
			err, b = refusal, nil
			return 0
		}
		b = b[k:]
		return n
	}
	for range min(number(), uint64(len(b))) {
		n := number()
		if n > uint64(len(b)) {
			return refusal
		}
		p.after.keys, b = append(p.after.keys, b[:n]), b[n:]
	}
	p.after.count, p.given = number(), true
	p.after.line = b
	if err != nil || (len(p.after.keys) == 0) != (len(b) > 0) {
		return refusal
	}
	return nil
}

// pagedView follows the scans of a query. Where the query goes on after a page, the scans begin where they stood; what comes on the
// way there is not shown.
type pagedView struct {
	View
	page  *page
	stack [][]byte // the keys at which the scans stand
	seen  map[string]uint64
	// byItem is set where lines are told from one another by what they are about.
	byItem bool
	// resumed is set when what is shown comes after the last page.
	resumed bool
}

func newPagedView(v View, p *page) *pagedView {
	return &pagedView{View: v, page: p, resumed: !p.given, seen: map[string]uint64{}}
}

// pageByItem marks the list of a request as one that gathers its lines from several scans, or from what it has seen before: a page then
// begins by reading the list from its start.
func pageByItem(c *gin.Context) { c.Set(keyByItem, true) }

// Memo returns that of the view underneath.
func (v *pagedView) Memo() *catalogue.Memo { return catalogue.MemoOf(v.View) }

// Scan implements catalogue.View.
func (v *pagedView) Scan(low, high []byte, visit func(key, value []byte) (bool, error)) error {
	depth := len(v.stack)
	v.stack = append(v.stack, nil)
	defer func() { v.stack = v.stack[:depth] }()
	goal, last := v.goal(depth, low, high)
	switch {
	case last:
		low, v.resumed = append(bytes.Clone(goal), 0), true
	case goal != nil:
		low = goal
	}
	err := v.View.Scan(low, high, func(key, value []byte) (bool, error) {
		if goal != nil && !last && !bytes.Equal(key, goal) {
			v.resumed = true // what was gone into there is no more, or done
		}
		v.stack[depth] = append(v.stack[depth][:0], key...)
		return visit(key, value)
	})
	if goal != nil {
		v.resumed = true
	}
	return err
}

// goal returns the key to which a scan has to go, nil for none; last tells that the list goes on after it.
func (v *pagedView) goal(depth int, low, high []byte) (goal []byte, last bool) {
	keys := v.page.after.keys
	if v.resumed || v.byItem || depth >= len(keys) {
		return nil, false
	}
	for i := range depth {
		if !bytes.Equal(v.stack[i], keys[i]) {
			return nil, false
		}
	}
	goal = keys[depth]
	if bytes.Compare(goal, low) < 0 || (high != nil && bytes.Compare(goal, high) >= 0) {
		return nil, false
	}
	return goal, depth == len(keys)-1
}

// shows reports whether a line is to be shown, and where the list stands then. id tells the line from others of its list.
func (v *pagedView) shows(id []byte) (bool, listPlace) {
	if len(v.stack) > 0 && !v.byItem {
		keys := make([][]byte, len(v.stack))
		for i := range v.stack {
			keys[i] = bytes.Clone(v.stack[i])
		}
		return v.resumed, listPlace{keys: keys}
	}
	digest := sha256.Sum256(id)
	short := digest[:12]
	v.seen[string(short)]++
	at := listPlace{line: short, count: v.seen[string(short)]}
	if !v.resumed {
		v.resumed = bytes.Equal(short, v.page.after.line) && at.count == v.page.after.count
		return false, at
	}
	return true, at
}

// gathering is the page that a stream makes of a list.
type gathering struct {
	page  *page
	view  *pagedView
	lines int
	at    listPlace // after the last line
}

// paged lets a query be read through a page where the request asks for one.
func (s *Server) paged(c *gin.Context, v View) (View, *gathering, error) {
	held, ok := c.Get(keyPage)
	if !ok {
		return v, nil, nil
	}
	p := held.(*page)
	own := fingerprintOfList(c)
	if p.given && p.print != own {
		return nil, nil, catalogue.Errorf(command.CodeInvalidValue, "'%s' belongs to another request", queryAfter)
	}
	p.print = own
	paged := newPagedView(v, p)
	paged.byItem = c.GetBool(keyByItem)
	return paged, &gathering{page: p, view: paged}, nil
}

// take decides on a line of so many bytes in all: whether it is shown. errPageFull ends the query.
func (g *gathering) take(id []byte, gathered int) (bool, error) {
	show, at := g.view.shows(id)
	if !show {
		return false, nil
	}
	full := g.lines >= g.page.size || (g.lines > 0 && gathered > pageBytes)
	if g.page.size > 0 && full && !at.same(g.at) {
		return false, errPageFull
	}
	g.lines++
	g.at = at
	return true, nil
}

// end is what a query's error comes to, with the cursor of the next page in the header.
func (g *gathering) end(c *gin.Context, err error) error {
	switch {
	case errors.Is(err, errPageFull):
		g.next(c)
		return nil
	case err == nil && !g.view.resumed:
		return catalogue.Errorf(command.CodeInvalidValue, "what '%s' stands after is no longer in the list: begin again", queryAfter)
	}
	return err
}

func (g *gathering) next(c *gin.Context) {
	cursor := g.page.encode(g.at)
	c.Header(headerNext, cursor)
	if c.Request.Method != http.MethodGet {
		return
	}
	query := c.Request.URL.Query()
	query.Set(queryAfter, cursor)
	target := url.URL{Path: c.Request.URL.Path, RawPath: c.Request.URL.RawPath, RawQuery: query.Encode()}
	c.Header("Link", "<"+target.String()+`>; rel="next"`)
}

// ofList returns the page of a list that is one JSON value; any other value is left as it is.
func (g *gathering) ofList(c *gin.Context, value any) (any, error) {
	items := reflect.ValueOf(value)
	if items.Kind() != reflect.Slice {
		return value, nil
	}
	shown, gathered := []json.RawMessage{}, 0
	var err error
	for i := 0; i < items.Len() && err == nil; i++ {
		var item []byte
		if item, err = json.Marshal(items.Index(i).Interface()); err != nil {
			break
		}
		var show bool
		if show, err = g.take(item, gathered); show {
			shown, gathered = append(shown, item), gathered+len(item)
		}
	}
	return shown, g.end(c, err)
}
