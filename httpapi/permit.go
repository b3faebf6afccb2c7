package httpapi

import (
	"context"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// permitted returns CodeAccessDenied if the request's account may not do an action. It is asked before work that is costly; apply
// decides again. This node's state may be old, so a refusal is confirmed on a linearizable state.
func (s *Server) permitted(c *gin.Context, action catalogue.Action, objects ...string) error {
	err := s.may(c, action, objects...)
	if codeOf(err) != command.CodeAccessDenied {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), s.limits.Wait)
	defer cancel()
	index, stale := s.freshness.ReadIndex(ctx)
	if stale == nil {
		stale = s.waitUntil(ctx, index)
	}
	if stale != nil {
		return stale
	}
	return s.may(c, action, objects...)
}

// may asks this node's state whether the request's account may do an action.
func (s *Server) may(c *gin.Context, action catalogue.Action, objects ...string) error {
	v, err := s.reader.View()
	if err != nil {
		return err
	}
	defer v.Close()
	return catalogue.Authorize(v, issuer(c), action, objects...)
}
