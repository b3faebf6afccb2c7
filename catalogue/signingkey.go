package catalogue

import (
	"dapple/command"
)

// RotateSigningKey adds a key that signs tokens from now on, as root. Tokens of earlier keys stay valid until those are deleted.
func RotateSigningKey(tx Tx, at Stamp, c *command.RotateSigningKey) ([]byte, error) {
	if err := Authorize(tx, at.Issuer, ActionManageSigningKeys); err != nil {
		return nil, err
	}
	return AddSigningKey(tx, at, &command.AddSigningKey{Id: c.Id, Seed: c.Seed})
}

// DeleteSigningKey deletes a key, as root: all tokens that it has signed are void. The key that signs cannot be deleted.
func DeleteSigningKey(tx Tx, at Stamp, c *command.DeleteSigningKey) ([]byte, error) {
	if err := Authorize(tx, at.Issuer, ActionManageSigningKeys); err != nil {
		return nil, err
	}
	found, err := HasSigningKey(tx, c.Id)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, Errorf(command.CodeKeyNotFound, "there is no signing key '%.64s'", c.Id)
	}
	keys, err := SigningKeys(tx)
	if err != nil {
		return nil, err
	}
	if keys[len(keys)-1].ID == c.Id {
		return nil, Errorf(command.CodeUnsupportedOperation, "signing key '%.64s' is the one that signs tokens; add another one first", c.Id)
	}
	tx.Delete(textKey(tableSigningKey, c.Id))
	return nil, nil
}

// HasSigningKey reports whether there is a signing key of an id.
func HasSigningKey(v View, id string) (bool, error) {
	_, found, err := v.Get(textKey(tableSigningKey, id))
	return found, err
}
