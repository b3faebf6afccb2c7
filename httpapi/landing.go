package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	htmltemplate "html/template"
	"net/http"

	"github.com/gin-gonic/gin"
)

// landmark is a place that the landing page names.
type landmark struct{ Name, Path, Text string }

// landmarks are in the order of the page. A place that needs no token comes with a link.
var landmarks = [...]landmark{
	{"docs", "/docs", "the API: every path, its parameters and answers"},
	{"openapi", "/openapi.json", "the same for programs"},
	{"login", "/auth/userpass", "a token for a user name and a password, in X-Rucio-Auth-Token"},
	{"status", "/cluster/status", "leader, members and their lag; for root and admins"},
	{"ready", "/readyz", "whether this node can serve, and why not"},
	{"health", "/healthz", "whether the process answers"},
	{"metrics", "/metrics", "for Prometheus"},
	{"version", "/ping", "the version, as Rucio's clients ask for it"},
}

const landingText = "A replicated catalogue of file replicas that speaks Rucio's REST API."

// landingPage is what / answers, in its two forms.
type landingPage struct{ json, html []byte }

// newLandingPage makes the page; an error is a fault of the program.
func newLandingPage(node, version string) (*landingPage, error) {
	places := make(map[string]string, len(landmarks))
	for _, l := range landmarks {
		places[l.Name] = l.Path
	}
	text, err := json.Marshal(map[string]any{"name": "Dapple", "description": landingText, "version": version, "node": node, "links": places})
	if err != nil {
		return nil, fmt.Errorf("landing page: %w", err)
	}
	var page bytes.Buffer
	err = landingTemplate.Execute(&page, map[string]any{"Text": landingText, "Version": version, "Node": node, "Places": landmarks})
	return &landingPage{append(text, '\n'), page.Bytes()}, err
}

// showLanding says what answers here and where things are: a page for browsers, JSON for everybody else.
func (s *Server) showLanding(c *gin.Context) {
	kind, ok := s.negotiate(c, typeJSON, "text/html")
	if !ok {
		return
	}
	if kind == typeJSON {
		s.write(c, http.StatusOK, typeJSON, s.landing.json)
		return
	}
	s.page(c, s.landing.html)
}

var landingTemplate = htmltemplate.Must(htmltemplate.New("landing").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Dapple</title><meta name="viewport" content="width=device-width">
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem;color:#222}
code{font-family:ui-monospace,monospace;font-size:.9em}td{padding:.2rem 1rem .2rem 0;vertical-align:top}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}a{color:#8bf}}
</style></head><body>
<h1>Dapple</h1><p>{{.Text}}</p><p>Node {{.Node}}, version {{.Version}}.</p>
<table>{{range .Places}}<tr><td><a href="{{.Path}}"><code>{{.Path}}</code></a></td><td>{{.Text}}</td></tr>
{{end}}</table>
</body></html>
`))
