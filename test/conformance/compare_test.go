package conformance

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// The player must find differences, or its tests say nothing.
func TestCompareFindsDifferences(t *testing.T) {
	text := "Created"
	for name, c := range map[string]struct {
		step Step
		want Expect
		got  answer
		why  string
	}{
		"status": {want: Expect{Status: 201}, got: answer{status: 200}, why: "status 200, want 201"},
		"other status accepted": {
			step: Step{Also: []int{409}}, want: Expect{Status: 201}, got: answer{status: 409},
		},
		"an escaped exception wants a client error": {
			want: Expect{Status: 500, ExceptionClass: "DatabaseException"}, got: answer{status: 500}, why: "want a 4xx",
		},
		"the 500 of the contract": {
			want: Expect{Status: 500, ExceptionClass: "UnsupportedOperation"},
			got:  answer{status: 400}, why: "status 400, want 500",
		},
		"class": {
			want: Expect{Status: 404, ExceptionClass: "RSENotFound"},
			got:  answer{status: 404, headers: map[string][]string{"Exceptionclass": {"ScopeNotFound"}}}, why: "ExceptionClass",
		},
		"text": {want: Expect{Status: 200, Text: &text}, got: answer{status: 200, body: []byte("Other")}, why: "text"},
		"order does not count": {
			want: Expect{Status: 200, JSON: json.RawMessage(`[{"a":1},{"a":2}]`)},
			got:  answer{status: 200, body: []byte(`[{"a":2},{"a":1}]`)},
		},
		"a field too many": {
			want: Expect{Status: 200, JSON: json.RawMessage(`{"a":1}`)},
			got:  answer{status: 200, body: []byte(`{"a":1,"b":2}`)}, why: "unexpected",
		},
		"a field too many is welcome": {
			step: Step{Compare: "superset"}, want: Expect{Status: 200, JSON: json.RawMessage(`{"a":1}`)},
			got: answer{status: 200, body: []byte(`{"a":1,"b":2}`)},
		},
		"null is no number": {
			want: Expect{Status: 200, JSON: json.RawMessage(`{"a":null}`)},
			got:  answer{status: 200, body: []byte(`{"a":0}`)}, why: "want <nil>",
		},
		"a line is missing": {
			want: Expect{Status: 200, JSONStream: json.RawMessage(`[{"a":1},{"a":2}]`)},
			got:  answer{status: 200, body: []byte("{\"a\":1}\n")}, why: "1 items, want 2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			why := check(&c.step, c.want, &c.got)
			if c.why == "" {
				require.Empty(t, why)
			} else {
				require.Contains(t, why, c.why)
			}
		})
	}
}

func TestUniqueKeys(t *testing.T) {
	for _, text := range []string{``, `1`, `[]`, `{"a":1,"b":{"a":[{"a":1},{"a":1}]}}`, `{"a":1} {"a":1}`} {
		require.NoError(t, uniqueKeys([]byte(text)), text)
	}
	for _, text := range []string{`{"a":1,"a":1}`, `[{"b":{"a":1,"\u0061":2}}]`, `{"a":[],"a":{}}`} {
		require.ErrorContains(t, uniqueKeys([]byte(text)), `"a" comes twice`, text)
	}
	require.Error(t, uniqueKeys([]byte(`{"a":`)))
}

func TestSameText(t *testing.T) {
	require.True(t, sameText("x {{any:time}} y", "x Sat, 01 Jan 2026 10:00:00 UTC y"))
	require.False(t, sameText("x {{any:id}}", "x no-id"))
}
