package catalogue

import (
	"encoding/binary"
	"slices"

	"dapple/command"
)

// IdentityType is a way to prove who one is. The numbers are stored.
type IdentityType byte

// The types of identities. Only X509 and USERPASS can log in; the others may be registered.
const (
	IdentityX509     IdentityType = 1
	IdentityGSS      IdentityType = 2
	IdentityUserpass IdentityType = 3
	IdentitySSH      IdentityType = 4
	IdentitySAML     IdentityType = 5
	IdentityOIDC     IdentityType = 6
)

var identityTypes = [...]string{
	IdentityX509: "X509", IdentityGSS: "GSS", IdentityUserpass: "USERPASS",
	IdentitySSH: "SSH", IdentitySAML: "SAML", IdentityOIDC: "OIDC",
}

// String returns the API's name of the type.
func (t IdentityType) String() string { return nameAt(identityTypes[:], int(t)) }

// ParseIdentityType reads the API's name of a type in any case, or returns CodeInvalidValue.
func ParseIdentityType(text string) (IdentityType, error) {
	if i := indexOf(identityTypes[:], asciiUpper(text)); i != 0 {
		return IdentityType(i), nil
	}
	return 0, Errorf(command.CodeInvalidValue, "'%s' is not a type of identity", text)
}

// IdentityTypes lists the API's names of the types.
func IdentityTypes() []string { return slices.Clone(identityTypes[1:]) }

// asciiUpper raises the letters a to z alone, so that no other letter can turn into one of a known name.
func asciiUpper(text string) string {
	b := []byte(text)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// Identity is a proven name: a user name with its password hash, or the distinguished name of a certificate. It lives as
// long as an account is granted to it.
type Identity struct {
	Type IdentityType
	Name string
	// Created is when the identity was made, or got another password: tokens of before are void.
	Created int64
	Email   string
	// PasswordHash is in PHC string format, "" where the type has no password.
	PasswordHash string
}

// Grant lets an identity act as an account.
type Grant struct {
	Account string
	Created int64
	// Default marks the account that the identity gets when it names none.
	Default bool
}

const (
	identityFormat = 1
	grantFormat    = 1
)

func appendIdentity(b []byte, i *Identity) []byte {
	b = append(b, identityFormat)
	b = binary.AppendVarint(b, i.Created)
	b = appendString(b, i.Email)
	return appendString(b, i.PasswordHash)
}

func parseIdentity(t IdentityType, name string, b []byte) (*Identity, error) {
	r := newRecordReader(b, identityFormat)
	i := &Identity{Type: t, Name: name, Created: r.varint(), Email: r.string(), PasswordHash: r.string()}
	return i, recordError(r.done(), "identity", name)
}

func appendGrant(b []byte, g *Grant) []byte {
	b = append(b, grantFormat)
	b = binary.AppendVarint(b, g.Created)
	return appendBool(b, g.Default)
}

func parseGrant(account string, b []byte) (*Grant, error) {
	r := newRecordReader(b, grantFormat)
	g := &Grant{Account: account, Created: r.varint(), Default: r.bool()}
	return g, recordError(r.done(), "grant of account", account)
}

func identityKey(t IdentityType, identity string) []byte {
	return append([]byte{tableIdentity, byte(t)}, identity...)
}

func grantPrefix(t IdentityType, identity string) []byte {
	return append(append([]byte{tableIdentityAccount, byte(t)}, identity...), 0)
}

func grantKey(t IdentityType, identity, account string) []byte {
	return append(grantPrefix(t, identity), account...)
}

func accountIdentityKey(account string, t IdentityType, identity string) []byte {
	return append(append(textKey0(tableAccountIdentity, account), byte(t)), identity...)
}

// GetIdentity returns an identity, or CodeIdentityNotFound.
func GetIdentity(v View, t IdentityType, identity string) (*Identity, error) {
	i, found, err := findIdentity(v, t, identity)
	if err == nil && !found {
		err = Errorf(command.CodeIdentityNotFound, "Identity ('%s','%s') does not exist!", identity, t)
	}
	return i, err
}

func findIdentity(v View, t IdentityType, identity string) (*Identity, bool, error) {
	b, found, err := v.Get(identityKey(t, identity))
	if err != nil || !found {
		return nil, false, err
	}
	i, err := parseIdentity(t, identity, b)
	return i, err == nil, err
}

// IdentityHasAccount reports whether an identity may act as an account.
func IdentityHasAccount(v View, t IdentityType, identity, account string) (bool, error) {
	_, found, err := v.Get(grantKey(t, identity, account))
	return found, err
}

// Grants returns the accounts that an identity may act as, in ascending order of account.
func Grants(v View, t IdentityType, identity string) ([]*Grant, error) {
	var all []*Grant
	low := grantPrefix(t, identity)
	err := v.Scan(low, prefixEnd(low), func(key, value []byte) (bool, error) {
		g, err := parseGrant(string(key[len(low):]), value)
		all = append(all, g)
		return true, err
	})
	return all, err
}

// DefaultAccount returns the account that an identity is to get when it names none. It returns false if no grant is marked as
// the default. If several are, the one granted first counts, and of those granted at the same time the first by name.
func DefaultAccount(grants []*Grant) (account string, found bool) {
	var best *Grant
	for _, g := range grants {
		if g.Default && (best == nil || g.Created < best.Created) {
			best = g
		}
	}
	if best == nil {
		return "", false
	}
	return best.Account, true
}

// AccountIdentities returns the identities that may act as an account, in ascending order of type and name.
func AccountIdentities(v View, account string) ([]*Identity, error) {
	var all []*Identity
	low := textKey0(tableAccountIdentity, account)
	err := v.Scan(low, prefixEnd(low), func(key, _ []byte) (bool, error) {
		if len(key) < len(low)+2 {
			return false, ErrKey
		}
		i, err := GetIdentity(v, IdentityType(key[len(low)]), string(key[len(low)+1:]))
		if CodeOf(err) == command.CodeIdentityNotFound {
			return false, recordError(ErrRecord, "identities of account", account)
		}
		all = append(all, i)
		return true, err
	})
	return all, err
}

// putIdentity stores an identity.
func putIdentity(tx Tx, i *Identity) {
	tx.Put(identityKey(i.Type, i.Name), appendIdentity(nil, i))
}

// putGrant lets an identity act as the account of g.
func putGrant(tx Tx, t IdentityType, identity string, g *Grant) {
	tx.Put(grantKey(t, identity, g.Account), appendGrant(nil, g))
	tx.Put(accountIdentityKey(g.Account, t, identity), nil)
}

const maxIdentityName = 2048

// ValidateIdentity returns CodeInvalidObject for a name that no identity can have.
func ValidateIdentity(identity string) error {
	if identity == "" || len(identity) > maxIdentityName || !isPlainText(identity) {
		return Errorf(command.CodeInvalidObject, "Problem validating identity: '%.64s' is no text of 1 to %d characters", identity, maxIdentityName)
	}
	return nil
}

// AddIdentity lets an identity act as an account and makes the identity where it does not exist. One that does keeps its e-mail
// address and password.
func AddIdentity(tx Tx, at Stamp, c *command.AddIdentity) ([]byte, error) {
	t, err := ParseIdentityType(c.Type)
	if err != nil {
		return nil, err
	}
	if err = ValidateIdentity(c.Identity); err != nil {
		return nil, err
	}
	if err = ValidateText("email", c.Email); err != nil {
		return nil, err
	}
	if err = Authorize(tx, at.Issuer, ActionAddIdentity); err != nil {
		return nil, err
	}
	if a, found, err := findAccount(tx, c.Account); err != nil {
		return nil, err
	} else if !found || a.Status != AccountActive {
		return nil, Errorf(command.CodeAccountNotFound, "Account '%s' does not exist.", c.Account)
	}
	present, exists, err := findIdentity(tx, t, c.Identity)
	if err != nil {
		return nil, err
	}
	if !exists && t == IdentityUserpass && c.PasswordHash == "" {
		return nil, Errorf(command.CodeInvalidIdentity, "You must provide a password!")
	}
	granted, err := IdentityHasAccount(tx, t, c.Identity, c.Account)
	if err != nil {
		return nil, err
	}
	if granted {
		return nil, Errorf(command.CodeIdentityExists, "Identity pair '%s','IdentityType.%s' already exists!", c.Identity, t)
	}
	if exists && t == IdentityUserpass {
		if err = checkGrantedPassword(tx, present, c.PasswordHash); err != nil {
			return nil, err
		}
	}
	if !exists {
		i := &Identity{Type: t, Name: c.Identity, Created: at.Time, Email: c.Email}
		if t == IdentityUserpass {
			i.PasswordHash = c.PasswordHash
		}
		putIdentity(tx, i)
	}
	putGrant(tx, t, c.Identity, &Grant{Account: c.Account, Created: at.Time, Default: c.Default})
	return nil, nil
}

// DeleteIdentity takes an account away from an identity. The identity goes with its last account, so that its password does not
// come back with its name.
func DeleteIdentity(tx Tx, at Stamp, c *command.DeleteIdentity) ([]byte, error) {
	t, err := ParseIdentityType(c.Type)
	if err != nil {
		return nil, err
	}
	if err = Authorize(tx, at.Issuer, ActionDeleteIdentity); err != nil {
		return nil, err
	}
	grants, err := Grants(tx, t, c.Identity)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(grants, func(g *Grant) bool { return g.Account == c.Account }) {
		return nil, Errorf(command.CodeIdentityNotFound, "Identity ('%s','IdentityType.%s') does not exist!", c.Identity, t)
	}
	tx.Delete(grantKey(t, c.Identity, c.Account))
	tx.Delete(accountIdentityKey(c.Account, t, c.Identity))
	if len(grants) == 1 {
		tx.Delete(identityKey(t, c.Identity))
	}
	return nil, nil
}
