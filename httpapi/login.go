package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
	"dapple/internal/password"
)

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
		ctx, cancel := context.WithTimeout(c.Request.Context(), s.limits.Wait)
		defer cancel()
		settle, err := s.loginLimit.reserve(ctx, source, username)
		if err != nil {
			return nil, err
		}
		failed := true // unless it is known not to be, also when a panic ends it
		defer func() { settle(failed) }()
		grant, err := s.login(c, c.GetHeader("X-Rucio-Account"), username, c.GetHeader("X-Rucio-Password"))
		failed = codeOf(err) == command.CodeCannotAuthenticate && !isUndecided(err)
		return grant, err
	})
}

// answerLogin answers a login of any method, and counts it.
func (s *Server) answerLogin(c *gin.Context, method string, login func() (*granted, error)) {
	c.Header("Cache-Control", "no-store")
	grant, err := login()
	outcome := "failed"
	switch code := codeOf(err); {
	case err == nil:
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
	good, err := s.checkPassword(c.Request.Context(), s.limitedSource(c), secret, hash)
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
func (s *Server) checkPassword(ctx context.Context, source, secret, hash string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.Wait)
	defer cancel()
	if err := s.gate.enter(ctx, source); err != nil {
		return false, err
	}
	defer s.gate.leave(source)
	if hash == "" {
		password.Waste(secret)
		return false, nil
	}
	return password.Verify(secret, hash)
}

// hashPassword hashes a new password for an account that may make one. It has a gate of its own: it costs as much as a login, and
// must not keep anybody from logging in.
func (s *Server) hashPassword(ctx context.Context, account, secret string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.Wait)
	defer cancel()
	if err := s.hashGate.enter(ctx, account); err != nil {
		return "", err
	}
	defer s.hashGate.leave(account)
	return password.Hash(secret)
}
