package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"

	"dapple/catalogue"
	"dapple/command"
)

// errUnusual ends the quick reading of a list: what comes next is wrong, or so unusual that encoding/json has to say what it is.
var errUnusual = errors.New("no plain item")

// quickItems is an itemScanner for lists that decodeItems could read as well. It takes only what it surely reads alike and words no
// refusal: whoever finds that it did not get through reads the list again with decodeItems.
type quickItems struct {
	itemScanner
	// seen are the fields of the item that were read: of a key that is there twice the last would count, so that is unusual.
	seen itemFields
}

func newQuickItems(raw []byte) quickItems {
	return quickItems{itemScanner: itemScanner{jsonScanner: jsonScanner{b: raw}, what: "dids"}}
}

// each reads a list of at most limit items that all have scope and name. field reads one field of the item that next returned.
func (s *quickItems) each(limit int, next func() *fileItem, field func(i int, item *fileItem, key []byte) error) (ok bool) {
	err := s.array(func(i int) error {
		if i >= limit {
			return errUnusual
		}
		item := next()
		s.seen = 0
		if err := s.object(func(key []byte) error { return field(i, item, key) }); err != nil {
			return err
		}
		if item.given&fieldScope == 0 || item.given&fieldName == 0 {
			return errUnusual
		}
		return nil
	})
	return err == nil && s.end() == nil
}

// once notes that a field is read and returns an error where it was read before.
func (s *quickItems) once(field itemFields) error {
	if s.seen&field != 0 {
		return errUnusual
	}
	s.seen |= field
	return nil
}

// scanChildren reads DIDs that are to be attached as decodeChildren does, at a tenth of the cost; ok is false where it cannot.
func scanChildren(raw []byte, limit int, strict bool) (children []*command.Child, ok bool) {
	s := childScanner{quickItems: newQuickItems(raw), strict: strict, children: []*command.Child{}}
	ok = s.each(limit, s.next, s.field)
	return s.children, ok
}

// childScanner gathers the items of a list as children.
type childScanner struct {
	quickItems
	strict   bool
	children []*command.Child
	chunk    []childItem
}

// childItem is a child with what it points to, made together.
type childItem struct {
	child command.Child
	file  fileItem
}

// next adds a child to be filled. Children are made in chunks: most lists are short, some have thousands.
func (s *childScanner) next() *fileItem {
	if len(s.chunk) == 0 {
		s.chunk = make([]childItem, min(max(len(s.children), 4), 128))
	}
	item := &s.chunk[0]
	s.chunk = s.chunk[1:]
	item.child.File = &item.file.NewFile
	s.children = append(s.children, &item.child)
	return &item.file
}

func (s *childScanner) field(i int, item *fileItem, key []byte) error {
	field := childField(key)
	switch {
	case field == 0 && s.strict:
		return errUnusual
	case field == 0:
		return s.skip()
	}
	if err := s.once(field); err != nil {
		return err
	}
	if s.kind() == 'n' {
		return s.nothing(field)
	}
	switch field {
	case fieldType:
		return s.typeField()
	case fieldMeta:
		meta, err := s.metadata()
		item.Meta = meta
		return err
	case fieldRules:
		return s.skip()
	case fieldBytes:
		s.children[len(s.children)-1].HasBytes = true
	}
	return s.itemScanner.field(i, item, key)
}

// childField returns the field of a key, 0 for one that children do not have.
func childField(key []byte) itemFields {
	switch string(key) {
	case "scope":
		return fieldScope
	case "name":
		return fieldName
	case "bytes":
		return fieldBytes
	case "state":
		return fieldState
	case "adler32":
		return fieldAdler32
	case "md5":
		return fieldMD5
	case "pfn":
		return fieldPFN
	case "type":
		return fieldType
	case "meta":
		return fieldMeta
	case "rules":
		return fieldRules
	default:
		return 0
	}
}

// nothing reads a null, which stands for a field that is not there.
func (s *childScanner) nothing(field itemFields) error {
	if s.strict || field == fieldScope || field == fieldName {
		return errUnusual
	}
	return s.word("null")
}

func (s *childScanner) typeField() error {
	text, err := s.bytes()
	if err == nil && !knownChildType(string(text)) {
		err = errUnusual
	}
	return err
}

// metadata reads the object of metadata that comes next, its values as compact JSON.
func (s *jsonScanner) metadata() (map[string]string, error) {
	meta := map[string]string{}
	err := s.object(func(key []byte) error {
		name := string(key)
		value, err := s.raw()
		if err == nil {
			meta[name], err = compactText(value)
		}
		return err
	})
	return meta, err
}

// compactText is compactJSON that copies what has no space to be left out.
func compactText(value json.RawMessage) (string, error) {
	if bytes.ContainsAny(value, " \t\r\n") {
		return compactJSON(value)
	}
	return string(value), nil
}

// scanNames reads scope and name of each item of a list as decodeNames does; ok is false where it cannot.
func scanNames(raw []byte, limit int) (names []catalogue.DIDName, ok bool) {
	names = []catalogue.DIDName{}
	var item fileItem
	s := newQuickItems(raw)
	next := func() *fileItem {
		item.given = 0
		names = append(names, catalogue.DIDName{})
		return &item
	}
	ok = s.each(limit, next, func(i int, item *fileItem, key []byte) error {
		field := childField(key)
		if field != fieldScope && field != fieldName {
			return s.skip()
		}
		if err := s.once(field); err != nil {
			return err
		}
		err := s.field(i, item, key)
		names[len(names)-1] = catalogue.DIDName{Scope: item.Scope, Name: item.Name}
		return err
	})
	return names, ok
}
