package httpapi

import (
	"slices"
	"strconv"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
)

// checkExistence tells of many DIDs whether they exist, and of files where, in the order in which they were asked for. Each is
// one read of the store.
func (s *Server) checkExistence(c *gin.Context) {
	body, ok := s.decodeScanned(c)
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
		lines := existenceLines{dids: catalogue.NewDIDReader(v), chosen: chosen}
		for _, did := range dids {
			b, err := lines.appendLine(st.open(), did)
			if err == nil {
				err = st.item(lines.idOf(did), b)
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

// existenceLines writes the lines of an answer by hand, since there are thousands. What it needs for one it uses again for the next.
type existenceLines struct {
	dids   *catalogue.DIDReader
	chosen map[uint32]string // names of the RSEs to tell of, by number
	rses   []string
	id     []byte
}

// appendLine appends what is known of a DID. A file comes with the RSEs, within the expression where there is one, that have an
// available replica of it.
func (l *existenceLines) appendLine(b []byte, did catalogue.DIDName) ([]byte, error) {
	d, found, err := l.dids.Load(did.Scope, did.Name)
	if err != nil {
		return b, err
	}
	b = appendJSONString(append(b, `{"scope":`...), did.Scope)
	b = appendJSONString(append(b, `,"name":`...), did.Name)
	b = strconv.AppendBool(append(b, `,"exists":`...), found)
	if found {
		b = appendJSONString(append(b, `,"type":`...), d.Type.String())
		if d.Type == catalogue.TypeFile {
			b = l.appendRSEs(append(b, `,"rses":[`...), d.Replicas)
		}
	}
	return append(b, '}', '\n'), nil
}

// appendRSEs appends the RSEs of available replicas in the order of their names, and the end of the list.
func (l *existenceLines) appendRSEs(b []byte, replicas []catalogue.Replica) []byte {
	l.rses = l.rses[:0]
	for i := range replicas {
		if name, wanted := l.chosen[replicas[i].RSE]; wanted && replicas[i].State == catalogue.StateAvailable {
			l.rses = append(l.rses, name)
		}
	}
	slices.Sort(l.rses)
	for i, name := range l.rses {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONString(b, name)
	}
	return append(b, ']')
}

// idOf returns what tells the line of a DID from others, valid until the next call.
func (l *existenceLines) idOf(did catalogue.DIDName) []byte {
	l.id = append(append(append(l.id[:0], did.Scope...), ':'), did.Name...)
	return l.id
}
