package httpapi

import (
	"encoding/json"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// setTombstones marks replicas for deletion at once.
func (s *Server) setTombstones(c *gin.Context) {
	fields, ok := s.decodeScanned(c)
	if !ok {
		return
	}
	message := &command.SetTombstones{}
	items, err := optionalItems(fields, "replicas", s.limits.Items)
	for _, item := range items {
		if err != nil {
			break
		}
		r := &command.ReplicaAt{}
		r.Scope, r.Name, r.Rse, err = tombstoneFields(item)
		message.Replicas = append(message.Replicas, r)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeSetTombstones, message); ok {
		s.created(c)
	}
}

func tombstoneFields(item object) (scope, name, rse string, err error) {
	if rse, err = item.requiredString("rse"); err != nil {
		return "", "", "", err
	}
	if scope, err = item.requiredString("scope"); err != nil {
		return "", "", "", err
	}
	name, err = item.requiredString("name")
	return scope, name, rse, err
}

// optionalItems reads a list of objects; a missing one is empty.
func optionalItems(fields object, key string, limit int) ([]object, error) {
	raw, found := fields[key]
	if !found {
		return nil, nil
	}
	items, err := decodeItems[json.RawMessage](raw, key, limit)
	if err != nil {
		return nil, err
	}
	objects := make([]object, len(items))
	for i, item := range items {
		if objects[i], err = decodeField[object](item, key, "a list of objects"); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// quarantine notes files that lie at an RSE and are no replicas.
func (s *Server) quarantine(c *gin.Context) {
	fields, ok := s.decodeScanned(c)
	if !ok {
		return
	}
	message, err := decodeQuarantine(fields, s.limits.Items)
	if err != nil {
		s.fail(c, err)
		return
	}
	if len(message.Files) > 0 {
		if _, ok := s.propose(c, command.TypeQuarantine, message); !ok {
			return
		}
	}
	s.empty(c)
}

func decodeQuarantine(fields object, limit int) (*command.Quarantine, error) {
	message := &command.Quarantine{}
	items, err := optionalItems(fields, "replicas", limit)
	if err != nil || len(items) == 0 {
		return message, err
	}
	if message.Rse, err = fields.optionalString("rse"); err != nil {
		return nil, err
	}
	if message.RseId, err = fields.optionalString("rse_id"); err != nil {
		return nil, err
	}
	if fields.has("rse") == fields.has("rse_id") {
		return nil, catalogue.Errorf(command.CodeInputValidation, "Either RSE name or RSE id must be specified, but not both")
	}
	for _, item := range items {
		f := &command.Quarantine_File{}
		for _, text := range [...]struct {
			key   string
			field *string
		}{{"path", &f.Path}, {"scope", &f.Scope}, {"name", &f.Name}} {
			if *text.field, err = item.optionalString(text.key); err != nil {
				return nil, err
			}
		}
		if f.Path == "" {
			return nil, catalogue.Errorf(command.CodeInputValidation, "Replica info must include path")
		}
		if f.Bytes, err = item.optionalUint("bytes", catalogue.MaxFileBytes, 0); err != nil {
			return nil, err
		}
		message.Files = append(message.Files, f)
	}
	return message, nil
}
