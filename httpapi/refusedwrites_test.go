package httpapi

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// Writes that an account may not do end before they reach the log, and a write of another account goes on.
func TestRefusedWritesDoNotFillTheLog(t *testing.T) {
	ts := newReplicaServer(t)
	now := time.Now()
	ts.refusedWrites.now = func() time.Time { return now }
	write := func(account string) answer { return ts.do("POST", "/rses/NEW", `{}`, as(account)) }
	for range refusedBurst {
		write("joe").want(t, 401, "AccessDenied")
	}
	last := ts.store.AppliedIndex()
	for range 20 {
		got := write("joe").want(t, 503, "ResourceTemporaryUnavailable")
		require.Equal(t, "1", got.Header().Get("Retry-After"))
	}
	require.Equal(t, last, ts.store.AppliedIndex(), "nothing was proposed")
	require.EqualValues(t, 20, counterValue(t, ts.registry, "dapple_http_limit_refusals_total", "limit", "refused_writes"))
	write("root").want(t, 201, "")
	now = now.Add(refusedInterval)
	write("joe").want(t, 401, "AccessDenied")
	write("joe").want(t, 503, "ResourceTemporaryUnavailable")
}

// A write that succeeds ends the limit, and other refusals do not count.
func TestRefusedWritesAreForgotten(t *testing.T) {
	r, err := newRefusedWrites()
	require.NoError(t, err)
	for range 3 * refusedBurst {
		r.settle("joe", command.CodeDIDExists)
		require.NoError(t, r.admit("joe"))
	}
	for range refusedBurst {
		r.settle("joe", command.CodeAccessDenied)
	}
	require.Error(t, r.admit("joe"))
	r.settle("joe", command.CodeOK)
	require.NoError(t, r.admit("joe"))
}
