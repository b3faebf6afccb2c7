package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// Keys of values that a request carries along in its gin context.
const (
	keyBody      = "body"  // *heldBody
	keyBodyEnded = "ended" // set when the body is read to its end, or broke off
	keyRoute     = "route" // *route
	keyPrincipal = "principal"
	keyDigest    = "digest" // SHA-256 of the body, where a fingerprint is to be made of it
)

// firstBuffer is how much of a body is reserved before the first byte has come: a client is charged for what it sends and
// not for what it announces. A body of unknown length is mostly a small one.
const firstBuffer, firstUnknown = 64 << 10, 4 << 10

// readBody reads the whole body within the limits. It is called once a request; the memory counts as in flight until the
// request is answered.
func (s *Server) readBody(c *gin.Context) ([]byte, error) {
	limit, length := s.limits.Body, c.Request.ContentLength
	if length > limit {
		return nil, s.bodyTooLarge()
	}
	held, err := s.admitBody(c)
	if err != nil {
		return nil, err
	}
	// One byte more than announced, so that the end is seen without growing.
	expected, first := length+1, int64(firstBuffer)
	if length < 0 {
		expected, first = limit+1, firstUnknown
	}
	body, err := s.growBody(c, held, nil, min(expected, first))
	deadline := http.NewResponseController(c.Writer)
	progress := newBodyProgress(s.limits)
	for err == nil {
		if len(body) == cap(body) {
			if int64(len(body)) >= expected {
				expected = limit + 1 // more came than was announced
			}
			if body, err = s.growBody(c, held, body, min(grown(int64(cap(body))), expected)); err != nil {
				break
			}
		}
		var until time.Time
		if until, err = progress.next(len(body)); err != nil {
			break
		}
		_ = deadline.SetReadDeadline(until)
		var n int
		n, err = c.Request.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if int64(len(body)) > limit {
			err = s.bodyTooLarge()
		}
	}
	_ = deadline.SetReadDeadline(time.Time{})
	if err = progress.judge(err); isSlow(err) {
		c.Set(keyBodyEnded, true) // nobody waits for the rest
		c.Header("Connection", "close")
		return nil, err
	}
	var refusal *catalogue.Error
	refused := errors.As(err, &refusal)
	c.Set(keyBodyEnded, !refused)
	if errors.Is(err, io.EOF) {
		noteBody(c, body)
		return body, checkUnicode(body)
	}
	if !refused {
		// The rest of the body will not come; the connection is of no more use.
		c.Header("Connection", "close")
		err = catalogue.Errorf(command.CodeInvalidJSON, "cannot decode json parameter: the body is cut off")
	}
	return nil, err
}

// lingerFrom is the size from which net/http closes the connection on a body that nobody has read.
const lingerFrom = 256 << 10

// strangerLinger bounds what is read for that of a client without a token. It is more than most bodies have.
const strangerLinger = 4 << 20

// linger lets a client that was refused before it had sent its large body send on for a while: most clients read no answer until
// they have sent everything, and a closed connection would hide it from them. Its deadline stays for what net/http still reads.
func (s *Server) linger(c *gin.Context) {
	r, refused, ended := c.Request, c.Writer.Status() >= http.StatusBadRequest, c.GetBool(keyBodyEnded)
	if !refused && ended || s.boundUnread(c) != nil { // one that broke off is refused, and may stall again
		return
	}
	large := r.ContentLength < 0 || r.ContentLength >= lingerFrom
	if !refused || !large || ended || r.ProtoMajor != 1 || r.Header.Get("Expect") != "" {
		return
	}
	conn := http.NewResponseController(c.Writer)
	if conn.Flush() != nil || conn.SetReadDeadline(time.Now().Add(s.limits.Stall)) != nil {
		return
	}
	most := s.limits.Body
	if issuer(c) == "" {
		most = min(most, strangerLinger)
	}
	_, _ = io.CopyN(io.Discard, r.Body, most)
}

// boundUnread gives the rest of a body a while to come. What no handler reads net/http does, up to lingerFrom of it: before it sends
// the head of an answer and at the end of a request, for as long as that takes. Half of the time is left for the answer, whose
// deadline runs already. The deadline does not outlive the request: net/http sets another for the next one.
func (s *Server) boundUnread(c *gin.Context) error {
	if c.Request.Body == http.NoBody || c.Request.ProtoMajor != 1 {
		return nil
	}
	return http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(s.limits.Stall / 2))
}

func (s *Server) bodyTooLarge() error {
	return catalogue.Errorf(command.CodeBodyTooLarge, "the body is over the limit of %d bytes", s.limits.Body)
}

// decodeObject reads a body that must be a JSON object. Where it is not, the error is answered and ok is false.
func (s *Server) decodeObject(c *gin.Context) (fields object, ok bool) {
	raw, err := s.readBody(c)
	if err == nil {
		err = checkJSON(raw, '{', "dictionary")
	}
	if err != nil {
		s.fail(c, err)
		return nil, false
	}
	return s.unmarshalObject(c, raw)
}

// decodeOptionalObject is decodeObject for requests that may come without a body; it returns an empty object then.
func (s *Server) decodeOptionalObject(c *gin.Context) (fields object, ok bool) {
	raw, err := s.readBody(c)
	switch {
	case err != nil:
		s.fail(c, err)
		return nil, false
	case len(bytes.TrimSpace(raw)) == 0:
		return object{}, true
	}
	if err := checkJSON(raw, '{', "dictionary"); err != nil {
		s.fail(c, err)
		return nil, false
	}
	return s.unmarshalObject(c, raw)
}

// checkJSON sees that the bytes are one JSON value in UTF-8 that begins with the given byte.
func checkJSON(raw []byte, first byte, kind string) error {
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return catalogue.Errorf(command.CodeInvalidJSON, "cannot decode json parameter %s", kind)
	}
	if trimmed := bytes.TrimLeft(raw, " \t\r\n"); first != 0 && trimmed[0] != first {
		return catalogue.Errorf(command.CodeInvalidBody, "body must be a json %s", kind)
	}
	return nil
}

func (s *Server) unmarshalObject(c *gin.Context, raw []byte) (object, bool) {
	fields, err := parseObject(raw)
	if err != nil {
		s.fail(c, err)
		return nil, false
	}
	return fields, true
}
