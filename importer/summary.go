package importer

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Summary is how far an import is. What was there before counts as done.
type Summary struct {
	// Read is the number of bytes read, Lines that of lines with something in them.
	Read, Lines int64
	// Files have at least one replica that was accepted, Replicas were accepted.
	Files, Replicas int64
	// Datasets were created, Attached are files that are in a dataset as their line wants it.
	Datasets, Attached int64
	// Refused is the number of items that were refused: lines, replicas, and files that a dataset did not take.
	Refused int64
	// Elapsed is the time since the beginning.
	Elapsed time.Duration
}

// Rate returns how many a second a count is; 0 where no time has passed.
func (s Summary) Rate(n int64) float64 {
	if s.Elapsed <= 0 {
		return 0
	}
	return float64(n) / s.Elapsed.Seconds()
}

// Refusal is an item that was refused. The import goes on.
type Refusal struct {
	// Source and Line, from 1, say where the item stands.
	Source string
	Line   int
	// Item names the file, with RSE or dataset; it is empty for a line that cannot be read.
	Item string
	// Err is why.
	Err error
}

// String is one line for people.
func (r Refusal) String() string {
	if r.Item == "" {
		return fmt.Sprintf("%s:%d: %v", r.Source, r.Line, r.Err)
	}
	return fmt.Sprintf("%s:%d: %s: %v", r.Source, r.Line, r.Item, r.Err)
}

// tally counts what many goroutines do.
type tally struct {
	start                                                     time.Time
	read, lines, files, replicas, datasets, attached, refused atomic.Int64

	mu        sync.Mutex // calls of refusedTo
	refusedTo func(Refusal)
}

func (t *tally) refuse(r Refusal) {
	t.refused.Add(1)
	if t.refusedTo != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.refusedTo(r)
	}
}

func (t *tally) summary() Summary {
	return Summary{
		Read: t.read.Load(), Lines: t.lines.Load(), Files: t.files.Load(), Replicas: t.replicas.Load(), Datasets: t.datasets.Load(),
		Attached: t.attached.Load(), Refused: t.refused.Load(), Elapsed: time.Since(t.start),
	}
}
