package httpapi

import (
	"strconv"

	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// refusalOf makes the error of a command that was refused.
func refusalOf(result command.Result) error {
	refusal := &catalogue.Error{Code: result.Code, Message: result.Message}
	if result.Code != command.CodeVersionMismatch {
		return refusal
	}
	e := &mismatchError{refusal: refusal}
	if err := proto.Unmarshal(result.Payload, &e.other); err != nil {
		return refusal
	}
	return e
}

// mismatchError names the replicas that have other versions than those that a request named.
type mismatchError struct {
	refusal *catalogue.Error
	other   command.VersionMismatch
}

// Error implements error.
func (e *mismatchError) Error() string { return e.refusal.Message }

// Code implements coded.
func (e *mismatchError) Code() command.Code { return e.refusal.Code }

// appendFields implements detailed.
func (e *mismatchError) appendFields(b []byte) []byte {
	b = strconv.AppendUint(append(b, `, "count": `...), uint64(e.other.Count), 10)
	b = append(b, `, "items": [`...)
	for i, item := range e.other.Items {
		b = appendJSONString(append(comma(b, i), `{"scope": `...), item.Scope)
		b = appendJSONString(append(b, `, "name": `...), item.Name)
		b = strconv.AppendUint(append(b, `, "if_version": `...), item.Wanted, 10)
		b = append(b, `, "version": `...)
		if item.Found == 0 {
			b = append(b, "null}"...)
			continue
		}
		b = append(strconv.AppendUint(b, item.Found, 10), '}')
	}
	return append(b, ']')
}
