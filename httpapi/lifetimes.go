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
	if len(dids) == 0 || s.supported(command.TypeExpireDIDs) != nil {
		return
	}
	if err := s.finishWork(c, dids); err != nil {
		s.log.Warn("DIDs could not be ended at once; the leader goes on with it", "error", err)
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

// finishWork proposes in the name of the cluster until DIDs are gone for everybody, or all back, or the client has gone away. Each
// command has the time of a write: to bring back a large dataset takes many of them.
func (s *Server) finishWork(c *gin.Context, dids []*command.DIDName) error {
	payload, err := proto.Marshal(&command.ExpireDIDs{Limit: workStep, Dids: dids})
	if err != nil {
		return err
	}
	for {
		result, err := s.proposeOwn(c.Request.Context(), command.TypeExpireDIDs, payload)
		if err != nil {
			return err
		}
		s.setSession(c, result.Index)
		if result.Code != command.CodeOK {
			return refusalOf(result)
		}
		var done command.ExpiredDIDs
		if err := proto.Unmarshal(result.Payload, &done); err != nil || done.Left == 0 {
			return err
		}
	}
}

// proposeOwn proposes a command in the name of the cluster.
func (s *Server) proposeOwn(ctx context.Context, t command.Type, payload []byte) (command.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.Write)
	defer cancel()
	return s.proposer.Propose(ctx, t, "", payload)
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
	err := proto.Unmarshal(result.Payload, &begun)
	if err == nil && begun.Left > 0 {
		err = s.finishWork(c, back.Dids)
	}
	if err != nil {
		s.fail(c, err) // the leader goes on with it, and to ask again does no harm
		return
	}
	s.created(c)
}
