package catalogue

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func genesisCommand() *command.Genesis {
	return &command.Genesis{
		ClusterId: bytes.Repeat([]byte{7}, 16), RootIdentity: "ddmlab", RootPassword: "$argon2id$hash", RootEmail: "root@example.org",
		KeyId: "key-1", KeySeed: bytes.Repeat([]byte{9}, 32), Schema: SchemaVersion, Features: NewestFeatureLevel,
	}
}

func TestGenesisMakesRootAndKey(t *testing.T) {
	tx := NewMemTx()
	_, found, err := ClusterID(tx)
	require.NoError(t, err)
	require.False(t, found)

	_, err = Genesis(tx, Stamp{Revision: 5, Time: 1000}, genesisCommand())
	require.NoError(t, err)

	id, found, err := ClusterID(tx)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, [16]byte(bytes.Repeat([]byte{7}, 16)), id)
	version, err := Schema(tx)
	require.NoError(t, err)
	require.EqualValues(t, SchemaVersion, version)

	root, err := GetAccount(tx, RootAccount)
	require.NoError(t, err)
	require.Equal(t, &Account{
		Name: "root", ID: 1, Revision: 5, Type: AccountService, Status: AccountActive, Email: "root@example.org",
		Created: 1000, Updated: 1000,
	}, root)
	next, err := nextID(tx, idAccount)
	require.NoError(t, err)
	require.EqualValues(t, 2, next)

	identity, err := GetIdentity(tx, IdentityUserpass, "ddmlab")
	require.NoError(t, err)
	require.Equal(t, "$argon2id$hash", identity.PasswordHash)
	_, granted, err := tx.Get(grantKey(IdentityUserpass, "ddmlab", RootAccount))
	require.NoError(t, err)
	require.True(t, granted)
	keys, err := SigningKeys(tx)
	require.NoError(t, err)
	require.Equal(t, []SigningKey{{ID: "key-1", Seed: bytes.Repeat([]byte{9}, 32), Created: 1000}}, keys)
}

func TestGenesisRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*command.Genesis)
		code   command.Code
	}{
		"short cluster id": {func(g *command.Genesis) { g.ClusterId = g.ClusterId[:15] }, command.CodeInvalidObject},
		"zero cluster id":  {func(g *command.Genesis) { g.ClusterId = make([]byte, 16) }, command.CodeInvalidObject},
		"no password":      {func(g *command.Genesis) { g.RootPassword = "" }, command.CodeInvalidObject},
		"no identity":      {func(g *command.Genesis) { g.RootIdentity = "" }, command.CodeInvalidObject},
		"no key id":        {func(g *command.Genesis) { g.KeyId = "" }, command.CodeInvalidObject},
		"short seed":       {func(g *command.Genesis) { g.KeySeed = g.KeySeed[1:] }, command.CodeInvalidObject},
	} {
		t.Run(name, func(t *testing.T) {
			tx, g := NewMemTx(), genesisCommand()
			c.change(g)
			_, err := Genesis(tx, Stamp{Revision: 1, Time: 1}, g)
			require.Equal(t, c.code, CodeOf(err))
			require.Zero(t, tx.Writes)
		})
	}

	tx := NewMemTx()
	_, err := Genesis(tx, Stamp{Revision: 1, Time: 1}, genesisCommand())
	require.NoError(t, err)
	before := tx.Writes
	_, err = Genesis(tx, Stamp{Revision: 2, Time: 2}, genesisCommand())
	require.Equal(t, command.CodeDuplicateGenesis, CodeOf(err))
	require.Equal(t, before, tx.Writes)
}

func TestNextIDs(t *testing.T) {
	tx := NewMemTx()
	for _, kind := range []idKind{idAccount, idScope, idRSE} {
		id, err := nextID(tx, kind)
		require.NoError(t, err)
		require.EqualValues(t, 1, id, "the first number of %s", kind)
	}
	putNextID(tx, idScope, 4)
	scope, err := nextID(tx, idScope)
	require.NoError(t, err)
	require.EqualValues(t, 4, scope)
	rse, err := nextID(tx, idRSE)
	require.NoError(t, err)
	require.EqualValues(t, 1, rse, "kinds count on their own")

	putSystemNumber(tx, "next/rse", 1<<32)
	_, err = nextID(tx, idRSE)
	require.ErrorIs(t, err, ErrRecord, "numbers must not wrap round")
}

func TestClock(t *testing.T) {
	tx := NewMemTx()
	revision, time, err := Clock(tx)
	require.NoError(t, err)
	require.Zero(t, revision)
	require.Zero(t, time)
	PutClock(tx, 12, -5)
	revision, time, err = Clock(tx)
	require.NoError(t, err)
	require.EqualValues(t, 12, revision)
	require.EqualValues(t, -5, time)

	tx.Put(SystemKey("clock"), []byte{1, 12, 9, 9})
	_, _, err = Clock(tx)
	require.ErrorIs(t, err, ErrRecord)
}

func TestLocalKeysLieOutsideTheSharedRange(t *testing.T) {
	low, high := SharedRange()
	inside := func(key []byte) bool {
		return bytes.Compare(key, low) >= 0 && (high == nil || bytes.Compare(key, high) < 0)
	}
	require.False(t, inside(LocalKey("")))
	require.False(t, inside(LocalKey("\xff\xff")))
	require.True(t, IsLocal(LocalKey("applied")))
	for _, key := range [][]byte{SystemKey(""), SessionKey("a"), didKey(didRef{1, "x"}), {0xff, 0xff}} {
		require.True(t, inside(key))
		require.False(t, IsLocal(key))
	}
	first, last := SessionRange()
	require.True(t, bytes.Compare(SessionKey("a"), first) > 0 && bytes.Compare(SessionKey("\xff"), last) < 0)
}
