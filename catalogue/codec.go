package catalogue

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrRecord is returned where a stored record does not parse: the store is damaged or was written by a newer program.
var ErrRecord = errors.New("malformed record")

// Stored records are written by hand so that a value has exactly one encoding: digests compare bytes between nodes of
// different versions of the program. Every record starts with its format number; fields follow in a fixed order. A new
// field is a new format number, and old formats stay readable.

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// recordReader reads the fields of a record; after the first failure it yields zeros and err tells.
type recordReader struct {
	b      []byte
	format byte
	err    error
}

// newRecordReader reads the format number, which must be 1 to newest. It is small enough to be inlined, so that the reader stays on
// the caller's stack.
func newRecordReader(b []byte, newest byte) *recordReader {
	r := &recordReader{b: b}
	r.begin(newest)
	return r
}

func (r *recordReader) begin(newest byte) {
	r.format = r.byte()
	if r.err == nil && (r.format == 0 || r.format > newest) {
		r.err = fmt.Errorf("%w: format %d", ErrRecord, r.format)
	}
}

func (r *recordReader) fail() {
	if r.err == nil {
		r.err = ErrRecord
	}
	r.b = nil
}

func (r *recordReader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *recordReader) bool() bool {
	v := r.byte()
	if v > 1 {
		r.fail()
	}
	return v == 1
}

func (r *recordReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *recordReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *recordReader) uint32() uint32 {
	v := r.uvarint()
	if v > 1<<32-1 {
		r.fail()
	}
	return uint32(v)
}

// take returns the next n bytes, which alias the record.
func (r *recordReader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *recordReader) string() string { return string(r.take(r.uvarint())) }

// count reads the length of a list whose items take at least size bytes each, so that damage cannot ask for much memory.
func (r *recordReader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

// done returns the error of the reading, or one where bytes are left over.
func (r *recordReader) done() error {
	if r.err == nil && len(r.b) != 0 {
		r.fail()
	}
	return r.err
}
