package httpapi

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// joinTokenLifetime is how many seconds a join token is good if the request names no lifetime.
const joinTokenLifetime = 3600

// addJoinToken makes a token that lets one new member join. A client that sends the digest of a token of its own can
// repeat the request; otherwise the token is made here.
func (s *Server) addJoinToken(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	lifetime, err := body.optionalUint("lifetime", uint64(catalogue.MaxJoinTokenLifetime.Seconds()), joinTokenLifetime)
	if err != nil {
		s.fail(c, err)
		return
	}
	answer := map[string]any{"lifetime": lifetime}
	digest, err := givenDigest(c, body)
	if err == nil && digest == nil {
		token := make([]byte, 32)
		if _, err = rand.Read(token); err == nil {
			text := base64.RawURLEncoding.EncodeToString(token)
			sum := sha256.Sum256([]byte(text))
			digest, answer["token"] = sum[:], text
		}
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeAddJoinToken, &command.AddJoinToken{Digest: digest, Lifetime: uint32(lifetime)}); ok {
		s.json(c, 201, answer)
	}
}

// givenDigest returns the digest that the body has, nil for none.
func givenDigest(c *gin.Context, body object) ([]byte, error) {
	text, err := body.optionalString("digest")
	if err != nil {
		return nil, err
	}
	if text == "" {
		if key, err := onceKey(c); err != nil || key != "" {
			return nil, catalogue.Errorf(command.CodeInvalidValue, "a request with an Idempotency-Key needs the 'digest' of a token: a repeat would make another token")
		}
		return nil, nil
	}
	digest, err := hex.DecodeString(text)
	if err != nil || len(digest) != sha256.Size {
		return nil, catalogue.Errorf(command.CodeInvalidValue, "'digest' is not a SHA-256 in hexadecimal")
	}
	return digest, nil
}
