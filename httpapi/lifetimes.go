package httpapi

import (
	"context"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"google.golang.org/protobuf/proto"

	"dapple/command"
)

// workStep bounds what one command changes of DIDs that end or come back, so that writes of others do not wait long behind it.
const workStep = 1000

// endsAtOnce reports whether metadata has a lifetime that is over when it is set.
func endsAtOnce(meta map[string]string) bool {
	seconds, err := strconv.ParseFloat(strings.Trim(meta["lifetime"], `"`), 64)
	return err == nil && seconds <= 0
}

// endAtOnce has DIDs ended whose lifetime was over when the command before set it, and returns when nobody is told of them any more. What
// fails is no error of the request, which has been carried out: the leader goes on with it soon.
func (s *Server) endAtOnce(c *gin.Context, dids []*command.DIDName) {
	if len(dids) > 0 && s.supported(command.TypeExpireDIDs) == nil {
		s.finishWork(c, dids)
	}
}

// endMetadata is endAtOnce for what was asked to be set.
func (s *Server) endMetadata(c *gin.Context, set []*command.DIDMetadata) {
	var dids []*command.DIDName
	for _, m := range set {
		if endsAtOnce(m.Set) {
			dids = append(dids, &command.DIDName{Scope: m.Scope, Name: m.Name})
		}
	}
	s.endAtOnce(c, dids)
}

// endNew is endAtOnce for collections that have been made.
func (s *Server) endNew(c *gin.Context, made ...*command.NewCollection) {
	var dids []*command.DIDName
	for _, n := range made {
		if endsAtOnce(n.Meta) {
			dids = append(dids, &command.DIDName{Scope: n.Scope, Name: n.Name})
		}
	}
	s.endAtOnce(c, dids)
}

// finishWork proposes in the name of the cluster until DIDs are gone for everybody, or all back, or the time for a write is over.
func (s *Server) finishWork(c *gin.Context, dids []*command.DIDName) {
	payload, err := proto.Marshal(&command.ExpireDIDs{Limit: workStep, Dids: dids})
	if err != nil {
		return // what cannot be encoded has been refused before
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), s.limits.Write)
	defer cancel()
	for {
		result, err := s.proposer.Propose(ctx, command.TypeExpireDIDs, "", payload)
		if err != nil || result.Code != command.CodeOK {
			s.log.Warn("DIDs could not be ended or brought back at once; the leader goes on with it", "code", result.Code, "error", err)
			return
		}
		s.setSession(c, result.Index)
		var done command.ExpiredDIDs
		if err := proto.Unmarshal(result.Payload, &done); err != nil || done.Left == 0 {
			return
		}
	}
}

// resurrect answers POST /dids/resurrect.
func (s *Server) resurrect(c *gin.Context) {
	items, ok := s.decodeList(c, "dids", s.limits.Items)
	if !ok {
		return
	}
	back := &command.ResurrectDIDs{Limit: workStep}
	for _, item := range items {
		scope, name, err := didName(item)
		if err != nil {
			s.fail(c, err)
			return
		}
		back.Dids = append(back.Dids, &command.DIDName{Scope: scope, Name: name})
	}
	result, ok := s.propose(c, command.TypeResurrectDIDs, back)
	if !ok {
		return
	}
	var begun command.ExpiredDIDs
	if err := proto.Unmarshal(result.Payload, &begun); err != nil {
		s.fail(c, err)
		return
	}
	if begun.Left > 0 {
		s.finishWork(c, back.Dids)
	}
	s.created(c)
}
