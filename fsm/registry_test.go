package fsm

import (
	"bufio"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"dapple/command"
)

var update = flag.Bool("update", false, "append the commands that the golden file does not have yet")

const goldenFile = "testdata/commands.golden"

func TestEveryCommandHasARow(t *testing.T) {
	rows := registered(nil)
	var missing []string
	for _, number := range command.Types() {
		if rows[number] == nil {
			missing = append(missing, number.String())
		}
	}
	require.Empty(t, missing, "commands without a row in the registry")
	require.Len(t, rows, len(registry), "a number stands twice")
	require.Len(t, registry, len(command.Types()), "a row is no command")
	for i := 1; i < len(registry); i++ {
		require.Less(t, registry[i-1].number, registry[i].number, "rows are in the order of the numbers")
	}
}

// TestGoldenCommands pins number, name and the bytes of an entry with a command whose every field is set. A line that
// differs means that old logs would be read differently: make a new number instead of changing the line. A new command
// is added with: go test ./fsm -run TestGoldenCommands -update.
func TestGoldenCommands(t *testing.T) {
	golden := readGolden(t)
	var added []string
	for i := range registry {
		row := &registry[i]
		line := fmt.Sprintf("%d %s %s", row.number, row.number, hex.EncodeToString(sampleEntry(t, row)))
		pinned, ok := golden[row.number]
		if !ok && *update {
			added = append(added, line)
			continue
		}
		require.True(t, ok, "%s is not in %s", row.number, goldenFile)
		require.Equal(t, pinned, line)

		data, err := hex.DecodeString(strings.Fields(pinned)[2])
		require.NoError(t, err)
		decoded, err := command.DecodeEntry(data)
		require.NoError(t, err)
		require.Len(t, decoded.Commands, 1)
		message := row.message()
		require.NoError(t, proto.Unmarshal(decoded.Commands[0].Payload, message))
		require.True(t, proto.Equal(sample(row), message))
		delete(golden, row.number)
	}
	if len(added) > 0 {
		f, err := os.OpenFile(goldenFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		require.NoError(t, err)
		_, err = f.WriteString(strings.Join(added, "\n") + "\n")
		require.NoError(t, err)
		require.NoError(t, f.Close())
		return
	}
	require.Empty(t, golden, "commands that are gone: old logs hold them")
}

func readGolden(t *testing.T) map[command.Type]string {
	t.Helper()
	golden := map[command.Type]string{}
	f, err := os.Open(goldenFile)
	if os.IsNotExist(err) && *update {
		return golden
	}
	require.NoError(t, err)
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var number command.Type
		_, err := fmt.Sscan(s.Text(), &number)
		require.NoError(t, err)
		require.NotContains(t, golden, number)
		golden[number] = s.Text()
	}
	return golden
}

func sampleEntry(t *testing.T, r *row) []byte {
	t.Helper()
	data, err := command.EncodeEntry(command.Entry{Time: 1700000000000000, Commands: []command.Command{{
		Type: r.number, Session: sessionID(7), Seq: 300, Lowest: 299, Issuer: "root", Payload: payload(t, sample(r)),
	}}})
	require.NoError(t, err)
	return data
}

// sample returns the row's message with every field set to something that tells it from the others.
func sample(r *row) proto.Message {
	m := r.message()
	fill(m.ProtoReflect(), 3)
	return m
}

// addedLater are fields that came after their message's line was pinned: entries of before lack them, and must be read on.
var addedLater = map[protoreflect.FullName]bool{
	"dapple.command.Genesis.schema": true, "dapple.command.Genesis.features": true, "dapple.command.Genesis.settings": true,
	"dapple.command.RSESettings.lfn2pfn_algorithm": true,
}

func fill(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Kind() == protoreflect.MessageKind && depth == 0 || addedLater[f.FullName()] {
			continue
		}
		switch {
		case f.IsMap():
			value := m.NewField(f)
			element := value.Map().NewValue()
			if f.MapValue().Kind() == protoreflect.MessageKind {
				fill(element.Message(), depth-1)
			} else {
				element = scalar(f.MapValue())
			}
			value.Map().Set(scalar(f.MapKey()).MapKey(), element)
			m.Set(f, value)
		case f.IsList():
			value := m.NewField(f)
			element := value.List().NewElement()
			if f.Kind() == protoreflect.MessageKind {
				fill(element.Message(), depth-1)
			} else {
				element = scalar(f)
			}
			value.List().Append(element)
			m.Set(f, value)
		case f.Kind() == protoreflect.MessageKind:
			fill(m.Mutable(f).Message(), depth-1)
		default:
			m.Set(f, scalar(f))
		}
	}
}

func scalar(f protoreflect.FieldDescriptor) protoreflect.Value {
	n := 40 + int(f.Number())
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(string(f.Name()))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{byte(n), 0})
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(f.Enum().Values().Get(f.Enum().Values().Len() - 1).Number())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(-n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(-n))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(n))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(n) / 8)
	default:
		return protoreflect.ValueOfFloat64(float64(n) / 8)
	}
}
