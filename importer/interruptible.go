package importer

import (
	"context"
	"io"
)

// readSize is how much an interruptible reader asks its source for.
const readSize = 64 << 10

// interruptible reads from a source until ctx ends, also while the source has nothing to say: an idle pipe would keep an import from
// ending. The read that is given up goes on in the background until the source returns, in memory that nobody else looks at.
type interruptible struct {
	ctx    context.Context
	source io.Reader
	buffer []byte
	rest   []byte // of the buffer, read and not yet taken
	err    error  // of the source or ctx, after the rest
}

func newInterruptible(ctx context.Context, source io.Reader) *interruptible {
	return &interruptible{ctx: ctx, source: source, buffer: make([]byte, readSize)}
}

// Read implements io.Reader.
func (r *interruptible) Read(b []byte) (n int, err error) {
	if len(r.rest) == 0 && r.err == nil {
		r.fill()
	}
	n = copy(b, r.rest)
	if r.rest = r.rest[n:]; len(r.rest) > 0 {
		return n, nil
	}
	return n, r.err
}

// fill waits for the source or the end of ctx. That one stays, so the buffer of a read that was given up is not used again.
func (r *interruptible) fill() {
	type answer struct {
		n   int
		err error
	}
	done := make(chan answer, 1)
	go func() {
		n, err := r.source.Read(r.buffer)
		done <- answer{n, err}
	}()
	select {
	case a := <-done:
		r.rest, r.err = r.buffer[:a.n], a.err
	case <-r.ctx.Done():
		r.err = r.ctx.Err()
	}
}
