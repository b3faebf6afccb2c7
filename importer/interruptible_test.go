package importer

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// All that a source says is read, however it says it.
func TestInterruptibleReads(t *testing.T) {
	text := strings.Repeat("some text ", readSize/4)
	broken := errors.New("broken")
	for name, source := range map[string]io.Reader{
		"plain":              strings.NewReader(text),
		"halves":             iotest.HalfReader(strings.NewReader(text)),
		"error with the end": iotest.DataErrReader(strings.NewReader(text)),
		"breaks":             io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := io.ReadAll(iotest.HalfReader(newInterruptible(t.Context(), source)))
			require.Equal(t, text, string(got))
			if name == "breaks" {
				require.ErrorIs(t, err, broken)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

// The end of the context ends a read that waits, and all later ones.
func TestInterruptibleEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := newInterruptible(ctx, io.MultiReader(strings.NewReader("text"), idle{t.Context(), cancel}))
	got, err := io.ReadAll(r)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "text", string(got))
	n, err := r.Read(make([]byte, 1))
	require.Zero(t, n)
	require.ErrorIs(t, err, context.Canceled)
}
