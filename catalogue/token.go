package catalogue

import (
	"cmp"
	"encoding/binary"
	"slices"

	"dapple/command"
)

// SigningKey signs tokens. A new one is added before an old one is given up, so there may be several.
type SigningKey struct {
	ID string
	// Seed is the Ed25519 seed, 32 bytes.
	Seed    []byte
	Created int64
}

const (
	signingKeyFormat   = 1
	revokedTokenFormat = 1
)

func appendSigningKey(b []byte, k *SigningKey) []byte {
	b = append(b, signingKeyFormat)
	b = binary.AppendVarint(b, k.Created)
	return appendString(b, string(k.Seed))
}

func parseSigningKey(id string, b []byte) (SigningKey, error) {
	r := newRecordReader(b, signingKeyFormat)
	k := SigningKey{ID: id, Created: r.varint(), Seed: []byte(r.string())}
	return k, recordError(r.done(), "signing key", id)
}

// SigningKeys returns all signing keys, the newest last.
func SigningKeys(v View) ([]SigningKey, error) {
	var keys []SigningKey
	low := []byte{tableSigningKey}
	err := v.Scan(low, prefixEnd(low), func(key, value []byte) (bool, error) {
		k, err := parseSigningKey(string(key[1:]), value)
		keys = append(keys, k)
		return true, err
	})
	slices.SortStableFunc(keys, func(a, b SigningKey) int { return cmp.Compare(a.Created, b.Created) })
	return keys, err
}

func putSigningKey(tx Tx, k *SigningKey) {
	tx.Put(textKey(tableSigningKey, k.ID), appendSigningKey(nil, k))
}

// TokenRevoked reports whether a token was revoked by its id.
func TokenRevoked(v View, id string) (bool, error) {
	_, found, err := v.Get(textKey(tableRevokedToken, id))
	return found, err
}

// TokensValidFrom returns the time in microseconds before which the tokens of an account were issued in vain, 0 for none.
func TokensValidFrom(v View, account string) (int64, error) {
	b, found, err := v.Get(textKey(tableRevokedAccount, account))
	if err != nil || !found {
		return 0, err
	}
	return parseTime(account, b)
}

// appendTime encodes a record that is only a time.
func appendTime(b []byte, time int64) []byte {
	return binary.AppendVarint(append(b, revokedTokenFormat), time)
}

func parseTime(name string, b []byte) (int64, error) {
	r := newRecordReader(b, revokedTokenFormat)
	time := r.varint()
	return time, recordError(r.done(), "revocation", name)
}

// expiredAtRevocation is how many revocations a command looks at for some that have expired.
const expiredAtRevocation = 64

// expiredTokens returns the keys of revocations of tokens that would no longer be valid anyway. From workFeatures on it looks at
// those that follow id alone: ids are random, so that all have their turn.
func expiredTokens(v View, id string, now int64) ([][]byte, error) {
	level, err := FeatureLevel(v)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	looked := 0
	look := func(key, value []byte) (bool, error) {
		expires, err := parseTime(string(key[1:]), value)
		if err == nil && expires < now {
			keys = append(keys, slices.Clone(key))
		}
		looked++
		return level < workFeatures || looked < expiredAtRevocation, err
	}
	first, end := []byte{tableRevokedToken}, prefixEnd([]byte{tableRevokedToken})
	if level < workFeatures {
		err = v.Scan(first, end, look)
		return keys, err
	}
	from := textKey(tableRevokedToken, id)
	if err := v.Scan(from, end, look); err != nil || looked >= expiredAtRevocation {
		return keys, err
	}
	err = v.Scan(first, from, look)
	return keys, err
}

// Lengths of what tokens are made of.
const (
	maxTokenID     = 64
	signingSeedLen = 32
)

// RevokeToken makes one token void. Its account and the admins may do that.
func RevokeToken(tx Tx, at Stamp, c *command.RevokeToken) ([]byte, error) {
	if c.TokenId == "" || len(c.TokenId) > maxTokenID || !isPlainText(c.TokenId) {
		return nil, Errorf(command.CodeInvalidObject, "no token has such an id")
	}
	if err := Authorize(tx, at.Issuer, ActionRevokeTokens, c.Account); err != nil {
		return nil, err
	}
	expired, err := expiredTokens(tx, c.TokenId, at.Time)
	if err != nil {
		return nil, err
	}
	for _, key := range expired {
		tx.Delete(key)
	}
	if c.Expires >= at.Time {
		tx.Put(textKey(tableRevokedToken, c.TokenId), appendTime(nil, c.Expires))
	}
	return nil, nil
}

// RevokeAccountTokens makes void all tokens of an account that were issued before a time, at most until now.
func RevokeAccountTokens(tx Tx, at Stamp, c *command.RevokeAccountTokens) ([]byte, error) {
	if err := Authorize(tx, at.Issuer, ActionRevokeTokens, c.Account); err != nil {
		return nil, err
	}
	if _, err := GetAccount(tx, c.Account); err != nil {
		return nil, err
	}
	from, err := TokensValidFrom(tx, c.Account)
	if err != nil {
		return nil, err
	}
	tx.Put(textKey(tableRevokedAccount, c.Account), appendTime(nil, max(from, min(c.Before, at.Time))))
	return nil, nil
}

// AddSigningKey adds a key that signs tokens. The cluster itself and the admins may do that.
func AddSigningKey(tx Tx, at Stamp, c *command.AddSigningKey) ([]byte, error) {
	if c.Id == "" || len(c.Id) > maxTokenID || !isPlainText(c.Id) || len(c.Seed) != signingSeedLen {
		return nil, Errorf(command.CodeInvalidObject, "a signing key has an id of 1 to %d characters and a seed of %d bytes", maxTokenID, signingSeedLen)
	}
	if at.Issuer != "" {
		if err := Authorize(tx, at.Issuer, ActionOperate, "add signing keys"); err != nil {
			return nil, err
		}
	}
	if _, found, err := tx.Get(textKey(tableSigningKey, c.Id)); err != nil {
		return nil, err
	} else if found {
		return nil, Errorf(command.CodeInvalidValue, "signing key '%s' exists already", c.Id)
	}
	putSigningKey(tx, &SigningKey{ID: c.Id, Seed: c.Seed, Created: at.Time})
	return nil, nil
}
