package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	headerToken  = "X-Rucio-Auth-Token"
	logInTimeout = 60 * time.Second
)

// pass is a token, and when it is to be replaced.
type pass struct {
	token string
	renew time.Time
}

// passes keeps the pass of all clients. While one renews it the others go on with the old one.
type passes struct {
	user, password, account string
	mu                      sync.Mutex
	current                 atomic.Pointer[pass]
}

// preparing returns what gives the requests of one client a token which is good.
func (p *passes) preparing(target string) func(context.Context, *fasthttp.RequestHeader) error {
	var last *pass
	return func(ctx context.Context, header *fasthttp.RequestHeader) error {
		current, err := p.get(ctx, target)
		if err == nil && current != last {
			last = current
			header.Set(headerToken, current.token)
		}
		return err
	}
}

// get returns the pass of the next request, after logging in at the target where it is to be replaced.
func (p *passes) get(ctx context.Context, target string) (*pass, error) {
	now := p.current.Load()
	if now != nil && time.Now().Before(now.renew) {
		return now, nil
	}
	if now != nil && !p.mu.TryLock() {
		return now, nil
	}
	if now == nil {
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	if again := p.current.Load(); again != now { // somebody was faster
		return again, nil
	}
	fresh, err := p.logIn(ctx, target)
	if err != nil {
		if now != nil { // it may still be good, and the next request tries again
			return now, nil
		}
		return nil, err
	}
	p.current.Store(fresh)
	return fresh, nil
}

func (p *passes) logIn(ctx context.Context, target string) (*pass, error) {
	ctx, cancel := context.WithTimeout(ctx, logInTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target+"/auth/userpass", nil)
	if err != nil {
		return nil, err
	}
	r.Header = http.Header{"X-Rucio-Account": {p.account}, "X-Rucio-Username": {p.user}, "X-Rucio-Password": {p.password}}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	token := answer.Header.Get(headerToken)
	if answer.StatusCode != http.StatusOK || token == "" {
		return nil, fmt.Errorf("log in at %s: %s: %w", target, answer.Status, errNoToken)
	}
	return &pass{token: token, renew: renewal(time.Now(), answer.Header.Get("X-Rucio-Auth-Token-Expires"))}, nil
}

var errNoToken = errors.New("no token")

// renewal returns when to replace a token: a minute before its end, or after half of a short life. One whose end is not known
// is taken to live ten minutes.
func renewal(now time.Time, expires string) time.Time {
	ends, err := time.Parse("Mon, 02 Jan 2006 15:04:05 UTC", expires)
	if err != nil {
		return now.Add(10 * time.Minute)
	}
	life := ends.Sub(now)
	return ends.Add(-min(time.Minute, life/2))
}
