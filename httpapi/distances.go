package httpapi

import (
	"math"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

func (s *Server) distanceRoutes() []route {
	const path = "/rses/:rse/distances/:destination"
	return []route{
		{get, path, s.getDistance, needsToken},
		{post, path, s.addDistance, needsToken},
		{put, path, s.updateDistance, needsToken},
		{remove, path, s.deleteDistance, needsToken},
	}
}

// distanceAnswer is how far it is from one RSE to another. Older clients call the distance ranking.
type distanceAnswer struct {
	SourceID      string `json:"src_rse_id"`
	DestinationID string `json:"dest_rse_id"`
	Source        string `json:"src_rse"`
	Destination   string `json:"dest_rse"`
	Distance      uint32 `json:"distance"`
	Ranking       uint32 `json:"ranking"`
	Created       string `json:"created_at"`
	Updated       string `json:"updated_at"`
}

// getDistance answers with a list of the one distance there is, or an empty one.
func (s *Server) getDistance(c *gin.Context) {
	s.readJSON(c, func(v View) (any, error) {
		source, err := catalogue.GetRSE(v, c.Param("rse"))
		if err != nil {
			return nil, err
		}
		destination, err := catalogue.GetRSE(v, c.Param("destination"))
		if err != nil {
			return nil, err
		}
		d, found, err := catalogue.GetDistance(v, source.ID, destination.ID)
		if err != nil || !found {
			return []distanceAnswer{}, err
		}
		return []distanceAnswer{{
			source.UUIDString(), destination.UUIDString(), source.Name, destination.Name, d.Distance, d.Distance,
			formatTime(d.Created), formatTime(d.Updated),
		}}, nil
	})
}

func (s *Server) addDistance(c *gin.Context) { s.setDistance(c, false) }

func (s *Server) updateDistance(c *gin.Context) { s.setDistance(c, true) }

func (s *Server) setDistance(c *gin.Context, update bool) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	set := &command.SetDistance{Source: c.Param("rse"), Destination: c.Param("destination"), Update: update}
	var err error
	if set.Distance, err = distanceOf(body); err == nil {
		set.Bidirectional, err = body.optionalBool("bidirectional", false)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeSetDistance, set); !ok {
		return
	}
	if update {
		s.empty(c)
		return
	}
	s.created(c)
}

// distanceOf reads the distance, which older clients call ranking.
func distanceOf(body object) (uint32, error) {
	key := "distance"
	if !body.has(key) && body.has("ranking") {
		key = "ranking"
	}
	if _, err := body.required(key); err != nil {
		return 0, err
	}
	if !body.has(key) {
		return 0, catalogue.Errorf(command.CodeInvalidObject, "'%s' must be an integer", key)
	}
	distance, err := body.optionalUint(key, math.MaxUint32, 0)
	return uint32(distance), err
}

func (s *Server) deleteDistance(c *gin.Context) {
	both, err := queryBool(c, "bidirectional")
	if err != nil {
		s.fail(c, err)
		return
	}
	forget := &command.DeleteDistance{Source: c.Param("rse"), Destination: c.Param("destination"), Bidirectional: both}
	if _, ok := s.propose(c, command.TypeDeleteDistance, forget); ok {
		s.deleted(c)
	}
}
