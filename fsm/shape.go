package fsm

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxShapeDepth is how deep messages may be in one another for shape.fits to look at them. Those of the commands are four deep.
const maxShapeDepth = 16

// shape is what the encoding of a message must look like. It finds malformed encodings without decoding them: the leader
// looks at every command that it takes in, and a bulk command has thousands of messages.
type shape struct {
	fields []fieldShape // by number; what no field has is of kind none
}

// fieldShape is one field of a shape.
type fieldShape struct {
	kind    fieldKind
	wire    protowire.Type
	message *shape // of kind message
}

type fieldKind uint8

const (
	kindNone fieldKind = iota
	kindScalar
	kindText
	kindBytes
	kindMessage
	kindPacked // varints one after the other
)

// shapes makes the shape of each message once.
type shapes map[protoreflect.FullName]*shape

// of returns the shape of a message.
func (all shapes) of(message protoreflect.MessageDescriptor) *shape {
	if s := all[message.FullName()]; s != nil {
		return s
	}
	s := &shape{}
	all[message.FullName()] = s
	fields := message.Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if number := int(field.Number()); number >= len(s.fields) {
			s.fields = append(s.fields, make([]fieldShape, number+1-len(s.fields))...)
		}
		s.fields[field.Number()] = all.field(field)
	}
	return s
}

func (all shapes) field(field protoreflect.FieldDescriptor) fieldShape {
	switch kind := field.Kind(); kind {
	case protoreflect.MessageKind:
		return fieldShape{kind: kindMessage, wire: protowire.BytesType, message: all.of(field.Message())}
	case protoreflect.StringKind:
		return fieldShape{kind: kindText, wire: protowire.BytesType}
	case protoreflect.BytesKind:
		return fieldShape{kind: kindBytes, wire: protowire.BytesType}
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return numbers(field, protowire.Fixed32Type)
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return numbers(field, protowire.Fixed64Type)
	case protoreflect.GroupKind:
		return fieldShape{} // left to the decoder
	default:
		return numbers(field, protowire.VarintType)
	}
}

func numbers(field protoreflect.FieldDescriptor, wire protowire.Type) fieldShape {
	switch {
	case !field.IsPacked():
		return fieldShape{kind: kindScalar, wire: wire}
	case wire == protowire.VarintType:
		return fieldShape{kind: kindPacked, wire: protowire.BytesType}
	default:
		return fieldShape{} // left to the decoder
	}
}

// fits reports whether b surely is an encoding of the message, with no field that this program does not know, at any depth.
// Where it returns false the decoder is to be asked: some encodings that no program makes are valid too.
func (s *shape) fits(b []byte, depth int) bool {
	if depth > maxShapeDepth {
		return false
	}
	for len(b) > 0 {
		tag, n := varint(b)
		if n < 0 || tag>>3 >= uint64(len(s.fields)) {
			return false
		}
		f := &s.fields[tag>>3]
		if f.kind == kindNone || protowire.Type(tag&7) != f.wire {
			return false
		}
		if b = b[n:]; f.wire != protowire.BytesType {
			if f.wire == protowire.VarintType {
				_, n = varint(b)
			} else {
				n = protowire.ConsumeFieldValue(protowire.Number(tag>>3), f.wire, b)
			}
			if n < 0 {
				return false
			}
			b = b[n:]
			continue
		}
		size, n := varint(b)
		if n < 0 || size > uint64(len(b)-n) {
			return false
		}
		value := b[n : n+int(size)]
		if !f.holds(value, depth) {
			return false
		}
		b = b[n+int(size):]
	}
	return true
}

// varint reads a varint as protowire does. Most are a single byte.
func varint(b []byte) (uint64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return protowire.ConsumeVarint(b)
}

// holds reports whether a value of bytes is one of the field.
func (f *fieldShape) holds(value []byte, depth int) bool {
	switch f.kind {
	case kindText:
		return utf8.Valid(value)
	case kindMessage:
		return f.message.fits(value, depth+1)
	case kindPacked:
		for len(value) > 0 {
			_, n := protowire.ConsumeVarint(value)
			if n < 0 {
				return false
			}
			value = value[n:]
		}
	}
	return true
}
