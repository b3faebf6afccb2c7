package httpapi

import (
	"encoding/json"
	"slices"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// existsAnswer is one line of the answer to POST /replicas/exists.
type existsAnswer struct {
	Scope  string `json:"scope"`
	Name   string `json:"name"`
	Exists bool   `json:"exists"`
	// Type is that of a DID that exists.
	Type string `json:"type,omitempty"`
	// RSEs are those that have an available replica of a file, within the expression where there is one.
	RSEs *[]string `json:"rses,omitempty"`
}

// checkExistence tells of many DIDs whether they exist, and of files where, in the order in which they were asked for. Each is
// one read of the store.
func (s *Server) checkExistence(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	dids, err := didNames(body, s.limits.Items, true)
	expression := ""
	if err == nil {
		expression, err = body.optionalString("rse_expression")
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.negotiate(c, typeLines); !ok {
		return
	}
	s.streamLines(c, func(v View, st *stream) error {
		chosen, err := rsesOf(v, expression)
		if err != nil {
			return err
		}
		for _, did := range dids {
			answer, err := existence(v, did, chosen)
			if err != nil {
				return err
			}
			line, err := json.Marshal(answer)
			if err == nil {
				err = st.item([]byte(did.String()), append(append(st.open(), line...), '\n'))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// rsesOf returns the names of an expression's RSEs, of all RSEs where it is "", by number.
func rsesOf(v View, expression string) (map[uint32]string, error) {
	names := map[uint32]string{}
	if expression == "" {
		err := catalogue.ListRSEs(v, func(r *catalogue.RSE) error {
			names[r.ID] = r.Name
			return nil
		})
		return names, err
	}
	found, err := catalogue.ResolveExpression(v, expression)
	for _, r := range found {
		names[r.ID] = r.Name
	}
	return names, err
}

func existence(v View, did catalogue.DIDName, chosen map[uint32]string) (existsAnswer, error) {
	answer := existsAnswer{Scope: did.Scope, Name: did.Name}
	d, err := catalogue.GetDID(v, did.Scope, did.Name)
	if code := codeOf(err); code == command.CodeDIDNotFound || code == command.CodeScopeNotFound {
		return answer, nil
	}
	if err != nil {
		return answer, err
	}
	answer.Exists, answer.Type = true, d.Type.String()
	if d.Type != catalogue.TypeFile {
		return answer, nil
	}
	rses := []string{}
	for i := range d.Replicas {
		if name, wanted := chosen[d.Replicas[i].RSE]; wanted && d.Replicas[i].State == catalogue.StateAvailable {
			rses = append(rses, name)
		}
	}
	slices.Sort(rses)
	answer.RSEs = &rses
	return answer, nil
}
