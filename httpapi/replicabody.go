package httpapi

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// decodeScanned is decodeObject for bodies that may be long: one pass without reflection.
func (s *Server) decodeScanned(c *gin.Context) (fields object, ok bool) {
	raw, err := s.readBody(c)
	if err == nil {
		if fields, err = scanObject(raw); err == nil {
			return fields, true
		}
	}
	s.fail(c, err)
	return nil, false
}

// scanObject splits a body that must be a JSON object into its fields.
func scanObject(raw []byte) (object, error) { return scanObjectAs(raw, "dictionary") }

// scanObjectAs is scanObject with what errors call the body.
func scanObjectAs(raw []byte, kind string) (object, error) {
	scanner := jsonScanner{b: raw}
	fields, err := scanner.fields()
	if err == nil {
		err = scanner.end()
	}
	if err == nil {
		return fields, nil
	}
	if err = checkJSON(raw, '{', kind); err == nil {
		err = catalogue.Errorf(command.CodeInvalidJSON, "cannot decode json parameter %s", kind)
	}
	return nil, err
}

// fields reads the object that comes next; of a key that is there twice the last counts. The values alias the input.
func (s *jsonScanner) fields() (object, error) {
	fields := object{}
	err := s.object(func(key []byte) error {
		value, err := s.raw()
		if err == nil {
			fields[string(key)] = value
		}
		return err
	})
	return fields, err
}

// itemFields are the keys that an item of a list of DIDs may have; others are refused, as the schema of the API wants it.
type itemFields uint

const (
	fieldScope itemFields = 1 << iota
	fieldName
	fieldBytes
	fieldState
	fieldVersion
	// Those of children only.
	fieldAdler32
	fieldMD5
	fieldPFN
	fieldType
	fieldMeta
	fieldRules
)

// fileItem is one item of a list of files or DIDs. Of the strings only scope and name must be there.
type fileItem struct {
	command.NewFile
	given   itemFields
	path    string
	version uint64 // that the replica must have
}

// itemScanner reads lists of files and DIDs item by item.
type itemScanner struct {
	jsonScanner
	what string
	// loose reads DIDs that are only looked up: any scope and name with a letter, digit or underscore will do.
	loose bool
	// conditional is set where an item may name the version that its replica must have.
	conditional bool
	// scope is the last one read: most items have the same.
	scope string
}

// each reads the items of a list, at most limit of them. The item is filled anew for each call of visit and may be kept.
func (s *itemScanner) each(limit int, next func(i int) *fileItem, visit func(i int, item *fileItem) error) error {
	if s.kind() != '[' {
		return catalogue.Errorf(command.CodeInvalidObject, "Problem validating %s: %s is not of type 'array'", s.what, abridge(s.b))
	}
	return s.array(func(i int) error {
		if i >= limit {
			return catalogue.Errorf(command.CodeTooManyItems, "'%s' has more than %d items", s.what, limit)
		}
		if s.kind() != '{' {
			return s.invalid(i, "an item is not of type 'object'")
		}
		item := next(i)
		if err := s.object(func(key []byte) error { return s.field(i, item, key) }); err != nil {
			return err
		}
		switch {
		case item.given&fieldScope == 0:
			return s.invalid(i, "'scope' is a required property")
		case item.given&fieldName == 0:
			return s.invalid(i, "'name' is a required property")
		}
		return visit(i, item)
	})
}

func (s *itemScanner) invalid(i int, why string) error {
	return catalogue.Errorf(command.CodeInvalidObject, "Problem validating %s: item %d: %s", s.what, i, why)
}

// field reads the value of one key of an item.
func (s *itemScanner) field(i int, item *fileItem, key []byte) error {
	switch string(key) {
	case "scope":
		return s.scopeField(i, item)
	case "name":
		return s.nameField(i, item)
	case "bytes":
		n, ok := s.uint()
		if !ok || n > catalogue.MaxFileBytes {
			return s.invalid(i, "'bytes' is no whole number from 0 to 9223372036854775807")
		}
		item.Bytes = n
		item.given |= fieldBytes
		return nil
	case "state":
		return s.stateField(i, item)
	case "adler32":
		return s.hexField(i, "adler32", 8, &item.Adler32)
	case "md5":
		return s.hexField(i, "md5", 32, &item.Md5)
	case "pfn":
		return s.stringField(i, "pfn", &item.Pfn)
	case "path":
		return s.stringField(i, "path", &item.path)
	case "meta":
		return s.metaField(i, item)
	case "tombstone":
		return s.tombstoneField(i, item)
	case "if_version":
		return s.versionField(i, item)
	case "type":
		return s.typeField(i)
	case "rules", "error_message", "broken_rule_id", "broken_message":
		return s.skip()
	default:
		return s.invalid(i, "Additional properties are not allowed ('"+abridge(key)+"' was unexpected)")
	}
}

func (s *itemScanner) stringField(i int, key string, field *string) error {
	b, err := s.textField(i, key)
	*field = string(b)
	return err
}

// textField reads a string; the bytes may alias the input.
func (s *itemScanner) textField(i int, key string) ([]byte, error) {
	if s.kind() != '"' {
		return nil, s.invalid(i, "'"+key+"' is not of type 'string'")
	}
	return s.bytes()
}

func (s *itemScanner) scopeField(i int, item *fileItem) error {
	b, err := s.textField(i, "scope")
	if err != nil {
		return err
	}
	if s.scope == "" || string(b) != s.scope {
		scope := string(b)
		if s.loose && !hasWord(scope) {
			return s.invalid(i, "'scope' does not match '\\w'")
		}
		if !s.loose {
			if err := catalogue.ValidateName("scope", scope); err != nil {
				return err
			}
		}
		s.scope = scope
	}
	item.Scope = s.scope
	item.given |= fieldScope
	return nil
}

func (s *itemScanner) nameField(i int, item *fileItem) error {
	if err := s.stringField(i, "name", &item.Name); err != nil {
		return err
	}
	item.given |= fieldName
	switch {
	case s.loose && !hasWord(item.Name):
		return s.invalid(i, "'name' does not match '\\w'")
	case !s.loose:
		return catalogue.ValidateName("name", item.Name)
	}
	return nil
}

// hasWord reports whether a text has a letter, a digit or an underscore.
func hasWord(text string) bool {
	for i := range len(text) {
		ch := text[i]
		if ch|0x20 >= 'a' && ch|0x20 <= 'z' || ch >= '0' && ch <= '9' || ch == '_' || ch >= 0x80 {
			return true
		}
	}
	return false
}

func (s *itemScanner) stateField(i int, item *fileItem) error {
	b, err := s.textField(i, "state")
	if err != nil {
		return err
	}
	if len(b) != 1 || !command.IsReplicaState(uint32(b[0])) {
		return s.invalid(i, "'"+abridge(b)+"' is not one of 'A', 'U', 'C', 'B', 'D', 'T'")
	}
	item.State = uint32(b[0])
	item.given |= fieldState
	return nil
}

// typeField sees that the type of a DID is one. It says nothing new: replicas are those of files, and a list looks types up.
func (s *itemScanner) typeField(i int) error {
	if s.kind() != '"' {
		return s.skip()
	}
	b, err := s.bytes()
	if err == nil && !knownChildType(string(b)) {
		err = s.invalid(i, "'"+abridge(b)+"' is no type of DIDs: the types are "+strings.Join(didTypes, ", "))
	}
	return err
}

func (s *itemScanner) versionField(i int, item *fileItem) error {
	if !s.conditional {
		return s.invalid(i, "Additional properties are not allowed ('if_version' was unexpected)")
	}
	n, ok := s.uint()
	if !ok || n == 0 {
		return s.invalid(i, "'if_version' is no whole number from 1 on")
	}
	item.version = n
	item.given |= fieldVersion
	return nil
}

// versionList gathers the versions that items name, 0 for one that names none; it stays nil where none does.
type versionList []uint64

func (l *versionList) add(i int, item *fileItem) {
	if *l == nil && item.given&fieldVersion == 0 {
		return
	}
	for len(*l) < i {
		*l = append(*l, 0)
	}
	*l = append(*l, item.version)
}

func (s *itemScanner) hexField(i int, key string, size int, field *string) error {
	b, err := s.textField(i, key)
	if err != nil {
		return err
	}
	valid := len(b) == size
	for _, ch := range b {
		valid = valid && (ch >= '0' && ch <= '9' || ch|0x20 >= 'a' && ch|0x20 <= 'f')
	}
	if !valid {
		return s.invalid(i, "'"+key+"' is not "+strconv.Itoa(size)+" hexadecimal digits")
	}
	*field = string(b)
	return nil
}

func (s *itemScanner) metaField(i int, item *fileItem) error {
	if s.kind() != '{' {
		return s.invalid(i, "'meta' is not of type 'object'")
	}
	item.Meta = nil
	return s.object(func(key []byte) error {
		name := string(key)
		value, err := s.raw()
		if err != nil {
			return err
		}
		if item.Meta == nil {
			item.Meta = map[string]string{}
		}
		item.Meta[name] = string(value)
		return nil
	})
}

func (s *itemScanner) tombstoneField(i int, item *fileItem) error {
	raw, err := s.raw()
	if err != nil || string(raw) == "null" {
		return err
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return s.invalid(i, "'tombstone' is no time")
	}
	// 0 stands for no tombstone, so the beginning of 1970 is the moment after.
	micros, err := parseTime("tombstone", text)
	item.Tombstone = max(micros, 1)
	return err
}

// itemChunk is how many files are made room for at once at most. The first are made room for one by one: most registrations have one.
const itemChunk = 128

// decodeNewFiles reads the files of a registration.
func decodeNewFiles(raw json.RawMessage, limit int) ([]*command.NewFile, error) {
	var (
		files   []*command.NewFile
		chunk   []fileItem
		scanner = itemScanner{jsonScanner: jsonScanner{b: raw}, what: "dids"}
	)
	next := func(int) *fileItem {
		if len(chunk) == 0 {
			chunk = make([]fileItem, min(max(1, len(files)), itemChunk))
		}
		item := &chunk[0]
		chunk = chunk[1:]
		return item
	}
	err := scanner.each(limit, next, func(i int, item *fileItem) error {
		if item.given&fieldBytes == 0 {
			return scanner.invalid(i, "'bytes' is a required property")
		}
		files = append(files, &item.NewFile)
		return nil
	})
	if err == nil && len(files) == 0 {
		err = catalogue.Errorf(command.CodeInvalidObject, "Problem validating dids: [] is too short")
	}
	return files, err
}

// decodeChanges reads the files of a change of states, and the versions that they must have, nil where none is named.
func decodeChanges(raw json.RawMessage, limit int) ([]*command.ReplicaChange, []uint64, error) {
	var (
		files    []*command.ReplicaChange
		versions versionList
	)
	scanner := itemScanner{jsonScanner: jsonScanner{b: raw}, what: "dids", conditional: true}
	err := scanner.each(limit, newItem, func(i int, item *fileItem) error {
		if item.given&fieldState == 0 {
			return scanner.invalid(i, "'state' is a required property")
		}
		files = append(files, &command.ReplicaChange{Scope: item.Scope, Name: item.Name, State: item.State, Path: item.path})
		versions.add(i, item)
		return nil
	})
	return files, versions, err
}

// decodeDeletions reads the files of a deletion, and the versions that they must have, nil where none is named.
func decodeDeletions(raw json.RawMessage, limit int) ([]*command.ReplicaName, []uint64, error) {
	var (
		files    []*command.ReplicaName
		versions versionList
	)
	scanner := itemScanner{jsonScanner: jsonScanner{b: raw}, what: "r_dids", loose: true, conditional: true}
	err := scanner.each(limit, newItem, func(i int, item *fileItem) error {
		files = append(files, &command.ReplicaName{Scope: item.Scope, Name: item.Name})
		versions.add(i, item)
		return nil
	})
	return files, versions, err
}

// decodeDIDNames reads a list of DIDs that are to be looked up.
func decodeDIDNames(raw json.RawMessage, limit int) ([]catalogue.DIDName, error) {
	var names []catalogue.DIDName
	scanner := itemScanner{jsonScanner: jsonScanner{b: raw}, what: "r_dids", loose: true}
	err := scanner.each(limit, newItem, func(_ int, item *fileItem) error {
		names = append(names, catalogue.DIDName{Scope: item.Scope, Name: item.Name})
		return nil
	})
	return names, err
}

func newItem(int) *fileItem { return &fileItem{} }
