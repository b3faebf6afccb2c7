package catalogue

import "bytes"

// answer checks that a kept answer is in the index of expiries.
func (c *invariants) answer(key, value []byte) error {
	a, err := parseAnswer(value)
	if err != nil {
		return err
	}
	if err := same(value, appendAnswer(nil, a)); err != nil {
		return err
	}
	place := append([]byte{tableOnce}, key...)
	return c.holds(onceExpiryKey(a.Expires, place), nil, "the index of expiries of answers")
}

// answerExpiry checks that the index of expiries names an answer that expires then.
func (c *invariants) answerExpiry(key, value []byte) error {
	at, rest, err := parseNumber(key)
	if err != nil {
		return err
	}
	b, found, err := c.v.Get(append([]byte{tableOnce}, rest...))
	if err != nil {
		return err
	}
	a, err := parseAnswer(bytes.Clone(b))
	if !found || err != nil || uint64(a.Expires) != at {
		return violated("no answer expires at %d", at)
	}
	return same(value, nil)
}
