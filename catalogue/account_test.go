package catalogue

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// accountStore returns a store with root, the admin ann, the users joe and sue, of whom sue is suspended, and joe's scope.
func accountStore() *MemTx {
	tx := NewMemTx()
	for i, name := range []string{RootAccount, "ann", "joe", "sue"} {
		a := &Account{Name: name, ID: uint32(i + 1), Type: AccountUser, Status: AccountActive, Created: 1, Updated: 1}
		if name == "sue" {
			a.Status = AccountSuspended
		}
		putAccount(tx, a)
	}
	putNextID(tx, idAccount, 5)
	tx.Put(accountAttributeKey("ann", "admin"), []byte("true"))
	tx.Put(accountAttributeKey("sue", "admin"), []byte("true"))
	putScope(tx, &Scope{Name: "user.joe", ID: 1, Account: "joe", Created: 1})
	putNextID(tx, idScope, 2)
	tx.Writes = 0
	return tx
}

var testStamp = Stamp{Revision: 7, Time: 1000, Issuer: RootAccount}

// refused runs a command that must be refused with a code and must not have written.
func refused[C any](t *testing.T, tx *MemTx, at Stamp, code command.Code, run func(Tx, Stamp, C) ([]byte, error), c C) {
	t.Helper()
	writes := tx.Writes
	_, err := run(tx, at, c)
	require.Equal(t, code, CodeOf(err), "%v", err)
	require.Equal(t, writes, tx.Writes, "refused with %v, and wrote", err)
}

func done[C any](t *testing.T, tx *MemTx, at Stamp, run func(Tx, Stamp, C) ([]byte, error), c C) {
	t.Helper()
	_, err := run(tx, at, c)
	require.NoError(t, err)
}

func as(account string) Stamp { return Stamp{Revision: 7, Time: 1000, Issuer: account} }

func TestAddAccount(t *testing.T) {
	tx := accountStore()
	good := &command.AddAccount{Name: "new", Type: "GROUP", Email: "n@x"}
	refused(t, tx, as("joe"), command.CodeAccessDenied, AddAccount, good)
	refused(t, tx, as("ann"), command.CodeAccessDenied, AddAccount, good) // root alone makes accounts
	refused(t, tx, as(""), command.CodeAccessDenied, AddAccount, good)
	refused(t, tx, testStamp, command.CodeAccountExists, AddAccount, &command.AddAccount{Name: "joe", Type: "USER"})
	refused(t, tx, testStamp, command.CodeInvalidAccountType, AddAccount, &command.AddAccount{Name: "x", Type: "ROBOT"})
	refused(t, tx, testStamp, command.CodeInvalidObject, AddAccount, &command.AddAccount{Name: "x", Type: "USER", Email: "a\nb"})
	for _, name := range []string{"", "Ann", "a b", "a.b", "a\n", strings.Repeat("a", 26)} {
		refused(t, tx, testStamp, command.CodeInvalidObject, AddAccount, &command.AddAccount{Name: name, Type: "USER"})
	}
	done(t, tx, testStamp, AddAccount, good)
	a, err := GetAccount(tx, "new")
	require.NoError(t, err)
	require.Equal(t, &Account{
		Name: "new", ID: 5, Revision: 7, Type: AccountGroup, Status: AccountActive, Email: "n@x", Created: 1000, Updated: 1000,
	}, a)
	name, err := accountName(tx, 5)
	require.NoError(t, err)
	require.Equal(t, "new", name)
	done(t, tx, testStamp, AddAccount, &command.AddAccount{Name: "next", Type: "USER"})
	a, err = GetAccount(tx, "next")
	require.NoError(t, err)
	require.EqualValues(t, 6, a.ID)
}

func TestUpdateAndDeleteAccount(t *testing.T) {
	tx := accountStore()
	text := func(s string) *string { return &s }
	suspend := &command.UpdateAccount{Name: "joe", Status: text("SUSPENDED")}
	refused(t, tx, as("joe"), command.CodeAccessDenied, UpdateAccount, suspend)
	refused(t, tx, testStamp, command.CodeInvalidValue, UpdateAccount, &command.UpdateAccount{Name: "joe", Status: text("DELETED")})
	refused(t, tx, testStamp, command.CodeInvalidValue, UpdateAccount, &command.UpdateAccount{Name: "joe", Status: text("x"), Email: text("e")})
	refused(t, tx, testStamp, command.CodeInvalidAccountType, UpdateAccount, &command.UpdateAccount{Name: "joe", Type: text("x")})
	refused(t, tx, testStamp, command.CodeAccountNotFound, UpdateAccount, &command.UpdateAccount{Name: "none"})
	refused(t, tx, as("ann"), command.CodeAccessDenied, UpdateAccount, &command.UpdateAccount{Name: RootAccount, Status: text("SUSPENDED")})
	done(t, tx, as("ann"), UpdateAccount, suspend)
	a, err := GetAccount(tx, "joe")
	require.NoError(t, err)
	require.Equal(t, []any{AccountSuspended, int64(1000), int64(1000)}, []any{a.Status, a.Suspended, a.Updated})
	refused(t, tx, as("joe"), command.CodeAccessDenied, AddScope, &command.AddScope{Name: "s", Account: "joe"})
	done(t, tx, as("ann"), UpdateAccount, &command.UpdateAccount{Name: "joe", Status: text("ACTIVE"), Type: text("SERVICE"), Email: text("e")})

	drop := &command.DeleteAccount{Name: "joe"}
	refused(t, tx, as("ann"), command.CodeAccessDenied, DeleteAccount, drop)
	refused(t, tx, testStamp, command.CodeAccessDenied, DeleteAccount, &command.DeleteAccount{Name: RootAccount})
	refused(t, tx, testStamp, command.CodeAccountNotFound, DeleteAccount, &command.DeleteAccount{Name: "none"})
	done(t, tx, testStamp, DeleteAccount, drop)
	refused(t, tx, testStamp, command.CodeAccountNotFound, DeleteAccount, drop)
	refused(t, tx, testStamp, command.CodeAccountExists, AddAccount, &command.AddAccount{Name: "joe", Type: "USER"})
	refused(t, tx, testStamp, command.CodeAccountNotFound, AddScope, &command.AddScope{Name: "s", Account: "joe"})
}

func TestAccountAttributes(t *testing.T) {
	tx := accountStore()
	set := &command.SetAccountAttribute{Account: "joe", Key: "admin", Value: "True"}
	refused(t, tx, as("joe"), command.CodeAccessDenied, SetAccountAttribute, set)
	refused(t, tx, as("sue"), command.CodeAccessDenied, SetAccountAttribute, set) // an admin, but suspended
	refused(t, tx, testStamp, command.CodeAccountNotFound, SetAccountAttribute, &command.SetAccountAttribute{Account: "none", Key: "k", Value: "v"})
	for _, bad := range []string{"", "a b", "ü", "a\x00b", strings.Repeat("k", 31)} {
		refused(t, tx, testStamp, command.CodeInvalidObject, SetAccountAttribute, &command.SetAccountAttribute{Account: "joe", Key: bad, Value: "v"})
		refused(t, tx, testStamp, command.CodeInvalidObject, SetAccountAttribute, &command.SetAccountAttribute{Account: "joe", Key: "k", Value: bad})
	}
	done(t, tx, as("ann"), SetAccountAttribute, set)
	refused(t, tx, testStamp, command.CodeAccountAttributeExists, SetAccountAttribute, set)
	all, err := AccountAttributes(tx, "joe")
	require.NoError(t, err)
	require.Equal(t, []AccountAttribute{{"admin", "true"}}, all)
	admin, err := IsAdmin(tx, "joe")
	require.NoError(t, err)
	require.True(t, admin)
	unset := &command.DeleteAccountAttribute{Account: "joe", Key: "admin"}
	done(t, tx, testStamp, DeleteAccountAttribute, unset)
	refused(t, tx, testStamp, command.CodeAccountAttributeNotFound, DeleteAccountAttribute, unset)
	done(t, tx, testStamp, SetAccountAttribute, &command.SetAccountAttribute{Account: "joe", Key: "admin", Value: "FALSE"})
	admin, err = IsAdmin(tx, "joe")
	require.NoError(t, err)
	require.False(t, admin, "an attribute that says no makes an admin")
}

func TestIdentityCommands(t *testing.T) {
	tx := accountStore()
	add := &command.AddIdentity{Account: "joe", Type: "userpass", Identity: "j", Email: "j@x", PasswordHash: "$h1"}
	refused(t, tx, as("joe"), command.CodeAccessDenied, AddIdentity, add)
	refused(t, tx, testStamp, command.CodeInvalidIdentity, AddIdentity, &command.AddIdentity{Account: "joe", Type: "USERPASS", Identity: "j"})
	refused(t, tx, testStamp, command.CodeInvalidValue, AddIdentity, &command.AddIdentity{Account: "joe", Type: "X", Identity: "j"})
	refused(t, tx, testStamp, command.CodeInvalidObject, AddIdentity, &command.AddIdentity{Account: "joe", Type: "X509", Identity: "a\x00b"})
	refused(t, tx, testStamp, command.CodeAccountNotFound, AddIdentity, &command.AddIdentity{Account: "sue", Type: "X509", Identity: "j"})
	done(t, tx, testStamp, AddIdentity, add)
	refused(t, tx, testStamp, command.CodeIdentityExists, AddIdentity, add)
	// A further account neither needs nor changes the password.
	later := as(RootAccount)
	later.Time = 2000
	done(t, tx, later, AddIdentity, &command.AddIdentity{Account: "ann", Type: "USERPASS", Identity: "j", PasswordHash: "$h2"})
	i, err := GetIdentity(tx, IdentityUserpass, "j")
	require.NoError(t, err)
	require.Equal(t, &Identity{Type: IdentityUserpass, Name: "j", Created: 1000, Email: "j@x", PasswordHash: "$h1"}, i)

	defaultAccount := func() (string, bool) {
		grants, err := Grants(tx, IdentityUserpass, "j")
		require.NoError(t, err)
		return DefaultAccount(grants)
	}
	_, found := defaultAccount()
	require.False(t, found, "no grant is marked as the default")
	done(t, tx, later, AddIdentity, &command.AddIdentity{Account: RootAccount, Type: "USERPASS", Identity: "j", Default: true})
	account, found := defaultAccount()
	require.True(t, found)
	require.Equal(t, RootAccount, account)
	done(t, tx, testStamp, AddAccount, &command.AddAccount{Name: "zoe", Type: "USER"})
	done(t, tx, testStamp, AddIdentity, &command.AddIdentity{Account: "zoe", Type: "USERPASS", Identity: "j", Default: true})
	account, _ = defaultAccount()
	require.Equal(t, "zoe", account, "of several defaults the one granted first")

	drop := func(account string) *command.DeleteIdentity {
		return &command.DeleteIdentity{Account: account, Type: "USERPASS", Identity: "j"}
	}
	refused(t, tx, as("joe"), command.CodeAccessDenied, DeleteIdentity, drop("joe"))
	refused(t, tx, testStamp, command.CodeIdentityNotFound, DeleteIdentity, drop("sue"))
	for _, name := range []string{"joe", "ann", "zoe", RootAccount} {
		_, err = GetIdentity(tx, IdentityUserpass, "j")
		require.NoError(t, err, "gone before %s lost it", name)
		done(t, tx, testStamp, DeleteIdentity, drop(name))
	}
	_, err = GetIdentity(tx, IdentityUserpass, "j")
	require.Equal(t, command.CodeIdentityNotFound, CodeOf(err))
	_, found = defaultAccount()
	require.False(t, found)
	all, err := AccountIdentities(tx, "joe")
	require.NoError(t, err)
	require.Empty(t, all)
}

func TestAddScope(t *testing.T) {
	tx := accountStore()
	refused(t, tx, as("joe"), command.CodeAccessDenied, AddScope, &command.AddScope{Name: "s", Account: "joe"})
	refused(t, tx, testStamp, command.CodeScopeExists, AddScope, &command.AddScope{Name: "user.joe", Account: "ann"})
	refused(t, tx, testStamp, command.CodeAccountNotFound, AddScope, &command.AddScope{Name: "s", Account: "none"})
	for _, name := range []string{"", "a b", "a!b", "a/b", "a\n", strings.Repeat("s", 26)} {
		refused(t, tx, testStamp, command.CodeInvalidObject, AddScope, &command.AddScope{Name: name, Account: "joe"})
	}
	done(t, tx, as("ann"), AddScope, &command.AddScope{Name: "Data-1", Account: "joe"})
	s, err := GetScope(tx, "Data-1")
	require.NoError(t, err)
	require.Equal(t, &Scope{Name: "Data-1", ID: 2, Account: "joe", Created: 1000}, s)
	owned, err := AccountScopes(tx, "joe")
	require.NoError(t, err)
	require.Equal(t, []string{"Data-1", "user.joe"}, owned)
}

func TestTokens(t *testing.T) {
	tx := accountStore()
	revoke := &command.RevokeToken{TokenId: "t1", Account: "joe", Expires: 5000}
	refused(t, tx, Stamp{Issuer: "mallory", Time: 1000}, command.CodeAccessDenied, RevokeToken, revoke)
	refused(t, tx, testStamp, command.CodeInvalidObject, RevokeToken, &command.RevokeToken{Account: "joe", Expires: 5000})
	done(t, tx, as("joe"), RevokeToken, revoke)
	isRevoked := func(id string) bool {
		revoked, err := TokenRevoked(tx, id)
		require.NoError(t, err)
		return revoked
	}
	require.True(t, isRevoked("t1"))
	require.False(t, isRevoked("t2"))
	later := testStamp
	later.Time = 6000
	done(t, tx, later, RevokeToken, &command.RevokeToken{TokenId: "t2", Account: "joe", Expires: 9000})
	require.False(t, isRevoked("t1"), "kept though it has expired")
	require.True(t, isRevoked("t2"))

	refused(t, tx, as("joe"), command.CodeAccessDenied, RevokeAccountTokens, &command.RevokeAccountTokens{Account: "ann"})
	refused(t, tx, testStamp, command.CodeAccountNotFound, RevokeAccountTokens, &command.RevokeAccountTokens{Account: "none"})
	for _, c := range []struct{ before, want int64 }{{500, 500}, {100, 500}, {99_999, 1000}} {
		done(t, tx, as("joe"), RevokeAccountTokens, &command.RevokeAccountTokens{Account: "joe", Before: c.before})
		from, err := TokensValidFrom(tx, "joe")
		require.NoError(t, err)
		require.Equal(t, c.want, from)
	}
}

func TestSigningKeys(t *testing.T) {
	tx := accountStore()
	seed := make([]byte, 32)
	for i, id := range []string{"z", "a"} {
		done(t, tx, Stamp{Time: int64(i)}, AddSigningKey, &command.AddSigningKey{Id: id, Seed: seed})
	}
	refused(t, tx, Stamp{}, command.CodeInvalidValue, AddSigningKey, &command.AddSigningKey{Id: "z", Seed: seed})
	refused(t, tx, Stamp{}, command.CodeInvalidObject, AddSigningKey, &command.AddSigningKey{Id: "y", Seed: seed[:31]})
	refused(t, tx, as("joe"), command.CodeAccessDenied, AddSigningKey, &command.AddSigningKey{Id: "y", Seed: seed})
	keys, err := SigningKeys(tx)
	require.NoError(t, err)
	require.Equal(t, []SigningKey{{"z", seed, 0}, {"a", seed, 1}}, keys)
}

// Each record comes back as it was, has one encoding, and is refused where it is cut or longer.
func TestSmallRecords(t *testing.T) {
	account := &Account{Name: "a", ID: 300, Revision: 9, Type: AccountUser, Status: AccountDeleted, Email: "e", Created: 1, Updated: 2, Suspended: 3, Deleted: 4}
	identity := &Identity{Type: IdentityX509, Name: "i", Created: 5, Email: "e", PasswordHash: "$"}
	grant := &Grant{Account: "a", Created: 5, Default: true}
	scope := &Scope{Name: "s", ID: 7, Account: "a", Created: 5}
	counters := &Counters{Updated: 5}
	counters.states[3] = Tally{Files: 1 << 40, Bytes: 1 << 60}
	for name, c := range map[string]struct {
		record any
		bytes  []byte
		parse  func([]byte) (any, error)
	}{
		"account":  {account, appendAccount(nil, account), func(b []byte) (any, error) { return parseAccount("a", b) }},
		"identity": {identity, appendIdentity(nil, identity), func(b []byte) (any, error) { return parseIdentity(IdentityX509, "i", b) }},
		"grant":    {grant, appendGrant(nil, grant), func(b []byte) (any, error) { return parseGrant("a", b) }},
		"scope":    {scope, appendScope(nil, scope), func(b []byte) (any, error) { return parseScope("s", b) }},
		"counters": {counters, appendCounters(nil, counters), func(b []byte) (any, error) { return parseCounters(1, b) }},
	} {
		got, err := c.parse(c.bytes)
		require.NoError(t, err, name)
		require.Equal(t, c.record, got, name)
		for n := range c.bytes {
			_, err = c.parse(c.bytes[:n])
			require.ErrorIs(t, err, ErrRecord, "%s cut to %d bytes", name, n)
		}
		_, err = c.parse(append(c.bytes, 0))
		require.ErrorIs(t, err, ErrRecord, "%s with a byte more", name)
	}
}
