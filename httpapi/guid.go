package httpapi

import (
	"context"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// guidScans is how many lookups by GUID may run at one time: each reads the metadata of all DIDs.
const guidScans = 1

// listParentsByGUID answers GET /dids/<guid>/guid with the collections that the file of a GUID is attached to. There is no index by
// GUID, so the time that a lookup may take is bounded, and one that takes longer is answered 503 and not 404.
func (s *Server) listParentsByGUID(c *gin.Context) {
	guid := c.Param("guid")
	ctx, cancel := context.WithTimeout(c.Request.Context(), s.limits.Wait)
	defer cancel()
	select {
	case s.guidTurns <- struct{}{}:
		defer func() { <-s.guidTurns }()
	case <-ctx.Done():
		s.fail(c, errGUIDTime)
		return
	}
	proceed := func() error {
		if ctx.Err() != nil {
			return errGUIDTime
		}
		return nil
	}
	pageByItem(c)
	s.readRows(c, func(v View, st *stream) error {
		found, err := catalogue.ScanGUID(v, guid, proceed, func(scope, name string) (bool, error) {
			return true, st.line(append(appendDIDName(append(st.open(), '{'), "", scope, name), '}'))
		})
		if err == nil && !found {
			err = catalogue.Errorf(command.CodeDIDNotFound, "No file associated to GUID : %.64s", guid)
		}
		return err
	})
}

var errGUIDTime = catalogue.Errorf(command.CodeOverloaded,
	"the lookup by GUID took too long: there is no index by GUID; search with the filter guid in the scope of the file")
