package catalogue

import "unsafe"

// textArena makes many short texts with few allocations. What it returns stays valid: memory that was handed out is never used again.
// The zero value is ready.
type textArena struct{ chunk []byte }

// A list of a single file needs little, one of thousands much: each chunk is twice as large as the one before.
const (
	leastChunk = 512
	mostChunk  = 32 << 10
)

// join returns the parts one after another.
func (a *textArena) join(parts ...string) string {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	if size == 0 {
		return ""
	}
	if size > cap(a.chunk)-len(a.chunk) {
		a.chunk = make([]byte, 0, max(size, min(max(2*cap(a.chunk), leastChunk), mostChunk)))
	}
	start := len(a.chunk)
	for _, part := range parts {
		a.chunk = append(a.chunk, part...)
	}
	return unsafe.String(&a.chunk[start], size)
}
