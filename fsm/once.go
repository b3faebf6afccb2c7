package fsm

import (
	"bytes"
	"errors"
	"math"

	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// errCarried says why a command is refused that carries what may not be carried.
var errCarried = errors.New("a command to be done once may only carry one of the catalogue")

// firstCatalogue is the lowest number of the catalogue's own commands.
const firstCatalogue = command.TypeAddAccount

// nestedOnce is the row of Once, which gives it its message: execute does not run it like the others, since it keeps the answer of
// a refused command too.
func nestedOnce(*Machine, catalogue.Stamp, *command.Once) ([]byte, error) { return nil, errCarried }

// once executes the command that c carries, unless the issuer's key has an answer already.
func (m *Machine) once(index uint64, c *command.Command) (command.Result, error) {
	carried := &command.Once{}
	if err := unmarshal(c.Payload, carried); err != nil {
		return command.Result{}, err
	}
	kept, found, err := catalogue.FindAnswer(m.overlay, c.Issuer, carried.Key, m.state.time)
	switch {
	case err != nil:
		return command.Result{}, err
	case found && !bytes.Equal(kept.Fingerprint, carried.Fingerprint):
		m.stats.command(c.Type, outcomeRefused)
		return command.Result{Code: command.CodeKeyReused, Index: index, Message: "the key was used for another request"}, nil
	case found:
		m.stats.command(c.Type, outcomeRepeated)
		result, _, err := command.ParseResult(kept.Result)
		result.Repeated = true
		return result, err
	}
	result, err := m.carried(index, c, carried)
	switch {
	case err != nil:
		return result, err
	case !final(result.Code):
		m.stats.command(c.Type, outcomeRefused)
		return result, nil
	}
	m.stats.command(c.Type, outcomeDone)
	return result, m.keepAnswer(c.Issuer, carried, result)
}

// final tells the answers that are kept from those that ask the client to come again.
func final(code command.Code) bool {
	return code != command.CodeRSEBlocked && code != command.CodeUnknownMethod
}

// carried executes the command that a Once carries.
func (m *Machine) carried(index uint64, c *command.Command, carried *command.Once) (command.Result, error) {
	inner := *c
	if carried.Type < uint32(firstCatalogue) || carried.Type > math.MaxUint16 {
		// Nothing that a client can send may stop the nodes.
		return command.Result{Code: command.CodeUnknownMethod, Index: index, Message: errCarried.Error()}, nil
	}
	inner.Type, inner.Payload = command.Type(carried.Type), carried.Payload
	run, known := m.rows[inner.Type]
	if !known {
		return command.Result{}, errors.New("unknown command carried")
	}
	return m.execute(index, run, &inner)
}

// keepAnswer keeps a result for the window and forgets some that are older.
func (m *Machine) keepAnswer(account string, carried *command.Once, result command.Result) error {
	now := m.state.time
	window := min(max(carried.Window, 1), math.MaxInt64-now)
	err := catalogue.PutAnswer(m.overlay, account, carried.Key, catalogue.Answer{
		Fingerprint: carried.Fingerprint, Expires: now + window, Result: command.AppendResult(nil, result),
	})
	if err != nil {
		return err
	}
	m.onceFrom = min(m.onceFrom, now+window)
	m.onceFrom, err = catalogue.ForgetAnswers(m.overlay, m.onceFrom, now)
	return err
}

// unmarshal decodes a payload. A field that this program does not know would be obeyed by another: as bad as an unknown command.
func unmarshal(payload []byte, into proto.Message) error {
	if err := proto.Unmarshal(payload, into); err != nil {
		return errors.Join(errPayload, err)
	}
	if len(into.ProtoReflect().GetUnknown()) > 0 {
		return errors.Join(errPayload, errors.New("unknown fields"))
	}
	return nil
}
