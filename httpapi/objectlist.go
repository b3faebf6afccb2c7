package httpapi

import (
	"encoding/json"

	"github.com/gin-gonic/gin"
)

// decodeList reads a body that must be a JSON array of objects, at most limit of them; what names them in errors. Where it is not,
// the error is answered and ok is false.
func (s *Server) decodeList(c *gin.Context, what string, limit int) (items []object, ok bool) {
	raw, err := s.readBody(c)
	if err == nil {
		items, err = objectsOfBody(raw, "list", what, limit)
	}
	if err != nil {
		s.fail(c, err)
		return nil, false
	}
	return items, true
}

// objectsOfBody is objectsOf for a body that nobody has looked at yet.
func objectsOfBody(raw []byte, kind, what string, limit int) ([]object, error) {
	if items, ok := scanObjects(raw, limit); ok {
		return items, nil
	}
	if err := checkJSON(raw, '[', kind); err != nil {
		return nil, err
	}
	return decodeItems[object](raw, what, limit)
}

// objectsOf splits a list of objects in one pass without reflection. What is not so simple is left to decodeItems, which has the words
// of the refusals.
func objectsOf(raw json.RawMessage, what string, limit int) ([]object, error) {
	if items, ok := scanObjects(raw, limit); ok {
		return items, nil
	}
	return decodeItems[object](raw, what, limit)
}

// scanObjects splits a list of at most limit objects; their values alias it. ok is false where it is anything else.
func scanObjects(raw []byte, limit int) (items []object, ok bool) {
	scanner := jsonScanner{b: raw}
	err := scanner.array(func(i int) error {
		if i >= limit {
			return errUnusual
		}
		fields, err := scanner.fields()
		items = append(items, fields)
		return err
	})
	return items, err == nil && scanner.end() == nil
}
