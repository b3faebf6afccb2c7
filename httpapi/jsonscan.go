package httpapi

import (
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// jsonScanner reads JSON from front to back without reflection, for bodies that name thousands of items. It checks the whole
// syntax on its way. After the first error it stays where it is and every call fails.
type jsonScanner struct {
	b   []byte
	at  int
	bad bool
	// depth is how many objects and arrays are open.
	depth int
}

// errJSON says that bytes are no JSON.
var errJSON = errors.New("malformed JSON")

// maxJSONDepth bounds nesting, as encoding/json does.
const maxJSONDepth = 10_000

// kind returns the first byte of the next value, 0 at the end.
func (s *jsonScanner) kind() byte {
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return s.b[s.at]
		}
	}
	return 0
}

// take passes over one byte of punctuation, and returns false where another comes.
func (s *jsonScanner) take(ch byte) bool {
	if s.bad || s.kind() != ch || ch == 0 {
		return false
	}
	s.at++
	return true
}

// enter passes over the bracket that opens an object or an array.
func (s *jsonScanner) enter(bracket byte) error {
	if s.depth >= maxJSONDepth || !s.take(bracket) {
		return s.fail()
	}
	s.depth++
	return nil
}

// leave passes over the bracket that closes the innermost object or array, and returns false where another byte comes.
func (s *jsonScanner) leave(bracket byte) bool {
	if !s.take(bracket) {
		return false
	}
	s.depth--
	return true
}

func (s *jsonScanner) fail() error {
	s.bad = true
	return errJSON
}

// end returns nil where nothing is left but space.
func (s *jsonScanner) end() error {
	if s.bad || s.kind() != 0 || s.at != len(s.b) {
		return s.fail()
	}
	return nil
}

// object calls field for every field of the object that comes next; field reads the value. The key is valid until then.
func (s *jsonScanner) object(field func(key []byte) error) error {
	if err := s.enter('{'); err != nil {
		return err
	}
	if s.leave('}') {
		return nil
	}
	for {
		s.kind()
		key, err := s.bytes()
		if err != nil {
			return err
		}
		if !s.take(':') {
			return s.fail()
		}
		if err := field(key); err != nil {
			return err
		}
		if s.leave('}') {
			return nil
		}
		if !s.take(',') {
			return s.fail()
		}
	}
}

// array calls item for every item of the array that comes next; item reads it.
func (s *jsonScanner) array(item func(i int) error) error {
	if err := s.enter('['); err != nil {
		return err
	}
	if s.leave(']') {
		return nil
	}
	for i := 0; ; i++ {
		if err := item(i); err != nil {
			return err
		}
		if s.leave(']') {
			return nil
		}
		if !s.take(',') {
			return s.fail()
		}
	}
}

// bytes reads the string that comes next; it aliases the input where the string has no escapes.
func (s *jsonScanner) bytes() ([]byte, error) {
	if s.kind() != '"' || s.bad {
		return nil, s.fail()
	}
	start := s.at
	for i := start + 1; i < len(s.b); i++ {
		switch ch := s.b[i]; {
		case ch == '"':
			s.at = i + 1
			return s.b[start+1 : i], nil
		case ch == '\\':
			return s.escaped(start, i)
		case ch < ' ':
			return nil, s.fail()
		case ch >= utf8.RuneSelf:
			return s.escaped(start, i) // checks the encoding as well
		}
	}
	return nil, s.fail()
}

// escaped reads a string that starts at start and is not plain from i on.
func (s *jsonScanner) escaped(start, i int) ([]byte, error) {
	for ; i < len(s.b); i++ {
		if s.b[i] == '\\' {
			i++
			continue
		}
		if s.b[i] != '"' {
			continue
		}
		var text string
		raw := s.b[start : i+1]
		if !utf8.Valid(raw) || json.Unmarshal(raw, &text) != nil {
			break
		}
		s.at = i + 1
		return []byte(text), nil
	}
	return nil, s.fail()
}

// raw reads the value that comes next as it stands.
func (s *jsonScanner) raw() (json.RawMessage, error) {
	s.kind()
	start := s.at
	if err := s.skip(); err != nil {
		return nil, err
	}
	return json.RawMessage(s.b[start:s.at]), nil
}

// skip passes over the value that comes next.
func (s *jsonScanner) skip() error {
	switch s.kind() {
	case '{':
		return s.object(func([]byte) error { return s.skip() })
	case '[':
		return s.array(func(int) error { return s.skip() })
	case '"':
		_, err := s.bytes()
		return err
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		_, err := s.number()
		return err
	}
}

func (s *jsonScanner) word(word string) error {
	if s.bad || len(s.b)-s.at < len(word) || string(s.b[s.at:s.at+len(word)]) != word {
		return s.fail()
	}
	s.at += len(word)
	return nil
}

// number reads the number that comes next as it stands.
func (s *jsonScanner) number() ([]byte, error) {
	s.kind()
	start := s.at
	if s.bad {
		return nil, errJSON
	}
	s.one("-")
	if !s.one("0") && !s.digits() {
		return nil, s.fail()
	}
	if s.one(".") && !s.digits() {
		return nil, s.fail()
	}
	if s.one("eE") {
		s.one("+-")
		if !s.digits() {
			return nil, s.fail()
		}
	}
	return s.b[start:s.at], nil
}

// one passes over one byte of a set.
func (s *jsonScanner) one(set string) bool {
	if s.at >= len(s.b) {
		return false
	}
	for i := range len(set) {
		if s.b[s.at] == set[i] {
			s.at++
			return true
		}
	}
	return false
}

func (s *jsonScanner) digits() bool {
	start := s.at
	for s.at < len(s.b) && s.b[s.at]-'0' <= 9 {
		s.at++
	}
	return s.at > start
}

// uint reads a whole number from 0 on that comes next; ok is false for any other value, which it leaves.
func (s *jsonScanner) uint() (n uint64, ok bool) {
	start, bad := s.at, s.bad
	text, err := s.number()
	if err == nil {
		n, err = strconv.ParseUint(string(text), 10, 64)
	}
	if err != nil {
		s.at, s.bad = start, bad
		return 0, false
	}
	return n, true
}
