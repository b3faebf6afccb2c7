package httpapi

import (
	"bytes"
	"net/http"
	"unicode/utf8"

	"dapple/catalogue"
	"dapple/command"
)

// checkUnicode refuses a body that is no UTF-8 or has half of a surrogate pair in an escape: to store U+FFFD in its place
// would give a file another name than the one that the client has.
func checkUnicode(body []byte) error {
	if !utf8.Valid(body) {
		return catalogue.Errorf(command.CodeInvalidJSON, "the body is not valid UTF-8")
	}
	if hasLoneSurrogate(body) {
		return catalogue.Errorf(command.CodeInvalidJSON, "the body has half of a surrogate pair, which is no character")
	}
	return nil
}

// hasLoneSurrogate reports whether JSON escapes half of a surrogate pair without the other. Outside of texts JSON has no
// backslash.
func hasLoneSurrogate(body []byte) bool {
	for at := bytes.IndexByte(body, '\\'); at >= 0 && at+1 < len(body); {
		next := at + 2
		switch unit, ok := escapedUnit(body[at:]); {
		case ok && isHighSurrogate(unit):
			low, paired := escapedUnit(body[at+6:])
			if !paired || !isLowSurrogate(low) {
				return true
			}
			next = at + 12
		case ok && isLowSurrogate(unit):
			return true
		}
		step := bytes.IndexByte(body[min(next, len(body)):], '\\')
		if step < 0 {
			return false
		}
		at = next + step
	}
	return false
}

// escapedUnit returns the number in an escape such as \u00e9 at the beginning of a text.
func escapedUnit(text []byte) (unit uint16, ok bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	for _, ch := range text[2:6] {
		unit <<= 4
		switch {
		case ch >= '0' && ch <= '9':
			unit |= uint16(ch - '0')
		case ch|0x20 >= 'a' && ch|0x20 <= 'f':
			unit |= uint16(ch|0x20-'a') + 10
		default:
			return 0, false
		}
	}
	return unit, true
}

func isHighSurrogate(unit uint16) bool { return unit>>10 == 0xd800>>10 }
func isLowSurrogate(unit uint16) bool  { return unit>>10 == 0xdc00>>10 }

// checkTarget refuses a path or a query that is no UTF-8 once it is decoded.
func checkTarget(r *http.Request) error {
	if !utf8.ValidString(r.URL.Path) {
		return catalogue.Errorf(command.CodeInvalidValue, "the path is not valid UTF-8")
	}
	if r.URL.RawQuery == "" {
		return nil
	}
	for key, values := range r.URL.Query() {
		for _, value := range values {
			if !utf8.ValidString(key) || !utf8.ValidString(value) {
				return catalogue.Errorf(command.CodeInvalidValue, "the query is not valid UTF-8")
			}
		}
	}
	return nil
}
