package command

import (
	"encoding/binary"
	"errors"
)

// Result is what applying one command came to. It is the same on every node and is kept with the session, so that a
// command sent twice is answered as the first time.
type Result struct {
	// Code is CodeOK where the command took effect.
	Code Code
	// Index is the log index of the entry that first carried the command.
	Index uint64
	// Revision is the state machine's revision after the command: that of its last event. 0 where it was not executed.
	Revision uint64
	// Message says for people what was refused and why; empty with CodeOK.
	Message string
	// Repeated is set where an earlier command with the same key had been executed: the result is that command's.
	Repeated bool
	// Payload is the answer of the command, in the command's own encoding; often empty. Few refusals have one.
	Payload []byte
}

// ErrResult is returned for bytes that are no encoded Result.
var ErrResult = errors.New("malformed command result")

// flagRepeated stands above the code, which has 16 bits.
const flagRepeated = 1 << 16

// AppendResult appends the encoding of r to b.
func AppendResult(b []byte, r Result) []byte {
	code := uint64(r.Code)
	if r.Repeated {
		code |= flagRepeated
	}
	b = binary.AppendUvarint(b, code)
	b = binary.AppendUvarint(b, r.Index)
	b = binary.AppendUvarint(b, r.Revision)
	b = binary.AppendUvarint(b, uint64(len(r.Message)))
	b = append(b, r.Message...)
	b = binary.AppendUvarint(b, uint64(len(r.Payload)))
	return append(b, r.Payload...)
}

// ParseResult decodes one Result and returns the bytes after it. The payload is a copy.
func ParseResult(b []byte) (Result, []byte, error) {
	d := frameReader{b: b}
	code := d.uvarint()
	r := Result{Index: d.uvarint(), Revision: d.uvarint()}
	r.Message = string(d.bytes())
	if p := d.bytes(); len(p) > 0 {
		r.Payload = append([]byte(nil), p...)
	}
	r.Repeated = code&flagRepeated != 0
	code &^= flagRepeated
	if d.bad || code > uint64(^Code(0)) {
		return Result{}, nil, ErrResult
	}
	r.Code = Code(code)
	return r, d.b, nil
}
