package fsm

import (
	"container/heap"
	"context"
	"sync"
)

// waiters are the goroutines that wait for an index. Reaching an index costs nothing where nobody waits for it, and wakes
// only those who do.
type waiters struct {
	mu      sync.Mutex
	heap    waitHeap
	reached uint64
	err     error // once set, every wait returns it
}

type waiter struct {
	index uint64
	place int // in the heap; -1 once woken
	done  chan error
}

// wait blocks until reach was called with index or more.
func (w *waiters) wait(ctx context.Context, index uint64) error {
	w.mu.Lock()
	switch {
	case w.reached >= index:
		w.mu.Unlock()
		return nil
	case w.err != nil:
		defer w.mu.Unlock()
		return w.err
	}
	self := &waiter{index: index, done: make(chan error, 1)}
	heap.Push(&w.heap, self)
	w.mu.Unlock()

	select {
	case err := <-self.done:
		return err
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if self.place < 0 {
		return <-self.done // it was woken in the meantime
	}
	heap.Remove(&w.heap, self.place)
	return ctx.Err()
}

// reach wakes everybody who waits for index or less.
func (w *waiters) reach(index uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reached = index
	for len(w.heap) > 0 && w.heap[0].index <= index {
		w.pop().done <- nil
	}
}

// fail wakes everybody with err and lets nobody wait any more. The first error stays.
func (w *waiters) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	for len(w.heap) > 0 {
		w.pop().done <- w.err
	}
}

func (w *waiters) pop() *waiter { return heap.Pop(&w.heap).(*waiter) }

// waitHeap is ordered by index; each waiter knows its place, so that one that gives up is removed.
type waitHeap []*waiter

func (h waitHeap) Len() int           { return len(h) }
func (h waitHeap) Less(i, j int) bool { return h[i].index < h[j].index }
func (h waitHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements heap.Interface.
func (h *waitHeap) Push(x any) {
	w := x.(*waiter)
	w.place = len(*h)
	*h = append(*h, w)
}

// Pop implements heap.Interface.
func (h *waitHeap) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	w.place = -1
	return w
}
