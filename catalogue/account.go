package catalogue

import (
	"encoding/binary"
	"fmt"
	"slices"

	"dapple/command"
)

// RootAccount is the account that may do everything. Genesis makes it and it cannot be deleted or suspended.
const RootAccount = "root"

// AccountType says who is behind an account. The numbers are stored.
type AccountType byte

// The types of accounts.
const (
	AccountUser    AccountType = 1
	AccountGroup   AccountType = 2
	AccountService AccountType = 3
)

// AccountStatus says whether an account may act. The numbers are stored.
type AccountStatus byte

// The states of an account. A deleted one keeps its name and its number for ever.
const (
	AccountActive    AccountStatus = 1
	AccountSuspended AccountStatus = 2
	AccountDeleted   AccountStatus = 3
)

var (
	accountTypes    = [...]string{AccountUser: "USER", AccountGroup: "GROUP", AccountService: "SERVICE"}
	accountStatuses = [...]string{AccountActive: "ACTIVE", AccountSuspended: "SUSPENDED", AccountDeleted: "DELETED"}
)

// String returns the API's name of the type.
func (t AccountType) String() string { return nameAt(accountTypes[:], int(t)) }

// String returns the API's name of the status.
func (s AccountStatus) String() string { return nameAt(accountStatuses[:], int(s)) }

// nameAt returns names[i], or a text with the number where there is none.
func nameAt(names []string, i int) string {
	if i <= 0 || i >= len(names) {
		return fmt.Sprintf("UNKNOWN(%d)", i)
	}
	return names[i]
}

// indexOf returns the place of a name in names, 0 where it is not there; place 0 is never used.
func indexOf(names []string, name string) int {
	for i := 1; i < len(names); i++ {
		if names[i] == name {
			return i
		}
	}
	return 0
}

// Account is somebody who acts in the catalogue. ID is its number in records, assigned once.
type Account struct {
	Name     string
	ID       uint32
	Revision uint64
	Type     AccountType
	Status   AccountStatus
	Email    string
	// Created, Updated, Suspended and Deleted are log times in microseconds; the last two are 0 for never.
	Created, Updated, Suspended, Deleted int64
}

const accountFormat = 1

func appendAccount(b []byte, a *Account) []byte {
	b = append(b, accountFormat)
	b = binary.AppendUvarint(b, uint64(a.ID))
	b = binary.AppendUvarint(b, a.Revision)
	b = append(b, byte(a.Type), byte(a.Status))
	b = appendString(b, a.Email)
	for _, t := range [...]int64{a.Created, a.Updated, a.Suspended, a.Deleted} {
		b = binary.AppendVarint(b, t)
	}
	return b
}

func parseAccount(name string, b []byte) (*Account, error) {
	r := newRecordReader(b, accountFormat)
	a := &Account{
		Name: name, ID: r.uint32(), Revision: r.uvarint(),
		Type: AccountType(r.byte()), Status: AccountStatus(r.byte()), Email: r.string(),
		Created: r.varint(), Updated: r.varint(), Suspended: r.varint(), Deleted: r.varint(),
	}
	return a, recordError(r.done(), "account", name)
}

// recordError names the record that an error is about.
func recordError(err error, kind, name string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %q: %w", kind, name, err)
}

// GetAccount returns an account of any status, or CodeAccountNotFound.
func GetAccount(v View, name string) (*Account, error) {
	a, found, err := findAccount(v, name)
	if err == nil && !found {
		err = Errorf(command.CodeAccountNotFound, "Account with ID '%s' cannot be found", name)
	}
	return a, err
}

func findAccount(v View, name string) (*Account, bool, error) {
	b, found, err := v.Get(textKey(tableAccount, name))
	if err != nil || !found {
		return nil, false, err
	}
	a, err := parseAccount(name, b)
	return a, err == nil, err
}

// requireActiveAccount returns an account that may act, or CodeAccountNotFound.
func requireActiveAccount(v View, name string) (*Account, error) {
	a, found, err := findAccount(v, name)
	if err != nil {
		return nil, err
	}
	if !found || a.Status != AccountActive {
		return nil, Errorf(command.CodeAccountNotFound, "Account ID '%s' does not exist", name)
	}
	return a, nil
}

// RequireActiveAccount returns CodeAccountNotFound unless there is such an account and it may act.
func RequireActiveAccount(v View, name string) error {
	_, err := requireActiveAccount(v, name)
	return err
}

// ListAccounts visits every account in ascending order of name until visit returns an error.
func ListAccounts(v View, visit func(*Account) error) error {
	low := []byte{tableAccount}
	return v.Scan(low, prefixEnd(low), func(key, value []byte) (bool, error) {
		a, err := parseAccount(string(key[1:]), value)
		if err != nil {
			return false, err
		}
		return true, visit(a)
	})
}

// accountName returns the name of an account by its number; a number that is unknown is a damaged store.
func accountName(v View, id uint32) (string, error) {
	b, found, err := v.Get(idKey(tableAccountID, id))
	if err != nil {
		return "", err
	}
	if !found {
		return "", fmt.Errorf("%w: no account has number %d", ErrRecord, id)
	}
	return string(b), nil
}

// putAccount stores an account and the index by its number.
func putAccount(tx Tx, a *Account) {
	tx.Put(textKey(tableAccount, a.Name), appendAccount(nil, a))
	tx.Put(idKey(tableAccountID, a.ID), []byte(a.Name))
}

// addAccount stores a new account.
func addAccount(tx Tx, at Stamp, a *Account) {
	a.Revision = tx.Note(at, Change{Kind: ChangeAccountAdded, ref: didRef{name: a.Name}, Type: a.Type.String()})
	putAccount(tx, a)
}

// AccountAttribute is one attribute of an account. The values "true" and "false" stand for booleans.
type AccountAttribute struct{ Key, Value string }

// AccountAttributes returns the attributes of an account in ascending order of key.
func AccountAttributes(v View, account string) ([]AccountAttribute, error) {
	var all []AccountAttribute
	low := textKey0(tableAccountAttr, account)
	err := v.Scan(low, prefixEnd(low), func(key, value []byte) (bool, error) {
		all = append(all, AccountAttribute{string(key[len(low):]), string(value)})
		return true, nil
	})
	return all, err
}

// accountAttribute returns the value of an attribute, and false where the account has none of that key.
func accountAttribute(v View, account, key string) (string, bool, error) {
	value, found, err := v.Get(accountAttributeKey(account, key))
	return string(value), found, err
}

func accountAttributeKey(account, key string) []byte {
	return append(textKey0(tableAccountAttr, account), key...)
}

// attributeSyntax is that of keys and values of attributes of accounts, the same in all schemas.
var attributeSyntax = nameSyntax{`\A[a-zA-Z0-9\-_\\/.]{1,30}\z`, maxText, func(text string) bool {
	return len(text) <= 30 && attributeCharacters.some(text)
}}

var attributeCharacters = charsetOf(letters + digits + `-_\/.`)

// maxText bounds e-mail addresses and other texts that people write.
const maxText = 255

// ParseAccountType reads the API's name of a type, or returns CodeInvalidAccountType.
func ParseAccountType(text string) (AccountType, error) {
	if i := indexOf(accountTypes[:], asciiUpper(text)); i != 0 {
		return AccountType(i), nil
	}
	return 0, Errorf(command.CodeInvalidAccountType, "%s is an invalid account type. Choose from ['USER', 'GROUP', 'SERVICE']", text)
}

// ParseAccountStatus reads the API's name of a status, or returns CodeInvalidValue.
func ParseAccountStatus(text string) (AccountStatus, error) {
	if i := indexOf(accountStatuses[:], text); i != 0 {
		return AccountStatus(i), nil
	}
	return 0, Errorf(command.CodeInvalidValue, "Unknown value %s", text)
}

// AccountStatuses lists the API's names of the statuses.
func AccountStatuses() []string { return slices.Clone(accountStatuses[1:]) }
