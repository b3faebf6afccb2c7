package httpapi

import (
	"github.com/gin-gonic/gin"

	"dapple/catalogue"
)

// listArchive answers GET /archives/<scope>/<name>/files. What is no archive, or does not exist, holds no files.
func (s *Server) listArchive(c *gin.Context) {
	scope, name := didParam(c)
	s.readRows(c, func(v View, st *stream) error {
		return catalogue.ScanConstituents(v, scope, name, func(scope, name string, d *catalogue.DID) (bool, error) {
			b := appendDIDName(append(st.open(), '{'), "", scope, name)
			return true, st.line(append(appendFileSums(b, d), '}'))
		})
	})
}
