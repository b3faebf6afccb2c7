package catalogue

import (
	"slices"

	"dapple/command"
)

// SetPassword gives a user name another password. The tokens that were had with the name before are void.
//
// With the previous hash it is a change by the owner, who has proved to know the password: the account must have the identity, and
// the hash must be the present one. Without it, it is a reset by an admin, for a name that may act as root by root alone.
func SetPassword(tx Tx, at Stamp, c *command.SetPassword) ([]byte, error) {
	if c.PasswordHash == "" {
		return nil, Errorf(command.CodeInvalidIdentity, "You must provide a password!")
	}
	if c.PreviousHash == "" {
		if err := Authorize(tx, at.Issuer, ActionResetPassword, c.Identity); err != nil {
			return nil, err
		}
	} else if err := Authorize(tx, at.Issuer, ActionChangePassword, c.Identity); err != nil {
		return nil, err
	}
	i, err := GetIdentity(tx, IdentityUserpass, c.Identity)
	if err != nil {
		return nil, err
	}
	if c.PreviousHash != "" && c.PreviousHash != i.PasswordHash {
		return nil, Errorf(command.CodeCannotAuthenticate, "the password of %s has changed meanwhile", c.Identity)
	}
	i.PasswordHash, i.Created = c.PasswordHash, at.Time
	putIdentity(tx, i)
	return nil, nil
}

// ownPassword allows accounts that have the user name, which is the object.
func ownPassword(v View, account string, objects []string) (bool, error) {
	return IdentityHasAccount(v, IdentityUserpass, objects[0], account)
}

// resetPassword allows admins, but not for a user name that may act as root: with its password they would be root.
func resetPassword(v View, account string, objects []string) (bool, error) {
	grants, err := Grants(v, IdentityUserpass, objects[0])
	if err != nil || slices.ContainsFunc(grants, func(g *Grant) bool { return g.Account == RootAccount }) {
		return false, err
	}
	return IsAdmin(v, account)
}

// checkGrantedPassword refuses to grant an identity that exists with another password than it has, from feature level 2 on. Before,
// the password was ignored. A node that has checked the password sends the hash that is stored.
func checkGrantedPassword(v View, i *Identity, hash string) error {
	if hash == "" || hash == i.PasswordHash {
		return nil
	}
	level, err := FeatureLevel(v)
	if err != nil || level < 2 {
		return err
	}
	return ErrOtherPassword(i.Name)
}

// ErrOtherPassword refuses to grant an identity with another password than it has.
func ErrOtherPassword(identity string) error {
	return Errorf(command.CodeIdentityExists, "Identity '%s' already exists with another password; grant it without a password, or change that first", identity)
}
