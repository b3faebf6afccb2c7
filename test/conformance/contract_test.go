package conformance

import (
	"net/http"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

const testDocument = `{
	"openapi": "3.1.0", "info": {"title": "t", "version": "1"},
	"paths": {
		"/a/{scope}/{name}": {"parameters": [{"name": "scope", "in": "path", "required": true, "schema": {"type": "string"}},
			{"name": "name", "in": "path", "required": true, "schema": {"type": "string"}}], "get": {"responses": {
			"200": {"description": "x", "content": {"application/x-json-stream": {"schema": {
				"type": "object", "required": ["n"], "additionalProperties": false, "properties": {"n": {"type": ["integer", "null"]}}}}}},
			"404": {"description": "x"}}}},
		"/a/{scope}/list": {"parameters": [{"name": "scope", "in": "path", "required": true, "schema": {"type": "string"}}], "post": {
			"requestBody": {"content": {"application/json": {"schema": {"type": "object", "required": ["m"], "properties": {"m": {}}}}}},
			"responses": {"201": {"description": "x", "content": {"text/html": {"schema": {"type": "string"}}}}}}}
	}}`

// TestContract shows that what is not in the document is found.
func TestContract(t *testing.T) {
	document, err := openapi3.NewLoader().LoadFromData([]byte(testDocument))
	require.NoError(t, err)
	require.NoError(t, document.Validate(t.Context()))
	c := newContract(document)
	lines := func(body string) *answer {
		return &answer{status: 200, headers: http.Header{"Content-Type": {"application/x-json-stream"}}, body: []byte(body)}
	}
	for name, tried := range map[string]struct {
		method, path, sent string
		got                *answer
		want               string
	}{
		"good":               {"GET", "/a/s/n/with/slashes?x=1", "", lines("{\"n\":1}\n{\"n\":null}\n"), ""},
		"nothing":            {"GET", "/a/s/n/", "", lines(""), ""},
		"wrong type":         {"GET", "/a/s/n", "", lines("{\"n\":1}\n{\"n\":\"1\"}\n"), "integer"},
		"missing key":        {"GET", "/a/s/n", "", lines("{}"), "n"},
		"another key":        {"GET", "/a/s/n", "", lines(`{"n":1,"o":2}`), "o"},
		"a key twice":        {"GET", "/a/s/n", "", lines(`{"n":1,"n":1}`), "twice"},
		"no JSON":            {"GET", "/a/s/n", "", lines("<p>"), "invalid character"},
		"another type":       {"GET", "/a/s/n", "", &answer{status: 200, headers: http.Header{"Content-Type": {"text/plain"}}, body: []byte("x")}, "text/plain"},
		"another status":     {"GET", "/a/s/n", "", &answer{status: 500, headers: http.Header{}}, "500 is not described"},
		"not described":      {"GET", "/b", "", lines(""), "is not described"},
		"no such path":       {"GET", "/b", "", &answer{status: 404, headers: http.Header{}}, ""},
		"good body":          {"POST", "/a/s/list", `{"m":null}`, &answer{status: 201, headers: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, body: []byte("Created")}, ""},
		"body without a key": {"POST", "/a/s/list", `{}`, &answer{status: 201, headers: http.Header{}}, "the body sent"},
	} {
		t.Run(name, func(t *testing.T) {
			why := c.check(tried.method, tried.path, []byte(tried.sent), tried.got)
			if tried.want == "" {
				require.Empty(t, why)
			} else {
				require.Contains(t, why, tried.want)
			}
		})
	}
}
