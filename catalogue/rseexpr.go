package catalogue

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"dapple/command"
)

// Expression is a set of RSEs by what they are: primitives NAME, key=value, key<number, key>number and *, joined by | (union), &
// (intersection) and \ (difference) from left to right, with brackets. As sets of RSEs are joined, so are the answers to the
// question whether one RSE is in them; that question is all that an Expression answers.
type Expression struct{ terms []term }

// term is an operator and what stands at its right: a primitive, or a bracket.
type term struct {
	operator  byte // 0 before the first
	primitive primitive
	bracket   []term
}

// primitive is one condition on an RSE.
type primitive struct {
	key, value string
	relation   byte    // '=', '<', '>', '*' for any RSE, or 0 for a key that is true
	number     float64 // the value, for < and >; not a number where the value is none
}

// Bounds of an expression.
const (
	maxExpression      = 8192 // characters
	maxExpressionDepth = 64   // brackets in brackets
)

var primitivePattern = regexp.MustCompile(`\A(?:([A-Za-z0-9._-]+)([=<>])([A-Za-z0-9_-]+)|[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*|\*)`)

// ParseExpression reads an expression, or returns CodeInvalidRSEExpression; CodeInvalidObject where the value of a setting of
// RSEs can't be one.
func ParseExpression(text string) (Expression, error) {
	if len(text) > maxExpression {
		return Expression{}, Errorf(command.CodeInvalidRSEExpression, "RSE expression is longer than %d characters", maxExpression)
	}
	if !balanced(text) {
		return Expression{}, Errorf(command.CodeInvalidRSEExpression, "Problem with parentheses.")
	}
	p := expressionParser{rest: text}
	terms, err := p.terms(0)
	if err == nil && p.rest != "" {
		err = errExpressionSyntax()
	}
	return Expression{terms}, err
}

func errExpressionSyntax() error {
	return Errorf(command.CodeInvalidRSEExpression, "Expression does not comply to RSE Expression syntax")
}

func balanced(text string) bool {
	open := 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			open++
		case ')':
			open--
		}
		if open < 0 {
			return false
		}
	}
	return open == 0
}

type expressionParser struct{ rest string }

// terms reads a term and whatever operators and terms follow.
func (p *expressionParser) terms(depth int) ([]term, error) {
	if depth > maxExpressionDepth {
		return nil, Errorf(command.CodeInvalidRSEExpression, "RSE expression has more than %d brackets in one another", maxExpressionDepth)
	}
	var all []term
	operator := byte(0)
	for {
		t, err := p.term(depth)
		if err != nil {
			return nil, err
		}
		t.operator = operator
		all = append(all, t)
		if p.rest == "" || !strings.ContainsRune(`|&\`, rune(p.rest[0])) {
			return all, nil
		}
		operator, p.rest = p.rest[0], p.rest[1:]
	}
}

func (p *expressionParser) term(depth int) (term, error) {
	if inner, found := strings.CutPrefix(p.rest, "("); found {
		p.rest = inner
		bracket, err := p.terms(depth + 1)
		if err != nil {
			return term{}, err
		}
		if p.rest, found = strings.CutPrefix(p.rest, ")"); !found {
			return term{}, errExpressionSyntax()
		}
		return term{bracket: bracket}, nil
	}
	m := primitivePattern.FindStringSubmatch(p.rest)
	if m == nil {
		return term{}, errExpressionSyntax()
	}
	p.rest = p.rest[len(m[0]):]
	condition, err := newPrimitive(m)
	return term{primitive: condition}, err
}

func newPrimitive(match []string) (primitive, error) {
	switch {
	case match[0] == "*":
		return primitive{relation: '*'}, nil
	case match[2] == "":
		return primitive{key: match[0]}, nil
	}
	p := primitive{key: match[1], relation: match[2][0], value: match[3]}
	if p.relation != '=' {
		p.number = expressionNumber(p.value)
		return p, nil
	}
	value, err := settingValue(p.key, p.value)
	p.value = value
	return p, err
}

// In reports whether an RSE is in the set.
func (e Expression) In(r *RSE) bool { return inTerms(e.terms, r) }

func inTerms(terms []term, r *RSE) bool {
	in := false
	for i := range terms {
		t := &terms[i]
		var right bool
		if t.bracket != nil {
			right = inTerms(t.bracket, r)
		} else {
			right = t.primitive.holds(r)
		}
		switch t.operator {
		case '&':
			in = in && right
		case '\\':
			in = in && !right
		default:
			in = in || right
		}
	}
	return in
}

// Evaluate returns the RSEs of the set in ascending order of name.
func (e Expression) Evaluate(v View) ([]*RSE, error) {
	var all []*RSE
	err := ListRSEs(v, func(r *RSE) error {
		if e.In(r) {
			all = append(all, r)
		}
		return nil
	})
	return all, err
}

// ResolveExpression returns the RSEs of an expression in ascending order of name. As the API wants it, no RSE at all is
// CodeInvalidRSEExpression too.
func ResolveExpression(v View, text string) ([]*RSE, error) {
	e, err := ParseExpression(text)
	if err != nil {
		return nil, err
	}
	all, err := e.Evaluate(v)
	if err == nil && len(all) == 0 {
		err = Errorf(command.CodeInvalidRSEExpression, "RSE Expression resulted in an empty set.")
	}
	return all, err
}

func (p *primitive) holds(r *RSE) bool {
	switch p.relation {
	case '*':
		return true
	case '<', '>':
		value, found := r.Attribute(p.key)
		if !found {
			return false
		}
		have := attributeNumber(value)
		return p.relation == '<' && have < p.number || p.relation == '>' && have > p.number
	case 0:
		value, known := setting(r, p.key)
		if !known {
			value, _ = r.Attribute(p.key)
		}
		return value == "true"
	}
	if value, known := setting(r, p.key); known {
		return value == p.value
	}
	value, found := r.Attribute(p.key)
	return found && value == NormalizeAttribute(p.value)
}

// attributeNumber reads the value of an attribute as a number; true is 1.
func attributeNumber(value string) float64 {
	switch value {
	case "true":
		return 1
	case "false":
		return 0
	default:
		return expressionNumber(value)
	}
}

// expressionNumber reads a decimal number; what is none compares as neither less nor greater than anything.
func expressionNumber(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.ContainsAny(text, "xX_") {
		return math.NaN()
	}
	return n
}
