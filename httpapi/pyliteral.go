package httpapi

import (
	"strconv"
	"strings"

	"dapple/catalogue"
	"dapple/command"
)

// parseFilters reads the filters of a search as clients write them: a dictionary of Python or an object of JSON, or a list of
// such, whose keys are texts and whose values are texts, numbers, booleans or none. A condition without a value is left out.
func parseFilters(text string) ([][]catalogue.Condition, error) {
	p := literal{text: text}
	groups, ok := p.groups()
	p.space()
	if !ok || p.at != len(text) {
		return nil, catalogue.Errorf(command.CodeInvalidFilter, "the filters cannot be read at character %d", p.at+1)
	}
	return groups, nil
}

// literal reads a literal of Python from left to right.
type literal struct {
	text string
	at   int
}

// space skips white space and returns the character that follows, 0 at the end.
func (p *literal) space() byte {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

// take skips white space and one character, which must be the next.
func (p *literal) take(b byte) bool {
	if p.space() != b {
		return false
	}
	p.at++
	return true
}

func (p *literal) groups() ([][]catalogue.Condition, bool) {
	if p.space() == '{' {
		group, ok := p.group()
		return [][]catalogue.Condition{group}, ok
	}
	var groups [][]catalogue.Condition
	ok := p.items('[', ']', func() bool {
		group, ok := p.group()
		groups = append(groups, group)
		return ok
	})
	return groups, ok
}

func (p *literal) group() ([]catalogue.Condition, bool) {
	var group []catalogue.Condition
	ok := p.items('{', '}', func() bool {
		key, ok := p.quoted()
		if !ok || !p.take(':') {
			return false
		}
		value, none, ok := p.value()
		if !none {
			group = append(group, catalogue.Condition{Key: key, Value: value})
		}
		return ok
	})
	return group, ok
}

// items reads items between brackets, with commas between them and perhaps one after the last.
func (p *literal) items(open, end byte, item func() bool) bool {
	if !p.take(open) {
		return false
	}
	for !p.take(end) {
		if !item() {
			return false
		}
		if !p.take(',') {
			return p.take(end)
		}
	}
	return true
}

func (p *literal) value() (value string, none, ok bool) {
	if b := p.space(); b == '\'' || b == '"' {
		value, ok = p.quoted()
		return value, false, ok
	}
	start := p.at
	for p.at < len(p.text) && strings.IndexByte(",]} \t\r\n", p.text[p.at]) < 0 {
		p.at++
	}
	value = p.text[start:p.at]
	switch value {
	case "True", "False", "true", "false":
		return value, false, true
	case "None", "null":
		return "", true, true
	}
	_, err := strconv.ParseFloat(value, 64)
	return value, false, err == nil
}

// quoted reads a text in single or double quotes with the usual escapes.
func (p *literal) quoted() (string, bool) {
	quote := p.space()
	if quote != '\'' && quote != '"' {
		return "", false
	}
	var b strings.Builder
	for p.at++; p.at < len(p.text); p.at++ {
		switch ch := p.text[p.at]; ch {
		case quote:
			p.at++
			return b.String(), true
		case '\\':
			p.at++
			if p.at == len(p.text) {
				return "", false
			}
			if !p.escaped(&b) {
				return "", false
			}
		default:
			b.WriteByte(ch)
		}
	}
	return "", false
}

// escaped reads what follows a backslash.
func (p *literal) escaped(b *strings.Builder) bool {
	digits := 0
	switch ch := p.text[p.at]; ch {
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case 'r':
		b.WriteByte('\r')
	case '\\', '\'', '"', '/':
		b.WriteByte(ch)
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	default:
		return false
	}
	if digits == 0 {
		return true
	}
	if len(p.text)-p.at-1 < digits {
		return false
	}
	n, err := strconv.ParseUint(p.text[p.at+1:p.at+1+digits], 16, 32)
	if err != nil || n >= 0xd800 && n < 0xe000 { // half of a pair
		return false
	}
	b.WriteRune(rune(n))
	p.at += digits
	return true
}
