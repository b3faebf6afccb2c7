package httpapi

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func TestListedSchemes(t *testing.T) {
	for raw, want := range map[string][]string{
		`null`:            nil,
		`""`:              nil,
		`[]`:              {},
		`"root"`:          {"root"},
		`"root,davs"`:     {"root", "davs"},
		`["root","davs"]`: {"root", "davs"},
	} {
		got, err := listedSchemes(object{"schemes": json.RawMessage(raw)}, 2)
		require.NoError(t, err, raw)
		require.Equal(t, want, got, raw)
	}
	for raw, want := range map[string]command.Code{
		`7`: command.CodeInvalidObject, `{}`: command.CodeInvalidObject, `[1]`: command.CodeInvalidObject,
		`[null]`: command.CodeInvalidObject, `["a","b","c"]`: command.CodeTooManyItems,
	} {
		_, err := listedSchemes(object{"schemes": json.RawMessage(raw)}, 2)
		require.Equal(t, want, codeOf(err), raw)
	}
}
