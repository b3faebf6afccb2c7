package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// keyFetches is how many times in a row the keys of an issuer may be fetched, keyInterval how often after that: whoever forges
	// tokens with unknown keys does not make this node ask the issuer for each, and keys that the issuer changes are found soon.
	keyFetches  = 4
	keyInterval = 10 * time.Second
	// issuerAnswer bounds what is read of an issuer's answer.
	issuerAnswer = 1 << 20
)

// issuerTransport asks an issuer for its configuration and keys. If it is asked too often, it returns the last answer again.
type issuerTransport struct {
	base    http.RoundTripper
	refused func() // counts a question that was not asked

	mu      sync.Mutex
	answers map[string]*issuerAnswers // by URL, of which an issuer has two
}

// issuerAnswers are those to one URL.
type issuerAnswers struct {
	turns *rate.Limiter
	last  *http.Response // without a body; nil if none was good
	body  []byte
}

func newIssuerTransport(refused func()) *issuerTransport {
	return &issuerTransport{base: http.DefaultTransport, refused: refused, answers: map[string]*issuerAnswers{}}
}

// RoundTrip implements http.RoundTripper.
func (t *issuerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	known := t.known(r.URL.String())
	if !known.turns.Allow() {
		t.refused()
		return t.repeat(known)
	}
	response, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, issuerAnswer))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		t.mu.Lock()
		known.last, known.body = response, body
		t.mu.Unlock()
	}
	return withBody(response, body), nil
}

func (t *issuerTransport) known(url string) *issuerAnswers {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.answers[url]
	if known == nil {
		known = &issuerAnswers{turns: rate.NewLimiter(rate.Every(keyInterval), keyFetches)}
		t.answers[url] = known
	}
	return known
}

// repeat returns the last good answer.
func (t *issuerTransport) repeat(known *issuerAnswers) (*http.Response, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known.last == nil {
		return nil, errors.New("the issuer was asked a moment ago")
	}
	return withBody(known.last, known.body), nil
}

// withBody returns a copy of a response with a body of its own.
func withBody(response *http.Response, body []byte) *http.Response {
	again := *response
	again.Body = io.NopCloser(bytes.NewReader(body))
	return &again
}
