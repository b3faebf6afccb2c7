package catalogue

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestFieldEnds compares the places where a field may end with those that trying each place finds.
func TestFieldEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.StringMatching(`[ab/]{1,20}`).Draw(t, "path")
		literal := rapid.StringMatching(`[ab/]{0,3}`).Draw(t, "literal")
		m := &pathMatch{template: &pathTemplate{pieces: []pathPiece{{field: fieldOfName}, {literal: literal}}}, path: path}
		var got, want []int
		for end := 1; end <= len(path); end++ {
			if end == len(path) || strings.HasPrefix(path[end:], literal) {
				want = append(want, end)
			}
		}
		for end := 1; end <= len(path); end++ {
			end = m.fieldEnd(1, end)
			got = append(got, end)
		}
		require.Equal(t, want, got)
		require.Equal(t, len(path), m.fieldEnd(2, 1), "the last field has one end")
	})
}
