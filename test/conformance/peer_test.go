package conformance

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// What Rucio answers is compared with what it is known to answer, failures and differences included.
func TestDifferencesOfRucio(t *testing.T) {
	known := Differences{{Scenario: "s", Step: "2", Status: 200}}
	failed := func(class string) *answer {
		return &answer{status: 500, headers: http.Header{"Exceptionclass": {class}}}
	}
	wantA := Expect{Status: 200, JSON: json.RawMessage(`{"a":1}`)}
	ok := func(body string) *answer { return &answer{status: 200, body: []byte(body)} }
	for name, c := range map[string]struct {
		step Step
		want Expect
		got  *answer
		why  string
	}{
		"as recorded":                  {want: wantA, got: ok(`{"a":1}`)},
		"another body":                 {want: wantA, got: ok(`{"a":2}`), why: "want 1"},
		"also accepted of Dapple only": {step: Step{Also: []int{404}}, want: wantA, got: &answer{status: 404}, why: "status 404"},
		"a failure as recorded":        {want: Expect{Status: 500, ExceptionClass: "X"}, got: failed("X")},
		"another failure":              {want: Expect{Status: 500, ExceptionClass: "X"}, got: failed("Y"), why: `want Rucio's "X"`},
		"no failure any more":          {want: Expect{Status: 500, ExceptionClass: "X"}, got: &answer{status: 400}, why: "want Rucio's 500"},
		"a note": {
			step: Step{Note: "refused; Rucio itself answers 500 here"}, want: Expect{Status: 412, ExceptionClass: "X"}, got: failed("X"),
		},
		"a note and another status": {
			step: Step{Note: "Rucio itself answers 404 here"}, want: Expect{Status: 201}, got: failed("X"), why: "known to answer 404",
		},
		"a note and another body": {step: Step{Note: "Rucio itself answers 200 here"}, want: wantA, got: ok(`{"a":2}`)},
		"a note that is out of date": {
			step: Step{Note: "Rucio itself answers 200 here"}, want: wantA, got: ok(`{"a":1}`), why: "no longer known to differ",
		},
		"the list":                     {step: Step{Step: "2"}, want: wantA, got: ok(`{"a":2}`)},
		"the list, and another status": {step: Step{Step: "2"}, want: wantA, got: failed("X"), why: "known to answer 200"},
		"the list, out of date":        {step: Step{Step: "2"}, want: wantA, got: ok(`{"a":1}`), why: "no longer known to differ"},
	} {
		t.Run(name, func(t *testing.T) {
			why := known.check("s", &c.step, c.want, c.got)
			if c.why == "" {
				require.Empty(t, why)
			} else {
				require.Contains(t, why, c.why)
			}
		})
	}
	require.Empty(t, known.stale([]Story{{Scenario: "s", Steps: []Step{{Step: "2"}}}}))
	require.Contains(t, known.stale([]Story{{Scenario: "s", Steps: []Step{{Step: "3"}}}}), "s has no step 2")
}

// Every entry of the list belongs to a story that is here, or may lie beside the repository.
func TestTheListOfDifferencesLoads(t *testing.T) {
	known, err := LoadDifferences("testdata/rucio/differences.json")
	require.NoError(t, err)
	for _, d := range known {
		require.NotEmpty(t, d.Scenario)
		require.NotEmpty(t, d.Step)
		require.NotZero(t, d.Status)
		require.NotEmpty(t, d.Why)
	}
}
