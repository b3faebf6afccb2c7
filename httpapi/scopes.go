package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

func (s *Server) scopeRoutes() []route {
	return []route{
		{get, "/accounts/:account/scopes", s.listAccountScopes, needsToken},
		{post, "/accounts/:account/scopes/:scope", s.addScope, needsToken},
		{get, "/scopes", s.listScopes, needsToken},
		{get, "/scopes/owner", s.listScopeOwners, needsToken},
		{get, "/scopes/:account/scopes", s.listAccountScopes, needsToken},
		{post, "/scopes/:account/:scope", s.addScope, needsToken},
		{put, "/scopes/:account/:scope", s.setScopeOwner, needsToken},
	}
}

func (s *Server) listScopes(c *gin.Context) {
	s.readJSON(c, func(v View) (any, error) {
		names := []string{}
		err := catalogue.ListScopes(v, func(scope *catalogue.Scope) error {
			names = append(names, scope.Name)
			return nil
		})
		return names, err
	})
}

func (s *Server) listScopeOwners(c *gin.Context) {
	type item struct {
		Scope   string `json:"scope"`
		Account string `json:"account"`
	}
	s.readJSON(c, func(v View) (any, error) {
		items := []item{}
		err := catalogue.ListScopes(v, func(scope *catalogue.Scope) error {
			items = append(items, item{scope.Name, scope.Account})
			return nil
		})
		return items, err
	})
}

func (s *Server) listAccountScopes(c *gin.Context) {
	s.readJSON(c, func(v View) (any, error) {
		names, err := catalogue.AccountScopes(v, c.Param("account"))
		if err == nil && len(names) == 0 {
			err = catalogue.Errorf(command.CodeScopeNotFound, "no scopes found for account ID '%s'", c.Param("account"))
		}
		return names, err
	})
}

func (s *Server) addScope(c *gin.Context) {
	add := &command.AddScope{Name: c.Param("scope"), Account: c.Param("account")}
	if err := catalogue.ValidateName("scope", add.Name); err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeAddScope, add); ok {
		s.created(c)
	}
}

// setScopeOwner gives a scope to the account of the path.
func (s *Server) setScopeOwner(c *gin.Context) {
	give := &command.SetScopeOwner{Name: c.Param("scope"), Account: c.Param("account")}
	if _, ok := s.propose(c, command.TypeSetScopeOwner, give); ok {
		s.text(c, http.StatusCreated, "")
	}
}
