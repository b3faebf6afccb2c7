package httpapi

import (
	"context"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// setPassword changes a password: that of the token's own user name, {"current": ..., "password": ...}, or as an admin that of
// another, {"identity": ..., "password": ...}.
func (s *Server) setPassword(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	secret, err := body.requiredString("password")
	if err != nil {
		s.fail(c, err)
		return
	}
	if body.has("identity") == body.has("current") {
		s.fail(c, catalogue.Errorf(command.CodeInvalidValue, "give 'current' to change your own password, or 'identity' to reset another's"))
		return
	}
	set := &command.SetPassword{Identity: c.MustGet(keyPrincipal).(*principal).Identity}
	if body.has("current") {
		err = s.proveOwner(c, body, set)
	} else if set.Identity, err = body.requiredString("identity"); err == nil {
		err = s.permitted(c, catalogue.ActionResetPassword, set.Identity)
	}
	if err == nil {
		err = s.checkNewPassword(set.Identity, secret)
	}
	if err == nil {
		set.PasswordHash, err = s.hashPassword(c.Request.Context(), issuer(c), secret)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeSetPassword, set); ok {
		s.empty(c)
	}
}

// proveOwner checks the present password of a change. Wrong ones count like those of logins.
func (s *Server) proveOwner(c *gin.Context, body object, set *command.SetPassword) error {
	current, err := body.requiredString("current")
	if err != nil {
		return err
	}
	if err := s.permitted(c, catalogue.ActionChangePassword, set.Identity); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), s.limits.Wait)
	defer cancel()
	source := s.limitedSource(c)
	settle, err := s.loginLimit.reserve(ctx, source, set.Identity)
	if err != nil {
		return err
	}
	failed := true
	defer func() { settle(failed) }()
	if set.PreviousHash, err = s.passwordHash(set.Identity); err != nil {
		failed = false
		return err
	}
	good, err := s.checkPassword(ctx, source, current, set.PreviousHash)
	failed = err == nil && !good
	if failed {
		return errNotGranted("")
	}
	return err
}

// checkNewPassword refuses passwords that are too short, or the user name.
func (s *Server) checkNewPassword(identity, secret string) error {
	switch length := utf8.RuneCountInString(secret); {
	case length < s.limits.PasswordLength:
		return catalogue.Errorf(command.CodeInvalidValue, "the password has %d characters; at least %d are needed", length, s.limits.PasswordLength)
	case s.limits.PasswordLength > 0 && secret == identity:
		return catalogue.Errorf(command.CodeInvalidValue, "the password must not be the user name")
	}
	return nil
}

// hashGranted returns the hash for an identity that is granted with a password: that of a new one, or the stored one if the password is
// the identity's. Any other password is CodeIdentityExists.
func (s *Server) hashGranted(c *gin.Context, identity, secret string) (string, error) {
	if err := s.permitted(c, catalogue.ActionAddIdentity); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), s.limits.Wait)
	defer cancel()
	// An identity that was just made elsewhere must be known here.
	if index, err := s.freshness.ReadIndex(ctx); err != nil {
		return "", err
	} else if err := s.waitUntil(ctx, index); err != nil {
		return "", err
	}
	stored, err := s.passwordHash(identity)
	if err != nil {
		return "", err
	}
	if stored == "" {
		if err := s.checkNewPassword(identity, secret); err != nil {
			return "", err
		}
		return s.hashPassword(ctx, issuer(c), secret)
	}
	switch same, err := s.checkPassword(ctx, s.limitedSource(c), secret, stored); {
	case err != nil:
		return "", err
	case !same:
		return "", catalogue.ErrOtherPassword(identity)
	}
	return stored, nil
}
