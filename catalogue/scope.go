package catalogue

import (
	"encoding/binary"
	"fmt"

	"dapple/command"
)

// Scope is a namespace of DIDs. ID is its number in keys, assigned once.
type Scope struct {
	Name    string
	ID      uint32
	Account string
	Created int64
}

const scopeFormat = 1

func appendScope(b []byte, s *Scope) []byte {
	b = append(b, scopeFormat)
	b = binary.AppendUvarint(b, uint64(s.ID))
	b = appendString(b, s.Account)
	return binary.AppendVarint(b, s.Created)
}

func parseScope(name string, b []byte) (*Scope, error) {
	r := newRecordReader(b, scopeFormat)
	s := &Scope{Name: name, ID: r.uint32(), Account: r.string(), Created: r.varint()}
	return s, recordError(r.done(), "scope", name)
}

// GetScope returns a scope, or CodeScopeNotFound.
func GetScope(v View, name string) (*Scope, error) {
	b, found, err := v.Get(textKey(tableScope, name))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, Errorf(command.CodeScopeNotFound, "Scope '%s' not found!", name)
	}
	return parseScope(name, b)
}

// findScopeID returns the number of a scope, and false where there is no such scope.
func findScopeID(v View, name string) (uint32, bool, error) {
	s, err := GetScope(v, name)
	if CodeOf(err) == command.CodeScopeNotFound {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	return s.ID, true, nil
}

// scopeName returns the name of a scope by its number; a number that is unknown is a damaged store.
func scopeName(v View, id uint32) (string, error) {
	b, found, err := v.Get(idKey(tableScopeID, id))
	if err != nil {
		return "", err
	}
	if !found {
		return "", fmt.Errorf("%w: no scope has number %d", ErrRecord, id)
	}
	return string(b), nil
}

// ListScopes visits every scope in ascending order of name until visit returns an error.
func ListScopes(v View, visit func(*Scope) error) error {
	low := []byte{tableScope}
	return v.Scan(low, prefixEnd(low), func(key, value []byte) (bool, error) {
		s, err := parseScope(string(key[1:]), value)
		if err != nil {
			return false, err
		}
		return true, visit(s)
	})
}

// AccountScopes returns the names of the scopes that an account owns in ascending order, or CodeAccountNotFound.
func AccountScopes(v View, account string) ([]string, error) {
	if _, found, err := findAccount(v, account); err != nil {
		return nil, err
	} else if !found {
		return nil, Errorf(command.CodeAccountNotFound, "Account ID '%s' does not exist", account)
	}
	var names []string
	low := textKey0(tableAccountScope, account)
	err := v.Scan(low, prefixEnd(low), func(key, _ []byte) (bool, error) {
		names = append(names, string(key[len(low):]))
		return true, nil
	})
	return names, err
}

// putScope stores a scope with the indexes by its number and by its owner.
func putScope(tx Tx, s *Scope) {
	tx.Put(textKey(tableScope, s.Name), appendScope(nil, s))
	tx.Put(idKey(tableScopeID, s.ID), []byte(s.Name))
	tx.Put(append(textKey0(tableAccountScope, s.Account), s.Name...), nil)
}

// AddScope makes a scope that an account owns.
func AddScope(tx Tx, at Stamp, c *command.AddScope) ([]byte, error) {
	schema, err := NameSchemaOf(tx)
	if err != nil {
		return nil, err
	}
	if err := schema.CheckScope(c.Name); err != nil {
		return nil, err
	}
	if err := schema.checkSegments("scope", c.Name); err != nil {
		return nil, err
	}
	if err := Authorize(tx, at.Issuer, ActionAddScope); err != nil {
		return nil, err
	}
	if _, err := requireActiveAccount(tx, c.Account); err != nil {
		return nil, err
	}
	if _, found, err := findScopeID(tx, c.Name); err != nil {
		return nil, err
	} else if found {
		return nil, Errorf(command.CodeScopeExists, "Scope '%s' already exists!", c.Name)
	}
	id, err := nextID(tx, idScope)
	if err != nil {
		return nil, err
	}
	putNextID(tx, idScope, id+1)
	putScope(tx, &Scope{Name: c.Name, ID: id, Account: c.Account, Created: at.Time})
	tx.Note(at, Change{Kind: ChangeScopeAdded, ref: didRef{scope: id}, New: c.Account})
	return nil, nil
}

// SetScopeOwner gives a scope to another account.
func SetScopeOwner(tx Tx, at Stamp, c *command.SetScopeOwner) ([]byte, error) {
	if err := Authorize(tx, at.Issuer, ActionSetScopeOwner, c.Name); err != nil {
		return nil, err
	}
	s, err := GetScope(tx, c.Name)
	if err != nil {
		return nil, err
	}
	if _, err := requireActiveAccount(tx, c.Account); err != nil {
		return nil, err
	}
	tx.Delete(append(textKey0(tableAccountScope, s.Account), s.Name...))
	tx.Note(at, Change{Kind: ChangeScopeChanged, ref: didRef{scope: s.ID}, Old: s.Account, New: c.Account})
	s.Account = c.Account
	putScope(tx, s)
	return nil, nil
}
