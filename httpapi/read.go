package httpapi

import (
	"encoding/json"
	"net/http"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// readJSON answers a GET with the value that query finds in a view, as one JSON value.
func (s *Server) readJSON(c *gin.Context, query func(v View) (any, error)) {
	if _, ok := s.negotiate(c, typeJSON); !ok {
		return
	}
	v, ok := s.view(c)
	if !ok {
		return
	}
	defer v.Close()
	paged, gather, err := s.paged(c, v)
	var value any
	if err == nil {
		value, err = query(paged)
	}
	if err == nil && gather != nil {
		value, err = gather.ofList(c, value)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, http.StatusOK, value)
}

// readLines answers a GET with a stream of the values that query hands to line, one JSON value a line.
func (s *Server) readLines(c *gin.Context, query func(v View, line func(value any) error) error) {
	if _, ok := s.negotiate(c, typeLines); !ok {
		return
	}
	s.streamLines(c, func(v View, st *stream) error {
		return query(v, func(value any) error {
			b, err := json.Marshal(value)
			if err != nil {
				return err
			}
			return st.line(appendSpaced(st.open(), b))
		})
	})
}

// streamLines answers with the lines that query writes from a view. What the client accepts was negotiated before.
func (s *Server) streamLines(c *gin.Context, query func(v View, st *stream) error) {
	v, ok := s.view(c)
	if !ok {
		return
	}
	defer v.Close()
	paged, gather, err := s.paged(c, v)
	if err != nil {
		s.fail(c, err)
		return
	}
	st := s.stream(c, typeLines)
	st.gather, st.query = gather, v
	st.finish(query(paged, st))
}

// flexibleBool reads a boolean as the API takes it, also as 0, 1 or a text of the same; absent where the key is missing or
// null.
func (o object) flexibleBool(key string, absent bool) (bool, error) {
	if !o.has(key) {
		return absent, nil
	}
	var value any
	if err := json.Unmarshal(o[key], &value); err != nil {
		return false, catalogue.Errorf(command.CodeInvalidBody, "'%s' must be a boolean type.", key)
	}
	if text, ok := value.(string); ok {
		value = catalogue.NormalizeAttribute(text)
	}
	switch value {
	case true, "true", "1", 1.0:
		return true, nil
	case false, "false", "0", 0.0:
		return false, nil
	}
	return false, notBool(key, abridge(o[key]))
}

// attributeValue returns the value of an attribute as the API shows it.
func attributeValue(value string) any {
	switch value {
	case "true":
		return true
	case "false":
		return false
	default:
		return value
	}
}

// textOrNil returns a text, nil where it is empty.
func textOrNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}
