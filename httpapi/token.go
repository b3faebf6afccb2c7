package httpapi

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"dapple/catalogue"
	"dapple/command"
)

// tokenIssuer is the iss claim.
const tokenIssuer = "dapple"

// claims are what a token says: a JWT signed by Ed25519 with a key of the cluster, named by kid.
type claims struct {
	jwt.RegisteredClaims        // iss, sub (the account), aud (the cluster's id), iat, exp, jti
	Identity             string `json:"identity"`
	IdentityType         string `json:"identity_type"`
	// Index is the log index that the issuing node had applied: a node that has not gets there before it judges the token.
	Index uint64 `json:"index"`
	// LogTime is the log time then, in microseconds. Revocations are compared with it, for it is free of the nodes' clocks.
	LogTime int64 `json:"log_time"`

	// stood is the generation of the catalogue in which the token was last found to stand, 0 for none.
	stood atomic.Uint64
	// key signed the token.
	key string
}

// tokens makes and checks tokens. Checked signatures are remembered; what the catalogue says about a token (its revocation,
// its account, its identity) is looked up again whenever any of that has changed.
type tokens struct {
	server   *Server
	lifetime time.Duration
	parser   *jwt.Parser
	now      func() time.Time
	cache    tokenCache
}

func newTokens(s *Server, lifetime time.Duration) *tokens {
	t := &tokens{server: s, lifetime: lifetime, now: time.Now}
	t.parser = jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithIssuer(tokenIssuer), jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(func() time.Time { return t.now() }),
	)
	return t
}

// issue signs a token for an account with the newest key that the view has.
func (t *tokens) issue(v View, account string, identity *catalogue.Identity) (text string, expires time.Time, err error) {
	keys, err := catalogue.SigningKeys(v)
	if err != nil {
		return "", time.Time{}, err
	}
	if len(keys) == 0 {
		return "", time.Time{}, catalogue.Errorf(command.CodeNotReady, "the cluster has no signing key yet")
	}
	_, logTime, err := catalogue.Clock(v)
	if err != nil {
		return "", time.Time{}, err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return "", time.Time{}, err
	}
	key, now := keys[len(keys)-1], t.now()
	expires = now.Add(t.lifetime).Truncate(time.Second)
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, &claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: tokenIssuer, Subject: account, Audience: jwt.ClaimStrings{t.cluster()}, ID: id.String(),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
		},
		Identity: identity.Name, IdentityType: identity.Type.String(), Index: v.Index(), LogTime: logTime,
	})
	token.Header["kid"] = key.ID
	text, err = token.SignedString(ed25519.NewKeyFromSeed(key.Seed))
	return text, expires, err
}

// errUnknownKey is a token that says that it is of this cluster, signed with a key that this node does not have, or not yet.
var errUnknownKey = errors.New("unknown signing key")

// bearer returns the token of a request, from Rucio's header or the standard one.
func bearer(c *gin.Context) string {
	if text := strings.TrimSpace(c.GetHeader(headerToken)); text != "" {
		return text
	}
	scheme, text, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(text)
}

// authenticate implements authenticator.
func (t *tokens) authenticate(c *gin.Context) (*principal, error) {
	text := bearer(c)
	if text == "" {
		return nil, errNoToken()
	}
	digest := sha256.Sum256([]byte(text))
	held := t.cache.get(digest, t.now())
	if held == nil {
		if issuer := foreignIssuer(text); issuer != "" {
			return t.server.authenticateOIDC(c, issuer, text)
		}
	}
	held, err := t.claimsWith(c, held, digest, text)
	if err != nil {
		return nil, err
	}
	if err := t.stands(held); err != nil {
		return nil, err
	}
	return &principal{Account: held.Subject, Identity: held.Identity, Expires: held.ExpiresAt.Time}, nil
}

func errNoToken() error {
	return catalogue.Errorf(command.CodeCannotAuthenticate, "Token must be set.")
}

// prove implements authenticator.
func (t *tokens) prove(c *gin.Context) (client string, err error) {
	text := bearer(c)
	if text == "" {
		return "", errNoToken()
	}
	digest := sha256.Sum256([]byte(text))
	held := t.cache.get(digest, t.now())
	if held == nil {
		if issuer := foreignIssuer(text); issuer != "" {
			token, err := t.server.verifyOIDC(c.Request.Context(), issuer, text)
			if err != nil {
				return "", err
			}
			return oidcIdentity(token), nil
		}
		held, err = t.parse(text)
		if errors.Is(err, errUnknownKey) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		t.cache.put(digest, held, t.now())
	}
	return held.Subject, nil
}

// stands asks the catalogue whether a token still stands, unless it has said so and nothing has changed since.
func (t *tokens) stands(held *claims) error {
	if now := t.server.reader.Generation(); now != 0 && held.stood.Load() == now {
		return nil
	}
	v, err := t.server.reader.View()
	if err != nil {
		return err
	}
	defer v.Close()
	if err := held.check(v); err != nil {
		return err
	}
	held.stood.Store(v.Generation())
	return nil
}

// claimsOf checks signature and expiry of a token and waits until this node is at the index at which it was issued.
func (t *tokens) claimsOf(c *gin.Context, text string) (*claims, error) {
	digest := sha256.Sum256([]byte(text))
	return t.claimsWith(c, t.cache.get(digest, t.now()), digest, text)
}

// claimsWith is claimsOf for a token that was looked for in the cache; held is what was found.
func (t *tokens) claimsWith(c *gin.Context, held *claims, digest [sha256.Size]byte, text string) (*claims, error) {
	if held != nil {
		return held, t.server.waitApplied(c, held.Index)
	}
	held, err := t.parse(text)
	if errors.Is(err, errUnknownKey) {
		// A node that lags may not have the key: see again at the index that the token claims, whether that is true or not.
		if err = t.server.waitApplied(c, held.Index); err == nil {
			held, err = t.parse(text)
		}
	}
	if err != nil {
		return nil, err
	}
	t.cache.put(digest, held, t.now())
	return held, t.server.waitApplied(c, held.Index)
}

// cluster returns the id of this node's cluster as tokens name it.
func (t *tokens) cluster() string {
	id, _ := t.server.clusterID()
	return hex.EncodeToString(id[:])
}

// parse checks a token against the keys that this node has. Its errors are CodeCannotAuthenticate, errUnknownKey, which comes
// with the claims nobody has checked, and failures of the store.
func (t *tokens) parse(text string) (*claims, error) {
	v, err := t.server.reader.View()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	keys, err := catalogue.SigningKeys(v)
	if err != nil {
		return nil, err
	}
	held := &claims{}
	_, err = t.parser.ParseWithClaims(text, held, func(token *jwt.Token) (any, error) {
		for _, key := range keys {
			if key.ID == token.Header["kid"] {
				held.key = key.ID
				return ed25519.NewKeyFromSeed(key.Seed).Public(), nil
			}
		}
		return nil, errUnknownKey
	})
	switch {
	case errors.Is(err, errUnknownKey) && held.Index > v.Index() && slices.Contains(held.Audience, t.cluster()):
		return held, errUnknownKey
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, refused("the token has expired")
	case err != nil:
		return nil, refused("the token is not one of this cluster")
	}
	return held, nil
}

// check returns CodeCannotAuthenticate where the token no longer stands, or a failure of the store.
func (held *claims) check(v catalogue.View) error {
	reason, err := held.objection(v)
	switch code := codeOf(err); {
	case err == nil && reason == "":
		return nil
	case err == nil:
		return refused("%s", reason)
	case code == command.CodeAccountNotFound, code == command.CodeIdentityNotFound, code == command.CodeInvalidValue:
		return refused("the account or the identity of the token is gone")
	default:
		return fmt.Errorf("check token: %w", err)
	}
}

// objection asks the catalogue about a token, whose key must be there, which must not be revoked, its account active, its identity there since and
// granted to the account. It returns what is wrong, "" for nothing.
func (held *claims) objection(v catalogue.View) (string, error) {
	t, err := catalogue.ParseIdentityType(held.IdentityType)
	if err != nil {
		return "", err
	}
	known, err := catalogue.HasSigningKey(v, held.key)
	if err != nil || !known {
		return "the key that signed the token was deleted", err
	}
	revoked, err := catalogue.TokenRevoked(v, held.ID)
	if err != nil || revoked {
		return "the token was revoked", err
	}
	from, err := catalogue.TokensValidFrom(v, held.Subject)
	if err != nil || held.LogTime < from {
		return "the tokens of the account were revoked", err
	}
	account, err := catalogue.GetAccount(v, held.Subject)
	if err != nil || account.Status != catalogue.AccountActive {
		return "the account is not active", err
	}
	identity, err := catalogue.GetIdentity(v, t, held.Identity)
	if err != nil || identity.Created > held.LogTime {
		return "the identity was made anew since", err
	}
	granted, err := catalogue.IdentityHasAccount(v, t, held.Identity, held.Subject)
	if err != nil || granted {
		return "", err
	}
	return "the identity may no longer act as the account", nil
}

// tokenCacheSize bounds the tokens whose signature is remembered; each takes less than a kilobyte.
const tokenCacheSize = 8192

// tokenCache remembers claims by the digest of the token. The zero value is ready.
type tokenCache struct {
	mu   sync.Mutex
	held map[[sha256.Size]byte]*claims
}

// get returns claims that have not expired, or nil.
func (t *tokenCache) get(digest [sha256.Size]byte, now time.Time) *claims {
	t.mu.Lock()
	defer t.mu.Unlock()
	held := t.held[digest]
	if held != nil && !now.Before(held.ExpiresAt.Time) {
		delete(t.held, digest)
		return nil
	}
	return held
}

// put remembers claims. A full cache drops what has expired, and any one where nothing has.
func (t *tokenCache) put(digest [sha256.Size]byte, held *claims, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held == nil {
		t.held = map[[sha256.Size]byte]*claims{}
	}
	if len(t.held) >= tokenCacheSize {
		t.shrink(now)
	}
	t.held[digest] = held
}

func (t *tokenCache) shrink(now time.Time) {
	for digest, held := range t.held {
		if !now.Before(held.ExpiresAt.Time) {
			delete(t.held, digest)
		}
	}
	for digest := range t.held {
		if len(t.held) < tokenCacheSize*7/8 {
			return
		}
		delete(t.held, digest)
	}
}
