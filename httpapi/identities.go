package httpapi

import (
	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

func (s *Server) identityRoutes() []route {
	return []route{
		{get, "/accounts/:account/identities", s.listIdentities, needsToken},
		{post, "/accounts/:account/identities", s.addIdentity, needsToken},
		{remove, "/accounts/:account/identities", s.deleteIdentity, needsToken},
		{get, "/identities/accounts", s.listAccountsByIdentity, needsToken},
		{get, "/identities/:identity/:type/accounts", s.listIdentityAccounts, needsToken},
		{put, "/identities/:account/userpass", s.addUserpass, needsToken},
	}
}

func (s *Server) listIdentities(c *gin.Context) {
	type item struct {
		Type     string `json:"type"`
		Identity string `json:"identity"`
		Email    string `json:"email"`
	}
	account := c.Param("account")
	s.readLines(c, func(v View, line func(any) error) error {
		if err := catalogue.RequireActiveAccount(v, account); err != nil {
			return err
		}
		identities, err := catalogue.AccountIdentities(v, account)
		if err != nil {
			return err
		}
		for _, i := range identities {
			if err := line(item{i.Type.String(), i.Name, i.Email}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Server) addIdentity(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	add := &command.AddIdentity{Account: c.Param("account")}
	secret, err := identityFields(body, add)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.proposeIdentity(c, add, secret)
}

// identityFields reads what a body says of a new identity and returns the password.
func identityFields(body object, add *command.AddIdentity) (secret string, err error) {
	if add.Identity, err = body.requiredString("identity"); err != nil {
		return "", err
	}
	if add.Type, err = body.requiredString("authtype"); err != nil {
		return "", err
	}
	if add.Email, err = body.requiredString("email"); err != nil {
		return "", err
	}
	if add.Default, err = body.flexibleBool("default", false); err != nil {
		return "", err
	}
	return body.optionalString("password")
}

// addUserpass adds an identity that the headers name.
func (s *Server) addUserpass(c *gin.Context) {
	add := &command.AddIdentity{
		Account: c.Param("account"), Type: catalogue.IdentityUserpass.String(),
		Identity: c.GetHeader("X-Rucio-Username"), Email: c.GetHeader("X-Rucio-Email"),
	}
	secret := c.GetHeader("X-Rucio-Password")
	if add.Identity == "" || add.Email == "" || secret == "" {
		s.fail(c, catalogue.Errorf(command.CodeInvalidValue, "Username, Email and Password must be set."))
		return
	}
	s.proposeIdentity(c, add, secret)
}

// proposeIdentity checks syntax, replaces the password by its hash and sends the command: no password ever reaches the log.
func (s *Server) proposeIdentity(c *gin.Context, add *command.AddIdentity, secret string) {
	kind, err := identityType(add.Type)
	if err == nil {
		err = catalogue.ValidateIdentity(add.Identity)
	}
	if err == nil {
		err = catalogue.ValidateText("email", add.Email)
	}
	if err == nil && kind == catalogue.IdentityUserpass && secret != "" {
		add.PasswordHash, err = s.hashGranted(c, add.Identity, secret)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeAddIdentity, add); ok {
		s.created(c)
	}
}

func (s *Server) deleteIdentity(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	drop := &command.DeleteIdentity{Account: c.Param("account")}
	var err error
	if drop.Identity, err = body.requiredString("identity"); err == nil {
		drop.Type, err = body.requiredString("authtype")
	}
	if err == nil {
		_, err = identityType(drop.Type)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeDeleteIdentity, drop); ok {
		s.empty(c)
	}
}

func (s *Server) listAccountsByIdentity(c *gin.Context) {
	for _, key := range [...]string{"identity_key", "type"} {
		if c.Query(key) == "" {
			s.fail(c, catalogue.Errorf(command.CodeInvalidValue, "%s parameter is required.", key))
			return
		}
	}
	s.answerIdentityAccounts(c, c.Query("identity_key"), c.Query("type"))
}

func (s *Server) listIdentityAccounts(c *gin.Context) {
	s.answerIdentityAccounts(c, c.Param("identity"), c.Param("type"))
}

func (s *Server) answerIdentityAccounts(c *gin.Context, identity, kind string) {
	s.readJSON(c, func(v View) (any, error) {
		t, err := identityType(kind)
		if err != nil {
			return nil, err
		}
		grants, err := catalogue.Grants(v, t, identity)
		accounts := make([]string, 0, len(grants))
		for _, g := range grants {
			accounts = append(accounts, g.Account)
		}
		return accounts, err
	})
}
