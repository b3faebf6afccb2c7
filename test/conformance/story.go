package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Story is one recording.
type Story struct {
	Scenario string `json:"scenario"`
	Steps    []Step `json:"steps"`
}

// Step is one request and what is expected of its answer.
type Step struct {
	Step    string            `json:"step"`
	Note    string            `json:"note"`
	Request Request           `json:"request"`
	As      json.RawMessage   `json:"as"`
	Capture map[string]string `json:"capture"`
	Compare string            `json:"compare"`
	Also    []int             `json:"also_accepted"`
	Expect  Expect            `json:"expect"`
}

// Request is what is sent.
type Request struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Body    json.RawMessage   `json:"body"`
	RawBody *string           `json:"raw_body"`
	Accept  string            `json:"accept"`
	Headers map[string]string `json:"headers"`
}

// Expect is what the recorded server answered.
type Expect struct {
	Status         int             `json:"status"`
	ContentType    string          `json:"content_type"`
	ExceptionClass string          `json:"exception_class"`
	HeadersPresent []string        `json:"headers_present"`
	JSON           json.RawMessage `json:"json"`
	JSONStream     json.RawMessage `json:"json_stream"`
	Text           *string         `json:"text"`
}

// Load reads the recordings that match a glob pattern, in the order of their names.
func Load(pattern string) ([]Story, error) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no recordings at %s: %w", pattern, err)
	}
	var stories []Story
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var story Story
		if err := json.Unmarshal(b, &story); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if story.Scenario == "" || len(story.Steps) == 0 {
			return nil, fmt.Errorf("%s: no story: scenario and steps are needed", name)
		}
		stories = append(stories, story)
	}
	return stories, nil
}

// identity is an account with the userpass identity that logs in to it.
type identity struct{ account, user, password string }

// who returns whose token a step sends, and false for none.
func (s *Step) who(root identity) (identity, bool, error) {
	switch strings.TrimSpace(string(s.As)) {
	case "":
		return root, true, nil
	case "null":
		return identity{}, false, nil
	}
	var parts [3]string
	if err := json.Unmarshal(s.As, &parts); err != nil {
		return identity{}, false, fmt.Errorf("step %s: as: %w", s.Step, err)
	}
	return identity{parts[0], parts[1], parts[2]}, true, nil
}
