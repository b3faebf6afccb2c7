package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
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
	s.write(c, status, typeJSON, body)
}

// write sends a whole answer.
func (s *Server) write(c *gin.Context, status int, contentType string, body []byte) {
	s.extendWrite(c)
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
