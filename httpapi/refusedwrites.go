package httpapi

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"dapple/command"
)

const (
	// refusedBurst is how many writes in a row an account may have refused for lack of permission before the limit engages.
	// A higher value spares a client that tries a long list of names, and lets a hostile one add more to the log.
	refusedBurst = 100
	// refusedInterval is how often such an account may try again.
	refusedInterval = time.Second
	// refusedAccounts bounds how many accounts are remembered; the least recently refused are forgotten.
	refusedAccounts = 4096
)

// refusedWrites bounds how many entries of the log an account causes that change nothing, because it may not do what it
// asks for. Only apply decides on permission, so each such write is an entry. A write that succeeds ends the limit.
// It is safe for concurrent use.
type refusedWrites struct {
	now func() time.Time

	mu   sync.Mutex
	seen *lru.Cache[string, *rate.Limiter]
}

func newRefusedWrites() (*refusedWrites, error) {
	seen, err := lru.New[string, *rate.Limiter](refusedAccounts)
	return &refusedWrites{now: time.Now, seen: seen}, err
}

// admit returns a limitError if the account's writes have been refused too often.
func (r *refusedWrites) admit(account string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, found := r.seen.Peek(account)
	if !found {
		return nil
	}
	left := known.TokensAt(r.now())
	if left >= 1 {
		return nil
	}
	after := time.Duration((1 - left) * float64(refusedInterval))
	return overLimit(limitRefused, after, "too many writes of account %s in a row were refused for lack of permission; try again later", account)
}

// settle takes the outcome of a write into account.
func (r *refusedWrites) settle(account string, code command.Code) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, found := r.seen.Get(account)
	switch {
	case code == command.CodeOK && found:
		r.seen.Remove(account)
	case code != command.CodeAccessDenied:
	case !found:
		known = rate.NewLimiter(rate.Every(refusedInterval), refusedBurst)
		r.seen.Add(account, known)
		fallthrough
	default:
		known.ReserveN(r.now(), 1)
	}
}
