package conformance

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// answer is what the server under test said.
type answer struct {
	status  int
	headers map[string][]string
	body    []byte
}

func (a *answer) header(name string) string {
	if v := a.headers[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// check returns why an answer does not fit a step, or "".
func check(step *Step, want Expect, got *answer) string {
	if got.status != want.Status && slices.Contains(step.Also, got.status) {
		return ""
	}
	if want.Status >= 500 && want.Status != 503 && want.ExceptionClass != "UnsupportedOperation" {
		if got.status < 400 || got.status >= 500 {
			return fmt.Sprintf("status %d, want a 4xx: %.200s", got.status, got.body)
		}
		return ""
	}
	if got.status != want.Status {
		return fmt.Sprintf("status %d, want %d %s: %.300s", got.status, want.Status, want.ExceptionClass, got.body)
	}
	if want.ExceptionClass != "" && got.header("Exceptionclass") != want.ExceptionClass {
		return fmt.Sprintf("ExceptionClass %q, want %q", got.header("Exceptionclass"), want.ExceptionClass)
	}
	for _, name := range want.HeadersPresent {
		if len(got.headers[canonical(name)]) == 0 {
			return "header " + name + " is missing"
		}
	}
	if step.Compare == "status" || step.Compare == "ignore-body" || got.status >= 400 {
		return ""
	}
	contentType, _, _ := strings.Cut(got.header("Content-Type"), ";")
	if want.ContentType != "" && contentType != want.ContentType {
		return fmt.Sprintf("Content-Type %q, want %q", contentType, want.ContentType)
	}
	return checkBody(want, got.body, step.Compare == "superset")
}

func checkBody(want Expect, body []byte, superset bool) string {
	switch {
	case want.JSONStream != nil:
		values, err := parseStream(body)
		if err != nil {
			return err.Error()
		}
		return diff(mustParse(want.JSONStream), values, superset, "$")
	case want.JSON != nil:
		var value any
		if err := json.Unmarshal(body, &value); err != nil {
			return fmt.Sprintf("no JSON: %v: %.200s", err, body)
		}
		return diff(mustParse(want.JSON), value, superset, "$")
	case want.Text != nil && !sameText(strings.TrimSpace(*want.Text), strings.TrimSpace(string(body))):
		return fmt.Sprintf("text %.400q, want %.400q", body, *want.Text)
	}
	return ""
}

func mustParse(raw json.RawMessage) any {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		panic(err) // a recording that was loaded is valid JSON
	}
	return v
}

func parseStream(body []byte) (any, error) {
	values := []any{}
	for _, line := range strings.Split(string(body), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		var v any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			return nil, fmt.Errorf("no JSON: %w: %.200s", err, line)
		}
		values = append(values, v)
	}
	return values, nil
}

// diff returns the first difference as text, or "".
func diff(want, got any, superset bool, at string) string {
	switch want := want.(type) {
	case string:
		if text, ok := got.(string); !ok || !sameText(want, text) {
			return fmt.Sprintf("%s: got %#v, want %q", at, got, want)
		}
		return ""
	case map[string]any:
		return diffObject(want, got, superset, at)
	case []any:
		return diffList(want, got, superset, at)
	default:
		if !reflect.DeepEqual(want, got) {
			return fmt.Sprintf("%s: got %#v, want %#v", at, got, want)
		}
		return ""
	}
}

func diffObject(want map[string]any, got any, superset bool, at string) string {
	object, ok := got.(map[string]any)
	if !ok {
		return fmt.Sprintf("%s: got %#v, want an object", at, got)
	}
	left := make(map[string]any, len(object))
	for k, v := range object {
		left[k] = v
	}
	for k, v := range want {
		key, found := k, false
		if _, found = left[k]; !found {
			for candidate := range left {
				if sameText(k, candidate) {
					key, found = candidate, true
					break
				}
			}
		}
		if !found {
			return fmt.Sprintf("%s: %q is missing", at, k)
		}
		if why := diff(v, left[key], superset, at+"."+k); why != "" {
			return why
		}
		delete(left, key)
	}
	if len(left) > 0 && !superset {
		return fmt.Sprintf("%s: unexpected %v", at, left)
	}
	return ""
}

func diffList(want []any, got any, superset bool, at string) string {
	list, ok := got.([]any)
	if !ok {
		return fmt.Sprintf("%s: got %#v, want a list", at, got)
	}
	if len(want) != len(list) {
		return fmt.Sprintf("%s: %d items, want %d", at, len(list), len(want))
	}
	rest := slices.Clone(list)
	for i, w := range want {
		j := slices.IndexFunc(rest, func(g any) bool { return diff(w, g, superset, "") == "" })
		if j < 0 {
			return fmt.Sprintf("%s[%d]: no item like %v (%s)", at, i, w, diff(w, rest[0], superset, at))
		}
		rest = slices.Delete(rest, j, j+1)
	}
	return ""
}

// sameText compares a text in which {{any:time}} and {{any:id}} stand for the server's choice.
func sameText(want, got string) bool {
	if !strings.Contains(want, "{{any:") {
		return want == got
	}
	pattern := regexp.QuoteMeta(want)
	pattern = strings.ReplaceAll(pattern, regexp.QuoteMeta("{{any:time}}"), ".+")
	pattern = strings.ReplaceAll(pattern, regexp.QuoteMeta("{{any:id}}"), "[0-9a-fA-F-]{32,36}")
	return regexp.MustCompile("(?s)^" + pattern + "$").MatchString(got)
}
