package httpapi

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// loginLimit slows down clients that guess passwords. Each user from each source may fail burst times in a row, and then once per
// interval. After sourceShare times as many failures of a source, whoever they were for, every user from it may fail once per
// interval: other users behind the same address can still log in. Attempts that succeed cost nothing. A user is not limited
// without the source, or a stranger could lock the owner out.
//
// An attempt is reserved before its password is checked and settled afterwards, so that attempts at the same time count as those
// one after the other. If the rest of the allowance is reserved, an attempt waits until those before it are settled.
type loginLimit struct {
	burst    int
	interval time.Duration
	queue    int // attempts for one user from one source that may wait
	now      func() time.Time

	mu   sync.Mutex
	seen *lru.Cache[string, *attempts]
}

// attempts are those of one source, or for one user from it.
type attempts struct {
	failures *rate.Limiter // a token less for each failure
	open     int           // attempts that are reserved and not settled
	waiting  int
	settled  chan struct{} // closed when the next attempt is settled
}

// loginKeys bounds how many sources and users from them are remembered. If there are more, the least recently seen are forgotten.
const loginKeys = 65536

// sourceShare is how many times the failures of one user all users from a source may have before the limit gets strict.
const sourceShare = 4

func newLoginLimit(burst int, interval time.Duration, queue int) (*loginLimit, error) {
	seen, err := lru.New[string, *attempts](loginKeys)
	return &loginLimit{burst: burst, interval: interval, queue: queue, now: time.Now, seen: seen}, err
}

// reserve returns a function that settles the attempt and must be called, or a limitError if too many attempts have failed. It waits
// within the context if the outcome of others decides.
func (l *loginLimit) reserve(ctx context.Context, source, user string) (settle func(failed bool), err error) {
	digest := sha256.Sum256([]byte(user)) // a name may be long
	pairKey := source + string(digest[:])
	for {
		l.mu.Lock()
		all, pair := l.attempts(source, sourceShare*l.burst), l.attempts(pairKey, l.burst)
		missing, wait := l.lacks(all, pair)
		if missing > 0 || wait && pair.waiting >= l.queue {
			l.forget(source, all)
			l.forget(pairKey, pair)
			l.mu.Unlock()
			after := time.Duration(max(missing, 0) * float64(l.interval))
			return nil, overLimit(limitLogin, after, "too many failed logins; try again in %s", max(after, time.Second).Round(time.Second))
		}
		if !wait {
			all.open++
			pair.open++
			l.mu.Unlock()
			return func(failed bool) { l.settle(map[string]*attempts{source: all, pairKey: pair}, failed) }, nil
		}
		settled := pair.settled
		pair.waiting++
		l.mu.Unlock()
		select {
		case <-settled:
		case <-ctx.Done():
			err = overLimit(limitLogin, 0, "other logins of this user are being checked; try again later")
		}
		l.mu.Lock()
		pair.waiting--
		l.mu.Unlock()
		if err != nil {
			return nil, err
		}
	}
}

// lacks returns how many failures must be forgotten before an attempt may be made, 0 or less for none; wait is set if those that
// are open may be as many.
func (l *loginLimit) lacks(all, pair *attempts) (missing float64, wait bool) {
	now, need := l.now(), 1.0
	if all.failures.TokensAt(now)-float64(all.open) < 1 {
		need = float64(l.burst)
	}
	left := pair.failures.TokensAt(now)
	return need - left, left-float64(pair.open) < need
}

// attempts finds those of a key. The caller holds the lock.
func (l *loginLimit) attempts(key string, burst int) *attempts {
	known, found := l.seen.Get(key)
	if !found {
		known = &attempts{failures: rate.NewLimiter(rate.Every(l.interval), burst), settled: make(chan struct{})}
		l.seen.Add(key, known)
	}
	return known
}

// settle ends an attempt.
func (l *loginLimit) settle(counted map[string]*attempts, failed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, a := range counted {
		a.open--
		if failed {
			a.failures.AllowN(l.now(), 1)
			l.seen.Add(key, a) // it may have been forgotten meanwhile
		}
		close(a.settled)
		a.settled = make(chan struct{})
		l.forget(key, a)
	}
}

// forget drops attempts that say nothing. The caller holds the lock.
func (l *loginLimit) forget(key string, a *attempts) {
	if a.open == 0 && a.waiting == 0 && a.failures.TokensAt(l.now()) >= float64(a.failures.Burst()) {
		l.seen.Remove(key)
	}
}
