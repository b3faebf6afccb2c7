package fsm

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"dapple/catalogue"
	"dapple/command"
)

// misshapen returns a command with each of its messages left out, made empty, or repeated empty, and with each number at
// its ends: what no client of the API can send, and any program that speaks protobuf can.
func misshapen(message proto.Message) (all []mutant) {
	all = append(all, mutant{"nothing", "", message.ProtoReflect().New().Interface()})
	var walk func(path func(root protoreflect.Message) protoreflect.Message)
	walk = func(path func(root protoreflect.Message) protoreflect.Message) {
		m := path(message.ProtoReflect())
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			fd := fields.Get(i)
			add := func(what string, change func(m protoreflect.Message)) {
				clone := proto.Clone(message)
				change(path(clone.ProtoReflect()))
				all = append(all, mutant{string(m.Descriptor().Name()) + "." + string(fd.Name()), what, clone})
			}
			add("left out", func(m protoreflect.Message) { m.Clear(fd) })
			switch {
			case fd.IsMap():
			case fd.Kind() == protoreflect.MessageKind && fd.IsList():
				add("repeated empty", func(m protoreflect.Message) {
					l := m.Mutable(fd).List()
					l.Append(l.NewElement())
					l.Append(l.NewElement())
				})
				for j := range m.Get(fd).List().Len() {
					walk(func(root protoreflect.Message) protoreflect.Message {
						return path(root).Mutable(fd).List().Get(j).Message()
					})
				}
			case fd.Kind() == protoreflect.MessageKind:
				add("made empty", func(m protoreflect.Message) { m.Set(fd, m.NewField(fd)) })
				if m.Has(fd) {
					walk(func(root protoreflect.Message) protoreflect.Message { return path(root).Mutable(fd).Message() })
				}
			default:
				for _, v := range ends(fd.Kind()) {
					add(fmt.Sprint("at ", v), func(m protoreflect.Message) {
						if fd.IsList() {
							m.Mutable(fd).List().Append(v)
							return
						}
						m.Set(fd, v)
					})
				}
			}
		}
	}
	walk(func(root protoreflect.Message) protoreflect.Message { return root })
	return all
}

// ends returns the values at the ends of a kind.
func ends(kind protoreflect.Kind) []protoreflect.Value {
	switch kind {
	case protoreflect.Int32Kind:
		return []protoreflect.Value{protoreflect.ValueOfInt32(math.MinInt32), protoreflect.ValueOfInt32(math.MaxInt32)}
	case protoreflect.Int64Kind:
		return []protoreflect.Value{protoreflect.ValueOfInt64(math.MinInt64), protoreflect.ValueOfInt64(math.MaxInt64)}
	case protoreflect.Uint32Kind:
		return []protoreflect.Value{protoreflect.ValueOfUint32(math.MaxUint32)}
	case protoreflect.Uint64Kind:
		return []protoreflect.Value{protoreflect.ValueOfUint64(math.MaxUint64)}
	case protoreflect.DoubleKind:
		return []protoreflect.Value{protoreflect.ValueOfFloat64(math.NaN()), protoreflect.ValueOfFloat64(math.Inf(1))}
	case protoreflect.BytesKind:
		return []protoreflect.Value{protoreflect.ValueOfBytes(nil), protoreflect.ValueOfBytes(make([]byte, 1<<16))}
	}
	return nil
}

// TestHostileShapes runs every command with parts of it missing or out of bounds. Any of them is refused or taken and leaves a
// sound catalogue; an error without a code, or a panic, would stop all nodes.
func TestHostileShapes(t *testing.T) {
	b, rows := &bench{tx: catalogue.NewMemTx()}, registered(nil)
	for _, c := range append(everyCommand(t), moreCommands(t)...) {
		row := rows[c.Type]
		if c.Type == command.TypeOnce {
			continue
		}
		message := row.message()
		require.NoError(t, proto.Unmarshal(c.Payload, message))
		if g, ok := message.(*command.Genesis); ok {
			g.Features = catalogue.NewestFeatureLevel
		}
		for _, mutant := range misshapen(message) {
			what := fmt.Sprintf("%s with %s %s", c.Type, mutant.field, mutant.text)
			var o *overlay
			var err error
			func() {
				defer func() {
					if r := recover(); r != nil {
						err = fmt.Errorf("panic: %v", r)
					}
				}()
				o, err = b.try(t, row, c.Issuer, mutant.message)
			}()
			if err != nil {
				// What the leader alone makes comes from no client and from no other node.
				if catalogue.CodeOf(err) == command.CodeInternal && !c.Type.LeaderOnly() {
					t.Errorf("%s: %v", what, err)
				}
				continue
			}
			if err := catalogue.CheckInvariants(o); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		b.do(t, row, c.Issuer, message)
	}
}
