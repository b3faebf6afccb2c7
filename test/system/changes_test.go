package system

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	feedScope = "feed"
	// feedMutations is how many items are changed; DAPPLE_MUTATIONS asks for more.
	feedMutations = 50_000
	feedBatch     = 500
	// feedSteps is how far a connection is read at most before it is cut, in events.
	feedSteps = 4000
)

// TestChangesAreSeenOnce follows the feed while three nodes take bulk writes and are killed in turn. The reader is cut at random
// points and goes on at a random node. It has seen each event once and in order, as another node tells them at the end, and what
// they say is what the catalogue lists.
func TestChangesAreSeenOnce(t *testing.T) {
	t.Parallel()
	mutations := feedMutations
	if text := os.Getenv("DAPPLE_MUTATIONS"); text != "" {
		var err error
		mutations, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	c := newCluster(t, 3, "--changes-heartbeat", "100ms")
	c.start()
	root := login(t, c.nodes[0])
	root.must(t, http.MethodPost, "/accounts/root/scopes/"+feedScope, nil, 201)
	root.addRSE(t, "ONE", "one.example")
	root.addRSE(t, "TWO", "two.example")

	w := &feedWriters{root: root, nodes: c.nodes, wanted: int64(mutations)}
	reader := &feedReader{root: root, nodes: c.nodes, sum: sha256.New(), model: newFeedModel()}
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	reading.Go(func() { reader.run(ctx) })
	defer reading.Wait()
	defer cancel()
	writing := w.start(t)
	kills := 0
	for ; w.done.Load() < w.wanted; kills++ {
		p := c.nodes[rand.IntN(len(c.nodes))]
		p.kill()
		p.start()
		c.waitReady(p)
		from := w.done.Load()
		require.Eventually(t, func() bool { return w.done.Load() > min(from, w.wanted-1) }, time.Minute, 10*time.Millisecond, "nobody writes")
	}
	writing.Wait()
	c.requireEqualDigests(root)

	other := &feedReader{root: root, nodes: c.nodes[1:2], sum: sha256.New(), model: newFeedModel()}
	require.NoError(t, other.readPresent(t.Context()))
	require.Eventually(t, func() bool { return reader.position.Load() >= other.position.Load() }, time.Minute, 10*time.Millisecond,
		"the reader does not come to the end")
	cancel()
	reading.Wait()
	require.NoError(t, reader.fault)
	t.Logf("%d mutations, %d events, %d connections, %d kills", w.done.Load(), reader.events, reader.connections, kills)
	require.Equal(t, other.events, reader.events)
	require.Equal(t, hex.EncodeToString(other.sum.Sum(nil)), hex.EncodeToString(reader.sum.Sum(nil)), "the same events, byte for byte")
	reader.model.compare(t, root.at(c.nodes[2]))
}

// feedWriters write through all nodes until enough has changed.
type feedWriters struct {
	root   *client
	nodes  []*process
	wanted int64
	done   atomic.Int64
}

func (w *feedWriters) start(t *testing.T) *sync.WaitGroup {
	t.Helper()
	running := &sync.WaitGroup{}
	for i := range len(w.nodes) {
		dataset := fmt.Sprintf("ds%d", i)
		w.root.must(t, http.MethodPost, "/dids/"+feedScope+"/"+dataset, map[string]any{"type": "DATASET"}, 201)
		running.Go(func() {
			for round := 0; w.done.Load() < w.wanted && t.Context().Err() == nil; round++ {
				w.round(t.Context(), dataset, fmt.Sprintf("w%d/%05d", i, round))
			}
		})
	}
	return running
}

type item map[string]any

// round makes, changes, attaches and deletes files. What a lost answer has left undone makes a later step fail; that is no matter.
func (w *feedWriters) round(ctx context.Context, dataset, prefix string) {
	names := make([]string, feedBatch)
	for i := range names {
		names[i] = fmt.Sprintf("%s/file.%04d", prefix, i)
	}
	list := func(names []string, more item) []item {
		items := make([]item, len(names))
		for i, name := range names {
			items[i] = item{"scope": feedScope, "name": name}
			for key, value := range more {
				items[i][key] = value
			}
		}
		return items
	}
	sized := item{"bytes": 10, "adler32": "0cc737eb"}
	few, most := names[:feedBatch/5], names[feedBatch/5:]
	w.write(ctx, http.MethodPost, "/replicas", item{"rse": "ONE", "files": list(names, sized)}, len(names))
	w.write(ctx, http.MethodPost, "/replicas", item{"rse": "TWO", "files": list(few, sized)}, len(few))
	w.write(ctx, http.MethodPut, "/replicas", item{"rse": "ONE", "files": list(most, item{"state": "U"})}, len(most))
	w.write(ctx, http.MethodPost, "/dids/"+feedScope+"/"+dataset+"/dids", item{"dids": list(names, nil)}, len(names))
	w.write(ctx, http.MethodDelete, "/replicas", item{"rse": "ONE", "files": list(names[feedBatch/10:feedBatch/2], nil)}, feedBatch*2/5)
}

// write sends one write until a node answers it.
func (w *feedWriters) write(ctx context.Context, method, path string, body any, items int) {
	for ctx.Err() == nil {
		status, _, err := w.root.at(w.nodes[rand.IntN(len(w.nodes))]).do(ctx, method, path, body)
		switch {
		case err == nil && status < 300:
			w.done.Add(int64(items))
			return
		case err == nil && status < 500:
			return
		}
	}
}

// feedReader reads the feed and goes on where it was cut.
type feedReader struct {
	root        *client
	nodes       []*process
	position    atomic.Uint64
	events      int
	connections int
	sum         hash.Hash
	model       *feedModel
	fault       error
}

// errCut is the end that the reader itself makes.
var errCut = errors.New("cut")

// run reads until the context ends, or for good where the feed goes wrong.
func (r *feedReader) run(ctx context.Context) {
	for ctx.Err() == nil && r.fault == nil {
		node := r.nodes[rand.IntN(len(r.nodes))]
		left := rand.IntN(feedSteps) + 1
		r.connections++
		if err := r.read(ctx, node, "", left); errors.Is(err, errOrder) {
			r.fault = err
		}
	}
}

// readPresent reads everything there is, at once.
func (r *feedReader) readPresent(ctx context.Context) error {
	return r.read(ctx, r.nodes[0], "&follow=false", 1<<60)
}

var errOrder = errors.New("the feed is out of order")

// read reads at most so many events from one node.
func (r *feedReader) read(ctx context.Context, node *process, more string, left int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	url := fmt.Sprintf("%s/changes?since=%d%s", node.url(), r.position.Load(), more)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("X-Rucio-Auth-Token", r.root.token)
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	lines := bufio.NewReader(response.Body)
	for ; left > 0; left-- {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return ignoreEnd(err, more != "")
		}
		if err := r.take(line); err != nil {
			return err
		}
	}
	return errCut
}

// ignoreEnd takes the proper end of a list for success.
func ignoreEnd(err error, proper bool) error {
	if proper && errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// take takes one line.
func (r *feedReader) take(line []byte) error {
	var e feedEvent
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("%w: %w: %s", errOrder, err, line)
	}
	position := r.position.Load()
	if e.Kind == "heartbeat" {
		if e.Revision < position {
			return fmt.Errorf("%w: a heartbeat of revision %d after %d", errOrder, e.Revision, position)
		}
		return nil // not a position of the test's: what it says to have skipped would go unseen
	}
	if e.Revision <= position {
		return fmt.Errorf("%w: revision %d after %d", errOrder, e.Revision, position)
	}
	r.sum.Write(line)
	r.events++
	if err := r.model.apply(&e); err != nil {
		return fmt.Errorf("%w: %w: %s", errOrder, err, line)
	}
	r.position.Store(e.Revision)
	return nil
}

type feedEvent struct {
	Revision  uint64 `json:"revision"`
	Kind      string `json:"kind"`
	Scope     string `json:"scope"`
	Name      string `json:"name"`
	RSE       string `json:"rse"`
	Old       string `json:"old"`
	New       string `json:"new"`
	Type      string `json:"type"`
	ChildName string `json:"child_name"`
}

// feedModel is what the events say of the one scope.
type feedModel struct {
	dids     map[string]string            // name -> type
	replicas map[string]map[string]string // name, RSE -> state
	attached map[string]map[string]bool   // dataset, file
}

func newFeedModel() *feedModel {
	return &feedModel{dids: map[string]string{}, replicas: map[string]map[string]string{}, attached: map[string]map[string]bool{}}
}

// apply does what an event says; an event that does not fit is an error.
func (m *feedModel) apply(e *feedEvent) error {
	_, known := m.dids[e.Name]
	state, there := m.replicas[e.Name][e.RSE]
	fits := true
	switch e.Kind {
	case "did.added":
		fits = !known
		m.dids[e.Name] = e.Type
	case "did.deleted":
		fits = known && len(m.replicas[e.Name]) == 0
		delete(m.dids, e.Name)
		delete(m.replicas, e.Name)
	case "replica.added":
		fits = known && !there
		if m.replicas[e.Name] == nil {
			m.replicas[e.Name] = map[string]string{}
		}
		m.replicas[e.Name][e.RSE] = e.New
	case "replica.changed":
		fits = state == e.Old
		m.replicas[e.Name][e.RSE] = e.New
	case "replica.deleted":
		fits = state == e.Old
		delete(m.replicas[e.Name], e.RSE)
	case "attachment.added":
		fits = known && !m.attached[e.Name][e.ChildName]
		if m.attached[e.Name] == nil {
			m.attached[e.Name] = map[string]bool{}
		}
		m.attached[e.Name][e.ChildName] = true
	case "attachment.removed":
		fits = m.attached[e.Name][e.ChildName]
		delete(m.attached[e.Name], e.ChildName)
	}
	if !fits {
		return errors.New("the event does not fit what came before")
	}
	return nil
}

// compare compares the model with what a node lists.
func (m *feedModel) compare(t *testing.T, c *client) {
	t.Helper()
	listed := map[string]string{}
	type did struct {
		Name string `json:"name"`
		Type string `json:"did_type"`
	}
	decode(t, c.must(t, http.MethodGet, "/dids/"+feedScope+"/dids/search?type=all&long=1", nil, 200), func(d did) { listed[d.Name] = d.Type })
	require.Len(t, listed, len(m.dids))
	require.Equal(t, m.dids, listed)

	var files []string
	for name, kind := range m.dids {
		if kind == "FILE" {
			files = append(files, name)
			continue
		}
		attached := map[string]bool{}
		decode(t, c.must(t, http.MethodGet, "/dids/"+feedScope+"/"+name+"/dids", nil, 200), func(d did) { attached[d.Name] = true })
		require.Len(t, attached, len(m.attached[name]))
		for child := range m.attached[name] {
			require.True(t, attached[child], "%s in %s", child, name)
		}
	}
	slices.Sort(files)
	for batch := range slices.Chunk(files, 5000) {
		dids := make([]item, len(batch))
		for i, name := range batch {
			dids[i] = item{"scope": feedScope, "name": name}
		}
		seen := 0
		decode(t, c.must(t, http.MethodPost, "/replicas/list", item{"dids": dids, "all_states": true}, 200), func(row struct {
			Name   string
			States map[string]string
		},
		) {
			seen++
			require.Equal(t, m.replicas[row.Name], row.States, row.Name)
		})
		require.Equal(t, len(batch), seen)
	}
	require.NotEmpty(t, files)
}
