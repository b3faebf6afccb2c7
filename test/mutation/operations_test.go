package mutation

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// operation is one method of one path of the document.
type operation struct {
	method, path string
	parameters   openapi3.Parameters
	body         *openapi3.Schema
	statuses     map[string]bool
}

// readOperations returns the operations of the document, in order.
func readOperations(t *testing.T) []operation {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromFile("../../httpapi/openapi.yaml")
	require.NoError(t, err)
	var all []operation
	paths := document.Paths.Map()
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		operations := paths[path].Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			described := operations[method]
			o := operation{method: method, path: path, parameters: described.Parameters, statuses: map[string]bool{}}
			for status := range described.Responses.Map() {
				o.statuses[status] = true
			}
			if described.RequestBody != nil {
				if content := described.RequestBody.Value.Content.Get("application/json"); content != nil {
					o.body = content.Schema.Value
				}
			}
			all = append(all, o)
		}
	}
	return all
}

// known are values that the catalogue has, or could have, by the name of the field or parameter.
var known = map[string][]string{
	"scope": {"s", "joe", "mock", "none"}, "name": {"f1", "f2", "set", "box", "dir/f3", "new"}, "rse": {"DISK", "TAPE", "ND", "NONE"},
	"account": {"root", "joe", "ann", "nobody"}, "type": {"FILE", "DATASET", "CONTAINER", "USER", "ALL"}, "state": {"A", "U", "BAD", "SUSPICIOUS", "X"},
	"destination": {"TAPE", "DISK"}, "scheme": {"davs", "root"}, "hostname": {"h.example"}, "port": {"443", "0"}, "key": {"k", "admin", "events"},
	"setting": {"name-schema", "resurrect-window", "path-algorithm/x", "none"}, "identity": {"/CN=x", "someone"}, "authtype": {"X509", "USERPASS", "OIDC"},
	"identity_key": {"/CN=x", "someone"}, "pfn": {"davs://h.example:443/p/s/f1", "srm://x/y"}, "pfns": {"davs://h.example:443/p/s/f1"},
	"lfn": {"s:f1"}, "guid": {"0123456789abcdef0123456789abcdef"}, "adler32": {"0cc737eb"}, "md5": {"d41d8cd98f00b204e9800998ecf8427e"},
	"rse_expression": {"DISK|TAPE", "*", "type=x\\DISK"}, "expression": {"DISK|TAPE", "*"}, "sort": {"random", "geoip"}, "since": {"0", "1"},
	"email": {"a@b.c"}, "reason": {"lost"}, "status": {"ACTIVE", "SUSPENDED"}, "source": {"storage"}, "lifetime": {"100000"}, "limit": {"1", "10"},
	"page_size": {"1", "100"}, "recursive": {"true"}, "consistency": {"local", "session", "linearizable", "bounded"}, "max_stale": {"1s"}, "follow": {"false"},
	"domain": {"wan", "lan", "all"}, "operation": {"read", "write"}, "select": {"random"}, "on_error": {"report", "fail"}, "plugin": {"JSON", "DID_COLUMN"},
	"token": {"none"}, "value": {"generic", "1h", "{scope}/{name}"}, "password": {"long enough"}, "expires_at": {"2099-01-01T00:00:00"}, "path": {"/p/s/f1"},
	"filters": {"{\"name\": \"f*\"}"},
}

// valueOf returns a value that fits a name, "x" where none is known.
func valueOf(r *rand.Rand, name string) string {
	values := known[strings.ToLower(name)]
	if len(values) == 0 {
		return "x"
	}
	return values[r.IntN(len(values))]
}

// sample makes a value that fits a schema; name is that of its field.
func sample(r *rand.Rand, name string, s *openapi3.Schema, depth int) any {
	for _, some := range []openapi3.SchemaRefs{s.OneOf, s.AnyOf, s.AllOf} {
		if len(some) > 0 {
			return sample(r, name, some[r.IntN(len(some))].Value, depth)
		}
	}
	kind := "string"
	if s.Type != nil && len(s.Type.Slice()) > 0 {
		kind = s.Type.Slice()[0]
	}
	switch kind {
	case "object":
		return sampleObject(r, s, depth)
	case "array":
		items := []any{}
		for range r.IntN(4) {
			if s.Items != nil && depth > 0 {
				items = append(items, sample(r, name, s.Items.Value, depth-1))
			}
		}
		return items
	case "integer", "number":
		return r.IntN(1000)
	case "boolean":
		return r.IntN(2) == 0
	}
	if len(s.Enum) > 0 {
		return s.Enum[r.IntN(len(s.Enum))]
	}
	return valueOf(r, name)
}

// sampleObject makes an object with what the schema requires and some of the rest.
func sampleObject(r *rand.Rand, s *openapi3.Schema, depth int) any {
	object := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
		if slices.Contains(s.Required, key) || (depth > 0 && r.IntN(3) == 0) {
			object[key] = sample(r, key, s.Properties[key].Value, depth-1)
		}
	}
	if len(s.Properties) == 0 {
		object["k"] = r.IntN(5)
	}
	return object
}
