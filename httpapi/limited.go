package httpapi

import (
	"math"
	"strconv"
	"sync"
	"time"

	"dapple/catalogue"
	"dapple/command"
)

// limit names one of the limits that keep a client from taking everything; metrics count what each has refused.
type limit string

const (
	limitLogin      limit = "login"             // wrong passwords of one user from one source
	limitLoginQueue limit = "login_queue"       // passwords to check at a time
	limitHashQueue  limit = "new_password"      // new passwords to hash at a time
	limitIssuerKeys limit = "oidc_keys"         // questions to an OIDC issuer
	limitBodies     limit = "bodies"            // memory of all request bodies
	limitBodyShare  limit = "bodies_share"      // memory of the bodies of one account or source
	limitSlowBody   limit = "slow_body"         // time of a body
	limitWaits      limit = "waits"             // requests of one account or source that wait for the state
	limitFeeds      limit = "changes"           // readers of the change feed
	limitFeedShare  limit = "changes_share"     // readers of one account
	limitConnShare  limit = "connections_share" // connections of one source
	limitRefused    limit = "refused_writes"    // writes without permission of one account
)

// strangerWaits is how many requests of one source may wait for the state before it is known whose they are: logins, and tokens with
// a key that has not come to this node yet.
const strangerWaits = 64

// limitError is a refusal by one of the limits. It is answered as CodeOverloaded, with the time after which to try again.
type limitError struct {
	limit limit
	after time.Duration
	cause error
}

// overLimit makes a limitError; the message says what is too much. The answer's Retry-After is at least a second.
func overLimit(by limit, after time.Duration, format string, args ...any) error {
	return &limitError{limit: by, after: after, cause: catalogue.Errorf(command.CodeOverloaded, format, args...)}
}

// Error implements error.
func (e *limitError) Error() string { return e.cause.Error() }

// Unwrap leads to the error with the code.
func (e *limitError) Unwrap() error { return e.cause }

// retryAfter is the value of the header Retry-After.
func (e *limitError) retryAfter() string {
	return strconv.Itoa(max(1, int(math.Ceil(e.after.Seconds()))))
}

// shares bounds what each client may hold of something that all clients share. It is safe for concurrent use.
type shares struct {
	most int64 // what one client may hold

	mu   sync.Mutex
	held map[string]int64
}

func newShares(most int64) *shares { return &shares{most: most, held: map[string]int64{}} }

// take reserves n for a client, or nothing if the client would hold more than its share.
func (s *shares) take(client string, n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[client]+n > s.most {
		return false
	}
	s.held[client] += n
	return true
}

// release gives back n that take has reserved.
func (s *shares) release(client string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[client] -= n; s.held[client] <= 0 {
		delete(s.held, client)
	}
}
