package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dapple/client"
	"dapple/internal/testcluster"
	"dapple/node"
)

// site is a cluster with a client and a scope.
type site struct {
	*client.Client
	urls []string
}

func newSite(t *testing.T, options ...func(*node.Config)) site {
	t.Helper()
	cluster := testcluster.Start(t, 1, options...)
	c, err := client.New(client.Config{URLs: cluster.URLs(), User: testcluster.User, Password: testcluster.Password, Account: "root"})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	s := site{c, cluster.URLs()}
	require.NoError(t, c.AddScope(t.Context(), "root", "data"))
	for _, rse := range []string{"ONE", "TWO"} {
		s.addRSE(t, rse, true)
	}
	return s
}

func (s site) addRSE(t *testing.T, rse string, deterministic bool) {
	t.Helper()
	require.NoError(t, s.AddRSE(t.Context(), rse, client.RSESettings{Deterministic: &deterministic}))
	on := client.Priorities{Read: 1, Write: 1, Delete: 1}
	require.NoError(t, s.AddProtocol(t.Context(), rse, client.Protocol{
		Scheme: "davs", Hostname: strings.ToLower(rse) + ".example", Port: 443, Prefix: "/d", Impl: "rucio.rse.protocols.gfal.Default", LAN: on, WAN: on,
	}))
}

// run imports lines and returns the refusals as they are printed.
func (s site) run(t *testing.T, text string, change ...func(*Config)) (summary Summary, refused []string, err error) {
	t.Helper()
	cfg := Config{
		Targets: s.urls, User: testcluster.User, Password: testcluster.Password, Clients: 4, Batch: 7,
		Refused: func(r Refusal) { refused = append(refused, r.String()) },
	}
	for _, c := range change {
		c(&cfg)
	}
	summary, err = Run(t.Context(), cfg, Source{"in", strings.NewReader(text)})
	require.EqualValues(t, len(refused), summary.Refused)
	return summary, refused, err
}

// replicas lists the files of a dataset with their replicas' states by RSE.
func (s site) replicas(t *testing.T, dataset string) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	q := client.ReplicaQuery{DIDs: []client.DIDName{{Scope: "data", Name: dataset}}, AllStates: true}
	for file, err := range s.ListReplicas(t.Context(), q) {
		require.NoError(t, err)
		all[file.Name] = file.States
	}
	return all
}

// lines makes files f0 and on in datasets of 100.
func lines(count int) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, `{"scope":"data","name":"f%d","bytes":%d,"adler32":"0cc737eb","replicas":[{"rse":"ONE"},{"rse":"TWO","state":"U"}],`+
			`"dataset":{"scope":"data","name":"d%d"}}`+"\n", i, i, i/100)
	}
	return b.String()
}

// Names are the cluster's affair: what its schema allows is imported, anything else is refused line by line.
func TestImportNames(t *testing.T) {
	s := newSite(t, func(cfg *node.Config) { cfg.NameSchema = "icecube" })
	s.addRSE(t, "LOOSE", false)
	const file = "/data/exp/a#1.i3"
	line := func(name, rse, pfn string) string {
		return fmt.Sprintf(`{"scope":"data","name":%q,"bytes":1,"replicas":[{"rse":%q,"pfn":%q}],"dataset":{"scope":"data","name":"/data/set#1"}}`+"\n", name, rse, pfn)
	}
	_, refused, err := s.run(t, line(file, "ONE", "")+line("/data/b#2", "LOOSE", "davs://loose.example:443/d/x/b#2")+line("c", "ONE", ""))
	require.NoError(t, err)
	require.Len(t, refused, 1)
	require.Contains(t, refused[0], "does not match")
	listed := s.replicas(t, "/data/set#1")
	require.Equal(t, map[string]map[string]string{file: {"ONE": "AVAILABLE"}, "/data/b#2": {"LOOSE": "AVAILABLE"}}, listed)
	pfn := "davs://loose.example:443/d/x/b#2"
	for dids, err := range s.DIDsOfPFNs(t.Context(), []string{pfn}) {
		require.NoError(t, err)
		require.Equal(t, map[string]client.DIDName{pfn: {Scope: "data", Name: "/data/b#2"}}, dids)
	}
}

// Many windows of files with two replicas each, in datasets; and again, which changes nothing.
func TestImport(t *testing.T) {
	s := newSite(t)
	const files = 1000 // some windows of 32 batches of 7
	for again := range 2 {
		summary, refused, err := s.run(t, lines(files))
		require.NoError(t, err)
		require.Empty(t, refused)
		require.Equal(t, [4]int64{files, files, 2 * files, files}, [4]int64{summary.Lines, summary.Files, summary.Replicas, summary.Attached})
		require.EqualValues(t, 10-10*again, summary.Datasets, "those that are there are not created")
		require.Positive(t, summary.Rate(summary.Files))
	}
	for d := range files / 100 {
		got := s.replicas(t, fmt.Sprintf("d%d", d))
		require.Len(t, got, 100)
		for _, states := range got {
			require.Equal(t, map[string]string{"ONE": "AVAILABLE", "TWO": "UNAVAILABLE"}, states)
		}
	}
}

// An import that was cut off goes on where files, replicas and attachments are partly there.
func TestImportOfWhatIsPartlyThere(t *testing.T) {
	s := newSite(t)
	_, _, err := s.run(t, lines(150))
	require.NoError(t, err)
	summary, refused, err := s.run(t, lines(250))
	require.NoError(t, err)
	require.Empty(t, refused)
	require.Equal(t, [3]int64{250, 500, 1}, [3]int64{summary.Files, summary.Replicas, summary.Datasets})
	require.Len(t, s.replicas(t, "d1"), 100)
	require.Len(t, s.replicas(t, "d2"), 50)
}

// What is at fault is refused with its line, and nothing else is.
func TestRefusals(t *testing.T) {
	s := newSite(t)
	require.NoError(t, s.AddDID(t.Context(), client.DIDName{Scope: "data", Name: "box"}, "CONTAINER"))
	_, _, err := s.run(t, `{"scope":"data","name":"known","bytes":1,"replicas":[{"rse":"ONE"}]}`)
	require.NoError(t, err)
	at := `"replicas":[{"rse":"ONE"}]`
	text := strings.Join([]string{
		`{"scope":"data","name":"good1","bytes":1,` + at + `}`,
		`{"scope":"data","name":"bad","bytes":1,"adler32":"xyz",` + at + `}`, // the whole request is malformed
		``,
		`{"scope":"data","name":"known","bytes":2,` + at + `}`,
		`no JSON`,
		`{"scope":"data","name":"misspelt","bytes":1,"adler":"0cc737eb",` + at + `}`,
		`{"scope":"data","name":"nowhere","bytes":1}`,
		`{"scope":"data","name":"boxed","bytes":1,` + at + `,"dataset":{"scope":"data","name":"box"}}`,
		`{"scope":"data","name":"named","bytes":1,` + at + `,"dataset":{"scope":"data","name":"no name!"}}`,
		`{"scope":"data","name":"good2","bytes":1,` + at + `,"dataset":{"scope":"data","name":"set"}}`,
	}, "\n")
	summary, refused, err := s.run(t, text)
	require.NoError(t, err)
	want := map[string]string{
		"in:2: data:bad at ONE: ":             "adler32",
		"in:4: data:known at ONE: ":           "known with 1 bytes, not 2",
		"in:5: ":                              "not a line of an import",
		"in:6: ":                              `unknown field "adler"`,
		"in:7: ":                              "no replicas",
		"in:8: data:boxed in data:box: ":      "forbidden",
		"in:9: data:named in data:no name!: ": "InvalidObject",
	}
	require.Len(t, refused, len(want), "%q", refused)
	for prefix, reason := range want {
		found := ""
		for _, r := range refused {
			if strings.HasPrefix(r, prefix) {
				found = r
			}
		}
		require.Contains(t, found, reason, "%s: %q", prefix, refused)
	}
	require.EqualValues(t, 4, summary.Files)
	require.Equal(t, map[string]map[string]string{"good2": {"ONE": "AVAILABLE"}}, s.replicas(t, "set"))
}

// What is for an RSE that is not available for writing is refused at once, and the rest goes on.
func TestClosedRSE(t *testing.T) {
	s := newSite(t)
	s.ask(t, http.MethodPut, "/rses/ONE", `{"availability_write":false}`)
	summary, refused, err := s.run(t, lines(9)+`{"scope":"data","name":"elsewhere","bytes":1,"replicas":[{"rse":"TWO"}]}`)
	require.NoError(t, err)
	require.Equal(t, [3]int64{10, 10, 9}, [3]int64{summary.Files, summary.Replicas, summary.Attached})
	require.Len(t, refused, 9)
	for _, r := range refused {
		require.Regexp(t, `^in:[1-9]: data:f[0-8] at ONE: .*ONE is temporary unavailable for writing$`, r)
	}
	require.Less(t, summary.Elapsed, 2*time.Minute, "repeats take three")
}

// A scope or an RSE that is missing ends the import at its line, unless it is to be created.
func TestMissingPlaces(t *testing.T) {
	s := newSite(t)
	good := `{"scope":"data","name":"a","bytes":1,"replicas":[{"rse":"ONE"}],"dataset":{"scope":"data","name":"set"}}` + "\n"
	for bad, want := range map[string]string{
		`{"scope":"data","name":"b","bytes":1,"replicas":[{"rse":"THREE"}]}`:                                       "in:2: data:b: RSE THREE does not exist",
		`{"scope":"new","name":"b","bytes":1,"replicas":[{"rse":"ONE"}]}`:                                          "in:2: new:b: scope new does not exist",
		`{"scope":"data","name":"b","bytes":1,"replicas":[{"rse":"ONE"}],"dataset":{"scope":"sets","name":"set"}}`: "in:2: data:b: scope sets does not exist",
	} {
		summary, _, err := s.run(t, good+bad)
		require.ErrorIs(t, err, ErrMissing)
		require.ErrorContains(t, err, want)
		require.EqualValues(t, 1, summary.Attached, "what stands before it is imported")
		_, refused, err := s.run(t, good+bad, func(c *Config) { c.Create = true })
		require.NoError(t, err)
		require.Empty(t, refused)
	}
}

// The lines of a listing can be imported elsewhere, where RSEs have other hosts: PFNs count at non-deterministic RSEs only.
func TestListingRoundTrip(t *testing.T) {
	from, to := newSite(t), newSite(t)
	from.addRSE(t, "TAPE", false)
	to.addRSE(t, "TAPE", false)
	_, refused, err := from.run(t, lines(20)+
		`{"scope":"data","name":"taped","bytes":5,"md5":"d41d8cd98f00b204e9800998ecf8427e","replicas":[{"rse":"TAPE","pfn":"davs://tape.example:443/d/x/y"}],`+
		`"datasets":[{"scope":"data","name":"d0"}]}`)
	require.NoError(t, err)
	require.Empty(t, refused)
	listing := from.listing(t, `{"dids":[{"scope":"data","name":"d0"}],"all_states":true}`)
	require.Equal(t, 21, strings.Count(listing, "\n"))
	_, refused, err = to.run(t, listing, func(c *Config) { c.Dataset = client.DIDName{Scope: "data", Name: "d0"} })
	require.NoError(t, err)
	require.Empty(t, refused)
	require.Equal(t, listing, to.listing(t, `{"dids":[{"scope":"data","name":"d0"}],"all_states":true}`))
}

// Every state is imported as what it is, by its letter, by its name and from a listing.
func TestStatesAreImported(t *testing.T) {
	s := newSite(t)
	states := map[string]string{
		"A": "AVAILABLE", "U": "UNAVAILABLE", "C": "COPYING", "B": "BEING_DELETED", "D": "BAD", "T": "TEMPORARY_UNAVAILABLE",
	}
	var text strings.Builder
	want := map[string]map[string]string{}
	for letter, name := range states {
		fmt.Fprintf(&text, `{"scope":"data","name":"%s","bytes":1,"replicas":[{"rse":"ONE","state":"%s"},{"rse":"TWO","state":"%s"}]}`+"\n",
			letter, letter, name)
		fmt.Fprintf(&text, `{"scope":"data","name":"%s","bytes":1,"rses":{"ONE":[],"TWO":[]},"states":{"ONE":"%s","TWO":"%s"}}`+"\n",
			name, letter, name)
		want[letter] = map[string]string{"ONE": name, "TWO": name}
		want[name] = want[letter]
	}
	_, refused, err := s.run(t, text.String(), func(c *Config) { c.Dataset = client.DIDName{Scope: "data", Name: "states"} })
	require.NoError(t, err)
	require.Empty(t, refused)
	require.Equal(t, want, s.replicas(t, "states"))
}

// ask sends what the client has no call for, and returns the answer to it.
func (s site) ask(t *testing.T, method, path, body string) string {
	t.Helper()
	login, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.urls[0]+"/auth/userpass", nil)
	require.NoError(t, err)
	login.Header = http.Header{"X-Rucio-Account": {"root"}, "X-Rucio-Username": {testcluster.User}, "X-Rucio-Password": {testcluster.Password}}
	answer, err := http.DefaultClient.Do(login)
	require.NoError(t, err)
	answer.Body.Close()
	r, err := http.NewRequestWithContext(t.Context(), method, s.urls[0]+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("X-Rucio-Auth-Token", answer.Header.Get("X-Rucio-Auth-Token"))
	answer, err = http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Less(t, answer.StatusCode, http.StatusMultipleChoices, "%s", text)
	return string(text)
}

var rseIDs = regexp.MustCompile(`"rse_id": "[0-9a-f]{32}", `)

// listing asks for a listing as it is, without the ids of RSEs.
func (s site) listing(t *testing.T, body string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(s.ask(t, http.MethodPost, "/replicas/list", body)) {
		b.WriteString(rseIDs.ReplaceAllString(line, ""))
	}
	return b.String()
}

// behind makes an import ask something in front of the site, which may answer in its place.
func (s site) behind(t *testing.T, front func(w http.ResponseWriter, r *http.Request) (answered bool)) func(*Config) {
	t.Helper()
	u, err := url.Parse(s.urls[0])
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(u)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !front(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return func(c *Config) { c.Targets = []string{server.URL} }
}

// A file that is deleted between its registration and its attachment is refused alone.
func TestFileGoneBeforeItIsAttached(t *testing.T) {
	s := newSite(t)
	gone := sync.OnceValue(func() error {
		return errors.Join(s.DeleteReplicas(t.Context(), "ONE", []client.DIDName{{Scope: "data", Name: "f3"}}),
			s.DeleteReplicas(t.Context(), "TWO", []client.DIDName{{Scope: "data", Name: "f3"}}))
	})
	summary, refused, err := s.run(t, lines(7), s.behind(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/dids/attachments" {
			assert.NoError(t, gone())
		}
		return false
	}))
	require.NoError(t, err)
	require.Len(t, refused, 1)
	require.Contains(t, refused[0], "in:4: data:f3 in data:d0: ")
	require.EqualValues(t, 6, summary.Attached)
	require.Len(t, s.replicas(t, "d0"), 6)
}

// Servers without room are asked again.
func TestBusy(t *testing.T) {
	s := newSite(t)
	var writes, busy atomic.Int64
	summary, refused, err := s.run(t, lines(10), s.behind(t, func(w http.ResponseWriter, r *http.Request) (answered bool) {
		if r.Method != http.MethodPost || writes.Add(1)%2 == 0 {
			return false
		}
		busy.Add(1)
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}))
	require.NoError(t, err)
	require.Empty(t, refused)
	require.EqualValues(t, 10, summary.Attached)
	require.Positive(t, busy.Load())
}

// idle is a pipe that nobody writes to until the test ends. It tells that it is read.
type idle struct {
	test    context.Context
	reached func()
}

func (i idle) Read([]byte) (int, error) {
	i.reached()
	<-i.test.Done()
	return 0, io.EOF
}

// runPipe imports a text from a pipe that is idle after it, and returns how the import ended.
func (s site) runPipe(ctx context.Context, t *testing.T, text string, reached func(), change ...func(*Config)) error {
	t.Helper()
	cfg := Config{Targets: s.urls, User: testcluster.User, Password: testcluster.Password, Batch: 1}
	for _, c := range change {
		c(&cfg)
	}
	in := io.MultiReader(strings.NewReader(text), idle{t.Context(), reached})
	ended := make(chan error, 1)
	go func() {
		_, err := Run(ctx, cfg, Source{"in", in})
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-time.After(time.Minute):
		return errors.New("it waits for the pipe")
	}
}

// The end of the context ends the import with its error, also where the source says nothing more.
func TestImportEndsWithContext(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	require.ErrorIs(t, s.runPipe(ctx, t, lines(100), cancel), context.Canceled)
}

// Lines that are long do not wait until there are many of them.
func TestLongLines(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	var text strings.Builder
	for i := range windowBytes >> 20 {
		fmt.Fprintf(&text, `{"scope":"data","name":"f%d","bytes":1,"replicas":[{"rse":"ONE"}],"parents":["%s"]}`+"\n", i, strings.Repeat("x", 1<<20))
	}
	err := s.runPipe(ctx, t, text.String(), func() {}, func(c *Config) { c.Batch = 1000 }, s.behind(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/replicas" {
			cancel()
		}
		return false
	}))
	require.ErrorIs(t, err, context.Canceled)
}

// An import that fails does not wait for the rest of its source.
func TestFailureEndsImport(t *testing.T) {
	s := newSite(t)
	err := s.runPipe(t.Context(), t, lines(windowBatches), func() {}, s.behind(t, func(w http.ResponseWriter, r *http.Request) bool {
		broken := r.Method == http.MethodPost
		if broken {
			w.WriteHeader(http.StatusInternalServerError)
		}
		return broken
	}))
	require.ErrorContains(t, err, "500")
}

func TestWrongSettings(t *testing.T) {
	for want, cfg := range map[string]Config{
		"clients":     {Targets: []string{"http://h"}, Clients: 65},
		"batch":       {Targets: []string{"http://h"}, Batch: -1},
		"no target":   {},
		"no base URL": {Targets: []string{"h:1"}},
		"dataset":     {Targets: []string{"http://h"}, Dataset: client.DIDName{Scope: "a"}},
	} {
		_, err := Run(t.Context(), cfg)
		require.ErrorIs(t, err, ErrConfig)
		require.ErrorContains(t, err, want)
	}
}
