package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const headerToken = "X-Rucio-Auth-Token"

// pass is the header of every request with a token, and when the token is to be replaced.
type pass struct {
	header http.Header
	renew  time.Time
}

// passes keeps the pass of all clients. While one renews it the others go on with the old one.
type passes struct {
	user, password, account string
	mu                      sync.Mutex
	current                 atomic.Pointer[pass]
}

// header returns the header of the next request, which nobody may change.
func (p *passes) header(ctx context.Context, transport http.RoundTripper, target string) (http.Header, error) {
	now := p.current.Load()
	if now != nil && time.Now().Before(now.renew) {
		return now.header, nil
	}
	if now != nil && !p.mu.TryLock() {
		return now.header, nil
	}
	if now == nil {
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	if again := p.current.Load(); again != now { // somebody was faster
		return again.header, nil
	}
	fresh, err := p.logIn(ctx, transport, target)
	if err != nil {
		if now != nil { // it may still be good, and the next request tries again
			return now.header, nil
		}
		return nil, err
	}
	p.current.Store(fresh)
	return fresh.header, nil
}

func (p *passes) logIn(ctx context.Context, transport http.RoundTripper, target string) (*pass, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target+"/auth/userpass", nil)
	if err != nil {
		return nil, err
	}
	r.Header = http.Header{"X-Rucio-Account": {p.account}, "X-Rucio-Username": {p.user}, "X-Rucio-Password": {p.password}}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)); err != nil {
		return nil, err
	}
	token := answer.Header.Get(headerToken)
	if answer.StatusCode != http.StatusOK || token == "" {
		return nil, fmt.Errorf("log in at %s: %s: %w", target, answer.Status, errNoToken)
	}
	return &pass{
		header: http.Header{headerToken: {token}, "Content-Type": {"application/json"}, "User-Agent": {"dapple-bench"}},
		renew:  renewal(time.Now(), answer.Header.Get("X-Rucio-Auth-Token-Expires")),
	}, nil
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
