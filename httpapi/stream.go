package httpapi

import (
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// streamBuffer is how much of an answer is gathered before it is sent.
const streamBuffer = 64 << 10

// streamBuffers keeps buffers for the next answer.
type streamBuffers struct{ pool sync.Pool }

func (p *streamBuffers) get() []byte {
	if held, ok := p.pool.Get().(*[]byte); ok {
		return *held
	}
	return make([]byte, 0, streamBuffer+4<<10)
}

// put takes a buffer back; one that a very long line has made large is left to the collector.
func (p *streamBuffers) put(b []byte) {
	if cap(b) > 0 && cap(b) <= 4*streamBuffer {
		b = b[:0]
		p.pool.Put(&b)
	}
}

// stream is a long answer that is sent as it is made. Nothing is sent before the first 64 KiB are full or the stream ends, so
// that an error in the beginning is still answered as an error; one that comes later cuts the connection, and the client sees
// a transfer that broke off instead of a short list that looks whole.
//
//	st := s.stream(c, typeLines)
//	err := catalogue.Each(view, func(item Item) (bool, error) {
//		return true, st.line(appendItem(st.open(), item))
//	})
//	st.finish(err)
type stream struct {
	server *Server
	c      *gin.Context
	buffer []byte
	sent   bool
	// broken is set once the client takes no more.
	broken      error
	contentType string
	// gather is nil where the whole list is sent.
	gather *gathering
	// query is the view that the lines come from, nil where nobody counts its time.
	query *queryView
	// lines is how many lines were put.
	lines int
	// encoder compresses what is sent, nil where the client does not want that.
	encoder compressor
}

// stream begins an answer of status 200. finish must be called at its end.
func (s *Server) stream(c *gin.Context, contentType string) *stream {
	return &stream{server: s, c: c, contentType: contentType}
}

// open returns the buffer to append to; what comes of it goes to line or put at once.
func (st *stream) open() []byte {
	if st.buffer == nil {
		st.buffer = st.server.buffers.get()
	}
	return st.buffer
}

// line ends a line. An error means that the client takes no more: the caller stops and passes it to finish.
func (st *stream) line(b []byte) error {
	return st.item(b[len(st.buffer):], append(b, '\n'))
}

// item is put for a line that id tells from the others of its list, whatever else of the line may change.
func (st *stream) item(id, b []byte) error {
	if st.gather != nil {
		show, err := st.gather.take(id, len(st.buffer))
		if err != nil || !show {
			return err // what b appended is forgotten
		}
		if st.gather.page.size > 0 {
			st.lines++
			st.query.line()
			st.buffer = b // a page is sent as a whole, for its header tells where the next one begins
			return st.broken
		}
	}
	st.lines++
	return st.put(b)
}

// put is line without a line's end.
func (st *stream) put(b []byte) error {
	st.query.line()
	st.buffer = b
	if len(b) < streamBuffer {
		return st.broken
	}
	return st.flush()
}

// flush sends what the buffer holds.
func (st *stream) flush() error {
	if st.broken != nil {
		return st.broken
	}
	if err := st.c.Request.Context().Err(); err != nil {
		st.broken = err
		return err
	}
	if !st.sent {
		if st.broken = st.begin(); st.broken != nil {
			return st.broken
		}
	}
	out := http.NewResponseController(st.c.Writer)
	started := time.Now()
	_ = out.SetWriteDeadline(started.Add(st.server.limits.Stall))
	err := st.send()
	if err == nil {
		err = out.Flush()
	}
	st.query.waited(time.Since(started))
	st.buffer, st.broken = st.buffer[:0], err
	return err
}

// begin sends the header.
func (st *stream) begin() (err error) {
	st.sent = true
	if encoding := st.server.encodingOf(st.c); encoding != "" {
		if st.encoder, err = st.server.compressors.get(encoding, st.c.Writer); err != nil {
			return err
		}
		st.c.Header("Content-Encoding", encoding)
	}
	st.c.Header("Content-Type", st.contentType)
	st.c.Status(http.StatusOK)
	return nil
}

// send writes what the buffer holds, so that the client can read all of it.
func (st *stream) send() error {
	if st.encoder == nil {
		_, err := st.c.Writer.Write(st.buffer)
		return err
	}
	if _, err := st.encoder.Write(st.buffer); err != nil {
		return err
	}
	return st.encoder.Flush()
}

// end sends what is left and the end of the encoding.
func (st *stream) end() error {
	if err := st.flush(); err != nil || st.encoder == nil {
		return err
	}
	st.broken = st.encoder.Close()
	return st.broken
}

// finish ends the stream; err is what ended it early, nil for a whole one. It does not return where the connection must be
// cut: what the caller has to release it releases with defer.
func (st *stream) finish(err error) {
	defer func() {
		st.server.buffers.put(st.buffer)
		st.buffer = nil
		if st.encoder != nil {
			st.server.compressors.put(st.encoder)
		}
	}()
	if st.gather != nil {
		err = st.gather.end(st.c, err)
	}
	if left := st.c.Request.Context().Err(); left != nil && st.broken == nil {
		st.broken = left // the query has ended for that
	}
	switch {
	case err == nil && st.broken == nil && !st.sent:
		st.server.write(st.c, http.StatusOK, st.contentType, st.buffer)
		return
	case err == nil && st.end() == nil:
		return
	case !st.sent:
		st.server.fail(st.c, err)
		return
	}
	cause := "client"
	if st.broken == nil {
		cause = "server"
		st.server.log.Error("answer broken off", "method", st.c.Request.Method, "route", routeOf(st.c), "error", err)
	}
	st.server.metrics.brokenStreams.WithLabelValues(cause).Inc()
	panic(http.ErrAbortHandler)
}
