package httpapi

import (
	"crypto/sha256"
	"math"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"dapple/catalogue"
	"dapple/command"
)

// loginLimit slows down who guesses: of each source, and of each identity from each source, only so many attempts may fail in a
// row, and then one in an interval. Attempts that succeed cost nothing. An identity is not limited alone, or a stranger could
// lock its owner out.
type loginLimit struct {
	burst    int
	interval time.Duration
	now      func() time.Time
	failures *lru.Cache[string, *rate.Limiter]
}

// loginKeys bounds how many sources and pairs are remembered; those that failed longest ago are forgotten first.
const loginKeys = 65536

// sourceShare is how many more failures a source may have than one identity from it: many users may share an address.
const sourceShare = 4

func newLoginLimit(burst int, interval time.Duration) (*loginLimit, error) {
	failures, err := lru.New[string, *rate.Limiter](loginKeys)
	return &loginLimit{burst: burst, interval: interval, now: time.Now, failures: failures}, err
}

// keys are what an attempt counts for, with how many failures in a row each may have.
func (l *loginLimit) keys(source, identity string) map[string]int {
	digest := sha256.Sum256([]byte(identity)) // a name may be long
	return map[string]int{source: sourceShare * l.burst, source + string(digest[:]): l.burst}
}

// check returns CodeOverloaded where too many attempts have failed.
func (l *loginLimit) check(source, identity string) error {
	for key := range l.keys(source, identity) {
		if limiter, found := l.failures.Get(key); found && limiter.TokensAt(l.now()) < 1 {
			return catalogue.Errorf(command.CodeOverloaded, "too many failed logins; try again in %d seconds", l.retryAfter())
		}
	}
	return nil
}

// retryAfter is when the next attempt may be made, in seconds.
func (l *loginLimit) retryAfter() int { return int(math.Ceil(l.interval.Seconds())) }

// failed counts a failure.
func (l *loginLimit) failed(source, identity string) {
	for key, burst := range l.keys(source, identity) {
		limiter, found := l.failures.Get(key)
		if !found {
			fresh := rate.NewLimiter(rate.Every(l.interval), burst)
			if limiter, found, _ = l.failures.PeekOrAdd(key, fresh); !found {
				limiter = fresh
			}
		}
		limiter.AllowN(l.now(), 1)
	}
}
