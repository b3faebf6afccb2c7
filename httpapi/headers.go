package httpapi

import (
	"net/http"
	"regexp"

	"github.com/gin-gonic/gin"
)

// The values of headers that every answer has. They are shared and must not be changed.
var (
	noSniffing = []string{"nosniff"}
	httpsOnly  = []string{"max-age=31536000"} // a year
)

// secure sets the headers that tell browsers what not to do with any answer.
func (s *Server) secure(header http.Header) {
	header["X-Content-Type-Options"] = noSniffing
	if s.tlsFiles != nil {
		header["Strict-Transport-Security"] = httpsOnly
	}
}

// page sends a page for people. It runs no scripts, loads nothing and is shown in no frame.
func (s *Server) page(c *gin.Context, body []byte) {
	c.Header("Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	c.Header("X-Frame-Options", "DENY")
	c.Header("Referrer-Policy", "no-referrer")
	s.write(c, http.StatusOK, typeHTML, body)
}

// addresses finds host:port and IPv4 addresses in the messages of failures.
var addresses = regexp.MustCompile(`\[[0-9a-fA-F:.%\w]+\](:\d+)?|\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b|\b[A-Za-z][\w.-]*:\d{2,5}\b`)

// withoutAddresses hides the addresses of the cluster from clients: the port between nodes is nothing to them, and names are enough.
func withoutAddresses(message string) string { return addresses.ReplaceAllString(message, "(address)") }
