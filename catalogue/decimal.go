package catalogue

import (
	"cmp"
	"strconv"
	"strings"
)

// decimal is a number as it is written in JSON, without loss: floating point would make neighbours above 2^53 equal.
type decimal struct {
	negative bool
	// digits are the significant ones, without zeros at either end; none are zero.
	digits string
	// point is where the decimal point is, counted from before the first digit.
	point int64
}

// maxExponent bounds exponents, so that the place of the point cannot overflow.
const maxExponent = 1_000_000_000

// parseDecimal reads a decimal number with or without a fraction and an exponent.
func parseDecimal(text string) (d decimal, ok bool) {
	text, d.negative = strings.CutPrefix(text, "-")
	if !d.negative {
		text = strings.TrimPrefix(text, "+")
	}
	mantissa := text
	var exponent int64
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		n, err := strconv.ParseInt(text[i+1:], 10, 64)
		if err != nil || n > maxExponent || n < -maxExponent {
			return decimal{}, false
		}
		mantissa, exponent = text[:i], n
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if whole == "" && fraction == "" || !isDigits(whole) || !isDigits(fraction) {
		return decimal{}, false
	}
	all := whole + fraction
	d.digits = strings.TrimLeft(all, "0")
	d.point = int64(len(whole)) - int64(len(all)-len(d.digits)) + exponent
	if d.digits = strings.TrimRight(d.digits, "0"); d.digits == "" {
		return decimal{}, true
	}
	return d, true
}

func isDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}

// compare returns -1, 0 or 1 as d is below, equal to or above o.
func (d decimal) compare(o decimal) int {
	if c := cmp.Compare(d.sign(), o.sign()); c != 0 || d.digits == "" {
		return c
	}
	// Without zeros at the end the digits compare as texts where the points agree.
	return d.sign() * cmp.Or(cmp.Compare(d.point, o.point), strings.Compare(d.digits, o.digits))
}

func (d decimal) sign() int {
	switch {
	case d.digits == "":
		return 0
	case d.negative:
		return -1
	default:
		return 1
	}
}

// wholeNumber returns the number that a text stands for, false where it has a fraction or more than 64 bits.
func wholeNumber(text string) (int64, bool) {
	const mostDigits = 19 // of a number of 64 bits
	d, ok := parseDecimal(text)
	switch {
	case !ok || d.point > mostDigits || d.point < int64(len(d.digits)):
		return 0, false
	case d.digits == "":
		return 0, true
	}
	digits := d.digits + strings.Repeat("0", int(d.point)-len(d.digits))
	if d.negative {
		digits = "-" + digits
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil
}
