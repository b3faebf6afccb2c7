package httpapi

import (
	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// settingRoutes are the rows of the settings of the cluster and of who may join it.
func (s *Server) settingRoutes() []route {
	return []route{
		{post, "/cluster/join-tokens", s.addJoinToken, needsToken},
		{get, "/cluster/settings", s.listSettings, needsToken},
		{get, "/cluster/settings/*setting", s.getSetting, needsToken},
		{put, "/cluster/settings/*setting", s.setSetting, needsToken},
		{remove, "/cluster/settings/*setting", s.resetSetting, needsToken},
	}
}

// listSettings answers the settings that have not their defaults, by name.
func (s *Server) listSettings(c *gin.Context) {
	s.readJSON(c, func(v View) (any, error) {
		settings, err := catalogue.ListSettings(v)
		byName := make(map[string]string, len(settings))
		for _, setting := range settings {
			byName[setting.Name] = setting.Value
		}
		return byName, err
	})
}

// getSetting answers one setting; the value of one that has its default is null.
func (s *Server) getSetting(c *gin.Context) {
	name := c.Param("setting")
	s.readJSON(c, func(v View) (any, error) {
		if err := catalogue.ValidateSetting(name, ""); err != nil {
			return nil, err
		}
		value, err := catalogue.GetSetting(v, name)
		answer := map[string]*string{name: nil}
		if value != "" {
			answer[name] = &value
		}
		return answer, err
	})
}

// setSetting gives a setting the "value" of the body.
func (s *Server) setSetting(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	value, err := body.requiredString("value")
	if err == nil && value == "" {
		err = catalogue.Errorf(command.CodeInvalidValue, "the value of a setting must not be empty; DELETE takes it back to its default")
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.changeSetting(c, value)
}

// resetSetting takes a setting back to its default.
func (s *Server) resetSetting(c *gin.Context) { s.changeSetting(c, "") }

func (s *Server) changeSetting(c *gin.Context, value string) {
	setting := &command.Setting{Name: c.Param("setting"), Value: value}
	if err := catalogue.ValidateSetting(setting.Name, value); err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeSetSetting, &command.SetSetting{Setting: setting}); ok {
		s.empty(c)
	}
}
