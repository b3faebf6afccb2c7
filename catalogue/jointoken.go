package catalogue

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"dapple/command"
)

// A join token is an administrator's consent that one node becomes a member of the cluster. The state holds its digest.

const (
	// MaxJoinTokenLifetime bounds how long a join token is good.
	MaxJoinTokenLifetime = 24 * time.Hour
	// maxJoinTokens bounds the tokens that have not expired: used ones count too.
	maxJoinTokens = 1000

	joinTokenDigestLen = 32
	joinTokenFormat    = 1
	maxServerID        = 255
)

// joinToken is what is stored of a token.
type joinToken struct {
	expires int64  // log time
	server  string // the server that has used it; empty for none
}

func joinTokenKey(digest []byte) []byte {
	return append(tableKey(tableJoinToken, len(digest)), digest...)
}

func appendJoinToken(b []byte, t joinToken) []byte {
	return appendString(binary.AppendVarint(append(b, joinTokenFormat), t.expires), t.server)
}

func parseJoinToken(b []byte) (joinToken, error) {
	r := newRecordReader(b, joinTokenFormat)
	t := joinToken{expires: r.varint(), server: r.string()}
	return t, recordError(r.done(), "join token", "")
}

// AddJoinToken stores the digest of a join token, as root, and forgets those that have expired.
func AddJoinToken(tx Tx, at Stamp, c *command.AddJoinToken) ([]byte, error) {
	lifetime := time.Duration(c.Lifetime) * time.Second
	if len(c.Digest) != joinTokenDigestLen || lifetime <= 0 || lifetime > MaxJoinTokenLifetime {
		return nil, Errorf(command.CodeInvalidValue, "a join token is good for 1s to %s", MaxJoinTokenLifetime)
	}
	if err := Authorize(tx, at.Issuer, ActionAddJoinToken); err != nil {
		return nil, err
	}
	if _, found, err := tx.Get(joinTokenKey(c.Digest)); err != nil {
		return nil, err
	} else if found {
		return nil, Errorf(command.CodeInvalidValue, "the join token exists already")
	}
	expired, good, err := scanJoinTokens(tx, at.Time)
	if err != nil {
		return nil, err
	}
	if good >= maxJoinTokens {
		return nil, Errorf(command.CodeInvalidValue, "there are %d join tokens that have not expired; make another when one has", good)
	}
	for _, key := range expired {
		tx.Delete(key)
	}
	tx.Put(joinTokenKey(c.Digest), appendJoinToken(nil, joinToken{expires: at.Time + lifetime.Microseconds()}))
	return nil, nil
}

// scanJoinTokens returns the keys of expired tokens and counts the others.
func scanJoinTokens(v View, now int64) (expired [][]byte, good int, err error) {
	low := []byte{tableJoinToken}
	err = v.Scan(low, prefixEnd(low), func(key, value []byte) (bool, error) {
		t, err := parseJoinToken(value)
		if err == nil && t.expires < now {
			expired = append(expired, slices.Clone(key))
		} else {
			good++
		}
		return true, err
	})
	return expired, good, err
}

// UseJoinToken lets a server in by a token. The server that has used it may use it again, since it may have missed the answer.
func UseJoinToken(tx Tx, at Stamp, c *command.UseJoinToken) ([]byte, error) {
	if at.Issuer != "" {
		return nil, Errorf(command.CodeAccessDenied, "join tokens are used by the cluster itself, not by %s", at.Issuer)
	}
	if c.ServerId == "" || len(c.ServerId) > maxServerID || !isPlainText(c.ServerId) {
		return nil, Errorf(command.CodeInvalidObject, "no server has such an id")
	}
	t, err := goodJoinToken(tx, c.Digest, c.ServerId, at.Time)
	if err != nil {
		return nil, err
	}
	t.server = c.ServerId
	tx.Put(joinTokenKey(c.Digest), appendJoinToken(nil, t))
	return nil, nil
}

// CheckJoinToken returns why the token of a digest does not let a server in at a time, nil if it does.
func CheckJoinToken(v View, digest []byte, serverID string, now int64) error {
	_, err := goodJoinToken(v, digest, serverID, now)
	return err
}

func goodJoinToken(v View, digest []byte, serverID string, now int64) (joinToken, error) {
	if len(digest) != joinTokenDigestLen {
		return joinToken{}, unknownJoinToken()
	}
	b, found, err := v.Get(joinTokenKey(digest))
	if err != nil {
		return joinToken{}, err
	}
	if !found {
		return joinToken{}, unknownJoinToken()
	}
	t, err := parseJoinToken(bytes.Clone(b))
	switch {
	case err != nil:
		return t, err
	case t.expires < now:
		return t, Errorf(command.CodeAccessDenied, "the join token has expired: make another one")
	case t.server != "" && t.server != serverID:
		return t, Errorf(command.CodeAccessDenied, "the join token has been used by another node: make another one")
	}
	return t, nil
}

// joinToken checks a join token.
func (c *invariants) joinToken(key, value []byte) error {
	if len(key) != joinTokenDigestLen {
		return ErrKey
	}
	_, err := parseJoinToken(value)
	return err
}

func unknownJoinToken() error {
	return Errorf(command.CodeAccessDenied, "the join token is unknown: make one with 'dapple join-token'")
}
