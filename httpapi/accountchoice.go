package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// headerAccounts lists the accounts of an identity that must name one, separated by commas.
const headerAccounts = "X-Rucio-Auth-Accounts"

// undecided is the answer to an identity that has proved itself, names no account, has several and none as its default.
type undecided struct{ accounts []string }

// Error implements error.
func (e *undecided) Error() string {
	return fmt.Sprintf("Cannot authenticate: the identity has several accounts and no default; name one of them in X-Rucio-Account: %s",
		strings.Join(e.accounts, ", "))
}

// Code implements coded.
func (e *undecided) Code() command.Code { return command.CodeCannotAuthenticate }

// isUndecided reports whether an identity has proved itself and must name an account.
func isUndecided(err error) bool {
	var choice *undecided
	return errors.As(err, &choice)
}

// offerAccounts names the accounts in a header and, if the request only reads, answers 206 with the list. It returns false for a
// request that writes: a success of any kind would tell the client that the write took effect.
func (s *Server) offerAccounts(c *gin.Context, choice *undecided) bool {
	c.Header(headerAccounts, strings.Join(choice.accounts, ","))
	c.Header("Cache-Control", "no-store")
	row, found := c.Get(keyRoute)
	if !found || row.(*route).method != get && row.(*route).access != reading {
		return false
	}
	body := []byte{'['}
	for i, account := range choice.accounts {
		if i > 0 {
			body = append(body, ", "...)
		}
		body = appendJSONString(body, account)
	}
	c.Abort()
	s.write(c, http.StatusPartialContent, typeBytes, append(body, ']'))
	return true
}

// accountFilter reports whether an identity may get an account that it did not name.
type accountFilter func(account string) (bool, error)

// chooseAccount returns the account that an identity acts as: the one that it names, or else its default, or else its only one.
// It returns *undecided if there are several to choose from, and CodeCannotAuthenticate if there is none. Only an identity that
// has proved itself may be passed: both tell who may act as whom. filter may be nil.
func chooseAccount(v catalogue.View, identity *catalogue.Identity, named string, filter accountFilter) (string, error) {
	if named != "" {
		granted, err := catalogue.IdentityHasAccount(v, identity.Type, identity.Name, named)
		return active(v, named, granted, err)
	}
	grants, err := catalogue.Grants(v, identity.Type, identity.Name)
	if err != nil {
		return "", err
	}
	// A default that is suspended is refused: the identity must not act as another account without knowing.
	if account, found := catalogue.DefaultAccount(grants); found {
		return active(v, account, true, nil)
	}
	if len(grants) == 1 {
		return active(v, grants[0].Account, true, nil)
	}
	var usable []string
	for _, g := range grants {
		may, err := isActive(v, g.Account)
		if err == nil && may && filter != nil {
			may, err = filter(g.Account)
		}
		if err != nil {
			return "", err
		}
		if may {
			usable = append(usable, g.Account)
		}
	}
	switch len(usable) {
	case 0:
		return "", errNotGranted("")
	case 1:
		return usable[0], nil
	default:
		return "", &undecided{usable}
	}
}

// active returns an account that was granted, or CodeCannotAuthenticate if it was not or is not active.
func active(v catalogue.View, account string, granted bool, err error) (string, error) {
	if err == nil && granted {
		granted, err = isActive(v, account)
	}
	if err == nil && !granted {
		err = errNotGranted(account)
	}
	return account, err
}

func isActive(v catalogue.View, account string) (bool, error) {
	found, err := catalogue.GetAccount(v, account)
	if codeOf(err) == command.CodeAccountNotFound {
		return false, nil
	}
	return err == nil && found.Status == catalogue.AccountActive, err
}
