package importer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"dapple/client"
)

const (
	// windowBatches is how many batches of lines are sorted by RSE together, so that requests are full although the files of many
	// RSEs come in turn.
	windowBatches = 32
	// windowBytes bounds the text of a window's lines, which may be long.
	windowBytes = 16 << 20
	// batchBytes bounds a request where names are long. Servers take bodies of 64 MiB, but not many at a time.
	batchBytes = 2 << 20
	// windowsInFlight keeps the next window's requests going while the last one's end.
	windowsInFlight  = 2
	maxLine          = 4 << 20
	knownDatasets    = 100_000
	progressInterval = 200 * time.Millisecond
)

// importRun is an import under way.
type importRun struct {
	cfg      Config
	sources  []Source
	clients  []*client.Client
	next     atomic.Uint32
	requests *semaphore.Weighted
	places   *places
	// datasets are some of those that are known to exist.
	datasets *lru.Cache[client.DIDName, struct{}]
	tally    tally
}

// Run imports all lines of the sources, in memory that does not grow with them. Items that are refused are told and counted, and the
// rest goes on; an error is what ended the import: a source that cannot be read, a scope or an RSE that is missing, a cluster that
// cannot be reached or has no room for minutes, the end of ctx. A read of a source may outlast ctx, and Run does not wait for it. The same
// lines may be imported again: what is there already is no failure.
func Run(ctx context.Context, cfg Config, sources ...Source) (Summary, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return Summary{}, err
	}
	r := &importRun{cfg: cfg, sources: sources, requests: semaphore.NewWeighted(int64(cfg.Clients))}
	r.tally.start, r.tally.refusedTo = time.Now(), cfg.Refused
	if r.clients, err = cfg.connect(); err != nil {
		return Summary{}, err
	}
	defer func() {
		for _, c := range r.clients {
			c.Close()
		}
	}()
	if r.datasets, err = lru.New[client.DIDName, struct{}](knownDatasets); err != nil {
		return Summary{}, err
	}
	if r.places, err = findPlaces(ctx, r.clients[0], cfg); err != nil {
		return Summary{}, err
	}
	stop := r.watch()
	err = r.all(ctx)
	stop()
	return r.tally.summary(), err
}

// watch tells the progress until it is stopped.
func (r *importRun) watch() (stop func()) {
	if r.cfg.Progress == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				r.cfg.Progress(r.tally.summary())
			}
		}
	}()
	return func() { cancel(); <-done }
}

// client returns the client of the next request.
func (r *importRun) client() *client.Client {
	return r.clients[int(r.next.Add(1))%len(r.clients)]
}

// all reads the sources and imports window after window.
func (r *importRun) all(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(windowsInFlight)
	var window []*item
	size := 0
	flush := func() {
		items := window
		window, size = nil, 0
		group.Go(func() error { return r.window(ctx, items) })
	}
	var failed error
	for n := range r.sources {
		if failed = r.read(ctx, n, func(i *item, length int) {
			window, size = append(window, i), size+length
			if len(window) >= windowBatches*r.cfg.Batch || size >= windowBytes {
				flush()
			}
		}); failed != nil {
			break
		}
	}
	if len(window) > 0 { // also before a line that ends the import: what was read is imported
		flush()
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return failed
}

// read visits the files of a source, with the length of their lines.
func (r *importRun) read(ctx context.Context, n int, visit func(i *item, length int)) error {
	source := r.sources[n]
	lines := bufio.NewScanner(io.TeeReader(newInterruptible(ctx, source), (*counter)(&r.tally.read)))
	lines.Buffer(make([]byte, 64<<10), maxLine)
	number := 0
	for lines.Scan() {
		number++
		if ctx.Err() != nil {
			return ctx.Err()
		}
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		r.tally.lines.Add(1)
		i, err := parse(text)
		if err != nil {
			r.tally.refuse(Refusal{Source: source.Name, Line: number, Err: err})
			continue
		}
		i.source, i.line = n, number
		if err := r.settle(ctx, i); isRefusal(err) { // of a scope or an RSE that was to be made
			r.tally.refuse(Refusal{Source: source.Name, Line: number, Item: i.did(), Err: err})
			continue
		} else if err != nil {
			return fmt.Errorf("%s:%d: %s: %w", source.Name, number, i.did(), err)
		}
		visit(i, len(text))
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%s:%d: the line is longer than %d bytes", source.Name, number+1, maxLine)
	case err != nil && ctx.Err() == nil:
		return fmt.Errorf("%s:%d: %w", source.Name, number+1, err)
	}
	return ctx.Err()
}

// settle gives a file its dataset and checks that the places that it names are there.
func (r *importRun) settle(ctx context.Context, i *item) error {
	if len(i.datasets) == 0 && r.cfg.Dataset.Name != "" {
		i.datasets = []client.DIDName{r.cfg.Dataset}
	}
	if err := r.places.scope(ctx, i.file.Scope); err != nil {
		return err
	}
	for _, d := range i.datasets {
		if err := r.places.scope(ctx, d.Scope); err != nil {
			return err
		}
	}
	for n := range i.replicas {
		deterministic, err := r.places.rse(ctx, i.replicas[n].rse)
		if err != nil {
			return err
		}
		if deterministic && i.replicas[n].listed {
			i.replicas[n].pfn = "" // it follows from the name, and the host may be another here
		}
	}
	return nil
}

// counter counts bytes.
type counter atomic.Int64

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	(*atomic.Int64)(c).Add(int64(len(b)))
	return len(b), nil
}
