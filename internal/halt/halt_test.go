package halt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClassify(t *testing.T) {
	other := errors.New("other")
	for name, tt := range map[string]struct{ err, cause error }{
		"nothing":         {nil, nil},
		"another error":   {other, nil},
		"no space":        {&os.PathError{Op: "write", Path: "/d/raft.db", Err: syscall.ENOSPC}, ErrDiskFull},
		"quota":           {syscall.EDQUOT, ErrDiskFull},
		"no permission":   {fmt.Errorf("open: %w", fs.ErrPermission), ErrPermission},
		"not the owner":   {syscall.EPERM, ErrPermission},
		"read-only mount": {syscall.EROFS, ErrPermission},
		"classified":      {fmt.Errorf("%w: %w", ErrDiskFull, syscall.ENOSPC), ErrDiskFull},
	} {
		t.Run(name, func(t *testing.T) {
			got := Classify(tt.err)
			if tt.cause == nil {
				require.Equal(t, tt.err, got)
				return
			}
			require.ErrorIs(t, got, tt.cause)
			require.ErrorIs(t, got, tt.err)
			require.Equal(t, got, Classify(got), "once is enough")
			require.Equal(t, got, Damaged(ErrLogDamaged, tt.err), "the system's cause comes first")
		})
	}
	require.ErrorIs(t, Damaged(ErrLogDamaged, other), ErrLogDamaged)
	require.ErrorIs(t, Damaged(ErrLogDamaged, syscall.EIO), ErrLogDamaged)
	require.ErrorIs(t, Damaged(ErrLogDamaged, fs.ErrNotExist), ErrLogDamaged)
	require.NotErrorIs(t, Damaged(ErrLogDamaged, syscall.EMFILE), ErrLogDamaged)
	require.NoError(t, Damaged(ErrLogDamaged, nil))
}
