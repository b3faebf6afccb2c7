package mutation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
)

// mutated is a request as it goes onto the wire.
type mutated struct {
	operation *operation
	target    string
	header    []string // lines
	body      []byte
	// asRoot and asUser add a token; otherwise there is none, or one among the headers.
	asRoot, asUser bool
	what           []string // the mutations
}

// hostile are texts that no field is made for.
var hostile = []string{
	"", " ", "\x00", "a\x00b", "\xff\xfe", "\xc3\x28", "\xed\xa0\x80", "a\nb", "a\r\nX-Injected: 1", "\u202e", "../..", "/", "//", "%", "%00", "%zz", "%2f%2e%2e",
	"*", "**", "[", "{", `"`, `\`, `\ud800`, "null", "NaN", "-1", "1e999", "99999999999999999999999999", "0x10", "true", "' OR 1=1 --", "<script>",
	"a&b=c", "?", "#", ";", ":", "::", "s:f1:x", "(((((((((((((((((((((", "a|b|c|&", "\\\\\\", "=", "🐴", "e\u0301",
}

func hostileText(r *rand.Rand) string {
	switch r.IntN(12) {
	case 0:
		return strings.Repeat("A", 1<<r.IntN(15))
	case 1:
		return strings.Repeat(hostile[r.IntN(len(hostile))], r.IntN(200))
	default:
		return hostile[r.IntN(len(hostile))]
	}
}

// hostileValue is any JSON value but the right one.
func hostileValue(r *rand.Rand) any {
	values := []any{
		nil, true, false, 0, -1, 1.5, 1e300, json.Number("1e999"), json.Number("-0"), json.Number("18446744073709551616"),
		json.Number("9223372036854775808"), "",
		[]any{},
		map[string]any{},
		[]any{nil},
		[]any{[]any{}},
		map[string]any{"": nil},
	}
	switch i := r.IntN(len(values) + 6); {
	case i < len(values):
		return values[i]
	case i == len(values):
		return nested(r.IntN(60))
	default:
		return hostileText(r)
	}
}

func nested(depth int) any {
	var value any = "x"
	for range depth {
		value = []any{map[string]any{"k": value}}
	}
	return value
}

// newRequest makes request number i of a seed, from a valid one that is broken in up to three ways, or in none.
func newRequest(seed uint64, i int, operations []operation) *mutated {
	r := rand.New(rand.NewPCG(seed, uint64(i)))
	o := &operations[r.IntN(len(operations))]
	m := &mutated{operation: o}
	switch r.IntN(10) {
	case 0:
	case 1, 2:
		m.asUser = true
	default:
		m.asRoot = true
	}
	var body any
	if o.body != nil {
		body = sample(r, "", o.body, 4)
	}
	path, query := m.parameters(r)
	for range max(0, r.IntN(5)-1) {
		switch r.IntN(8) {
		case 0:
			path = m.breakPath(r, path)
		case 1, 2:
			query = m.breakQuery(r, query)
		case 3:
			m.breakHeader(r)
		default:
			body = m.breakValue(r, body)
		}
	}
	m.target = path
	if query != "" {
		m.target += "?" + query
	}
	m.finish(r, body)
	return m
}

// parameters fills in those of the path and some of the query.
func (m *mutated) parameters(r *rand.Rand) (path, query string) {
	path = m.operation.path
	var pairs []string
	for _, p := range m.operation.parameters {
		value := url.QueryEscape(valueOf(r, p.Value.Name))
		switch p.Value.In {
		case "path":
			path = strings.ReplaceAll(path, "{"+p.Value.Name+"}", strings.ReplaceAll(value, "+", "%20"))
		case "query":
			if p.Value.Name == "follow" {
				continue
			}
			if p.Value.Required || r.IntN(5) == 0 {
				pairs = append(pairs, p.Value.Name+"="+value)
			}
		}
	}
	if m.operation.path == "/changes" {
		pairs = append(pairs, "follow=false")
	}
	return path, strings.Join(pairs, "&")
}

func (m *mutated) note(format string, args ...any) {
	m.what = append(m.what, fmt.Sprintf(format, args...))
}

// breakPath replaces, adds, removes or doubles a segment.
func (m *mutated) breakPath(r *rand.Rand, path string) string {
	parts := strings.Split(path, "/")
	i := r.IntN(len(parts))
	m.note("path %d", i)
	switch r.IntN(5) {
	case 0:
		parts = append(parts[:i], parts[i+1:]...)
	case 1:
		parts = append(parts, parts[i])
	case 2:
		parts[i] += "/"
	default:
		parts[i] = url.PathEscape(hostileText(r))
	}
	return "/" + strings.TrimLeft(strings.Join(parts, "/"), "/")
}

// breakQuery sets a parameter to something odd, doubles one or adds one that nobody knows.
func (m *mutated) breakQuery(r *rand.Rand, query string) string {
	names := []string{"limit", "page_size", "after", "consistency", "max_stale", "min_index", "x"}
	for _, p := range m.operation.parameters {
		if p.Value.In == "query" && p.Value.Name != "follow" {
			names = append(names, p.Value.Name, p.Value.Name)
		}
	}
	name := names[r.IntN(len(names))]
	m.note("query %s", name)
	pair := name + "=" + url.QueryEscape(hostileText(r))
	if r.IntN(6) == 0 {
		pair = name + "=%zz&" + name + "=%ff"
	}
	if query == "" {
		return pair
	}
	return query + "&" + pair
}

// breakHeader adds a header with an odd value.
func (m *mutated) breakHeader(r *rand.Rand) {
	names := []string{
		"Accept", "Accept-Encoding", "Content-Encoding", "Content-Type", "Idempotency-Key", "X-Request-Id", "X-Dapple-Consistency", "X-Dapple-Min-Index",
		"X-Dapple-Max-Stale", "Cookie", "X-Rucio-Account", "X-Rucio-Username", "X-Rucio-Password", "X-Rucio-Email", "X-Forwarded-For", "Authorization",
		"If-Match", "Range", "Origin", "Expect", "Last-Event-ID", "X-Ssl-Client-S-Dn", "X-Ssl-Client-Verify", "X-Rucio-Auth-Token",
	}
	name := names[r.IntN(len(names))]
	values := []string{
		"gzip", "br, *;q=0", "text/plain", "application/json", "application/x-json-stream", "*/*;q=", "\xff", "0", "-1", "99999999999999999999", "linearizable",
		"bounded", "local", "Bearer x.y.z", "Bearer ", "Basic cm9vdDpyb290", "a=b; c", "dapple-session=x", strings.Repeat("h", 3000), "joe", "",
	}
	value := values[r.IntN(len(values))]
	if name == "X-Dapple-Min-Index" && value == "99999999999999999999" {
		value = "-5"
	}
	m.note("header %s: %.20s", name, value)
	m.header = append(m.header, name+": "+value)
}

// breakValue puts something odd somewhere into the body.
func (m *mutated) breakValue(r *rand.Rand, body any) any {
	switch v := body.(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		if len(keys) == 0 || r.IntN(8) == 0 {
			m.note("key added")
			v[hostileText(r)] = hostileValue(r)
			return v
		}
		key := keys[r.IntN(len(keys))]
		if r.IntN(4) == 0 {
			m.note("%s removed", key)
			delete(v, key)
			return v
		}
		if r.IntN(2) == 0 {
			m.note("%s replaced", key)
			v[key] = hostileValue(r)
			return v
		}
		v[key] = m.breakValue(r, v[key])
		return v
	case []any:
		if len(v) == 0 || r.IntN(5) == 0 {
			m.note("item added")
			return append(v, hostileValue(r))
		}
		i := r.IntN(len(v))
		v[i] = m.breakValue(r, v[i])
		if r.IntN(6) == 0 {
			m.note("items repeated")
			for range r.IntN(300) {
				v = append(v, v[i])
			}
		}
		return v
	default:
		m.note("value replaced")
		return hostileValue(r)
	}
}

// finish encodes the body, and breaks the text of some.
func (m *mutated) finish(r *rand.Rand, body any) {
	if body == nil && m.operation.body == nil {
		if r.IntN(20) == 0 {
			m.note("a body where none belongs")
			m.body = []byte(`{"x": 1}`)
		}
		return
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(body) != nil {
		buffer.WriteString("null")
	}
	text := buffer.Bytes()
	switch r.IntN(24) {
	case 0:
		m.note("truncated")
		text = text[:r.IntN(len(text))]
	case 1:
		m.note("a byte changed")
		text[r.IntN(len(text))] = byte(r.IntN(256))
	case 2:
		m.note("twice")
		text = append(text, text...)
	case 3:
		m.note("deep")
		text = []byte(strings.Repeat("[", 1<<r.IntN(17)))
	case 4:
		m.note("a key twice")
		text = bytes.Replace(text, []byte("{"), []byte(`{"scope": 1, "scope": [], "rse": {}, `), 1)
	case 5:
		m.note("odd text")
		text = []byte(hostileText(r))
	}
	m.body = text
}
