package httpapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"io"
	"strconv"

	"github.com/gin-gonic/gin"
	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// A write with a key takes effect once: the key travels with its command, and the state machine answers a repeat as the first time.
const (
	headerOnce      = "Idempotency-Key"
	headerRequestID = "X-Request-Id"
	headerRepeated  = "X-Dapple-Repeated"

	maxOnceKey = 255
	digestSize = 16 // bytes of a key or a fingerprint in the log
	// keyProposals counts the commands of a request: each has a key of its own.
	keyProposals = "proposals"
)

// onceKey returns the key of a request, "" for none. One that is no key is CodeInvalidValue.
func onceKey(c *gin.Context) (string, error) {
	name, key := headerOnce, c.GetHeader(headerOnce)
	if key == "" && len(c.Request.Header.Values(headerOnce)) == 0 {
		name, key = headerRequestID, c.GetHeader(headerRequestID)
		if key == "" {
			return "", nil
		}
	}
	if len(key) == 0 || len(key) > maxOnceKey {
		return "", catalogue.Errorf(command.CodeInvalidValue, "%s has %d characters; 1 to %d are allowed", name, len(key), maxOnceKey)
	}
	for _, b := range []byte(key) {
		if b <= ' ' || b > '~' {
			return "", catalogue.Errorf(command.CodeInvalidValue, "%s may hold visible ASCII characters alone", name)
		}
	}
	return key, nil
}

// once wraps the command of a request with a key. The fingerprint is of the request and not of the command, which may hold what was
// made at random for this attempt.
func (s *Server) once(c *gin.Context, t command.Type, payload []byte) (command.Type, []byte, error) {
	if t < command.TypeAddAccount {
		return t, payload, nil // the state machine's own commands change nothing that a client sees
	}
	key, err := onceKey(c)
	if err != nil || key == "" {
		return t, payload, err
	}
	ordinal := c.GetInt(keyProposals)
	c.Set(keyProposals, ordinal+1)
	// No client's key has a space.
	whole := sha256.Sum256(strconv.AppendInt(append([]byte(key), ' '), int64(ordinal), 10))
	payload, err = proto.Marshal(&command.Once{
		Key: whole[:digestSize], Fingerprint: fingerprint(c, key), Type: uint32(t), Payload: payload, Window: s.onceWindow.Microseconds(),
	})
	return command.TypeOnce, payload, err
}

// fingerprint tells requests apart: method, path, query, body and what else a handler reads. A body may hold a password, so what
// goes into the log cannot be compared with guesses by anybody who does not have the client's key, which is kept as a hash too.
func fingerprint(c *gin.Context, key string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	for _, part := range [...]string{
		c.Request.Method, c.Request.URL.EscapedPath(), c.Request.URL.RawQuery,
		c.GetHeader("X-Rucio-Username"), c.GetHeader("X-Rucio-Password"), c.GetHeader("X-Rucio-Email"),
	} {
		_, _ = io.WriteString(h, strconv.Itoa(len(part)))
		_, _ = io.WriteString(h, " "+part)
	}
	if digest, ok := c.Get(keyDigest); ok {
		_, _ = h.Write(digest.([]byte))
	}
	return h.Sum(nil)[:digestSize]
}

// noteBody keeps what a fingerprint needs of a body.
func noteBody(c *gin.Context, body []byte) {
	_, paged := c.Get(keyPage)
	if key, err := onceKey(c); !paged && (err != nil || key == "") {
		return
	}
	digest := sha256.Sum256(body)
	c.Set(keyDigest, digest[:])
}

// unknownOutcome says what a client can do that cannot know whether its write took effect.
func unknownOutcome(c *gin.Context, cause string) string {
	if key, err := onceKey(c); err == nil && key != "" {
		return "outcome unknown: the request may or may not take effect. Repeat it as it is with the same key, " + key +
			", on any node: it takes effect once, and the answer tells what became of it (" + cause + ")"
	}
	return "outcome unknown: the request may or may not take effect. Look before repeating it; with the header " + headerOnce +
		" a request can be repeated safely (" + cause + ")"
}
