package fsm

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"dapple/catalogue"
)

// keptDigests is how many digests are kept, and how many may be in the making.
const keptDigests = 16

// A digest that nobody waits for rests digestRest after each digestWork, so that it takes a tenth of a processor.
const (
	digestWork = 10 * time.Millisecond
	digestRest = 9 * digestWork
	// digestKeys is how many keys are read between two looks at the clock.
	digestKeys = 256
)

// Digest hashes every key and value of a view that is the same on all nodes. It ends early with the context's error.
func Digest(ctx context.Context, v catalogue.View) (string, error) {
	return digestOf(v, func() error { return ctx.Err() })
}

// gentleDigest is Digest with rests.
//
//nolint:forbidigo // the clock gives the rests alone: nothing of the state comes from it
func gentleDigest(ctx context.Context, v catalogue.View) (string, error) {
	keys, since := 0, time.Now()
	return digestOf(v, func() error {
		if keys++; keys%digestKeys != 0 || time.Since(since) < digestWork {
			return ctx.Err()
		}
		rest := time.NewTimer(digestRest)
		defer rest.Stop()
		select {
		case <-rest.C:
		case <-ctx.Done():
		}
		since = time.Now()
		return ctx.Err()
	})
}

// digestOf calls next after each key; its error ends the digest.
func digestOf(v catalogue.View, next func() error) (string, error) {
	h := sha256.New()
	low, high := catalogue.SharedRange()
	var lengths []byte
	err := v.Scan(low, high, func(key, value []byte) (bool, error) {
		lengths = binary.AppendUvarint(lengths[:0], uint64(len(key)))
		lengths = binary.AppendUvarint(lengths, uint64(len(value)))
		hashAll(h, lengths, key, value)
		return true, next()
	})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashAll(h hash.Hash, parts ...[]byte) {
	for _, p := range parts {
		h.Write(p) // a hash.Hash never returns an error
	}
}

// digests makes digests in the background, one at a time, and keeps the last ones.
type digests struct {
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	turn   chan struct{} // holds a token while a digest is made
	tasks  sync.WaitGroup

	mu      sync.Mutex
	running map[uint64]bool
	done    []digestAt    // oldest first
	changed chan struct{} // closed and replaced whenever the above change
}

type digestAt struct {
	index  uint64
	digest string
}

func newDigests(log *slog.Logger) *digests {
	ctx, cancel := context.WithCancel(context.Background())
	return &digests{
		log: log, ctx: ctx, cancel: cancel, turn: make(chan struct{}, 1),
		running: map[uint64]bool{}, changed: make(chan struct{}),
	}
}

// start digests the store as it stands at index, gently where nobody waits for it. The caller holds the store and lets nothing be written meanwhile.
func (d *digests) start(index uint64, s *store, gently bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.running) >= keptDigests || d.ctx.Err() != nil {
		d.log.Warn("digest left out: too many in the making", "index", index)
		return
	}
	d.running[index] = true
	s.refs.Add(1)
	snapshot := s.db.NewSnapshot()
	d.tasks.Go(func() {
		defer s.release()
		d.run(index, snapshot, gently)
	})
}

func (d *digests) run(index uint64, snapshot *pebble.Snapshot, gently bool) {
	digest, err := d.make(snapshot, gently)
	if closing := snapshot.Close(); err == nil {
		err = closing
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.running, index)
	if err != nil {
		d.log.Warn("digest failed", "index", index, "error", err)
	} else {
		d.done = append(d.done, digestAt{index, digest})
		d.done = d.done[max(0, len(d.done)-keptDigests):]
		d.log.Info("digest of the state", "index", index, "sha256", digest)
	}
	close(d.changed)
	d.changed = make(chan struct{})
}

// make waits for its turn: a digest reads the whole store.
func (d *digests) make(snapshot *pebble.Snapshot, gently bool) (string, error) {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
		if gently {
			return gentleDigest(d.ctx, &dbReader{db: snapshot})
		}
		return Digest(d.ctx, &dbReader{db: snapshot})
	case <-d.ctx.Done():
		return "", d.ctx.Err()
	}
}

func (d *digests) at(index uint64) (string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.find(index)
}

func (d *digests) find(index uint64) (string, bool) {
	for _, e := range d.done {
		if e.index == index {
			return e.digest, true
		}
	}
	return "", false
}

// latest returns the last digest that was made.
func (d *digests) latest() digestAt {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.done) == 0 {
		return digestAt{}
	}
	return d.done[len(d.done)-1]
}

// wait returns the digest of an index that has been applied.
func (d *digests) wait(ctx context.Context, index uint64) (string, error) {
	for {
		d.mu.Lock()
		digest, found := d.find(index)
		running, changed := d.running[index], d.changed
		d.mu.Unlock()
		switch {
		case found:
			return digest, nil
		case !running:
			return "", ErrNoDigest
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// close ends the digests in the making and waits for them.
func (d *digests) close() {
	d.mu.Lock()
	d.cancel()
	d.mu.Unlock()
	d.tasks.Wait()
}
