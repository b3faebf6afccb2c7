package command

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Numbers are stored in logs for ever: the golden file may only gain lines.
func TestCommandNumbersAreFrozen(t *testing.T) {
	golden, err := os.ReadFile("testdata/types.golden")
	require.NoError(t, err)
	var got strings.Builder
	for _, number := range Types() {
		require.True(t, number.Known())
		got.WriteString(strconv.Itoa(int(number)) + " " + number.String() + "\n")
	}
	require.Equal(t, string(golden), got.String())
	require.False(t, Type(9999).Known())
	require.Equal(t, "command(9999)", Type(9999).String())
}
