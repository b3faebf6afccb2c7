package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error is an answer of the API that is no success.
type Error struct {
	// Status is the HTTP status, Class what Rucio's clients make their exceptions of, Message what is wrong.
	Status         int
	Class, Message string
	// Node is the name of the node that answered, "" where it is no Dapple.
	Node string
	// RetryAfter is how long the server asks to wait before the next attempt, 0 where it does not ask for one.
	RetryAfter time.Duration
	// Versions are the replicas that did not have the version named for them: the first 1000.
	Versions []OtherVersion
	// Oldest is the revision from which on changes are kept, where those asked for are gone.
	Oldest uint64
	// Accounts are those that the client must choose one of in Config.Account, if the identity has several and no default.
	Accounts []string
}

// OtherVersion is a replica that has another version than the one named for it; 0 where it does not exist.
type OtherVersion struct {
	Scope   string `json:"scope"`
	Name    string `json:"name"`
	Wanted  uint64 `json:"if_version"`
	Version uint64 `json:"version"`
}

// Error tells what the API told.
func (e *Error) Error() string {
	if e.Class == "" {
		return fmt.Sprintf("%d %s: %s", e.Status, http.StatusText(e.Status), e.Message)
	}
	return fmt.Sprintf("%s (%d): %s", e.Class, e.Status, e.Message)
}

// What errors.Is finds in an Error.
var (
	// ErrNotFound: something that the request names is not there.
	ErrNotFound = errors.New("not found")
	// ErrConflict: it is there already, or does not fit what is.
	ErrConflict = errors.New("conflict")
	// ErrInvalid: the request is malformed or asks for something that cannot be.
	ErrInvalid = errors.New("invalid request")
	// ErrDenied: the account may not do that.
	ErrDenied = errors.New("access denied")
	// ErrUnauthenticated: no token, or none that is accepted.
	ErrUnauthenticated = errors.New("not authenticated")
	// ErrBusy: nothing was done; try again later.
	ErrBusy = errors.New("busy")
	// ErrBlocked: an RSE is switched off for that; no repeat helps before it is switched on.
	ErrBlocked = errors.New("blocked")
	// ErrVersion: a replica has another version than the one named; nothing was done.
	ErrVersion = errors.New("another version")
	// ErrChangesGone: the changes asked for are no longer kept.
	ErrChangesGone = errors.New("changes are gone")
	// ErrUnknownOutcome: the write may or may not have taken effect; look before it is sent again.
	ErrUnknownOutcome = errors.New("outcome unknown")
)

// Is implements errors.Is for the variables above.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrConflict:
		return e.Status == http.StatusConflict || e.Status == http.StatusPreconditionFailed
	case ErrInvalid:
		return e.Status == http.StatusBadRequest || e.Status == http.StatusRequestEntityTooLarge || e.Status == http.StatusUnprocessableEntity
	case ErrDenied:
		return e.Status == http.StatusUnauthorized && e.Class == classDenied
	case ErrUnauthenticated:
		return e.Status == http.StatusUnauthorized && e.Class != classDenied
	case ErrBusy:
		return e.Status == http.StatusServiceUnavailable
	case ErrBlocked: // every other 503 of a Dapple says when to come again
		return e.Status == http.StatusServiceUnavailable && e.Node != "" && e.RetryAfter == 0
	case ErrVersion:
		return e.Status == http.StatusPreconditionFailed && e.Class == "PreconditionFailed"
	case ErrChangesGone:
		return e.Status == http.StatusGone
	case ErrUnknownOutcome:
		return e.Status == http.StatusGatewayTimeout
	default:
		return false
	}
}

const classDenied = "AccessDenied"

// maxErrorBody bounds what is read of an error's body.
const maxErrorBody = 1 << 20

// errorOf makes the error of an answer, and closes it.
func errorOf(response *http.Response) *Error {
	defer response.Body.Close()
	e := &Error{
		Status: response.StatusCode, Class: response.Header.Get("ExceptionClass"),
		Message: response.Header.Get("ExceptionMessage"), Node: response.Header.Get("X-Dapple-Node"),
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	if accounts := response.Header.Get(headerAccounts); accounts != "" && e.Status == http.StatusPartialContent {
		e.Class, e.Accounts = "CannotAuthenticate", strings.Split(accounts, ",")
		e.Message = "the identity has several accounts and no default: set Account to one of " + strings.Join(e.Accounts, ", ")
		return e
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxErrorBody))
	var body struct {
		ExceptionClass, ExceptionMessage string
		Items                            []OtherVersion
		Oldest                           uint64
	}
	if err == nil && json.Unmarshal(text, &body) == nil && body.ExceptionMessage != "" {
		e.Class, e.Message, e.Versions, e.Oldest = body.ExceptionClass, body.ExceptionMessage, body.Items, body.Oldest
	}
	return e
}
