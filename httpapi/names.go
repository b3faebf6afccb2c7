package httpapi

import (
	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// Requests are refused at once for what nothing may be called under any schema. The schema itself is for apply: this node
// may not have heard yet that it has changed, and names that exist need not fit it.

// checkNames refuses the names of new files in clusters of a feature level at which apply does not check them.
func (s *Server) checkNames(message proto.Message) error {
	var files []*command.NewFile
	switch c := message.(type) {
	case *command.AddReplicas:
		files = c.Files
	case *command.AddReplicasReporting:
		files = c.Files
	case *command.AddDIDs:
		for _, d := range c.Dids {
			files = appendFiles(files, d.Rse, d.Children)
		}
	case *command.AttachDIDs:
		for _, a := range c.Attachments {
			files = appendFiles(files, a.Rse, a.Children)
		}
	}
	if len(files) == 0 {
		return nil
	}
	schema, err := s.trustedSchema()
	if err != nil || schema == nil {
		return err
	}
	for _, f := range files {
		if err := schema.CheckDID(catalogue.TypeFile, f.Name); err != nil {
			return err
		}
	}
	return nil
}

// appendFiles adds the children that are registered at an RSE; "" is none.
func appendFiles(files []*command.NewFile, rse string, children []*command.Child) []*command.NewFile {
	if rse == "" {
		return files
	}
	for _, child := range children {
		files = append(files, child.File)
	}
	return files
}

// trustedSchema returns the schema of names that apply does not check, nil where it checks them.
func (s *Server) trustedSchema() (*catalogue.NameSchema, error) {
	level, err := s.featureLevel()
	if err != nil || level > 0 {
		return nil, err
	}
	v, err := s.reader.View()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	schema, err := catalogue.NameSchemaOf(v)
	if err != nil || schema.Enforced() {
		return nil, err
	}
	return schema, nil
}
