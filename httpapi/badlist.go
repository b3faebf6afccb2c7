package httpapi

import (
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// listBad lists declarations about replicas, or the PFNs of their files.
func (s *Server) listBad(c *gin.Context) {
	if _, ok := s.negotiate(c, typeLines); !ok {
		return
	}
	filter, pfns, limit, err := readBadFilter(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	if pfns {
		pageByItem(c) // a PFN comes once
	}
	s.streamLines(c, func(v View, st *stream) error {
		row := func(r *catalogue.BadRow) error { return st.line(appendBadRow(st.open(), r)) }
		if pfns {
			row = badPFNs(v, filter.RSE, func(pfn string) error { return st.line(appendJSONString(st.open(), pfn)) })
		}
		count := 0
		return catalogue.ListBad(v, filter, func(r *catalogue.BadRow) (bool, error) {
			count++
			return limit == 0 || count < limit, row(r)
		})
	})
}

func appendBadRow(b []byte, r *catalogue.BadRow) []byte {
	b = appendReplicaName(b, r.Scope, r.Name, r.RSE)
	b = appendJSONString(append(b, `, "state": `...), r.State.String())
	b = appendJSONTime(append(b, `, "created_at": `...), r.Created)
	b = appendJSONTime(append(b, `, "updated_at": `...), r.Updated)
	return append(b, '}')
}

// readBadFilter reads which declarations are wanted, and whether as PFNs.
func readBadFilter(c *gin.Context) (filter catalogue.BadFilter, pfns bool, limit int, err error) {
	filter.RSE, filter.Scope = c.Query("rse"), c.Query("scope")
	if text, found := c.GetQuery("state"); found {
		state, known := catalogue.ParseBadState(text)
		if !known || len(text) != 1 {
			return filter, false, 0, catalogue.Errorf(command.CodeInvalidValue, "'%.64s' is no state of a bad replica: the states are %s", text,
				strings.Join(badStateLetters, ", "))
		}
		filter.State = state
	}
	if filter.YoungerThan, err = queryTime(c, "younger_than"); err != nil {
		return filter, false, 0, err
	}
	if filter.OlderThan, err = queryTime(c, "older_than"); err != nil {
		return filter, false, 0, err
	}
	if c.Query("list_pfns") != "" {
		if pfns, err = queryBool(c, "list_pfns"); err != nil {
			return filter, false, 0, err
		}
	}
	limit, err = queryCount(c, "limit", 0)
	return filter, pfns, limit, err
}

// badPFNs returns a row function that shows the PFNs of the rows' files, each once: the best one at the RSE that was asked for,
// otherwise, and where it has none, all.
func badPFNs(v View, rse string, show func(pfn string) error) func(r *catalogue.BadRow) error {
	shown := map[string]bool{}
	once := func(pfn string) error {
		if shown[pfn] {
			return nil
		}
		shown[pfn] = true
		return show(pfn)
	}
	return func(r *catalogue.BadRow) error {
		list, err := catalogue.NewReplicaList(v, catalogue.ReplicaQuery{
			DIDs: []catalogue.DIDName{{Scope: r.Scope, Name: r.Name}}, AllStates: true, IgnoreAvailability: true, ResolveArchives: true,
		})
		if err != nil {
			if codeOf(err) == command.CodeDIDNotFound {
				return nil // the file is gone, its declarations stay
			}
			return err
		}
		return list.Each(func(f *catalogue.ListedFile) (bool, error) {
			for i := range f.PFNs {
				if rse != "" && f.PFNs[i].RSE.Name == rse {
					return true, once(f.PFNs[i].PFN)
				}
			}
			for i := range f.PFNs {
				if err := once(f.PFNs[i].PFN); err != nil {
					return false, err
				}
			}
			return true, nil
		})
	}
}

// summarizeBad counts declarations by day, RSE and reason.
func (s *Server) summarizeBad(c *gin.Context) {
	if _, ok := s.negotiate(c, typeLines); !ok {
		return
	}
	from, err := queryTime(c, "from_date")
	to := int64(0)
	if err == nil {
		to, err = queryTime(c, "to_date")
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.streamLines(c, func(v View, st *stream) error {
		summaries, err := catalogue.SummarizeBad(v, c.Query("rse_expression"), from, to)
		for i := range summaries {
			if err = st.line(appendBadSummary(st.open(), &summaries[i])); err != nil {
				break
			}
		}
		return err
	})
}

func appendBadSummary(b []byte, summary *catalogue.BadSummary) []byte {
	b = append(b, '{')
	summary.Each(func(state catalogue.BadState, count int) {
		b = appendJSONString(b, state.String())
		b = strconv.AppendInt(append(b, ": "...), int64(count), 10)
		b = append(b, ", "...)
	})
	b = appendJSONString(append(b, `"rse_id": `...), summary.RSE.UUIDString())
	b = appendJSONString(append(b, `, "rse": `...), summary.RSE.Name)
	b = appendJSONTime(append(b, `, "created_at": `...), summary.Day)
	b = appendJSONStringOrNull(append(b, `, "reason": `...), summary.Reason)
	return append(b, '}')
}
