package catalogue

import (
	"errors"
	"fmt"

	"dapple/command"
)

// Error is a refusal: something that the caller of the API did or named is wrong. The code says what kind and decides the
// HTTP answer; the message is for people and names the item. Any other error is a failure of the system.
type Error struct {
	Code    command.Code
	Message string
	// Details is the answer of a command that is refused, for codes that have one; mostly empty.
	Details []byte
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Is reports whether target is an *Error with the same code, so that errors.Is works across nodes.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code
}

// Errorf makes a refusal.
func Errorf(code command.Code, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of a refusal, CodeOK for nil and CodeInternal for anything else.
func CodeOf(err error) command.Code {
	var refusal *Error
	switch {
	case err == nil:
		return command.CodeOK
	case errors.As(err, &refusal):
		return refusal.Code
	default:
		return command.CodeInternal
	}
}
