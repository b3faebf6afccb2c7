package httpapi

import (
	"math"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// usageRoutes are the rows of the space of RSEs.
func (s *Server) usageRoutes() []route {
	return []route{
		{get, "/rses/:rse/usage", s.getRSEUsage, needsToken},
		{put, "/rses/:rse/usage", s.setRSEUsage, needsToken},
		{get, "/rses/:rse/usage/history", s.listRSEUsageHistory, needsToken},
		{get, "/rses/:rse/limits", s.getRSELimits, needsToken},
		{put, "/rses/:rse/limits", s.setRSELimit, needsToken},
		{remove, "/rses/:rse/limits", s.deleteRSELimit, needsToken},
	}
}

// usageAnswer is what one source says about the space of an RSE.
type usageAnswer struct {
	RSEID   string  `json:"rse_id"`
	RSE     string  `json:"rse"`
	Source  string  `json:"source"`
	Used    *uint64 `json:"used"`
	Free    *uint64 `json:"free"`
	Total   uint64  `json:"total"`
	Files   *uint64 `json:"files"`
	Updated string  `json:"updated_at"`
	// Accounts is there where it was asked for, and empty: the catalogue does not charge replicas to accounts.
	Accounts *[]any `json:"account_usages,omitempty"`
}

// getRSEUsage tells what the catalogue holds at an RSE, and then the last report of each source.
func (s *Server) getRSEUsage(c *gin.Context) {
	perAccount, err := queryBool(c, "per_account")
	if err != nil {
		s.fail(c, err)
		return
	}
	s.readLines(c, func(v View, line func(any) error) error {
		r, err := catalogue.GetRSE(v, c.Param("rse"))
		if err != nil {
			return err
		}
		wanted := c.Query("source")
		if wanted == "" || wanted == catalogue.UsageSourceCatalogue {
			answer, err := countedUsage(v, r)
			if err != nil {
				return err
			}
			if perAccount {
				answer.Accounts = &[]any{}
			}
			if err := line(answer); err != nil {
				return err
			}
		}
		reports, err := catalogue.LatestUsage(v, r.ID)
		if err != nil {
			return err
		}
		for i := range reports {
			if wanted != "" && wanted != reports[i].Source {
				continue
			}
			if err := line(newUsageAnswer(r, &reports[i])); err != nil {
				return err
			}
		}
		return nil
	})
}

// countedUsage is what the catalogue itself counts, exactly.
func countedUsage(v View, r *catalogue.RSE) (usageAnswer, error) {
	held, err := catalogue.GetCounters(v, r.ID)
	if err != nil {
		return usageAnswer{}, err
	}
	total := held.Total()
	return newUsageAnswer(r, &catalogue.Usage{
		Source: catalogue.UsageSourceCatalogue, Used: &total.Bytes, Files: &total.Files, Reported: max(held.Updated, r.Created),
	}), nil
}

func newUsageAnswer(r *catalogue.RSE, u *catalogue.Usage) usageAnswer {
	return usageAnswer{
		RSEID: r.UUIDString(), RSE: r.Name, Source: u.Source, Used: u.Used, Free: u.Free, Total: u.Total(), Files: u.Files,
		Updated: formatTime(u.Reported),
	}
}

// listRSEUsageHistory lists the reports of the sources, by source, the latest first. What the catalogue counts has no history.
func (s *Server) listRSEUsageHistory(c *gin.Context) {
	s.readLines(c, func(v View, line func(any) error) error {
		r, err := catalogue.GetRSE(v, c.Param("rse"))
		if err != nil {
			return err
		}
		return catalogue.ListUsageHistory(v, r.ID, c.Query("source"), func(u *catalogue.Usage) error {
			return line(newUsageAnswer(r, u))
		})
	})
}

func (s *Server) setRSEUsage(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	report := &command.SetRSEUsage{Rse: c.Param("rse")}
	var err error
	report.Source, err = body.requiredString("source")
	for key, field := range map[string]**uint64{"used": &report.Used, "free": &report.Free, "files": &report.Files} {
		if err == nil && body.has(key) {
			var value uint64
			value, err = body.optionalUint(key, math.MaxInt64, 0)
			*field = &value
		}
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeSetRSEUsage, report); ok {
		s.empty(c)
	}
}

func (s *Server) getRSELimits(c *gin.Context) {
	s.readJSON(c, func(v View) (any, error) {
		r, err := catalogue.GetRSE(v, c.Param("rse"))
		if err != nil {
			return nil, err
		}
		limits, err := catalogue.ListLimits(v, r.ID)
		answer := make(map[string]int64, len(limits))
		for _, limit := range limits {
			answer[limit.Name] = limit.Value
		}
		return answer, err
	})
}

func (s *Server) setRSELimit(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	set := &command.SetRSELimit{Rse: c.Param("rse")}
	var err error
	if set.Name, err = body.requiredString("name"); err == nil {
		if _, err = body.required("value"); err == nil {
			set.Value, err = body.optionalInt("value", 0)
		}
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeSetRSELimit, set); ok {
		s.empty(c)
	}
}

func (s *Server) deleteRSELimit(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	name, err := body.requiredString("name")
	if err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeDeleteRSELimit, &command.DeleteRSELimit{Rse: c.Param("rse"), Name: name}); ok {
		s.empty(c)
	}
}
