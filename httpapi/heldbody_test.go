package httpapi

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"dapple/command"
)

// pausedBody is a body of two parts: what was asked in between is asked when the first has been read.
type pausedBody struct {
	parts   []string
	between func()
}

func (b *pausedBody) Read(p []byte) (int, error) {
	if len(b.parts) == 0 {
		return 0, io.EOF
	}
	part := b.parts[0]
	if b.parts = b.parts[1:]; len(b.parts) == 0 {
		b.between()
	}
	return copy(p, part), nil
}

func (*pausedBody) Close() error { return nil }

// Bodies of writes are on their way to become commands until they have become one; those of reads never are.
func TestComingBodies(t *testing.T) {
	ts := newTestServer(t, nil)
	at := func() [2]int64 { return [2]int64{ts.coming.requests.Load(), ts.coming.bytes.Load()} }
	var read, decoded [2]int64
	handler := func(c *gin.Context) {
		if _, ok := ts.decodeObject(c); ok {
			decoded = at()
			ts.arrived(c)
			require.Zero(t, at(), "it is a command now")
			ts.empty(c)
		}
	}
	var err error
	ts.resolver, err = newResolver([]route{{post, "/w", handler, needsToken}, {post, "/r", handler, reading}})
	require.NoError(t, err)
	send := func(path string, body ...string) int {
		read, decoded = [2]int64{}, [2]int64{}
		got := ts.do("POST", path, "", func(r *http.Request) {
			size := 0
			for _, part := range body {
				size += len(part)
			}
			r.ContentLength = int64(size)
			r.Body = &pausedBody{body, func() { read = at() }}
		})
		require.Zero(t, at(), "the request is over")
		return got.Code
	}
	require.Equal(t, 200, send("/w", `{"a":`, `1}`))
	require.Equal(t, [2]int64{1, 8}, read, "one byte more than announced is held")
	require.Equal(t, read, decoded)
	require.Equal(t, 200, send("/r", `{"a":`, `1}`))
	require.Zero(t, read)
	require.Equal(t, 400, send("/w", `{"a":`, `?}`))
	require.NotZero(t, read)
	ts.store.full.Store(true)
	require.Equal(t, http.StatusServiceUnavailable, send("/w", `{"a":`, `1}`))
	require.Zero(t, read)
}

// A write that an overload refuses is held before it is told, unless its client goes.
func TestRefusalIsHeld(t *testing.T) {
	const pause = 100 * time.Millisecond
	ts := newTestServer(t, nil, func(c *Config) { c.Limits.Refusal = pause })
	var err error
	ts.resolver, err = newResolver([]route{{post, "/w", func(c *gin.Context) { ts.decodeObject(c) }, needsToken}})
	require.NoError(t, err)
	ts.store.full.Store(true)
	begin := time.Now()
	ts.do("POST", "/w", "{}").want(t, 503, "ResourceTemporaryUnavailable")
	require.GreaterOrEqual(t, time.Since(begin), pause/2)

	ts.limits.Refusal = time.Hour
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	ts.do("POST", "/w", "{}", func(r *http.Request) { *r = *r.WithContext(gone) })

	ts.held.Store(int64(ts.limits.Connections / 4)) // others have all the places
	ts.do("POST", "/w", "{}").want(t, 503, "ResourceTemporaryUnavailable")
}

// A write that is refused when its body has been read lets go of it before it is held.
func TestHeldRefusalHoldsNoBody(t *testing.T) {
	ts := newTestServer(t, nil, func(c *Config) { c.Limits.Refusal = time.Hour })
	gone, cancel := context.WithCancel(t.Context())
	defer cancel()
	var err error
	ts.resolver, err = newResolver([]route{{post, "/w", func(c *gin.Context) {
		if _, ok := ts.decodeObject(c); ok {
			require.NotZero(t, ts.bodies.used.Load())
			cancel()
			ts.fail(c, otherLayer{command.CodeQueueFull})
			require.Zero(t, ts.bodies.used.Load())
		}
	}, needsToken}})
	require.NoError(t, err)
	ts.do("POST", "/w", "{}", func(r *http.Request) { *r = *r.WithContext(gone) }).want(t, 503, "ResourceTemporaryUnavailable")
	require.Zero(t, ts.bodies.used.Load())
}
