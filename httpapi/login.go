package httpapi

import (
	"context"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
	"dapple/internal/password"
)

// gate lets few password checks run at one time, for each costs tens of milliseconds of a core and 19 MiB, and a few more
// wait for their turn.
type gate struct {
	turns   chan struct{}
	waiting atomic.Int64
	limit   int64
}

// newGate makes a gate for one check on every two cores.
func newGate(waiting int) *gate {
	return &gate{turns: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), limit: int64(waiting)}
}

// enter waits for a turn; leave ends it. Where too many wait already, or the context ends, it returns CodeOverloaded.
func (g *gate) enter(ctx context.Context) error {
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) <= g.limit {
		select {
		case g.turns <- struct{}{}:
			return nil
		case <-ctx.Done():
		}
	}
	return catalogue.Errorf(command.CodeOverloaded, "too many passwords to check at one time; try again later")
}

func (g *gate) leave() { <-g.turns }

// The methods of logging in, as the metrics name them.
const (
	methodUserpass = "userpass"
	methodX509     = "x509"
)

// loginUserpass gives a token for a user name and a password. It writes nothing to the log.
func (s *Server) loginUserpass(c *gin.Context) {
	username := c.GetHeader("X-Rucio-Username")
	source := s.limitedSource(c)
	s.answerLogin(c, methodUserpass, func() (*granted, error) {
		if err := s.loginLimit.check(source, username); err != nil {
			c.Header("Retry-After", strconv.Itoa(s.loginLimit.retryAfter()))
			return nil, err
		}
		grant, err := s.login(c, c.GetHeader("X-Rucio-Account"), username, c.GetHeader("X-Rucio-Password"))
		if codeOf(err) == command.CodeCannotAuthenticate && !isUndecided(err) {
			s.loginLimit.failed(source, username)
		}
		return grant, err
	})
}

// answerLogin answers a login of any method, and counts it.
func (s *Server) answerLogin(c *gin.Context, method string, login func() (*granted, error)) {
	c.Header("Cache-Control", "no-store")
	grant, err := login()
	outcome := "failed"
	switch code := codeOf(err); {
	case code == command.CodeOK:
		outcome = "ok"
	case isUndecided(err):
		outcome = "undecided"
	case code == command.CodeCannotAuthenticate:
		outcome = "refused"
	case code == command.CodeOverloaded:
		outcome = "overloaded"
	}
	s.metrics.logins.WithLabelValues(method, outcome).Inc()
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header(headerToken, grant.token)
	c.Header(headerExpires, formatTime(grant.expires))
	c.Header(headerAccount, grant.account)
	s.write(c, http.StatusOK, typeBytes, nil)
}

// granted is what a login gives.
type granted struct {
	account, token string
	// expires in microseconds.
	expires int64
}

// login checks a password and issues a token. If the account is empty, chooseAccount finds it.
func (s *Server) login(c *gin.Context, account, username, secret string) (*granted, error) {
	if username == "" || secret == "" {
		return nil, catalogue.Errorf(command.CodeCannotAuthenticate, "Cannot authenticate without passing all required arguments")
	}
	if err := s.formed(); err != nil {
		return nil, err
	}
	hash, err := s.passwordHash(username)
	if err != nil {
		return nil, err
	}
	good, err := s.checkPassword(c.Request.Context(), secret, hash)
	if err != nil {
		return nil, err
	}
	if !good {
		return nil, errNotGranted(account)
	}
	v, err := s.reader.View()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	identity, err := catalogue.GetIdentity(v, catalogue.IdentityUserpass, username)
	switch {
	case codeOf(err) == command.CodeIdentityNotFound, err == nil && identity.PasswordHash != hash:
		return nil, errNotGranted(account)
	case err != nil:
		return nil, err
	}
	return s.grant(c, v, identity, account)
}

func errNotGranted(account string) error {
	if account == "" {
		return catalogue.Errorf(command.CodeCannotAuthenticate, "Cannot authenticate with given credentials")
	}
	return catalogue.Errorf(command.CodeCannotAuthenticate, "Cannot authenticate to account %s with given credentials", account)
}

// grant issues a token for an identity that has proved itself. If the account is empty, chooseAccount finds it.
func (s *Server) grant(c *gin.Context, v View, identity *catalogue.Identity, account string) (*granted, error) {
	account, err := chooseAccount(v, identity, account, nil)
	if err != nil {
		return nil, err
	}
	token, expires, err := s.tokens.issue(v, account, identity)
	if err != nil {
		return nil, err
	}
	setIndex(c, v.Index())
	return &granted{account: account, token: token, expires: expires.UnixMicro()}, nil
}

// passwordHash returns the hash of an identity's password, "" where there is no such identity.
func (s *Server) passwordHash(username string) (string, error) {
	v, err := s.reader.View()
	if err != nil {
		return "", err
	}
	defer v.Close()
	identity, err := catalogue.GetIdentity(v, catalogue.IdentityUserpass, username)
	if codeOf(err) == command.CodeIdentityNotFound {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return identity.PasswordHash, nil
}

// checkPassword reports whether a password fits a hash; without a hash it takes as long and does not.
func (s *Server) checkPassword(ctx context.Context, secret, hash string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.Wait)
	defer cancel()
	if err := s.gate.enter(ctx); err != nil {
		return false, err
	}
	defer s.gate.leave()
	if hash == "" {
		password.Waste(secret)
		return false, nil
	}
	return password.Verify(secret, hash)
}

// hashPassword hashes a new password. It waits for its turn with the checks, for it costs as much.
func (s *Server) hashPassword(ctx context.Context, secret string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.Wait)
	defer cancel()
	if err := s.gate.enter(ctx); err != nil {
		return "", err
	}
	defer s.gate.leave()
	return password.Hash(secret)
}
