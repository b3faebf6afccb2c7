package httpapi

import (
	"bytes"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// attach answers POST /dids/<scope>/<name>/dids.
func (s *Server) attach(c *gin.Context) {
	body, ok := s.decodeScanned(c)
	if !ok {
		return
	}
	scope, name := didParam(c)
	left := s.limits.Items
	a, err := newAttachment(body, &left)
	if err != nil {
		s.fail(c, err)
		return
	}
	a.Scope, a.Name = scope, name
	if _, ok := s.propose(c, command.TypeAttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{a}}); ok {
		s.created(c)
	}
}

// attachMany answers POST /dids/attachments: a list of attachments, or an object with them and ignore_duplicate.
func (s *Server) attachMany(c *gin.Context) {
	var attach *command.AttachDIDs
	raw, err := s.readBody(c)
	if err == nil {
		attach, err = newAttachments(raw, s.limits.Items)
	}
	switch {
	case err != nil:
		s.fail(c, err)
		return
	case len(attach.Attachments) == 0:
		s.created(c)
		return
	}
	if _, ok := s.propose(c, command.TypeAttachDIDs, attach); ok {
		s.created(c)
	}
}

func newAttachments(raw []byte, limit int) (*command.AttachDIDs, error) {
	attach := &command.AttachDIDs{Bulk: true}
	items, err := attachmentItems(raw, attach, limit)
	if err != nil {
		return nil, err
	}
	left := limit
	for _, item := range items {
		a, err := newAttachment(item, &left)
		if err != nil {
			return nil, err
		}
		if a.Scope, a.Name, err = didName(item); err != nil {
			return nil, err
		}
		attach.Attachments = append(attach.Attachments, a)
	}
	return attach, nil
}

// attachmentItems splits the body into attachments and reads what else is in it.
func attachmentItems(raw []byte, attach *command.AttachDIDs, limit int) ([]object, error) {
	scanner := jsonScanner{b: raw}
	switch scanner.kind() {
	case '[':
		return objectsOfBody(raw, "value", "attachments", limit)
	case '{':
		body, err := scanObjectAs(raw, "value")
		if err != nil {
			return nil, err
		}
		list, err := body.required("attachments")
		if err != nil {
			return nil, err
		}
		if attach.IgnoreDuplicate, err = body.flexibleBool("ignore_duplicate", false); err != nil {
			return nil, err
		}
		return objectsOf(list, "attachments", limit)
	}
	if err := checkJSON(raw, 0, "value"); err != nil {
		return nil, err
	}
	return nil, catalogue.Errorf(command.CodeInvalidBody, "body must be a json dictionary or list")
}

// newAttachment reads what is to be attached; left counts down the children that a request may still name.
func newAttachment(item object, left *int) (*command.Attachment, error) {
	if err := onlyKeys("attachment", item, "scope", "name", "rse", "dids"); err != nil {
		return nil, err
	}
	a := &command.Attachment{}
	var err error
	if a.Rse, err = rseName(item); err != nil {
		return nil, err
	}
	raw, found := item["dids"]
	if !found {
		return nil, catalogue.Errorf(command.CodeInvalidObject, "Problem validating attachment: 'dids' is a required property")
	}
	if a.Children, err = newChildren(raw, left, true); err != nil {
		return nil, err
	}
	if len(a.Children) == 0 {
		return nil, catalogue.Errorf(command.CodeInvalidObject, "Problem validating attachment: 'dids' is empty")
	}
	return a, nil
}

// detach answers DELETE /dids/<scope>/<name>/dids.
func (s *Server) detach(c *gin.Context) {
	body, ok := s.decodeScanned(c)
	if !ok {
		return
	}
	dids, err := didNames(body, s.limits.Items, true)
	if err != nil {
		s.fail(c, err)
		return
	}
	detach := &command.DetachDIDs{}
	detach.Scope, detach.Name = didParam(c)
	for _, did := range dids {
		detach.Children = append(detach.Children, &command.DIDName{Scope: did.Scope, Name: did.Name})
	}
	if _, ok := s.propose(c, command.TypeDetachDIDs, detach); ok {
		s.empty(c)
	}
}

// listContent answers GET /dids/<scope>/<name>/dids.
func (s *Server) listContent(c *gin.Context) {
	scope, name := didParam(c)
	s.readRows(c, func(v View, st *stream) error {
		return catalogue.ScanContent(v, scope, name, func(scope, name string, d *catalogue.DID) (bool, error) {
			b := appendDIDName(append(st.open(), '{'), "", scope, name)
			b = append(append(append(b, `, "type": "`...), d.Type.String()...), '"')
			return true, st.line(append(appendFileSums(b, d), '}'))
		})
	})
}

// listParents answers GET /dids/<scope>/<name>/parents. A DID that does not exist has none.
func (s *Server) listParents(c *gin.Context) {
	scope, name := didParam(c)
	pageByItem(c) // the home of a DID comes from its record
	s.readRows(c, func(v View, st *stream) error {
		err := catalogue.ScanParents(v, scope, name, func(scope, name string, t catalogue.DIDType) (bool, error) {
			b := appendDIDName(append(st.open(), '{'), "", scope, name)
			b = append(append(append(b, `, "type": "`...), t.String()...), `"}`...)
			return true, st.line(b)
		})
		if catalogue.CodeOf(err) == command.CodeDIDNotFound {
			return nil
		}
		return err
	})
}

// listFiles answers GET /dids/<scope>/<name>/files.
func (s *Server) listFiles(c *gin.Context) {
	scope, name := didParam(c)
	long, err := queryFlag(c, "long")
	if err != nil {
		s.fail(c, err)
		return
	}
	s.readRows(c, func(v View, st *stream) error { return writeFiles(v, st, scope, name, long, nil) })
}

// listFilesOfMany answers POST /dids/bulkfiles; DIDs that do not exist have no files.
func (s *Server) listFilesOfMany(c *gin.Context) {
	if _, ok := s.negotiate(c, typeLines); !ok {
		return
	}
	body, ok := s.decodeScanned(c)
	if !ok {
		return
	}
	dids, err := didNames(body, s.limits.Items, false)
	if err != nil {
		s.fail(c, err)
		return
	}
	pageByItem(c) // one DID may be under another
	s.streamLines(c, func(v View, st *stream) error {
		for _, did := range eachOnce(dids) {
			parent := appendDIDName([]byte(", "), "parent_", did.Scope, did.Name)
			err := writeFiles(v, st, did.Scope, did.Name, false, parent)
			if err != nil && catalogue.CodeOf(err) != command.CodeDIDNotFound {
				return err
			}
		}
		return nil
	})
}

// writeFiles streams the files under a DID; more is appended to each row.
func writeFiles(v View, st *stream, scope, name string, long bool, more []byte) error {
	return catalogue.ScanFiles(v, scope, name, func(scope, name string, d *catalogue.DID) (bool, error) {
		meta, err := catalogue.MetadataOf(v, scope, name, d)
		if err != nil {
			return false, err
		}
		b := appendDIDName(append(st.open(), '{'), "", scope, name)
		b = appendUint(append(b, `, "bytes": `...), d.Bytes)
		b = appendJSONStringOrNull(append(b, `, "adler32": `...), d.Adler32)
		guid, _ := catalogue.FindMetadata(meta, "guid")
		b = appendRaw(append(b, `, "guid": `...), string(bytes.ToUpper([]byte(guid))))
		events, _ := catalogue.FindMetadata(meta, "events")
		b = appendRaw(append(b, `, "events": `...), events)
		if long {
			block, _ := catalogue.FindMetadata(meta, "lumiblocknr")
			b = appendRaw(append(b, `, "lumiblocknr": `...), block)
		}
		return true, st.line(append(append(b, more...), '}'))
	})
}
