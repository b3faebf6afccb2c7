package catalogue

import (
	"math"
	"math/bits"
)

// wideInt is a signed sum of numbers of 64 bits that does not overflow: it has 128.
type wideInt struct {
	high int64
	rest uint64
}

// add adds a number.
func (w *wideInt) add(n int64) {
	var carry uint64
	w.rest, carry = bits.Add64(w.rest, uint64(n), 0)
	w.high += n>>63 + int64(carry)
}

// subtract takes a number off.
func (w *wideInt) subtract(n int64) {
	var borrow uint64
	w.rest, borrow = bits.Sub64(w.rest, uint64(n), 0)
	w.high -= n>>63 + int64(borrow)
}

func (w wideInt) isZero() bool { return w == wideInt{} }

// fits reports whether the sum is a signed number of 64 bits.
func (w wideInt) fits() bool { return w.high == w.low()>>63 }

// low returns the low 64 bits, which are the sum where it fits.
func (w wideInt) low() int64 { return int64(w.rest) }

// clamped returns the number of 64 bits that is nearest to the sum.
func (w wideInt) clamped() int64 {
	switch {
	case w.fits():
		return w.low()
	case w.high < 0:
		return math.MinInt64
	default:
		return math.MaxInt64
	}
}
