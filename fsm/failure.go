package fsm

import (
	"fmt"
	"sync"
)

// failure is the latch: the first error stays, and everybody who waits for something is woken by it.
type failure struct {
	mu      sync.Mutex
	err     error
	reached chan struct{} // closed by the first latch
	tell    func(error)
	wake    func(error)
}

// latch keeps err where nothing was latched before and reports whether it did.
func (f *failure) latch(err error) bool {
	f.mu.Lock()
	if f.err != nil {
		f.mu.Unlock()
		return false
	}
	f.err = fmt.Errorf("%w: %w", ErrFailed, err)
	err = f.err
	close(f.reached)
	f.mu.Unlock()
	f.wake(err)
	if f.tell != nil {
		go f.tell(err) // the owner's function: it may close the machine, so the machine does not wait for it
	}
	return true
}

func (f *failure) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
