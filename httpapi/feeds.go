package httpapi

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dapple/catalogue"
)

// feedRetry is when a reader may come again that has found no place: places are held for long.
const feedRetry = 10 * time.Second

// feeds are the requests that read the change feed.
type feeds struct {
	reader Reader
	most   int
	shares *shares         // of accounts
	ctx    context.Context // ends with the server
	stop   context.CancelFunc
	sent   prometheus.Counter

	mu   sync.Mutex
	open map[*feedReader]struct{}
}

func newFeeds(reader Reader, most, perAccount int) *feeds {
	ctx, stop := context.WithCancel(context.Background())
	return &feeds{
		reader: reader, most: most, shares: newShares(int64(perAccount)), ctx: ctx, stop: stop, open: map[*feedReader]struct{}{},
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "changes", Name: "events_sent_total", Help: "Events of the change feed sent to readers.",
		}),
	}
}

// enter takes a reader in, or returns a limitError.
func (f *feeds) enter(r *feedReader) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.open) >= f.most {
		return overLimit(limitFeeds, feedRetry, "%d readers follow the changes on this node already", f.most)
	}
	if !f.shares.take(issuer(r.c), 1) {
		return overLimit(limitFeedShare, feedRetry, "%d readers of the account follow the changes on this node already", f.shares.most)
	}
	f.open[r] = struct{}{}
	return nil
}

func (f *feeds) leave(r *feedReader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, r)
	f.shares.release(issuer(r.c), 1)
}

// slowest returns the number of readers and the position of the one that is furthest behind, newest where there is none.
func (f *feeds) slowest(newest uint64) (readers int, position uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	position = newest
	for r := range f.open {
		position = min(position, r.since.Load())
	}
	return len(f.open), position
}

var (
	feedReaders = prometheus.NewDesc("dapple_changes_readers", "Requests that read the change feed.", nil, nil)
	feedLag     = prometheus.NewDesc("dapple_changes_lag_revisions", "Revisions that the slowest reader is behind.", nil, nil)
	feedOldest  = prometheus.NewDesc("dapple_changes_oldest_revision", "Revision up to which the change feed has been trimmed.", nil, nil)
	feedBytes   = prometheus.NewDesc("dapple_changes_bytes", "Size of the change feed before compression.", nil, nil)
)

// Describe implements prometheus.Collector.
func (f *feeds) Describe(out chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{feedReaders, feedLag, feedOldest, feedBytes, f.sent.Desc()} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (f *feeds) Collect(out chan<- prometheus.Metric) {
	f.sent.Collect(out)
	if err := f.collect(out); err != nil {
		out <- prometheus.NewInvalidMetric(feedBytes, err)
	}
}

func (f *feeds) collect(out chan<- prometheus.Metric) error {
	v, err := f.reader.View()
	if err != nil {
		return err
	}
	defer v.Close()
	newest, _, err := catalogue.Clock(v)
	if err != nil {
		return err
	}
	feed, err := catalogue.GetFeed(v)
	if err != nil {
		return err
	}
	size, err := catalogue.FeedBytes(v)
	if err != nil {
		return err
	}
	readers, position := f.slowest(newest)
	for _, m := range [...]struct {
		desc  *prometheus.Desc
		value float64
	}{
		{feedReaders, float64(readers)}, {feedLag, float64(newest - position)}, {feedOldest, float64(feed.Through)}, {feedBytes, float64(size)},
	} {
		out <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, m.value)
	}
	return nil
}
