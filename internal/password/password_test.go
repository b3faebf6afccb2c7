package password

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"
)

func TestHashAndVerify(t *testing.T) {
	hash, err := Hash("secret")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$"), hash)
	for password, want := range map[string]bool{"secret": true, "Secret": false, "": false, "secret\x00": false} {
		got, verifyErr := Verify(password, hash)
		require.NoError(t, verifyErr)
		require.Equal(t, want, got, "password %q", password)
	}
	again, err := Hash("secret")
	require.NoError(t, err)
	require.NotEqual(t, hash, again, "the salt must be new each time")
}

// The parameters are the hash's and not the program's, so that old hashes stay good when these are raised.
func TestVerifyUsesTheParametersOfTheHash(t *testing.T) {
	salt := []byte("0123456789abcdef")
	key := argon2.IDKey([]byte("pw"), salt, 3, 64, 2, 24)
	encode := base64.RawStdEncoding.EncodeToString
	ok, err := Verify("pw", "$argon2id$v=19$m=64,t=3,p=2$"+encode(salt)+"$"+encode(key))
	require.NoError(t, err)
	require.True(t, ok)
}

func TestVerifyRefusesWhatItCannotBound(t *testing.T) {
	const salt, key = "MDEyMzQ1Njc4OWFiY2RlZg", "MDEyMzQ1Njc4OWFiY2RlZg"
	for name, hash := range map[string]string{
		"empty":            "",
		"plain":            "secret",
		"other algorithm":  "$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + key,
		"other version":    "$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + key,
		"too much memory":  "$argon2id$v=19$m=4194304,t=1,p=1$" + salt + "$" + key,
		"too many passes":  "$argon2id$v=19$m=64,t=100000,p=1$" + salt + "$" + key,
		"no pass":          "$argon2id$v=19$m=64,t=0,p=1$" + salt + "$" + key,
		"too many threads": "$argon2id$v=19$m=64,t=1,p=200$" + salt + "$" + key,
		"negative":         "$argon2id$v=19$m=-64,t=1,p=1$" + salt + "$" + key,
		"missing":          "$argon2id$v=19$m=64,t=1$" + salt + "$" + key,
		"short salt":       "$argon2id$v=19$m=64,t=1,p=1$MDE$" + key,
		"short key":        "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$MDE",
		"no base64":        "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$!!!!!!!!!!!!!!!!!!!!!!",
		"more fields":      "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + key + "$x",
	} {
		ok, err := Verify("pw", hash)
		require.ErrorIs(t, err, ErrHash, name)
		require.False(t, ok, name)
	}
}
