package system

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
)

// list is a request that is answered with a list.
type list struct {
	method, path string
	body         any
	// limit is set where the parameter limit is the size of a page too.
	limit bool
}

// lists are all listings of the API.
func lists() []list {
	all := []map[string]string{
		{"scope": "page", "name": "f03"}, {"scope": "page", "name": "box"}, {"scope": "page", "name": "f29"}, {"scope": "page", "name": "set1"},
	}
	sets := []map[string]string{{"scope": "page", "name": "set1"}, {"scope": "page", "name": "set2"}}
	dids, some := map[string]any{"dids": all}, map[string]any{"dids": sets}
	pfns := make([]string, 12)
	for i := range pfns {
		pfns[i] = pagePFN(fmt.Sprintf("f%02d", i))
	}
	return []list{
		{"GET", "/accounts", nil, true},
		{"GET", "/accounts/root/attr", nil, true},
		{"GET", "/accounts/root/identities", nil, true},
		{"GET", "/accounts/root/scopes", nil, true},
		{"GET", "/scopes", nil, true},
		{"GET", "/scopes/owner", nil, true},
		{"GET", "/rses", nil, true},
		{"GET", "/rses?expression=*", nil, true},
		{"GET", "/rses/ONE/protocols", nil, true},
		{"GET", "/rses/ONE/usage", nil, true},
		{"GET", "/rses/ONE/usage/history", nil, true},
		{"GET", "/rses/ONE/distances/TWO", nil, true},
		{"GET", "/dids/page/", nil, true},
		{"GET", "/dids/page/?recursive=true", nil, true},
		{"GET", "/dids/page/?name=box&recursive=true", nil, true},
		{"GET", "/dids/page/dids/search?type=all&name=*", nil, false},
		{"GET", "/dids/page/dids/search?type=all&name=b*&recursive=true", nil, false},
		{"GET", "/replicas/bad/states?list_pfns=1", nil, false},
		{"GET", "/dids/page/dids/search?type=all&long=true&name=f*", nil, false},
		{"GET", "/dids/page/box/dids", nil, true},
		{"GET", "/dids/page/set1/dids", nil, true},
		{"GET", "/dids/page/set1/files", nil, true},
		{"GET", "/dids/page/box/files", nil, true},
		{"GET", "/dids/page/f12/parents", nil, true},
		{"GET", "/archives/page/box.zip/files", nil, true},
		{"POST", "/dids/bulkfiles", some, true},
		{"POST", "/dids/bulkmeta", dids, true},
		{"GET", "/replicas/page/set1", nil, false},
		{"GET", "/replicas/page/box", nil, false},
		{"POST", "/replicas/list", dids, false},
		{"POST", "/replicas/exists", dids, true},
		{"POST", "/replicas/dids", map[string]any{"pfns": pfns, "rse": "ONE"}, true},
		{"GET", "/replicas/bad/states", nil, false},
		{"GET", "/replicas/bad/states?state=B&rse=ONE", nil, false},
		{"GET", "/replicas/bad/summary", nil, true},
		{"GET", "/replicas/suspicious", nil, false},
		{"GET", "/replicas/rse/ONE", nil, true},
		{"GET", "/replicas/page/set1/datasets", nil, true},
		{"POST", "/replicas/datasets_bulk", some, true},
	}
}

func pagePFN(name string) string { return pfnOf("page", name) }

// TestPages reads every list in pages of several sizes, each page from another node, and compares with the whole list.
func TestPages(t *testing.T) {
	t.Parallel()
	c := testcluster.Start(t, 3, withPassword)
	nodes := clientsOf(t, c)
	fillPages(t, nodes[0])
	for _, l := range lists() {
		t.Run(l.method+" "+l.path, func(t *testing.T) {
			whole, _ := l.get(t, nodes[0], nil)
			require.NotEmpty(t, whole)
			sizes := []string{"page_size"}
			if l.limit {
				sizes = append(sizes, "limit")
			}
			for _, key := range sizes {
				for _, size := range []int{1, 2, 7} {
					require.Equal(t, whole, l.walk(t, nodes, key, size), "%s=%d", key, size)
				}
			}
		})
	}
}

// walk reads a list in pages.
func (l list) walk(t *testing.T, nodes []*client, key string, size int) []string {
	t.Helper()
	var lines []string
	query := url.Values{key: {fmt.Sprint(size)}}
	for page := 0; ; page++ {
		require.Less(t, page, 200, "it does not end")
		got, next := l.get(t, nodes[page%len(nodes)], query)
		require.LessOrEqual(t, len(got), size)
		lines = append(lines, got...)
		if next == "" {
			return lines
		}
		require.Len(t, got, size, "a page that is not the last one is full")
		query.Set("after", next)
	}
}

// get returns the items of an answer and the cursor of the next page.
func (l list) get(t *testing.T, c *client, query url.Values) (items []string, next string) {
	t.Helper()
	status, header, body := l.send(t, c, query)
	require.Equal(t, http.StatusOK, status, "%s", body)
	next = header.Get("X-Dapple-Next")
	require.Equal(t, next != "" && l.method == http.MethodGet, header.Get("Link") != "")
	if strings.HasPrefix(header.Get("Content-Type"), "application/json") {
		var raw []json.RawMessage
		if json.Unmarshal(body, &raw) == nil {
			for _, item := range raw {
				items = append(items, string(item))
			}
			return items, next
		}
	}
	for line := range strings.Lines(string(body)) {
		items = append(items, line)
	}
	return items, next
}

func (l list) send(t *testing.T, c *client, query url.Values) (int, http.Header, []byte) {
	t.Helper()
	target, err := url.Parse(c.base + l.path)
	require.NoError(t, err)
	all := target.Query()
	for key, values := range query {
		all[key] = values
	}
	target.RawQuery = all.Encode()
	var body io.Reader
	if l.body != nil {
		b, err := json.Marshal(l.body)
		require.NoError(t, err)
		body = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(t.Context(), l.method, target.String(), body)
	require.NoError(t, err)
	request.Header.Set("X-Rucio-Auth-Token", c.token)
	response, err := c.http.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, response.Header, b
}

// fillPages makes something to list everywhere.
func fillPages(t *testing.T, c *client) {
	t.Helper()
	for _, name := range []string{"ann", "bob", "cyd"} {
		c.must(t, "POST", "/accounts/"+name, map[string]any{"type": "USER", "email": "x@example.org"}, 201)
		c.must(t, "POST", "/accounts/root/attr/"+name, map[string]any{"value": "1"}, 201)
		c.must(t, "POST", "/accounts/root/scopes/"+name, nil, 201)
		c.must(t, "POST", "/accounts/root/identities", map[string]any{"identity": name, "authtype": "USERPASS", "email": "x@example.org", "password": "p"}, 201)
	}
	c.prepare(t, "page", "ONE")
	c.must(t, "POST", "/rses/ONE/protocols/root", map[string]any{
		"scheme": "root", "hostname": "two.example", "port": 1094, "prefix": "/d", "impl": "x",
		"domains": map[string]any{"wan": map[string]int{"read": 2}},
	}, 201)
	c.addRSE(t, "TWO", "two.example")
	c.addRSE(t, "THREE", "three.example")
	c.must(t, "POST", "/rses/ONE/distances/TWO", map[string]any{"distance": 3}, 201)
	for i := range 4 {
		c.must(t, "PUT", "/rses/ONE/usage", map[string]any{"source": "storage", "used": i, "free": 2}, 200)
	}
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprintf("f%02d", i))
	}
	c.must(t, "POST", "/replicas", registration("ONE", "page", names...), 201)
	c.must(t, "POST", "/replicas", registration("TWO", "page", names[10:]...), 201)
	c.must(t, "POST", "/replicas", registration("ONE", "page", "box.zip"), 201)
	c.must(t, "POST", "/dids/page/box.zip/dids", map[string]any{"dids": pageFiles(names[:5], true)}, 201)
	c.must(t, "POST", "/dids/page/set1", map[string]any{"type": "DATASET", "dids": pageFiles(names[:15], false)}, 201)
	c.must(t, "POST", "/dids/page/set2", map[string]any{"type": "DATASET", "dids": pageFiles(names[12:25], false)}, 201)
	c.must(t, "POST", "/dids/page/box", map[string]any{"type": "CONTAINER"}, 201)
	c.must(t, "POST", "/dids/page/box/dids", map[string]any{"dids": pageFiles([]string{"set1", "set2"}, false)}, 201)
	var bad []map[string]string
	for _, name := range names[25:] {
		bad = append(bad, map[string]string{"scope": "page", "name": name, "rse": "ONE"})
	}
	c.must(t, "POST", "/replicas/bad", map[string]any{"replicas": bad, "reason": "broken"}, 201)
	c.must(t, "POST", "/replicas/bad", map[string]any{"replicas": []any{map[string]string{"scope": "page", "name": "f20", "rse": "TWO"}}, "reason": "lost"}, 201)
	for i := range 4 {
		c.must(t, "POST", "/replicas/suspicious", map[string]any{"pfns": []string{pagePFN(names[i]), pagePFN(names[3])}, "reason": "odd"}, 201)
	}
}

func pageFiles(names []string, sums bool) []map[string]any {
	files := make([]map[string]any, len(names))
	for i, name := range names {
		files[i] = map[string]any{"scope": "page", "name": name}
		if sums {
			files[i]["bytes"], files[i]["adler32"] = 10, "0cc737eb"
		}
	}
	return files
}

// TestPagesWhileTheListChanges: what is there all the time comes once, whatever comes and goes between the pages.
func TestPagesWhileTheListChanges(t *testing.T) {
	c := testcluster.Start(t, 1, withPassword)
	root := clientsOf(t, c)[0]
	root.prepare(t, "page", "ONE")
	var names []string
	for i := range 40 {
		names = append(names, fmt.Sprintf("f%02d", i))
	}
	root.must(t, "POST", "/replicas", registration("ONE", "page", names...), 201)
	root.must(t, "POST", "/dids/page/set", map[string]any{"type": "DATASET", "dids": pageFiles(names, false)}, 201)
	for _, l := range []list{{"GET", "/replicas/page/set", nil, false}, {"GET", "/dids/page/set/dids", nil, true}, {"GET", "/dids/page/set/files", nil, true}} {
		seen := map[string]int{}
		query := url.Values{"page_size": {"3"}}
		for page := 0; ; page++ {
			items, next := l.get(t, root, query)
			for _, item := range items {
				var row struct{ Name string }
				require.NoError(t, json.Unmarshal([]byte(item), &row))
				seen[row.Name]++
			}
			if next == "" {
				break
			}
			// The last one seen goes, one is new before it and one after it.
			var last struct{ Name string }
			require.NoError(t, json.Unmarshal([]byte(items[len(items)-1]), &last))
			if page < 5 {
				fresh := []string{fmt.Sprintf("f00-%d", page), fmt.Sprintf("f39-%d", page)}
				root.must(t, "POST", "/replicas", registration("ONE", "page", fresh...), 201)
				root.must(t, "POST", "/dids/page/set/dids", map[string]any{"dids": pageFiles(fresh, false)}, 201)
				root.must(t, "DELETE", "/dids/page/set/dids", map[string]any{"dids": pageFiles([]string{last.Name}, false)}, 200)
			}
			query.Set("after", next)
		}
		for _, name := range names {
			require.Equal(t, 1, seen[name], "%s in %s", name, l.path)
		}
		for name, times := range seen {
			require.Equal(t, 1, times, "%s in %s", name, l.path)
		}
		// As it was for the next list.
		root.must(t, "DELETE", "/replicas", map[string]any{"rse": "ONE", "files": pageFiles(freshFiles(), false)}, 200)
		back := pageFiles(names, false)
		root.must(t, "POST", "/dids/attachments", map[string]any{"ignore_duplicate": true, "attachments": []any{
			map[string]any{"scope": "page", "name": "set", "dids": back},
		}}, 201)
	}
}

func freshFiles() (names []string) {
	for page := range 5 {
		names = append(names, fmt.Sprintf("f00-%d", page), fmt.Sprintf("f39-%d", page))
	}
	return names
}

// TestCursorsThatDoNotFit are refused, each for what is wrong with it.
func TestCursorsThatDoNotFit(t *testing.T) {
	c := testcluster.Start(t, 1, withPassword)
	root := clientsOf(t, c)[0]
	fillPages(t, root)
	accounts := list{"GET", "/accounts", nil, true}
	_, next := accounts.get(t, root, url.Values{"limit": {"1"}})
	require.NotEmpty(t, next)
	for name, x := range map[string]struct {
		list  list
		query url.Values
		says  string
	}{
		"another list":     {list{"GET", "/scopes", nil, true}, url.Values{"after": {next}}, "another request"},
		"another filter":   {list{"GET", "/accounts?account=r*", nil, true}, url.Values{"after": {next}}, "another request"},
		"garbage":          {accounts, url.Values{"after": {"no cursor!"}}, "no cursor"},
		"cut":              {accounts, url.Values{"after": {next[:len(next)/2]}}, ""},
		"empty":            {accounts, url.Values{"after": {""}}, "no cursor"},
		"no number":        {accounts, url.Values{"limit": {"many"}}, "1 to 10000"},
		"none":             {accounts, url.Values{"page_size": {"0"}}, "1 to 10000"},
		"too many":         {accounts, url.Values{"page_size": {"10001"}}, "1 to 10000"},
		"a page of chance": {list{"POST", "/replicas/list", map[string]any{"dids": pageFiles([]string{"set1"}, false), "nrandom": 3}, false}, url.Values{"page_size": {"2"}}, "sample"},
	} {
		status, _, body := x.list.send(t, root, x.query)
		require.Equal(t, http.StatusBadRequest, status, "%s: %s", name, body)
		require.Contains(t, string(body), x.says, name)
	}
}
