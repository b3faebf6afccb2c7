package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const readClients = 4

// reader asks for replicas as a client does, and reads the answers without decoding them.
type reader struct {
	web   *http.Client
	urls  []string
	token string
	time  time.Duration // of a measurement
}

func (f *fleet) newReader(ctx context.Context) (*reader, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: readClients, DisableCompression: true}
	r := &reader{web: &http.Client{Transport: transport, Timeout: time.Minute}, urls: f.urls()}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, r.urls[0]+"/auth/userpass", nil)
	if err != nil {
		return nil, err
	}
	q.Header = http.Header{"X-Rucio-Account": {"root"}, "X-Rucio-Username": {user}, "X-Rucio-Password": {password}}
	answer, err := r.web.Do(q)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if r.token = answer.Header.Get("X-Rucio-Auth-Token"); r.token == "" {
		return nil, fmt.Errorf("log in: %s", answer.Status)
	}
	return r, nil
}

func (r *reader) close() { r.web.CloseIdleConnections() }

// get reads an answer and counts its lines.
func (r *reader) get(ctx context.Context, url string, visit func(io.Reader) error) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	q.Header.Set("X-Rucio-Auth-Token", r.token)
	answer, err := r.web.Do(q)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, answer.Status)
	}
	return visit(answer.Body)
}

// readReport is what reading came to.
type readReport struct {
	latencies
	Clients int     `json:"clients"`
	Rate    float64 `json:"requests_per_second"`
}

// measure reads for the reader's time, each client from the next node, what path says with a number by chance; each answer has to have so
// many lines.
func (r *reader) measure(ctx context.Context, path func(random *rand.Rand) string, lines int) (readReport, error) {
	var mu sync.Mutex
	total := newHistogram()
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for i := range readClients {
		group.Go(func() error {
			random, h := rand.New(rand.NewPCG(uint64(i), uint64(start.UnixNano()))), newHistogram()
			// Each client reads once at least: on a busy machine it may begin when the time is over.
			for first := true; first || time.Since(start) < r.time; first = false {
				begun := time.Now()
				count := lineCounter(0)
				err := r.get(ctx, r.urls[i%len(r.urls)]+path(random), func(body io.Reader) error {
					_, err := io.Copy(&count, body)
					return err
				})
				if err == nil && int(count) != lines {
					err = fmt.Errorf("an answer has %d lines, not %d", int(count), lines)
				}
				if err != nil {
					return err
				}
				observe(h, time.Since(begun))
			}
			mu.Lock()
			defer mu.Unlock()
			total.Merge(h)
			return nil
		})
	}
	err := group.Wait()
	report := readReport{latencies: latenciesOf(total), Clients: readClients, Rate: float64(total.TotalCount()) / time.Since(start).Seconds()}
	return report, err
}

// lineCounter counts lines.
type lineCounter int

// Write implements io.Writer.
func (c *lineCounter) Write(b []byte) (int, error) {
	for _, ch := range b {
		if ch == '\n' {
			*c++
		}
	}
	return len(b), nil
}

// measureReads measures lookups of single files and lists of datasets among those loaded, each for some time.
func (f *fleet) measureReads(ctx context.Context, datasets int, d time.Duration) (lookup, list readReport, err error) {
	r, err := f.newReader(ctx)
	if err != nil {
		return lookup, list, err
	}
	defer r.close()
	r.time = d
	lookup, err = r.measure(ctx, func(random *rand.Rand) string {
		return "/replicas/" + scope + "/" + fileName(random.IntN(datasets), random.IntN(datasetFiles))
	}, 1)
	list, listErr := r.measure(ctx, func(random *rand.Rand) string {
		return "/replicas/" + scope + "/" + datasetName(random.IntN(datasets))
	}, datasetFiles)
	return lookup, list, errors.Join(err, listErr)
}
