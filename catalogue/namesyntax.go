package catalogue

import (
	"strings"

	"dapple/command"
)

// nameSyntax is the syntax of one kind of name. The check is written by hand, because every file that is registered
// passes it; a test compares it with the pattern.
type nameSyntax struct {
	// pattern is the regular expression that errors show.
	pattern string
	// longest is the length of the longest name in bytes.
	longest int
	// fits reports whether a name that is not too long has the syntax.
	fits func(name string) bool
}

// ok reports whether a name has the syntax.
func (s *nameSyntax) ok(name string) bool { return len(name) <= s.longest && s.fits(name) }

// check returns CodeInvalidObject for a name that does not have the syntax; what names its kind.
func (s *nameSyntax) check(what, name string) error {
	switch {
	case len(name) > s.longest:
		return Errorf(command.CodeInvalidObject, "Problem validating %s: '%.64s' is longer than %d characters", what, name, s.longest)
	case !s.fits(name):
		return Errorf(command.CodeInvalidObject, "Problem validating %s: '%s' does not match '%s'", what, name, s.pattern)
	}
	return nil
}

// charset is a set of bytes.
type charset [256]bool

// Sets of characters that names are made of.
const (
	upperCase = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lowerCase = "abcdefghijklmnopqrstuvwxyz"
	digits    = "0123456789"
	letters   = upperCase + lowerCase
)

// charsetOf returns the set of the bytes of a text.
func charsetOf(text string) *charset {
	var set charset
	for i := range len(text) {
		set[text[i]] = true
	}
	return &set
}

// all reports whether a text has no byte that is not in the set.
func (s *charset) all(text string) bool {
	for i := range len(text) {
		if !s[text[i]] {
			return false
		}
	}
	return true
}

// some reports whether a text is not empty and has no byte that is not in the set.
func (s *charset) some(text string) bool { return text != "" && s.all(text) }

// someOf makes the check of names of the given characters.
func someOf(characters string) func(name string) bool { return charsetOf(characters).some }

// startingWith makes the check of names with a first character out of one set and any number out of another.
func startingWith(first, rest string) func(name string) bool {
	head, tail := charsetOf(first), charsetOf(rest)
	return func(name string) bool { return name != "" && head[name[0]] && tail.all(name[1:]) }
}

// joined makes the check of names of parts that single hyphens and underscores join.
func joined(part string) func(name string) bool {
	set := charsetOf(part)
	return func(name string) bool {
		separated := true
		for i := range len(name) {
			switch {
			case set[name[i]]:
				separated = false
			case separated || name[i] != '-' && name[i] != '_':
				return false
			default:
				separated = true
			}
		}
		return !separated
	}
}

// What the names of CMS are made of, see cmsSchema.
var (
	cmsPrimary   = charsetOf(letters + digits + "-_")
	cmsProcessed = charsetOf(letters + digits + ".-_")
	cmsTier      = charsetOf(upperCase + digits + "-")
	cmsLFN       = charsetOf(letters + digits + ".-_/")
	cmsOwner     = charsetOf(lowerCase + digits + "-_")
	alphanumeric = charsetOf(letters + digits)
	upperLetters = charsetOf(upperCase)
)

// cutPart takes a slash and 1 to most characters of a set from the beginning of a text. The part ends where the first
// character follows that is not in the set.
func cutPart(text string, set *charset, most int) (rest string, ok bool) {
	if text == "" || text[0] != '/' {
		return "", false
	}
	end := 1
	for end < len(text) && set[text[end]] {
		end++
	}
	return text[end:], end > 1 && end-1 <= most
}

// cutCMSDataset takes the name of a dataset of CMS, which is a container here, from the beginning of a text.
func cutCMSDataset(text string) (rest string, ok bool) {
	if rest, ok = cutPart(text, cmsPrimary, 99); !ok {
		return "", false
	}
	if rest, ok = cutPart(rest, cmsProcessed, 199); !ok {
		return "", false
	}
	return cutPart(rest, cmsTier, 99)
}

func isCMSContainer(name string) bool {
	rest, ok := cutCMSDataset(name)
	return ok && rest == ""
}

func isCMSBlock(name string) bool {
	rest, ok := cutCMSDataset(name)
	block, marked := strings.CutPrefix(rest, "#")
	return ok && marked && len(block) <= 100 && cmsProcessed.some(block)
}

func isCMSFile(name string) bool {
	rest, ok := strings.CutPrefix(name, "/store/")
	return ok && len(rest) > 1 && alphanumeric[rest[0]] && cmsLFN.all(rest)
}

func isCMSName(name string) bool { return isCMSFile(name) || isCMSContainer(name) || isCMSBlock(name) }

func isCMSScope(name string) bool {
	if name == "cms" || name == "logs" {
		return true
	}
	owner, ok := strings.CutPrefix(name, "user.")
	if !ok {
		owner, ok = strings.CutPrefix(name, "group.")
	}
	return ok && cmsOwner.some(owner)
}

// isCMSRSE reports whether a name is T, a tier from 0 to 3, two letters of a country and at least one more part.
func isCMSRSE(name string) bool {
	const country = len("T0_")
	if len(name) < country+2 || name[0] != 'T' || name[1] < '0' || name[1] > '3' || name[2] != '_' ||
		!upperLetters.all(name[country:country+2]) {
		return false
	}
	parts := strings.Split(name[country+2:], "_")
	if len(parts) < 2 || parts[0] != "" {
		return false
	}
	for _, part := range parts[1:] {
		if !alphanumeric.some(part) {
			return false
		}
	}
	return true
}
