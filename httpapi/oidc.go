package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"dapple/catalogue"
	"dapple/command"
)

const (
	// issuerTimeout bounds every question to an issuer.
	issuerTimeout = 5 * time.Second
	// issuerRetry is how long an issuer that did not answer is left alone, so that its failure does not hold up requests.
	issuerRetry = 10 * time.Second
)

// oidcIssuer is an issuer of OpenID Connect tokens that the operator trusts. Its keys are found when they are first needed.
type oidcIssuer struct {
	url, audience string
	client        *http.Client

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier
	retry    time.Time
}

// newOIDCIssuers makes issuers of a map from the issuer's URL to the audience that its tokens must have.
// refused is called for each question that is not asked because there were too many.
func newOIDCIssuers(audiences map[string]string, refused func()) (map[string]*oidcIssuer, error) {
	all := make(map[string]*oidcIssuer, len(audiences))
	for url, audience := range audiences {
		if url == "" || audience == "" {
			return nil, fmt.Errorf("OIDC issuer %q needs a URL and an audience, not %q", url, audience)
		}
		all[url] = &oidcIssuer{url: url, audience: audience, client: &http.Client{Timeout: issuerTimeout, Transport: newIssuerTransport(refused)}}
	}
	return all, nil
}

// find returns the verifier; it asks the issuer where it is not known yet.
func (i *oidcIssuer) find() (*oidc.IDTokenVerifier, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.verifier != nil {
		return i.verifier, nil
	}
	if time.Now().Before(i.retry) {
		return nil, errors.New("it did not answer a moment ago")
	}
	// The provider keeps the context to fetch keys later: the client's timeout bounds each fetch.
	provider, err := oidc.NewProvider(oidc.ClientContext(context.Background(), i.client), i.url)
	if err != nil {
		i.retry = time.Now().Add(issuerRetry)
		return nil, err
	}
	i.verifier = provider.Verifier(&oidc.Config{ClientID: i.audience})
	return i.verifier, nil
}

// foreignIssuer returns the issuer that a token says it is from, "" for one of this program's own and for what is no JWT.
func foreignIssuer(text string) string {
	var stated jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(text, &stated); err != nil || stated.Issuer == tokenIssuer {
		return ""
	}
	return stated.Issuer
}

func refused(format string, args ...any) error {
	return catalogue.Errorf(command.CodeCannotAuthenticate, "Cannot authenticate: "+format, args...)
}

// clockLeeway is how far the clock of an issuer may be ahead of this node's. A token counts as issued so much earlier where the tokens
// of an account were revoked: none that existed then may outlive it.
const clockLeeway = 30 * time.Second

// verifyOIDC checks a token against the keys of an issuer that the operator trusts, and its times.
func (s *Server) verifyOIDC(ctx context.Context, issuer, text string) (*oidc.IDToken, error) {
	trusted := s.issuers[issuer]
	if trusted == nil {
		return nil, refused("the issuer of the token, %.256s, is not trusted here", issuer)
	}
	verifier, err := trusted.find()
	if err != nil {
		s.log.Warn("an OIDC issuer does not answer", "issuer", issuer, "error", err)
		return nil, catalogue.Errorf(command.CodeOverloaded, "the issuer of the token, %.256s, does not answer; try again later", issuer)
	}
	token, err := verifier.Verify(ctx, text)
	var expired *oidc.TokenExpiredError
	switch {
	case errors.As(err, &expired):
		return nil, refused("the token has expired")
	case err != nil:
		return nil, refused("%.512s", err.Error())
	}
	var times struct {
		NotBefore *jwt.NumericDate `json:"nbf"`
	}
	latest := s.tokens.now().Add(clockLeeway)
	switch err := token.Claims(&times); {
	case err != nil:
		return nil, refused("the token has no valid 'nbf'")
	case token.IssuedAt.Unix() <= 0:
		return nil, refused("the token does not say when it was issued ('iat')")
	case token.IssuedAt.After(latest), times.NotBefore != nil && times.NotBefore.After(latest):
		return nil, refused("the token is not valid yet")
	}
	return token, nil
}

// oidcTokenID names a token of another issuer where it is revoked: by what is signed, for the signature itself has other spellings.
func oidcTokenID(text string) string {
	signed := text[:max(0, strings.LastIndexByte(text, '.'))]
	digest := sha256.Sum256([]byte(signed))
	return "oidc/" + base64.RawURLEncoding.EncodeToString(digest[:])
}

// oidcIdentity is the name of the identity that a token is of.
func oidcIdentity(token *oidc.IDToken) string {
	return fmt.Sprintf("SUB=%s, ISS=%s", token.Subject, token.Issuer)
}

// authenticateOIDC finds out who makes a request with the token of an issuer that the operator trusts.
func (s *Server) authenticateOIDC(c *gin.Context, issuer, text string) (*principal, error) {
	token, err := s.verifyOIDC(c.Request.Context(), issuer, text)
	if err != nil {
		return nil, err
	}
	v, err := s.reader.View()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	switch revoked, err := catalogue.TokenRevoked(v, oidcTokenID(text)); {
	case err != nil:
		return nil, err
	case revoked:
		return nil, refused("the token was revoked")
	}
	name := oidcIdentity(token)
	identity, err := catalogue.GetIdentity(v, catalogue.IdentityOIDC, name)
	if codeOf(err) == command.CodeIdentityNotFound {
		return nil, refused("no account has the identity %.512s", name)
	}
	if err != nil {
		return nil, err
	}
	stands := func(account string) (bool, error) {
		from, err := catalogue.TokensValidFrom(v, account)
		return from == 0 || token.IssuedAt.Add(-clockLeeway).UnixMicro() >= from, err
	}
	// A token that was revoked for an account must not learn of that account.
	account, err := chooseAccount(v, identity, c.GetHeader("X-Rucio-Account"), stands)
	if codeOf(err) == command.CodeCannotAuthenticate && !isUndecided(err) {
		return nil, refused("the identity %.512s may not act as account %.64s", name, account)
	}
	if err != nil {
		return nil, err
	}
	switch valid, err := stands(account); {
	case err != nil:
		return nil, err
	case !valid:
		return nil, refused("the tokens of account %.64s were revoked", account)
	}
	return &principal{Account: account, Identity: name, Expires: token.Expiry}, nil
}
