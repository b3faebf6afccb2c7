package fsm

import (
	"errors"
	"math"

	"google.golang.org/protobuf/reflect/protoreflect"

	"dapple/catalogue"
	"dapple/command"
)

// errNestedUnknown refuses what only the leader checks: apply lets a field pass that it does not know inside of a message.
var errNestedUnknown = errors.New("unknown fields in a message of it")

// Check returns why the machine of some member would stop at the command, as a *catalogue.Error that names the command;
// nil where it is safe to append. An entry of the log is applied by every member or stops it, so the leader asks before
// it appends one. Any other error is one of the machine itself. Check may be called concurrently.
func (m *Machine) Check(c *command.Command) error {
	if len(c.Issuer) > command.MaxIssuer {
		return catalogue.Errorf(command.CodeInvalidValue, "%s: the name of its issuer has %d bytes, %d are allowed", c.Type, len(c.Issuer), command.MaxIssuer)
	}
	if err := m.checkBody(c.Type, c.Payload); err != nil || c.Type != command.TypeOnce {
		return err
	}
	once := &command.Once{}
	if err := unmarshal(c.Payload, once); err != nil {
		return catalogue.Errorf(command.CodeInvalidValue, "%s: %v", c.Type, err)
	}
	if once.Type < uint32(firstCatalogue) || once.Type > math.MaxUint16 {
		return nil // apply refuses it by itself
	}
	return m.checkBody(command.Type(once.Type), once.Payload)
}

// checkBody checks the number of a command and its payload.
func (m *Machine) checkBody(number command.Type, payload []byte) error {
	run := m.rows[number]
	if run == nil {
		return catalogue.Errorf(command.CodeUnknownMethod, "%s: the leader runs a version that does not know this command", number)
	}
	if run.since > 0 {
		if err := m.checkLevel(run); err != nil {
			return err
		}
	}
	if run.shape.fits(payload, 0) {
		return nil
	}
	message := run.message()
	err := unmarshal(payload, message)
	if err == nil && hasUnknown(message.ProtoReflect()) {
		err = errors.Join(errPayload, errNestedUnknown)
	}
	if err != nil {
		return catalogue.Errorf(command.CodeInvalidValue, "%s: the leader cannot read it: %v", number, err)
	}
	return nil
}

// checkLevel refuses a command that some member may not know. The level only rises, so one that was seen once is not read again.
func (m *Machine) checkLevel(run *row) error {
	if m.level.Load() >= run.since {
		return nil
	}
	v, err := m.View()
	if err != nil {
		return err
	}
	level, err := catalogue.FeatureLevel(v)
	if closing := v.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	m.level.Store(level)
	if level < run.since {
		return catalogue.Errorf(command.CodeNotReady, "%s needs feature level %d, and the cluster has %d until every member runs a version that knows it",
			run.number, run.since, level)
	}
	return nil
}

// hasUnknown reports whether a message, or one inside of it, has fields that this program does not know.
func hasUnknown(m protoreflect.Message) bool {
	if len(m.GetUnknown()) > 0 {
		return true
	}
	found := false
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap() || field.Kind() != protoreflect.MessageKind: // the maps hold no messages
		case field.IsList():
			for i := range value.List().Len() {
				found = found || hasUnknown(value.List().Get(i).Message())
			}
		default:
			found = hasUnknown(value.Message())
		}
		return !found
	})
	return found
}
