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

const headerToken = "X-Rucio-Auth-Token"

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

// get returns the pass of the next request. Where it is to be replaced the sender, which has no request under way, logs in.
func (p *passes) get(ctx context.Context, s *sender) (*pass, error) {
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
	fresh, err := p.logIn(ctx, s)
	if err != nil {
		if now != nil { // it may still be good, and the next request tries again
			return now, nil
		}
		return nil, err
	}
	p.current.Store(fresh)
	return fresh, nil
}

func (p *passes) logIn(ctx context.Context, s *sender) (*pass, error) {
	var out fasthttp.Request
	s.out.Header.CopyTo(&out.Header)
	out.Header.SetMethod(http.MethodGet)
	out.Header.SetRequestURI(s.prefix + "/auth/userpass")
	out.Header.Del(headerToken)
	out.Header.Set("X-Rucio-Account", p.account)
	out.Header.Set("X-Rucio-Username", p.user)
	out.Header.Set("X-Rucio-Password", p.password)
	if err := s.connection.exchange(ctx, &out, &s.answer); err != nil {
		return nil, err
	}
	token := string(s.answer.Header.Peek(headerToken))
	expires := string(s.answer.Header.Peek("X-Rucio-Auth-Token-Expires"))
	_, _, err := s.drain(s.answer.BodyStream())
	s.connection.finish(&s.answer, err == nil)
	if err != nil {
		return nil, err
	}
	if status := s.answer.StatusCode(); status != http.StatusOK || token == "" {
		return nil, fmt.Errorf("log in at %s: %d: %w", s.connection.address, status, errNoToken)
	}
	return &pass{token: token, renew: renewal(time.Now(), expires)}, nil
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
