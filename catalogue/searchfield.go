package catalogue

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"dapple/command"
)

// operator compares a value of a DID with that of a condition.
type operator byte

const (
	opEqual operator = iota
	opNotEqual
	opLess
	opLessEqual
	opGreater
	opGreaterEqual
)

// operators are the suffixes of keys in the order of the numbers.
var operators = [...]string{opEqual: "", opNotEqual: "ne", opLess: "lt", opLessEqual: "lte", opGreater: "gt", opGreaterEqual: "gte"}

// searchedColumns are what is searched like fixed metadata, beside it.
var searchedColumns = [...]string{
	"adler32", "bytes", "created_after", "created_before", "deleted_at", "expired_at", "length", "md5", "type",
}

// keyScope is the key of a DID's scope, which a search may name besides the one that it looks in: both must hold.
const keyScope = "scope"

// condition is a condition that has been understood.
type condition struct {
	key      string
	operator operator
	kind     searchKind
	text     string // the value as it was written; a pattern where wild is set
	wild     bool
	any      bool // a lone star: everything fulfils the condition
	number   decimal
}

// searchKind says how values of a key are compared.
type searchKind byte

const (
	searchText searchKind = iota
	searchNumber
	searchBoolean
	searchTime
	searchJSON // a client's own key: as its value is
)

// parseCondition understands one condition; custom tells that it is one of a search for clients' own keys.
func parseCondition(c Condition, custom bool) (condition, error) {
	key, suffix, _ := strings.Cut(c.Key, ".")
	switch c.Key {
	case "created_after":
		key, suffix = "created_at", "gte"
	case "created_before":
		key, suffix = "created_at", "lte"
	}
	at := slices.Index(operators[:], suffix)
	if at < 0 || strings.HasSuffix(c.Key, ".") {
		return condition{}, Errorf(command.CodeInvalidFilter, "the filter '%s' has no known operator", c.Key)
	}
	parsed := condition{key: key, operator: operator(at), text: c.Value, kind: searchKindOf(key, custom)}
	_, _, parsed.wild = cutWildcard(c.Value)
	parsed.any = c.Value == "*" || c.Value == "%"
	ordered := parsed.operator != opEqual && parsed.operator != opNotEqual
	switch {
	case parsed.wild && ordered:
		return condition{}, Errorf(command.CodeInvalidFilter, "Wildcards can only be used with equality operators")
	case (key == "name" || key == keyScope) && ordered:
		return condition{}, Errorf(command.CodeInvalidFilter, "%s operator must be an equality operator.", strings.ToUpper(key[:1])+key[1:])
	case parsed.any:
		return parsed, nil
	}
	return parsed, parsed.understand()
}

func searchKindOf(key string, custom bool) searchKind {
	switch key {
	case "name", keyScope, "adler32", "md5":
		return searchText
	case "bytes", "length":
		return searchNumber
	case "created_at", "closed_at", "deleted_at", "expired_at":
		return searchTime
	case "is_archive", "constituent":
		return searchBoolean
	}
	if custom {
		return searchJSON
	}
	f, _ := findMetadataField(key)
	switch f.kind {
	case metaInteger:
		return searchNumber
	case metaBoolean:
		return searchBoolean
	case metaTime:
		return searchTime
	default:
		return searchText
	}
}

// understand reads the value as the key's kind.
func (c *condition) understand() error {
	if c.key == "lifetime" || c.key == "type" {
		return Errorf(command.CodeKeyNotFound, "'%s' keyword could not be coerced to model class attribute. Attribute not found.", c.key)
	}
	ok := true
	switch c.kind {
	case searchNumber:
		c.number, ok = parseDecimal(c.text)
	case searchBoolean:
		switch strings.ToLower(c.text) {
		case "true", "1":
			c.text = "true"
		case "false", "0":
			c.text = "false"
		default:
			ok = false
		}
	case searchTime:
		var micros int64
		micros, ok = ParseTime(c.text)
		c.number, _ = parseDecimal(strconv.FormatInt(micros, 10))
	case searchText:
		if c.key == "guid" {
			c.text = strings.ToLower(strings.ReplaceAll(c.text, "-", ""))
		}
	}
	if !ok {
		return Errorf(command.CodeInvalidFilter, "the filter '%s' cannot be compared with '%.80s'", c.key, c.text)
	}
	return nil
}

// subject is a DID that conditions are held against; its metadata is read at most once.
type subject struct {
	run    *searchRun
	ref    didRef
	did    *DID
	loaded bool
	meta   []MetadataEntry
}

// holds reports whether a DID fulfils the condition. What a DID does not have is unlike everything: it fulfils ne for a fixed
// key, and nothing else.
func (c *condition) holds(s *subject, custom bool) (bool, error) {
	if c.any {
		return true, nil
	}
	value, found, err := s.value(c.key)
	if err != nil {
		return false, err
	}
	if !found {
		return c.operator == opNotEqual && !custom, nil
	}
	switch c.kind {
	case searchNumber, searchTime:
		n, ok := parseDecimal(value)
		return ok && c.compares(n.compare(c.number)), nil
	case searchJSON:
		return c.holdsJSON(value), nil
	}
	if c.wild {
		return matchWildcard(c.text, value) == (c.operator == opEqual), nil
	}
	return c.compares(strings.Compare(value, c.text)), nil
}

// holdsJSON compares a client's own value: as a number or boolean where the condition's value is one, otherwise as text.
func (c *condition) holdsJSON(value string) bool {
	text := value
	if strings.HasPrefix(value, `"`) && json.Unmarshal([]byte(value), &text) != nil {
		return false
	}
	if c.wild {
		return matchWildcard(c.text, text) == (c.operator == opEqual)
	}
	if want, ok := parseDecimal(c.text); ok {
		n, isNumber := parseDecimal(text)
		return isNumber && c.compares(n.compare(want))
	}
	if want, ok := ParseTime(c.text); ok {
		t, isTime := ParseTime(text)
		return isTime && c.compares(cmp.Compare(t, want))
	}
	if strings.EqualFold(c.text, text) && (text == "true" || text == "false") {
		return c.compares(0) // clients of Python write True
	}
	return c.compares(strings.Compare(text, c.text))
}

// compares reports whether the outcome of a comparison is what the operator asks for.
func (c *condition) compares(order int) bool {
	switch c.operator {
	case opEqual:
		return order == 0
	case opNotEqual:
		return order != 0
	case opLess:
		return order < 0
	case opLessEqual:
		return order <= 0
	case opGreater:
		return order > 0
	default:
		return order >= 0
	}
}

// value returns what a DID has under a key as text, times and numbers in decimal, and false where it has nothing.
func (s *subject) value(key string) (string, bool, error) {
	d := s.did
	switch key {
	case "name":
		return s.ref.name, true, nil
	case keyScope:
		scope, err := s.run.names.name(s.run.v, s.ref.scope)
		return scope, true, err
	case "adler32":
		return d.Adler32, d.Adler32 != "", nil
	case "md5":
		return d.MD5, d.MD5 != "", nil
	case "created_at":
		return strconv.FormatInt(d.Created, 10), true, nil
	case "closed_at":
		return strconv.FormatInt(d.ClosedAt, 10), d.ClosedAt != 0, nil
	case "is_archive":
		return "true", d.Archive, nil
	case "constituent":
		return "true", d.Constituent, nil
	case "bytes":
		n, known := d.KnownSize()
		return strconv.FormatUint(n, 10), known, nil
	case "length":
		n, known := d.KnownLength()
		return strconv.FormatUint(n, 10), known, nil
	}
	if key == metaEvents && d.Type != TypeFile && d.ClosedAt == 0 {
		return "", false, nil
	}
	if !s.loaded {
		meta, err := loadMetadata(s.run.v, s.ref, d)
		if err != nil {
			return "", false, err
		}
		s.meta, s.loaded = meta, true
	}
	stored, found := FindMetadata(s.meta, key)
	if !found {
		stored, found = MetadataDefault(key)
		return stored, found, nil
	}
	if IsFixedMetadata(key) && strings.HasPrefix(stored, `"`) {
		if err := json.Unmarshal([]byte(stored), &stored); err != nil {
			return "", false, recordError(ErrRecord, "metadata", key)
		}
	}
	return stored, true, nil
}

// MetadataDefault returns the JSON of what a fixed key has where nobody has set it, and false where that is nothing.
func MetadataDefault(key string) (string, bool) {
	switch key {
	case "hidden", "transient":
		return "false", true
	case "is_new", "purge_replicas":
		return "true", true
	}
	return "", false
}

// KnownSize returns the bytes of a file, or of a collection what it had when it was last closed; false before that.
func (d *DID) KnownSize() (uint64, bool) {
	if d.Type == TypeFile {
		return d.Bytes, true
	}
	return d.ClosedSize, d.ClosedAt != 0 && d.ClosedSize != unknownTotal
}

// unknownTotal is stored as length and size of a container that held too much for them to be added up when it was closed.
const unknownTotal = math.MaxUint64

// KnownLength returns how many files a collection had when it was last closed; false before that, and for files.
func (d *DID) KnownLength() (uint64, bool) {
	return d.ClosedLength, d.Type != TypeFile && d.ClosedAt != 0 && d.ClosedLength != unknownTotal
}
