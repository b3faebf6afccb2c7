package environ

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDapple(t *testing.T) {
	t.Setenv("DAPPLE_LONG", "1")
	t.Setenv("OTHER_DAPPLE_LONG", "1")
	got := Dapple("DAPPLE_ROOT_USER=root")
	require.Contains(t, got, "DAPPLE_ROOT_USER=root")
	require.Contains(t, got, "OTHER_DAPPLE_LONG=1")
	require.False(t, slices.ContainsFunc(got, func(entry string) bool { return strings.HasPrefix(entry, "DAPPLE_LONG=") }))
}
