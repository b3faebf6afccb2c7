package catalogue

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// Answer is what a request with a key was answered, kept for those who ask again.
type Answer struct {
	// Fingerprint is of the request.
	Fingerprint []byte
	// Expires is the log time in microseconds from which it may be forgotten.
	Expires int64
	// Result is the answer, in the encoding of whoever stores it.
	Result []byte
}

// expiredAtOnce is how many expired answers one command removes at most: as long as it is more than one the table holds no
// more than the window's requests, and no command waits for the removal of many.
const expiredAtOnce = 4

const answerFormat = 1

// FindAnswer returns what an account's request with a key was answered, and false where no answer is kept at that log time. Nothing of
// it aliases the store.
func FindAnswer(v View, account string, key []byte, now int64) (Answer, bool, error) {
	b, found, err := v.Get(onceKey(account, key))
	if err != nil || !found {
		return Answer{}, false, err
	}
	a, err := parseAnswer(b)
	if err != nil {
		return Answer{}, false, fmt.Errorf("answer to a request of %s: %w", account, err)
	}
	return a, a.Expires > now, nil
}

// PutAnswer keeps the answer to an account's request with a key, in place of an expired one.
func PutAnswer(tx Tx, account string, key []byte, a Answer) error {
	place := onceKey(account, key)
	b, found, err := tx.Get(place)
	if err != nil {
		return err
	}
	if found {
		old, err := parseAnswer(b)
		if err != nil {
			return fmt.Errorf("answer to a request of %s: %w", account, err)
		}
		tx.Delete(onceExpiryKey(old.Expires, place))
	}
	tx.Put(place, appendAnswer(nil, a))
	tx.Put(onceExpiryKey(a.Expires, place), nil)
	return nil
}

// ForgetAnswers removes a few answers that have expired. None is kept that expires before from; the return value is the next from. It
// reads nothing where from is later than now.
func ForgetAnswers(tx Tx, from, now int64) (int64, error) {
	if from > now {
		return from, nil
	}
	var expired [][]byte
	err := tx.Scan(onceExpiryFrom(from), onceExpiryFrom(now+1), func(key, _ []byte) (bool, error) {
		expired = append(expired, bytes.Clone(key))
		return len(expired) < expiredAtOnce, nil
	})
	if err != nil {
		return from, err
	}
	for _, key := range expired {
		at, rest, err := parseNumber(key[1:])
		if err != nil {
			return from, err
		}
		from = int64(at)
		tx.Delete(append([]byte{tableOnce}, rest...))
		tx.Delete(key)
	}
	if len(expired) < expiredAtOnce {
		return nextExpiry(tx, now+1)
	}
	return from, nil
}

// nextExpiry returns when the first answer expires that does so at a time or later, math.MaxInt64 for none.
func nextExpiry(v View, from int64) (next int64, err error) {
	next = math.MaxInt64
	err = v.Scan(onceExpiryFrom(from), prefixEnd([]byte{tableOnceExpiry}), func(key, _ []byte) (bool, error) {
		at, _, err := parseNumber(key[1:])
		next = int64(at)
		return false, err
	})
	return next, err
}

func appendAnswer(b []byte, a Answer) []byte {
	b = append(b, answerFormat)
	b = appendString(b, string(a.Fingerprint))
	b = binary.AppendVarint(b, a.Expires)
	return append(b, a.Result...)
}

func parseAnswer(b []byte) (Answer, error) {
	r := newRecordReader(b, answerFormat)
	a := Answer{Fingerprint: bytes.Clone(r.take(r.uvarint())), Expires: r.varint()}
	a.Result = bytes.Clone(r.b)
	return a, r.err
}
