package httpapi

import (
	"crypto/rand"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"dapple/catalogue"
	"dapple/command"
)

// signingKeyRoutes are the rows of the keys that sign tokens.
func (s *Server) signingKeyRoutes() []route {
	return []route{
		{get, "/cluster/signing-keys", s.listSigningKeys, needsToken},
		{post, "/cluster/signing-keys", s.addSigningKey, needsToken},
		{remove, "/cluster/signing-keys/:key", s.deleteSigningKey, needsToken},
	}
}

type signingKeyAnswer struct {
	ID      string `json:"id"`
	Created string `json:"created_at"`
	// Signs marks the key that signs new tokens.
	Signs bool `json:"signs"`
}

// listSigningKeys lists the keys, the newest last, without what is secret of them.
func (s *Server) listSigningKeys(c *gin.Context) {
	s.readJSON(c, func(v View) (any, error) {
		if err := catalogue.Authorize(v, issuer(c), catalogue.ActionManageSigningKeys); err != nil {
			return nil, err
		}
		keys, err := catalogue.SigningKeys(v)
		answer := make([]signingKeyAnswer, 0, len(keys))
		for i, key := range keys {
			answer = append(answer, signingKeyAnswer{key.ID, formatTime(key.Created), i == len(keys)-1})
		}
		return answer, err
	})
}

// addSigningKey makes a new key, which signs tokens from now on.
func (s *Server) addSigningKey(c *gin.Context) {
	if err := s.permitted(c, catalogue.ActionManageSigningKeys); err != nil {
		s.fail(c, err)
		return
	}
	seed := make([]byte, 32)
	if _, err := rand.Read(seed); err != nil {
		s.fail(c, err)
		return
	}
	id := uuid.NewString()
	if _, ok := s.propose(c, command.TypeRotateSigningKey, &command.RotateSigningKey{Id: id, Seed: seed}); ok {
		s.json(c, 201, map[string]string{"id": id})
	}
}

func (s *Server) deleteSigningKey(c *gin.Context) {
	if _, ok := s.propose(c, command.TypeDeleteSigningKey, &command.DeleteSigningKey{Id: c.Param("key")}); ok {
		s.empty(c)
	}
}
