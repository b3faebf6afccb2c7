package httpapi

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// pairError keeps the error of a pair.
func pairError[T any](_ T, err error) error { return err }

func TestObjectFields(t *testing.T) {
	o, err := parseObject([]byte(`{"s":"x","n":null,"t":true,"u":7,"neg":-1,"frac":1.5,"exp":1e3,"big":18446744073709551616,
		"max":18446744073709551615,"l":["a","b"],"mixed":["a",1],"hole":["a",null],"o":{"k":1},"dup":1,"dup":2}`))
	require.NoError(t, err)
	const bad, missing = command.CodeInvalidObject, command.CodeMissingKey
	str := func(key string) error { return pairError(o.requiredString(key)) }
	optStr := func(key string) error { return pairError(o.optionalString(key)) }
	optUint := func(key string) error { return pairError(o.optionalUint(key, 100, 5)) }
	optInt := func(key string) error { return pairError(o.optionalInt(key, 5)) }
	optBool := func(key string) error { return pairError(o.optionalBool(key, true)) }
	reqBool := func(key string) error { return pairError(o.requiredBool(key)) }
	texts := func(key string) error { return pairError(o.optionalStrings(key, 2)) }
	obj := func(key string) error { return pairError(o.optionalObject(key)) }
	for _, tt := range []struct {
		name string
		get  func(string) error
		key  string
		want command.Code
	}{
		{"string", str, "s", 0},
		{"strings?", texts, "hole", bad},
		{"string", str, "none", missing},
		{"string", str, "n", bad},
		{"string", str, "u", bad},
		{"string?", optStr, "none", 0},
		{"string?", optStr, "n", 0},
		{"string?", optStr, "t", bad},
		{"uint", optUint, "u", 0},
		{"uint", optUint, "none", 0},
		{"uint", optUint, "n", 0},
		{"uint", optUint, "neg", bad},
		{"uint", optUint, "frac", bad},
		{"uint", optUint, "exp", bad},
		{"uint", optUint, "big", bad},
		{"uint", optUint, "max", bad},
		{"uint", optUint, "s", bad},
		{"uint", optUint, "t", bad},
		{"uint", optUint, "l", bad},
		{"int", optInt, "neg", 0},
		{"int", optInt, "max", bad},
		{"int", optInt, "frac", bad},
		{"bool?", optBool, "t", 0},
		{"bool?", optBool, "none", 0},
		{"bool?", optBool, "u", bad},
		{"bool?", optBool, "s", bad},
		{"bool", reqBool, "t", 0},
		{"bool", reqBool, "none", missing},
		{"bool", reqBool, "n", bad},
		{"strings", texts, "l", 0},
		{"strings", texts, "none", 0},
		{"strings", texts, "mixed", bad},
		{"strings", texts, "s", bad},
		{"object", obj, "o", 0},
		{"object", obj, "n", 0},
		{"object", obj, "l", bad},
	} {
		got := tt.get(tt.key)
		if tt.want == command.CodeOK {
			require.NoError(t, got, "%s %s", tt.name, tt.key)
			continue
		}
		require.Equal(t, tt.want, codeOf(got), "%s %s: %v", tt.name, tt.key, got)
		require.ErrorContains(t, got, "'"+tt.key, "the message names the key")
	}
	u, err := o.optionalUint("u", 100, 5)
	require.NoError(t, err)
	require.EqualValues(t, 7, u)
	u, err = o.optionalUint("none", 100, 5)
	require.NoError(t, err)
	require.EqualValues(t, 5, u)
	u, err = o.optionalUint("dup", 100, 5)
	require.NoError(t, err)
	require.EqualValues(t, 2, u, "the last of two counts")
	require.Equal(t, "'none' not defined", str("none").Error())
}

func TestDecodeItems(t *testing.T) {
	type file struct {
		Name  *string `json:"name"`
		Bytes *uint64 `json:"bytes"`
		Meta  object  `json:"meta"`
	}
	files, err := decodeItems[file](json.RawMessage(` [{"name":"a","bytes":0},{"name":null},{"meta":{"k":[1]}}]`), "files", 3)
	require.NoError(t, err)
	require.Len(t, files, 3)
	require.Equal(t, "a", *files[0].Name)
	require.Zero(t, *files[0].Bytes)
	require.Nil(t, files[1].Name)
	require.JSONEq(t, "[1]", string(files[2].Meta["k"]))

	none, err := decodeItems[file](json.RawMessage(`[]`), "files", 3)
	require.NoError(t, err)
	require.Empty(t, none)

	for raw, want := range map[string]struct {
		code    command.Code
		message string
	}{
		`[{},{},{},{}]`:                    {command.CodeTooManyItems, "more than 3 items"},
		`{}`:                               {command.CodeInvalidObject, "must be a list"},
		`"abc"`:                            {command.CodeInvalidObject, "must be a list"},
		`null`:                             {command.CodeInvalidObject, "must be a list"},
		`[{},{"name":7}]`:                  {command.CodeInvalidObject, "'files[1].name' must be a string, not number"},
		`[{"bytes":-1}]`:                   {command.CodeInvalidObject, "an integer that is not negative, not number -1"},
		`[{"bytes":1.5}]`:                  {command.CodeInvalidObject, "files[0].bytes"},
		`[{"bytes":1e3}]`:                  {command.CodeInvalidObject, "files[0].bytes"},
		`[{"bytes":"1"}]`:                  {command.CodeInvalidObject, "files[0].bytes"},
		`[{"bytes":true}]`:                 {command.CodeInvalidObject, "files[0].bytes"},
		`[{"bytes":18446744073709551616}]`: {command.CodeInvalidObject, "files[0].bytes"},
		`[7]`:                              {command.CodeInvalidObject, "'files[0]' must be an object"},
		`["a"]`:                            {command.CodeInvalidObject, "'files[0]' must be an object"},
	} {
		_, err = decodeItems[file](json.RawMessage(raw), "files", 3)
		require.Equal(t, want.code, codeOf(err), "%s: %v", raw, err)
		require.Contains(t, err.Error(), want.message, raw)
	}
	_, err = requiredItems[file](object{}, "files", 3)
	require.Equal(t, command.CodeMissingKey, codeOf(err))
}

// Texts and objects are read as encoding/json reads them, and refused in the same words.
func TestFieldsAsByEncodingJSON(t *testing.T) {
	for _, raw := range []string{
		`"x"`, ` "x" `, `""`, `"\u0061\n\"\\/é"`, `"\ud800"`, `null`, `5`, `true`, `[]`, `["x"]`, `{}`, `{"a":1,"a":[ 2 ]}`, `{"a":null,"\u0062":{"c":{}}}`,
	} {
		o := object{"k": json.RawMessage(raw)}
		text, err := o.requiredString("k")
		wantText, wantErr := decodeField[string](o["k"], "k", "a string")
		require.Equal(t, wantErr, err, raw)
		require.Equal(t, wantText, text, raw)
		fields, err := o.optionalObject("k")
		wantFields, wantErr := optionalField[object](o, "k", "an object", nil)
		require.Equal(t, wantErr, err, raw)
		require.Equal(t, wantFields, fields, raw)
	}
}
