package fsm

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// compactionWrites is what Pebble calls the writes of compactions.
	compactionWrites vfs.DiskWriteCategory = "pebble-compaction"
	// A compaction rests paceRest times as long as it has worked, whenever it has worked for paceStep; more than paceMost does not count
	// as work, since then it was waiting.
	paceStep = 5 * time.Millisecond
	paceMost = 50 * time.Millisecond
	paceRest = 1
	// Compactions do not rest while level 0 has so many runs, half as many more as begin a compaction: each read looks into all of them. That is
	// looked up every paceLook at most.
	paceRuns = l0CompactAt / 2 * 3 / 2
	paceLook = time.Second
)

// pace spreads compactions over time. One merges most of the state, on all nodes at about the same time, and where processors are few
// it would halve the rate of writes for seconds (docs/capacity.md). It is in the way of what they write, since Pebble has no pace of
// its own for them.
type pace struct {
	runs    atomic.Pointer[func() int] // of level 0; nil while the store is being opened
	hurried chan struct{}              // closed when nobody rests any more
	once    sync.Once

	mu     sync.Mutex
	looked time.Time // when runs was last called
	late   bool      // whether there were too many
}

func newPace() *pace { return &pace{hurried: make(chan struct{})} }

// watch has runs tell how many runs level 0 has. It is called within a compaction, which Pebble waits for when it closes, and without any of its locks.
func (p *pace) watch(runs func() int) { p.runs.Store(&runs) }

// hurry ends all rests, now and for good: the store is to be closed.
func (p *pace) hurry() { p.once.Do(func() { close(p.hurried) }) }

// isLate reports whether compactions are too slow for what is written.
func (p *pace) isLate() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	runs := p.runs.Load()
	if now := time.Now(); runs != nil && (p.looked.IsZero() || now.Sub(p.looked) >= paceLook) {
		p.looked, p.late = now, (*runs)() >= paceRuns
	}
	return p.late
}

// rest returns after the rest that so much work has earned.
func (p *pace) rest(worked time.Duration) {
	select {
	case <-p.hurried:
		return
	default:
	}
	if p.isLate() {
		return
	}
	timer := time.NewTimer(paceRest * min(worked, paceMost))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.hurried:
	}
}

// pacedFS paces the writes of compactions.
type pacedFS struct {
	vfs.FS
	pace *pace
}

// Unwrap implements vfs.FS.
func (f pacedFS) Unwrap() vfs.FS { return f.FS }

// Create implements vfs.FS.
func (f pacedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, category)
	if err != nil || category != compactionWrites {
		return file, err
	}
	return &pacedFile{File: file, pace: f.pace, resumed: time.Now()}, nil
}

// pacedFile is a file that one compaction writes.
type pacedFile struct {
	vfs.File
	pace    *pace
	resumed time.Time // when the work since the last rest began
}

// Write implements vfs.File.
func (f *pacedFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	if worked := time.Since(f.resumed); worked >= paceStep {
		f.pace.rest(worked)
		f.resumed = time.Now()
	}
	return n, err
}
