package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// memoTx is a store of settled records that do not change while it has its Memo.
type memoTx struct {
	*MemTx
	memo Memo
}

func (m *memoTx) Memo() *Memo { return &m.memo }

// What one client asks for in an odd way must not decide what others are shown.
func TestMemoTellsQueriesApart(t *testing.T) {
	s := newListStore(t)
	v := &memoTx{MemTx: s.tx}
	shown := func(schemes ...string) (pfns []string) {
		list, err := NewReplicaList(v, ReplicaQuery{DIDs: named("f3"), Schemes: schemes, Domain: DomainWAN})
		require.NoError(t, err)
		require.NoError(t, list.Each(func(f *ListedFile) (bool, error) {
			for _, p := range f.PFNs {
				pfns = append(pfns, p.PFN)
			}
			return true, nil
		}))
		return pfns
	}
	for range 2 {
		require.Empty(t, shown(""))
		require.Empty(t, shown("root,davs"))
		require.NotEmpty(t, shown("root", "davs"))
		require.NotEmpty(t, shown())
	}
	require.NotEmpty(t, v.memo.listed)
}
