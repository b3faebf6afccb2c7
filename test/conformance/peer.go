package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
)

// Difference is a step at which Rucio itself answers otherwise than is wanted of Dapple.
type Difference struct {
	Scenario string `json:"scenario"`
	Step     string `json:"step"`
	// Status is what Rucio answers.
	Status int `json:"status"`
	// Why says what differs, for the reader.
	Why string `json:"why"`
}

// Differences are the steps at which Rucio differs whose notes do not say so.
type Differences []Difference

// LoadDifferences reads a committed list.
func LoadDifferences(name string) (Differences, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var all Differences
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, nil
}

// stale returns the first difference that one of the stories has no step for, or "".
func (d Differences) stale(stories []Story) string {
	steps := map[string][]Step{}
	for _, story := range stories {
		steps[story.Scenario] = story.Steps
	}
	for _, difference := range d {
		story, known := steps[difference.Scenario]
		if known && !slices.ContainsFunc(story, func(s Step) bool { return s.Step == difference.Step }) {
			return fmt.Sprintf("%s has no step %s", difference.Scenario, difference.Step)
		}
	}
	return ""
}

// peerNote is how the note of a step says what Rucio answers where something else is wanted.
var peerNote = regexp.MustCompile(`Rucio itself answers (\d{3})\b`)

// status returns what Rucio answers at a step where it differs, and false where it answers as recorded.
func (d Differences) status(scenario string, step *Step) (int, bool) {
	if found := peerNote.FindStringSubmatch(step.Note); found != nil {
		status, err := strconv.Atoi(found[1])
		return status, err == nil
	}
	for _, difference := range d {
		if difference.Scenario == scenario && difference.Step == step.Step {
			return difference.Status, true
		}
	}
	return 0, false
}

// check returns why an answer is not what Rucio is known to give, or "". A recorded answer is Rucio's own, its failures
// included. Where Rucio is known to differ it must give the status that is known, and it must still differ.
func (d Differences) check(scenario string, step *Step, want Expect, got *answer) string {
	recorded := *step
	recorded.Also = nil
	status, differs := d.status(scenario, step)
	if !differs {
		if want.Status >= 500 {
			return checkFailure(want, got)
		}
		return check(&recorded, want, got)
	}
	if got.status != status {
		return fmt.Sprintf("status %d, and Rucio is known to answer %d: %.300s", got.status, status, got.body)
	}
	if check(&recorded, want, got) == "" {
		return "Rucio answers what is wanted: it is no longer known to differ"
	}
	return ""
}

// checkFailure compares the failure of a server whose exceptions are recorded as they escaped.
func checkFailure(want Expect, got *answer) string {
	if got.status != want.Status {
		return fmt.Sprintf("status %d, want Rucio's %d %s: %.300s", got.status, want.Status, want.ExceptionClass, got.body)
	}
	if class := got.header("Exceptionclass"); want.ExceptionClass != "" && class != want.ExceptionClass {
		return fmt.Sprintf("ExceptionClass %q, want Rucio's %q", class, want.ExceptionClass)
	}
	return ""
}
