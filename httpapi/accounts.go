package httpapi

import (
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// accountRoutes are the rows of accounts, identities and scopes.
func (s *Server) accountRoutes() []route {
	accounts := []route{
		{get, "/accounts", s.listAccounts, needsToken},
		{get, "/accounts/whoami", s.getOwnAccount, needsToken},
		{get, "/accounts/:account", s.getAccount, needsToken},
		{post, "/accounts/:account", s.addAccount, needsToken},
		{put, "/accounts/:account", s.updateAccount, needsToken},
		{remove, "/accounts/:account", s.deleteAccount, needsToken},
		{get, "/accounts/:account/attr", s.listAccountAttributes, needsToken},
		{get, "/accounts/:account/attr/:key", s.getAccountAttribute, needsToken},
		{post, "/accounts/:account/attr/:key", s.addAccountAttribute, needsToken},
		{remove, "/accounts/:account/attr/:key", s.deleteAccountAttribute, needsToken},
	}
	return slices.Concat(accounts, s.identityRoutes(), s.scopeRoutes())
}

// accountTimeLayout is how times of accounts are written, unlike any others.
const accountTimeLayout = "2006-01-02T15:04:05"

func accountTime(micros int64) any {
	if micros == 0 {
		return nil
	}
	return time.UnixMicro(micros).UTC().Format(accountTimeLayout)
}

type accountAnswer struct {
	Account     string `json:"account"`
	AccountType string `json:"account_type"`
	Status      string `json:"status"`
	Email       string `json:"email"`
	SuspendedAt any    `json:"suspended_at"`
	DeletedAt   any    `json:"deleted_at"`
	CreatedAt   any    `json:"created_at"`
	UpdatedAt   any    `json:"updated_at"`
}

func (s *Server) getAccount(c *gin.Context) { s.answerAccount(c, c.Param("account")) }

func (s *Server) getOwnAccount(c *gin.Context) { s.answerAccount(c, issuer(c)) }

func (s *Server) answerAccount(c *gin.Context, name string) {
	s.readJSON(c, func(v View) (any, error) {
		a, err := catalogue.GetAccount(v, name)
		if err != nil {
			return nil, err
		}
		return accountAnswer{
			Account: a.Name, AccountType: a.Type.String(), Status: a.Status.String(), Email: a.Email,
			SuspendedAt: accountTime(a.Suspended), DeletedAt: accountTime(a.Deleted),
			CreatedAt: accountTime(a.Created), UpdatedAt: accountTime(a.Updated),
		}, nil
	})
}

// listAccounts lists the active accounts. Query parameters filter: account (with * for any text), account_type, identity, and any
// other key by the account's attribute of that name.
func (s *Server) listAccounts(c *gin.Context) {
	type item struct {
		Account string `json:"account"`
		Type    string `json:"type"`
		Email   string `json:"email"`
	}
	filters := c.Request.URL.Query()
	dropPaging(filters)
	delete(filters, queryLevel)
	delete(filters, queryMaxStale)
	if filters.Has("account_type") {
		kind, err := accountType(filters.Get("account_type"))
		if err != nil {
			s.fail(c, err)
			return
		}
		filters.Set("account_type", kind)
	}
	s.readLines(c, func(v View, line func(any) error) error {
		return catalogue.ListAccounts(v, func(a *catalogue.Account) error {
			for key := range filters {
				fits, err := accountFits(v, a, key, filters.Get(key))
				if err != nil || !fits {
					return err
				}
			}
			if a.Status != catalogue.AccountActive {
				return nil
			}
			return line(item{a.Name, a.Type.String(), a.Email})
		})
	})
}

func accountFits(v View, a *catalogue.Account, key, value string) (bool, error) {
	switch key {
	case "account":
		return matchesStars(value, a.Name), nil
	case "account_type":
		return value == a.Type.String(), nil
	case "identity":
		identities, err := catalogue.AccountIdentities(v, a.Name)
		return slices.ContainsFunc(identities, func(i *catalogue.Identity) bool { return i.Name == value }), err
	default:
		attributes, err := catalogue.AccountAttributes(v, a.Name)
		want := catalogue.AccountAttribute{Key: key, Value: catalogue.NormalizeAttribute(value)}
		return slices.Contains(attributes, want), err
	}
}

// matchesStars reports whether a text fits a pattern in which * stands for any text.
func matchesStars(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	text, found := strings.CutPrefix(text, parts[0])
	if !found || len(parts) == 1 {
		return found && text == ""
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		if _, text, found = strings.Cut(text, part); !found {
			return false
		}
	}
	return strings.HasSuffix(text, parts[last])
}

func (s *Server) addAccount(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	name := c.Param("account")
	kind, err := body.requiredString("type")
	if err == nil {
		_, err = body.required("email")
	}
	var email string
	if err == nil {
		email, err = body.optionalString("email")
	}
	if err == nil {
		err = catalogue.ValidateName("account", name)
	}
	if err == nil {
		_, err = catalogue.ParseAccountType(kind)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeAddAccount, &command.AddAccount{Name: name, Type: kind, Email: email}); ok {
		s.created(c)
	}
}

func (s *Server) updateAccount(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	update := &command.UpdateAccount{Name: c.Param("account")}
	fields := map[string]**string{"status": &update.Status, "account_type": &update.Type, "email": &update.Email}
	for key := range body {
		field := fields[key]
		if field == nil {
			s.fail(c, catalogue.Errorf(command.CodeInputValidation, "The key '%s' does not exist for account properties.", key))
			return
		}
		value, err := body.requiredString(key)
		switch {
		case err != nil:
		case key == "status":
			err = checkAccountStatus(value)
		case key == "account_type":
			_, err = accountType(value)
		}
		if err != nil {
			s.fail(c, err)
			return
		}
		*field = &value
	}
	if _, ok := s.propose(c, command.TypeUpdateAccount, update); ok {
		s.empty(c)
	}
}

func (s *Server) deleteAccount(c *gin.Context) {
	if _, ok := s.propose(c, command.TypeDeleteAccount, &command.DeleteAccount{Name: c.Param("account")}); ok {
		s.empty(c)
	}
}

type accountAttributeAnswer struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

func accountAttributes(v View, account string) ([]accountAttributeAnswer, error) {
	if err := catalogue.RequireActiveAccount(v, account); err != nil {
		return nil, err
	}
	attributes, err := catalogue.AccountAttributes(v, account)
	answer := make([]accountAttributeAnswer, 0, len(attributes))
	for _, a := range attributes {
		answer = append(answer, accountAttributeAnswer{a.Key, attributeValue(a.Value)})
	}
	return answer, err
}

func (s *Server) listAccountAttributes(c *gin.Context) {
	s.readJSON(c, func(v View) (any, error) { return accountAttributes(v, c.Param("account")) })
}

func (s *Server) getAccountAttribute(c *gin.Context) {
	s.readJSON(c, func(v View) (any, error) {
		attributes, err := accountAttributes(v, c.Param("account"))
		if err != nil {
			return nil, err
		}
		for _, a := range attributes {
			if a.Key == c.Param("key") {
				return a, nil
			}
		}
		return nil, catalogue.Errorf(command.CodeAccountAttributeNotFound, "Attribute (%s) does not exist for the account %s!",
			c.Param("key"), c.Param("account"))
	})
}

func (s *Server) addAccountAttribute(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	value, err := body.requiredString("value")
	if err != nil {
		s.fail(c, err)
		return
	}
	set := &command.SetAccountAttribute{Account: c.Param("account"), Key: c.Param("key"), Value: value}
	if _, ok := s.propose(c, command.TypeSetAccountAttribute, set); ok {
		s.created(c)
	}
}

func (s *Server) deleteAccountAttribute(c *gin.Context) {
	unset := &command.DeleteAccountAttribute{Account: c.Param("account"), Key: c.Param("key")}
	if _, ok := s.propose(c, command.TypeDeleteAccountAttribute, unset); ok {
		s.empty(c)
	}
}
