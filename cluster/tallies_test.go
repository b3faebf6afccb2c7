package cluster

import (
	"fmt"
	"sync/atomic"
	"testing"
)

// tallies count what was done and what failed at each node, so that a test can wait for the effect of a fault.
type tallies map[string]*tally

type tally struct{ done, failed atomic.Int64 }

func newTallies(names []string) tallies {
	all := tallies{}
	for _, name := range names {
		all[name] = &tally{}
	}
	return all
}

func (a tallies) sum() (done, failed int64) {
	for _, t := range a {
		done += t.done.Load()
		failed += t.failed.Load()
	}
	return done, failed
}

// String says how many were done and failed.
func (a tallies) String() string {
	done, failed := a.sum()
	return fmt.Sprintf("%d done, %d failed", done, failed)
}

// awaitDone waits until so many more are done at any nodes.
func (a tallies) awaitDone(t testing.TB, more int64) {
	t.Helper()
	before, _ := a.sum()
	eventually(t, func() bool {
		done, _ := a.sum()
		return done >= before+more
	}, "nothing is done: %s", a)
}

// awaitDoneAt waits until one more is done at a node.
func (a tallies) awaitDoneAt(t testing.TB, name string) {
	t.Helper()
	before := a[name].done.Load()
	eventually(t, func() bool { return a[name].done.Load() > before }, "nothing is done at %s: %s", name, a)
}

// awaitFailure waits until one more fails at a node.
func (a tallies) awaitFailure(t testing.TB, name string) {
	t.Helper()
	before := a[name].failed.Load()
	eventually(t, func() bool { return a[name].failed.Load() > before }, "nothing fails at %s: %s", name, a)
}
