package catalogue

import "dapple/command"

// AddAccount makes an account.
func AddAccount(tx Tx, at Stamp, c *command.AddAccount) ([]byte, error) {
	schema, err := NameSchemaOf(tx)
	if err != nil {
		return nil, err
	}
	if err := schema.CheckAccount(c.Name); err != nil {
		return nil, err
	}
	kind, err := ParseAccountType(c.Type)
	if err != nil {
		return nil, err
	}
	if err = ValidateText("email", c.Email); err != nil {
		return nil, err
	}
	if err = Authorize(tx, at.Issuer, ActionAddAccount); err != nil {
		return nil, err
	}
	_, found, err := findAccount(tx, c.Name)
	if err != nil {
		return nil, err
	}
	if found {
		return nil, Errorf(command.CodeAccountExists, "Account ID '%s' already exists!", c.Name)
	}
	id, err := nextID(tx, idAccount)
	if err != nil {
		return nil, err
	}
	putNextID(tx, idAccount, id+1)
	addAccount(tx, at, &Account{
		Name: c.Name, ID: id, Type: kind, Status: AccountActive, Email: c.Email, Created: at.Time, Updated: at.Time,
	})
	return nil, nil
}

// UpdateAccount changes status, type and e-mail address of an account, whatever is given.
func UpdateAccount(tx Tx, at Stamp, c *command.UpdateAccount) ([]byte, error) {
	changed, err := accountChanges(c)
	if err != nil {
		return nil, err
	}
	if err = Authorize(tx, at.Issuer, ActionUpdateAccount, changed); err != nil {
		return nil, err
	}
	a, err := GetAccount(tx, c.Name)
	if err != nil {
		return nil, err
	}
	before := a.Status
	if c.Status != nil {
		if err = a.setStatus(*c.Status, at.Time); err != nil {
			return nil, err
		}
	}
	if c.Type != nil {
		if a.Type, err = ParseAccountType(*c.Type); err != nil {
			return nil, err
		}
	}
	if c.Email != nil {
		a.Email = *c.Email
	}
	change := Change{Kind: ChangeAccountChanged, ref: didRef{name: a.Name}, Type: changedSettings}
	if a.Status != before {
		change.Old, change.New = before.String(), a.Status.String()
	}
	a.Updated, a.Revision = at.Time, tx.Note(at, change)
	putAccount(tx, a)
	return nil, nil
}

// setStatus suspends an account or makes it active again.
func (a *Account) setStatus(text string, now int64) error {
	status, err := ParseAccountStatus(text)
	switch {
	case err != nil:
		return err
	case status == AccountDeleted:
		return Errorf(command.CodeInvalidValue, "An account is not deleted by its status")
	case status == AccountSuspended && a.Name == RootAccount:
		return Errorf(command.CodeAccessDenied, "Account %s can not be suspended.", RootAccount)
	}
	a.Status, a.Suspended, a.Deleted = status, 0, 0
	if status == AccountSuspended {
		a.Suspended = now
	}
	return nil
}

// accountChanges checks the values that are given and returns the name of the first property that changes.
func accountChanges(c *command.UpdateAccount) (string, error) {
	property := "properties"
	if c.Email != nil {
		property = "email"
		if err := ValidateText(property, *c.Email); err != nil {
			return "", err
		}
	}
	if c.Type != nil {
		property = "account_type"
	}
	if c.Status != nil {
		property = "status"
	}
	return property, nil
}

// DeleteAccount takes an account out of use. Name and number stay taken.
func DeleteAccount(tx Tx, at Stamp, c *command.DeleteAccount) ([]byte, error) {
	if err := Authorize(tx, at.Issuer, ActionDeleteAccount); err != nil {
		return nil, err
	}
	a, err := GetAccount(tx, c.Name)
	switch {
	case err != nil:
		return nil, err
	case a.Status != AccountActive:
		return nil, Errorf(command.CodeAccountNotFound, "Account with ID '%s' cannot be found", c.Name)
	case a.Name == RootAccount:
		return nil, Errorf(command.CodeAccessDenied, "Account %s can not be deleted.", RootAccount)
	}
	a.Status, a.Deleted, a.Updated = AccountDeleted, at.Time, at.Time
	a.Revision = tx.Note(at, Change{Kind: ChangeAccountDeleted, ref: didRef{name: a.Name}})
	putAccount(tx, a)
	return nil, nil
}

// SetAccountAttribute gives an account an attribute; one that it has already is CodeAccountAttributeExists.
func SetAccountAttribute(tx Tx, at Stamp, c *command.SetAccountAttribute) ([]byte, error) {
	for _, text := range [...]string{c.Key, c.Value} {
		if err := attributeSyntax.check("account_attribute", text); err != nil {
			return nil, err
		}
	}
	if err := Authorize(tx, at.Issuer, ActionAddAccountAttribute); err != nil {
		return nil, err
	}
	if _, err := requireActiveAccount(tx, c.Account); err != nil {
		return nil, err
	}
	if _, found, err := accountAttribute(tx, c.Account, c.Key); err != nil {
		return nil, err
	} else if found {
		return nil, Errorf(command.CodeAccountAttributeExists, "Key %s already exist for account %s!", c.Key, c.Account)
	}
	value := NormalizeAttribute(c.Value)
	tx.Put(accountAttributeKey(c.Account, c.Key), []byte(value))
	tx.Note(at, accountAttributeChange(c.Account, c.Key, jsonText(value)))
	return nil, nil
}

// DeleteAccountAttribute takes an attribute away from an account.
func DeleteAccountAttribute(tx Tx, at Stamp, c *command.DeleteAccountAttribute) ([]byte, error) {
	if err := Authorize(tx, at.Issuer, ActionDeleteAccountAttribute); err != nil {
		return nil, err
	}
	if _, found, err := accountAttribute(tx, c.Account, c.Key); err != nil {
		return nil, err
	} else if !found {
		return nil, Errorf(command.CodeAccountAttributeNotFound, "Attribute (%s) does not exist for the account %s!", c.Key, c.Account)
	}
	tx.Delete(accountAttributeKey(c.Account, c.Key))
	tx.Note(at, accountAttributeChange(c.Account, c.Key, ""))
	return nil, nil
}

// accountAttributeChange is the event of an attribute that an account gets, or loses where value is "".
func accountAttributeChange(account, key, value string) Change {
	return Change{Kind: ChangeAccountChanged, ref: didRef{name: account}, Type: changedAttribute, Key: key, Value: value}
}

// ValidateText returns CodeInvalidObject for a text that is too long or holds control characters; what names it.
func ValidateText(what, text string) error {
	if len(text) > maxText || !isPlainText(text) {
		return Errorf(command.CodeInvalidObject, "Problem validating %s: '%.64s' is no text of at most %d characters", what, text, maxText)
	}
	return nil
}
