package httpapi

import (
	_ "embed"
	"encoding/json"
	"fmt"
	htmltemplate "html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"gopkg.in/yaml.v3"
)

// openAPI is the description of the API that is kept beside the code.
//
//go:embed openapi.yaml
var openAPI []byte

// apiDocument is the description in the two forms in which it is served.
type apiDocument struct{ json, page []byte }

// newAPIDocument reads the description; an error is a fault of the program.
func newAPIDocument() (*apiDocument, error) {
	var document map[string]any
	if err := yaml.Unmarshal(openAPI, &document); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	text, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	page, err := newAPIPage(text)
	return &apiDocument{text, page}, err
}

func (s *Server) documentRoutes() []route {
	return []route{
		{get, "/openapi.json", s.showAPIDocument, public},
		{get, "/docs", s.showAPIPage, public},
	}
}

func (s *Server) showAPIDocument(c *gin.Context) {
	s.write(c, http.StatusOK, typeJSON, s.document.json)
}

// showAPIPage shows the description to people: one page without scripts.
func (s *Server) showAPIPage(c *gin.Context) {
	s.page(c, s.document.page)
}

// apiOperation is what the page shows of one operation.
type apiOperation struct {
	Method, Path, Summary, Description string
	Parameters                         []apiParameter
	Body                               string
	Responses                          []apiResponse
}

// apiParameter has Ref where it stands among the document's components.
type apiParameter struct {
	Ref                   string `json:"$ref"`
	Name, In, Description string
}

type apiResponse struct{ Status, Description, Types, Schema string }

// newAPIPage makes the page of the document in JSON.
func newAPIPage(text []byte) ([]byte, error) {
	type media map[string]struct {
		Schema map[string]any `json:"schema"`
	}
	type response struct {
		Ref         string `json:"$ref"`
		Description string `json:"description"`
		Content     media  `json:"content"`
	}
	var document struct {
		Info  struct{ Title, Description string }
		Paths map[string]map[string]struct {
			Tags                 []string
			Summary, Description string
			Parameters           []apiParameter
			RequestBody          struct {
				Content media `json:"content"`
			} `json:"requestBody"`
			Responses map[string]response
		}
		Components struct {
			Parameters map[string]apiParameter
			Responses  map[string]response
			Schemas    map[string]any
		}
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	tags := map[string][]apiOperation{}
	for path, operations := range document.Paths {
		for method, o := range operations {
			shown := apiOperation{
				Method: strings.ToUpper(method), Path: path, Summary: o.Summary, Description: o.Description, Parameters: o.Parameters,
			}
			for i, p := range o.Parameters {
				if name, referred := strings.CutPrefix(p.Ref, "#/components/parameters/"); referred {
					o.Parameters[i] = document.Components.Parameters[name]
				}
			}
			for _, m := range o.RequestBody.Content {
				shown.Body = schemaText(m.Schema)
			}
			for status, r := range o.Responses {
				if name, referred := strings.CutPrefix(r.Ref, "#/components/responses/"); referred {
					r = document.Components.Responses[name]
				}
				a := apiResponse{Status: status, Description: r.Description}
				for kind, m := range r.Content {
					a.Types, a.Schema = strings.TrimPrefix(a.Types+", "+kind, ", "), schemaText(m.Schema)
				}
				shown.Responses = append(shown.Responses, a)
			}
			slices.SortFunc(shown.Responses, func(a, b apiResponse) int { return strings.Compare(a.Status, b.Status) })
			tags[o.Tags[0]] = append(tags[o.Tags[0]], shown)
		}
	}
	for _, list := range tags {
		slices.SortFunc(list, func(a, b apiOperation) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) })
	}
	schemas := map[string]string{}
	for name, schema := range document.Components.Schemas {
		b, err := json.MarshalIndent(schema, "", "  ")
		if err != nil {
			return nil, err
		}
		schemas[name] = string(b)
	}
	var page strings.Builder
	err := apiPage.Execute(&page, map[string]any{"Info": document.Info, "Tags": tags, "Schemas": schemas})
	return []byte(page.String()), err
}

// schemaText names a schema, or writes a small one down.
func schemaText(schema map[string]any) string {
	if ref, ok := schema["$ref"].(string); ok {
		return strings.TrimPrefix(ref, "#/components/schemas/")
	}
	if schema["type"] == "array" {
		if items, ok := schema["items"].(map[string]any); ok {
			return "list of " + schemaText(items)
		}
	}
	if kind, ok := schema["type"].(string); ok {
		return kind
	}
	return ""
}

var apiPage = htmltemplate.Must(htmltemplate.New("docs").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Info.Title}}</title><meta name="viewport" content="width=device-width">
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
code,pre{font-family:ui-monospace,monospace;font-size:.9em}pre{background:#f4f4f4;padding:.7rem;overflow:auto}
details{border-top:1px solid #ddd;padding:.4rem 0}summary{cursor:pointer}summary b{display:inline-block;width:4.5rem}
table{border-collapse:collapse}td{padding:.1rem 1rem .1rem 0;vertical-align:top}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}pre{background:#262626}details{border-color:#444}}
</style></head><body>
<h1>{{.Info.Title}}</h1><p>{{.Info.Description}}</p><p>The same for programs: <a href="/openapi.json">/openapi.json</a>.</p>
{{range $tag, $operations := .Tags}}<h2>{{$tag}}</h2>
{{range $operations}}<details><summary><b>{{.Method}}</b> <code>{{.Path}}</code> {{.Summary}}</summary>
{{with .Description}}<p>{{.}}</p>{{end}}
{{with .Parameters}}<table>{{range .}}<tr><td><code>{{.Name}}</code></td><td>{{.In}}</td><td>{{.Description}}</td></tr>{{end}}</table>{{end}}
{{with .Body}}<p>Body: {{.}}</p>{{end}}
<table>{{range .Responses}}<tr><td>{{.Status}}</td><td>{{.Description}}</td><td>{{.Schema}}</td><td>{{.Types}}</td></tr>{{end}}</table>
</details>{{end}}{{end}}
<h2>Schemas</h2>{{range $name, $schema := .Schemas}}<details><summary><code>{{$name}}</code></summary><pre>{{$schema}}</pre></details>{{end}}
</body></html>
`))
