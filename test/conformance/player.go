package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// Player plays stories against one server or several in turn. Cookies are kept, as a client's session keeps them.
type Player struct {
	bases   []string
	root    identity
	client  *http.Client
	cookies map[string]string
	turn    int
	tokens  map[identity]string
	values  map[string]string
	// contract is what every answer is checked against, nil for nothing.
	contract *Contract
	// judge compares an answer with what is expected, and returns the difference or "".
	judge func(scenario string, step *Step, want Expect, got *answer) string
}

// Failure is a step that did not go as recorded.
type Failure struct {
	Scenario string
	Step     *Step
	Why      string
}

// String says which step and why.
func (f Failure) String() string {
	return fmt.Sprintf("%s step %s %s %s (%s): %s",
		f.Scenario, f.Step.Step, f.Step.Request.Method, f.Step.Request.Path, f.Step.Note, f.Why)
}

// NewPlayer returns a player that sends each step to the next of the base URLs; user and password are root's.
func NewPlayer(bases []string, user, password string) *Player {
	return &Player{
		bases: bases, root: identity{"root", user, password}, cookies: map[string]string{},
		judge: func(_ string, step *Step, want Expect, got *answer) string { return check(step, want, got) },
		client: &http.Client{
			Timeout:       60 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Play plays one story and returns the steps that failed.
func (p *Player) Play(ctx context.Context, story *Story) []Failure {
	p.tokens, p.values = map[identity]string{}, map[string]string{}
	var failures []Failure
	for i := range story.Steps {
		step := &story.Steps[i]
		if why := p.playStep(ctx, story.Scenario, step); why != "" {
			failures = append(failures, Failure{story.Scenario, step, why})
		}
	}
	return failures
}

func (p *Player) playStep(ctx context.Context, scenario string, step *Step) string {
	headers := http.Header{"User-Agent": {"conformance"}}
	who, has, err := step.who(p.root)
	if err != nil {
		return err.Error()
	}
	if has {
		token, tokenErr := p.token(ctx, who)
		if tokenErr != nil {
			return tokenErr.Error()
		}
		headers.Set("X-Rucio-Auth-Token", token)
	}
	if step.Request.Accept != "" {
		headers.Set("Accept", step.Request.Accept)
	}
	for k, v := range step.Request.Headers {
		switch v { // root's identity as it was when the story was recorded
		case "ddmlab":
			v = p.root.user
		case "secret":
			v = p.root.password
		}
		headers.Set(k, v)
	}
	var body []byte
	switch {
	case step.Request.RawBody != nil:
		body = []byte(*step.Request.RawBody)
	case step.Request.Body != nil:
		body = []byte(p.fill(string(step.Request.Body)))
	}
	base := p.bases[p.turn%len(p.bases)]
	p.turn++
	got, err := p.send(ctx, base, step.Request.Method, p.fill(step.Request.Path), headers, body)
	if err != nil {
		return err.Error()
	}
	p.capture(step, got)
	want, err := p.filled(step.Expect)
	if err != nil {
		return err.Error()
	}
	if why := p.judge(scenario, step, want, got); why != "" || p.contract == nil {
		return why
	}
	return p.contract.check(step.Request.Method, p.fill(step.Request.Path), body, got)
}

// Hold makes the player check every answer against a document too.
func (p *Player) Hold(contract *Contract) { p.contract = contract }

// ExpectRucio makes the player expect the answers of Rucio itself, where it differs those that are known.
func (p *Player) ExpectRucio(known Differences) { p.judge = known.check }

// filled returns an expectation with the captured values filled in.
func (p *Player) filled(e Expect) (Expect, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return e, err
	}
	var out Expect
	err = json.Unmarshal([]byte(p.fill(string(b))), &out)
	// A null that was not recorded must not turn into a recorded one.
	if e.JSON == nil {
		out.JSON = nil
	}
	if e.JSONStream == nil {
		out.JSONStream = nil
	}
	return out, err
}

func (p *Player) fill(text string) string {
	for name, value := range p.values {
		text = strings.ReplaceAll(text, "{{"+name+"}}", value)
	}
	return text
}

func (p *Player) token(ctx context.Context, who identity) (string, error) {
	if token, ok := p.tokens[who]; ok {
		return token, nil
	}
	got, err := p.send(ctx, p.bases[0], http.MethodGet, "/auth/userpass", http.Header{
		"X-Rucio-Account": {who.account}, "X-Rucio-Username": {who.user}, "X-Rucio-Password": {who.password},
	}, nil)
	if err != nil {
		return "", err
	}
	if got.status != http.StatusOK {
		return "", fmt.Errorf("no token for %s: %d %.200s", who.account, got.status, got.body)
	}
	p.tokens[who] = got.header("X-Rucio-Auth-Token")
	return p.tokens[who], nil
}

func (p *Player) send(ctx context.Context, base, method, path string, headers http.Header, body []byte) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = headers
	if body != nil && headers.Get("Content-Type") == "" {
		headers.Set("Content-Type", "application/json")
	}
	for name, value := range p.cookies {
		request.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	response, err := p.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	for _, cookie := range response.Cookies() {
		p.cookies[cookie.Name] = cookie.Value
	}
	got := &answer{status: response.StatusCode, headers: response.Header}
	got.body, err = io.ReadAll(response.Body)
	return got, err
}

// capture keeps the values that later steps name.
func (p *Player) capture(step *Step, got *answer) {
	for name, path := range step.Capture {
		var value any
		if strings.HasPrefix(got.header("Content-Type"), "application/x-json-stream") {
			value, _ = parseStream(got.body)
		} else if json.Unmarshal(got.body, &value) != nil {
			continue
		}
		for part := range strings.SplitSeq(path, ".") {
			switch v := value.(type) {
			case map[string]any:
				value = v[part]
			case []any:
				if i, err := strconv.Atoi(part); err == nil && i < len(v) {
					value = v[i]
				}
			}
		}
		if value != nil {
			p.values[name] = fmt.Sprint(value)
		}
	}
}

func canonical(header string) string { return textproto.CanonicalMIMEHeaderKey(header) }
