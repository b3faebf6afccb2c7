package httpapi

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

const (
	headerToken   = "X-Rucio-Auth-Token"
	headerExpires = "X-Rucio-Auth-Token-Expires"
	headerAccount = "X-Rucio-Auth-Account"
)

// principal is who makes a request.
type principal struct {
	// Account is the one that the request acts for.
	Account string
	// Identity proved itself at login.
	Identity string
	// Expires is when the token ends.
	Expires time.Time
}

// authenticator finds out who makes a request. Its errors are answers: CodeCannotAuthenticate, CodeNotReady or failures of the
// store.
type authenticator interface {
	authenticate(c *gin.Context) (*principal, error)
	// prove checks the token's signature and end on this node's state as it is, and does not wait. It returns whose token it is, or ""
	// if this node may be too far behind to know.
	prove(c *gin.Context) (client string, err error)
}

// issuer returns the account that makes the request, "" on public routes.
func issuer(c *gin.Context) string {
	if who, ok := c.Get(keyPrincipal); ok {
		return who.(*principal).Account
	}
	return ""
}

// authRoutes are the rows of logins and tokens.
func (s *Server) authRoutes() []route {
	return []route{
		{get, "/auth/userpass", s.loginUserpass, public},
		{options, "/auth/userpass", s.preflight, public},
		{get, "/auth/x509", s.loginX509, public},
		{options, "/auth/x509", s.preflight, public},
		{get, "/auth/x509/webui", s.loginX509, public},
		{options, "/auth/x509/webui", s.preflight, public},
		{get, "/auth/x509_proxy", s.loginX509, public},
		{options, "/auth/x509_proxy", s.preflight, public},
		{get, "/auth/validate", s.validateToken, needsToken},
		{options, "/auth/validate", s.preflight, public},
		{post, "/auth/revoke", s.revokeToken, needsToken},
		{put, "/auth/password", s.setPassword, needsToken},
		{options, "/auth/revoke", s.preflight, public},
	}
}

// validateToken tells the owner of a token what it is good for.
func (s *Server) validateToken(c *gin.Context) {
	who := c.MustGet(keyPrincipal).(*principal)
	body := append([]byte(`{"account": `), appendJSONString(nil, who.Account)...)
	body = appendJSONString(append(body, `, "identity": `...), who.Identity)
	body = appendJSONTime(append(body, `, "lifetime": `...), who.Expires.UnixMicro())
	body = append(body, `, "audience": null, "authz_scope": null, "vo": "def"}`...)
	c.Header("Cache-Control", "no-store")
	s.write(c, http.StatusOK, typeBytes, body)
}

// revokeToken makes void one token, {"token": ...}, or all that an account holds now, {"account": ...}.
func (s *Server) revokeToken(c *gin.Context) {
	fields, ok := s.decodeObject(c)
	if !ok {
		return
	}
	if fields.has("token") == fields.has("account") {
		s.fail(c, catalogue.Errorf(command.CodeInvalidValue, "give either 'token' or 'account'"))
		return
	}
	if fields.has("account") {
		s.revokeAccount(c, fields)
		return
	}
	text, err := fields.requiredString("token")
	if err != nil {
		s.fail(c, err)
		return
	}
	revoke, err := s.revocationOf(c, text)
	if err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeRevokeToken, revoke); ok {
		s.empty(c)
	}
}

// revocationOf returns what makes a token void, one of this cluster or one of an issuer that is trusted.
func (s *Server) revocationOf(c *gin.Context, text string) (*command.RevokeToken, error) {
	if issuer := foreignIssuer(text); issuer != "" {
		return s.oidcRevocation(c, issuer, text)
	}
	held, err := s.tokens.claimsOf(c, text)
	if err != nil {
		return nil, catalogue.Errorf(command.CodeInvalidValue, "'token' is no valid token of this cluster")
	}
	return &command.RevokeToken{TokenId: held.ID, Account: held.Subject, Expires: held.ExpiresAt.UnixMicro()}, nil
}

// oidcRevocation returns what makes a token of another issuer void, for all accounts. Each of its accounts may ask for it.
func (s *Server) oidcRevocation(c *gin.Context, issuedBy, text string) (*command.RevokeToken, error) {
	token, err := s.verifyOIDC(c.Request.Context(), issuedBy, text)
	if codeOf(err) == command.CodeCannotAuthenticate {
		return nil, catalogue.Errorf(command.CodeInvalidValue, "'token' is no valid token: %v", err)
	}
	if err != nil {
		return nil, err
	}
	v, err := s.reader.View()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	grants, err := catalogue.Grants(v, catalogue.IdentityOIDC, oidcIdentity(token))
	if err != nil {
		return nil, err
	}
	revoke := &command.RevokeToken{TokenId: oidcTokenID(text), Expires: token.Expiry.UnixMicro()}
	for i, g := range grants {
		if i == 0 || g.Account == issuer(c) {
			revoke.Account = g.Account
		}
	}
	return revoke, nil
}

// endOfTime asks for what is before the command itself: the state machine takes its own log time where that is earlier.
const endOfTime = 1<<63 - 1

func (s *Server) revokeAccount(c *gin.Context, fields object) {
	account, err := fields.requiredString("account")
	if err != nil {
		s.fail(c, err)
		return
	}
	revoke := &command.RevokeAccountTokens{Account: account, Before: endOfTime}
	if _, ok := s.propose(c, command.TypeRevokeAccountTokens, revoke); ok {
		s.empty(c)
	}
}
