package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// Contract is an OpenAPI document that answers are checked against.
type Contract struct {
	document *openapi3.T
	paths    []contractPath
}

// contractPath is a path of the document with the pattern of the escaped paths that it stands for.
type contractPath struct {
	template string
	pattern  *regexp.Regexp
	item     *openapi3.PathItem
}

// LoadContract reads the document that a server shows at /openapi.json.
func LoadContract(ctx context.Context, base string) (*Contract, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/openapi.json", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	document, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	return newContract(document), nil
}

// newContract orders the paths as the server does: the more definite a path, the earlier.
func newContract(document *openapi3.T) *Contract {
	c := &Contract{document: document}
	variable := regexp.MustCompile(`\\\{(\w+)\\\}`)
	for template, item := range document.Paths.Map() {
		pattern := variable.ReplaceAllStringFunc(regexp.QuoteMeta(template), func(name string) string {
			if name == `\{name\}` {
				return "(.+)"
			}
			return "([^/]+)"
		})
		c.paths = append(c.paths, contractPath{template, regexp.MustCompile("^" + pattern + "/?$"), item})
	}
	slices.SortFunc(c.paths, func(a, b contractPath) int {
		named := func(p contractPath) int { return strings.Count(p.template, "{name}") }
		variables := func(p contractPath) int { return strings.Count(p.template, "{") }
		if named(a) != named(b) {
			return named(a) - named(b)
		}
		if na, nb := strings.Count(a.template, "/"), strings.Count(b.template, "/"); na != nb && named(a) > 0 {
			return nb - na
		}
		if variables(a) != variables(b) {
			return variables(a) - variables(b)
		}
		return strings.Compare(a.template, b.template)
	})
	return c
}

// check returns what an answer has that the document does not say, "" for nothing. What is asked for at paths that there are not
// is not in the document.
func (c *Contract) check(method, target string, sent []byte, got *answer) string {
	operation, template := c.operation(method, target)
	if operation == nil {
		if got.status == http.StatusNotFound || got.status == http.StatusMethodNotAllowed {
			return ""
		}
		return fmt.Sprintf("openapi: %s %s is not described and was answered %d", method, target, got.status)
	}
	where := fmt.Sprintf("openapi: %s %s: %d", method, template, got.status)
	response := operation.Responses.Value(strconv.Itoa(got.status))
	if response == nil {
		return where + " is not described"
	}
	if got.status < http.StatusMultipleChoices {
		if err := c.checkSent(operation, sent); err != nil {
			return fmt.Sprintf("%s: the body sent: %v", where, err)
		}
	}
	if err := c.checkBody(response.Value.Content, got); err != nil {
		return fmt.Sprintf("%s: %v", where, err)
	}
	return ""
}

func (c *Contract) operation(method, target string) (*openapi3.Operation, string) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, ""
	}
	for _, p := range c.paths {
		if operation := p.item.GetOperation(method); operation != nil && p.pattern.MatchString(u.EscapedPath()) {
			return operation, p.template
		}
	}
	return nil, ""
}

// checkSent checks the body of a request that was granted.
func (c *Contract) checkSent(operation *openapi3.Operation, sent []byte) error {
	if operation.RequestBody == nil || len(sent) == 0 {
		return nil
	}
	return c.checkJSON(operation.RequestBody.Value.Content.Get("application/json").Schema.Value, sent)
}

func (c *Contract) checkBody(content openapi3.Content, got *answer) error {
	if len(got.body) == 0 {
		return nil
	}
	kind, _, err := mime.ParseMediaType(got.header("Content-Type"))
	if err != nil {
		return err
	}
	media := content.Get(kind)
	if media == nil {
		return fmt.Errorf("the content type %s is not described", kind)
	}
	schema := media.Schema.Value
	switch kind {
	case "application/x-json-stream":
		for line := range bytes.Lines(got.body) {
			if err := c.checkJSON(schema, line); err != nil {
				return err
			}
		}
		return nil
	case "application/json", "application/octet-stream":
		return c.checkJSON(schema, got.body)
	default:
		return nil
	}
}

func (c *Contract) checkJSON(schema *openapi3.Schema, text []byte) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	if err := uniqueKeys(text); err != nil {
		return err
	}
	return c.document.ValidateSchemaJSON(schema, value, openapi3.EnableJSONSchema2020())
}
