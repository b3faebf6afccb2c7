package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	typeHTML     = "text/html; charset=utf-8"
	typeJSON     = "application/json"
	typeLines    = "application/x-json-stream"
	typeMetalink = "application/metalink4+xml"
	typeBytes    = "application/octet-stream"
)

// created answers 201 with the word Created.
func (s *Server) created(c *gin.Context) { s.write(c, http.StatusCreated, typeHTML, []byte("Created")) }

// empty answers 200 without a body.
func (s *Server) empty(c *gin.Context) { s.write(c, http.StatusOK, typeHTML, nil) }

// text answers with a text as text/html, as Rucio sends its short answers.
func (s *Server) text(c *gin.Context, status int, text string) {
	s.write(c, status, typeHTML, []byte(text))
}

// json answers with one JSON value. It is for small answers; long ones are streamed.
func (s *Server) json(c *gin.Context, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.write(c, status, typeJSON, appendSpaced(make([]byte, 0, len(body)+len(body)/4), body))
}

// encodingOf returns how the client wants an answer compressed, "" for not at all. The answer tells caches that it depends on that.
func (s *Server) encodingOf(c *gin.Context) string {
	c.Writer.Header().Add("Vary", "Accept-Encoding")
	return bestEncoding(strings.Join(c.Request.Header.Values("Accept-Encoding"), ","))
}

// compress returns a long answer in the encoding that the client wants, otherwise as it is.
func (s *Server) compress(c *gin.Context, body []byte) []byte {
	if len(body) < minCompressed {
		return body
	}
	encoding := s.encodingOf(c)
	if encoding == "" {
		return body
	}
	var small bytes.Buffer
	encoder, err := s.compressors.get(encoding, &small)
	if err != nil {
		return body
	}
	defer s.compressors.put(encoder)
	if _, err = encoder.Write(body); err == nil {
		err = encoder.Close()
	}
	if err != nil {
		return body
	}
	c.Header("Content-Encoding", encoding)
	return small.Bytes()
}

// heldBack is the size up to which net/http sends nothing before the handler is done.
const heldBack = 2 << 10

// write sends a whole answer.
func (s *Server) write(c *gin.Context, status int, contentType string, body []byte) {
	body = s.compress(c, body)
	if len(body) > heldBack {
		s.extendWrite(c)
	}
	c.Header("Content-Type", contentType)
	c.Header("Content-Length", strconv.Itoa(len(body)))
	c.Status(status)
	c.Writer.WriteHeaderNow()
	// A client that has gone away is no error of ours.
	_, _ = c.Writer.Write(body)
}

// extendWrite gives the client another while to take what is sent next. Writers without deadlines, in tests, ignore it.
func (s *Server) extendWrite(c *gin.Context) {
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(s.limits.Stall))
}

// deleted answers that something is gone where the API has words for it.
func (s *Server) deleted(c *gin.Context) { s.write(c, http.StatusOK, typeHTML, []byte("Deleted")) }
