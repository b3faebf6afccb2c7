package cluster

import (
	"errors"
	"fmt"

	"dapple/command"
)

// Error is a proposal or a question that did not come to a result of the state machine.
type Error struct {
	// Code is one of CodeQueueFull, CodeNoLeader, CodeTooLarge, CodeUnknownOutcome, CodeDeadline, CodeFailed, CodeNotReady
	// and CodeNotLeader. Only CodeUnknownOutcome leaves open whether the command takes effect; with all others it does not.
	Code command.Code
	// Message says more, for people.
	Message string
	// Err is the cause, where there is one.
	Err error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Message, e.Err)
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

func errorf(code command.Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of an *Error in err's chain, CodeOK for nil and CodeInternal for any other error.
func CodeOf(err error) command.Code {
	var e *Error
	switch {
	case err == nil:
		return command.CodeOK
	case errors.As(err, &e):
		return e.Code
	default:
		return command.CodeInternal
	}
}
