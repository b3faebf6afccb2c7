package catalogue

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"dapple/command"
)

// MaxNameBytes is the length of the longest name of a DID that any schema may allow, in bytes. Keys of the store hold up to
// two of them.
const MaxNameBytes = 1024

// ValidateName returns CodeInvalidObject for what nothing can be called whatever the schema: the empty text, one that is longer than
// MaxNameBytes or not UTF-8, or one with control characters. Keys of the store end names with a zero byte, so no name may
// hold one. what names the kind of name.
func ValidateName(what, name string) error {
	if !validName(name, MaxNameBytes) {
		return Errorf(command.CodeInvalidObject, "Problem validating %s: '%.64s' is no text of 1 to %d bytes without control characters",
			what, name, MaxNameBytes)
	}
	return nil
}

// validName reports whether a text is not empty, not longer than longest and plain.
func validName(text string, longest int) bool {
	return text != "" && len(text) <= longest && isPlainText(text)
}

// isPlainText reports whether a text is valid UTF-8 without control characters.
func isPlainText(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			rest := text[i:]
			return utf8.ValidString(rest) && strings.IndexFunc(rest, unicode.IsControl) < 0
		}
	}
	return true
}

// didMissing is what a command answers that names a DID that does not exist: one that could not exist is CodeInvalidObject.
func didMissing(v View, scope, name string) error {
	schema, err := NameSchemaOf(v)
	if err != nil {
		return err
	}
	if err := schema.checkMissing(v, 0, scope, name); err != nil {
		return err
	}
	return didNotFound(scope, name)
}

// checkMissing refuses the name of a DID that is not there and could not be. It refuses nothing below feature level 1.
func (s *NameSchema) checkMissing(v View, t DIDType, scope, name string) error {
	if !s.enforced {
		return nil
	}
	if invalid := s.CheckScope(scope); invalid != nil {
		if _, found, err := findScopeID(v, scope); err != nil {
			return err
		} else if !found {
			return invalid
		}
	}
	return s.CheckDID(t, name)
}

// rseMissing turns the error that an RSE does not exist into CodeInvalidObject where it could not. It changes nothing below
// feature level 1.
func (s *NameSchema) rseMissing(name string, err error) error {
	if s.enforced && CodeOf(err) == command.CodeRSENotFound {
		if invalid := s.CheckRSE(name); invalid != nil {
			return invalid
		}
	}
	return err
}

// checkNewFile refuses what a client says about a file that is new. It refuses nothing below feature level 1.
func (s *NameSchema) checkNewFile(f *command.NewFile) error {
	if !s.enforced {
		return nil
	}
	if err := s.CheckDID(TypeFile, f.Name); err != nil {
		return err
	}
	if err := s.checkSegments("name", f.Name); err != nil {
		return err
	}
	if f.Adler32 != "" && !isHex(f.Adler32, 8) {
		return Errorf(command.CodeInvalidObject, "Problem validating adler32: '%.64s' of %s:%s is not 8 hexadecimal digits", f.Adler32, f.Scope, f.Name)
	}
	if f.Md5 != "" && !isHex(f.Md5, 32) {
		return Errorf(command.CodeInvalidObject, "Problem validating md5: '%.64s' of %s:%s is not 32 hexadecimal digits", f.Md5, f.Scope, f.Name)
	}
	return s.checkMetadata(f.Meta)
}

func isHex(text string, length int) bool {
	for i := range len(text) {
		ch := text[i]
		if (ch < '0' || ch > '9') && (ch|0x20 < 'a' || ch|0x20 > 'f') {
			return false
		}
	}
	return len(text) == length
}

// checkMetadata refuses keys of metadata that are no names. It refuses nothing below feature level 1.
func (s *NameSchema) checkMetadata(values map[string]string) error {
	if !s.enforced || len(values) == 0 {
		return nil
	}
	var bad []string
	for key := range values {
		if !validName(key, MaxMetadataKey) {
			bad = append(bad, key)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return Errorf(command.CodeInvalidMetadata, "metadata key %.40q is no text of 1 to %d bytes without control characters", slices.Min(bad), MaxMetadataKey)
}

// checkQuarantined refuses a file that has no path, and one that is given a scope or name that nothing can have. It refuses
// nothing below feature level 1.
func (s *NameSchema) checkQuarantined(f *command.Quarantine_File) error {
	if !s.enforced {
		return nil
	}
	if !validName(f.Path, maxPFN) {
		return Errorf(command.CodeInvalidPath, "'%.256s' is no path of a file of at most %d bytes", f.Path, maxPFN)
	}
	if err := s.checkSegments("path", f.Path); err != nil {
		return err
	}
	for _, text := range [...]struct{ what, name string }{{"scope", f.Scope}, {"name", f.Name}} {
		if text.name == "" {
			continue // unknown
		}
		if err := ValidateName(text.what, text.name); err != nil {
			return err
		}
	}
	return nil
}

// checkPath refuses the path of a file at an RSE that no PFN could name. It refuses nothing below feature level 1.
func (s *NameSchema) checkPath(path string) error {
	if s.enforced && (!validName(path, maxPFN) || strings.HasSuffix(path, "/")) {
		return Errorf(command.CodeInvalidPath, "'%.256s' is no path of a file of at most %d bytes", path, maxPFN)
	}
	return s.checkSegments("path", path)
}
