package fsm

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// How long a test waits for what is done in the background, and how often it looks.
const (
	waitLong = time.Minute
	waitStep = time.Millisecond
)

func TestViewIsConsistent(t *testing.T) {
	m := newMachine(t)
	apply(t, m, entry(t, 5, script(t, "put x 1", "put y 1")))
	v, err := m.View()
	require.NoError(t, err)
	apply(t, m, entry(t, 6, script(t, "put x 2", "delete y")))
	require.EqualValues(t, 5, v.Index())
	value, found, err := v.Get(scriptKey("x"))
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "1", string(value))
	require.Len(t, scanAll(t, v, scriptKey(""), nil), 2)
	_, found, err = v.Get(scriptKey("z"))
	require.NoError(t, err)
	require.False(t, found)
	require.NoError(t, v.Close())
	require.NoError(t, v.Close())
	_, _, err = v.Get(scriptKey("x"))
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, v.Scan(nil, nil, nil), ErrClosed)
}

func TestViewScansNest(t *testing.T) {
	m := newMachine(t)
	apply(t, m, entry(t, 1, script(t, "put a 1", "put b 2", "put c 3")))
	v, err := m.View()
	require.NoError(t, err)
	defer v.Close()
	var seen []string
	require.NoError(t, v.Scan(scriptKey(""), nil, func(outer, value []byte) (bool, error) {
		return true, v.Scan(outer, nil, func(inner, _ []byte) (bool, error) {
			got, _, err := v.Get(inner)
			seen = append(seen, fmt.Sprintf("%s%s=%s", outer[1:], inner[1:], got))
			require.Equal(t, fmt.Sprint(outer[1]-'a'+1), string(value), "stays valid while the visit runs")
			return true, err
		})
	}))
	require.Equal(t, []string{"aa=1", "ab=2", "ac=3", "bb=2", "bc=3", "cc=3"}, seen)
}

func TestCloseWaitsForViewsAndEndsTheirScans(t *testing.T) {
	m := newMachine(t)
	apply(t, m, entry(t, 1, script(t, "put a 1", "put b 2")))
	v, err := m.View()
	require.NoError(t, err)
	closed := make(chan error, 1)
	err = v.Scan(scriptKey(""), nil, func(_, _ []byte) (bool, error) {
		go func() { closed <- m.Close() }()
		for !m.stores.closing.Load() {
			runtime.Gosched()
		}
		return true, nil
	})
	require.ErrorIs(t, err, ErrClosed)
	_, err = m.View()
	require.ErrorIs(t, err, ErrClosed)
	require.Empty(t, closed, "the store is open as long as the view is")
	require.NoError(t, v.Close())
	require.NoError(t, <-closed)
	require.ErrorIs(t, m.Apply(entry(t, 2)).(error), ErrClosed)
	require.ErrorIs(t, m.WaitApplied(context.Background(), 9), ErrClosed)
	require.NoError(t, m.WaitApplied(context.Background(), 1), "what has been applied stays so")
	_, err = m.Members()
	require.ErrorIs(t, err, ErrClosed)
	require.NoError(t, m.Err(), "to be closed is no failure")
}

// TestReadersBesideWritesAndInstalls lets readers check an invariant that each entry keeps, while entries are applied and
// snapshots installed.
func TestReadersBesideWritesAndInstalls(t *testing.T) {
	source := newMachine(t)
	m := newMachine(t)
	set := func(i uint64) string { return fmt.Sprintf("put x %d\nput y %d", i, i) }
	apply(t, m, configuration(1, "a"), entry(t, 2, script(t, set(2))))
	apply(t, source, configuration(1, "a"))
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				v, err := m.View()
				if err != nil {
					t.Error(err)
					return
				}
				all := scanAll(t, v, scriptKey("x"), nil)
				if len(all) != 2 || all[0].value != all[1].value || all[0].value != fmt.Sprint(v.Index()) {
					t.Errorf("at index %d: %v", v.Index(), all)
				}
				_ = v.Close()
			}
		})
	}
	for i := uint64(3); i < 120; i++ {
		if i%20 != 0 {
			apply(t, m, entry(t, i, script(t, set(i))))
			continue
		}
		apply(t, source, entry(t, i, script(t, set(i))))
		takeSnapshot(t, source)
		meta, b := stream(t, source)
		require.NoError(t, install(m, meta, b))
	}
	close(stop)
	readers.Wait()
}

func TestWaiters(t *testing.T) {
	m := newMachine(t)
	var done sync.WaitGroup
	for i := uint64(1); i <= 20; i++ {
		done.Go(func() {
			if err := m.WaitApplied(within(t), i); err != nil || m.AppliedIndex() < i {
				t.Errorf("index %d: %v", i, err)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan error, 1)
	go func() { gone <- m.WaitApplied(ctx, 10) }()
	cancel()
	require.ErrorIs(t, <-gone, context.Canceled)
	for i := uint64(1); i <= 20; i++ {
		apply(t, m, entry(t, i))
	}
	done.Wait()
	m.waiters.mu.Lock()
	require.Empty(t, m.waiters.heap, "nobody is left behind")
	m.waiters.mu.Unlock()

	late := make(chan error, 1)
	go func() { late <- m.WaitApplied(context.Background(), 99) }()
	require.Eventually(t, func() bool {
		m.waiters.mu.Lock()
		defer m.waiters.mu.Unlock()
		return len(m.waiters.heap) == 1
	}, waitLong, waitStep)
	require.NoError(t, m.Close())
	require.ErrorIs(t, <-late, ErrClosed)
}

func TestInstallWakesWaiters(t *testing.T) {
	source, _ := filled(t, vfs.NewMem(), 21, 20)
	meta, b := stream(t, source)
	m := newMachine(t)
	woken := make(chan error, 1)
	go func() { woken <- m.WaitApplied(within(t), meta.Index) }()
	require.NoError(t, install(m, meta, b))
	require.NoError(t, <-woken)
}
