package catalogue

import (
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/proto"

	"dapple/command"
)

// expiring is an end that a declaration of temporary unavailability set.
type expiring struct {
	at  int64
	rse uint32
	ref didRef
}

func parseExpiryKey(key []byte) (e expiring, err error) {
	at, rest, err := parseNumber(key[1:])
	if err == nil {
		e.rse, rest, err = parseID(rest)
	}
	if err == nil {
		e.ref, err = parseRef(rest)
	}
	e.at = int64(at)
	return e, err
}

// scanExpiries visits what ends at or before a time, in microseconds, the earliest first.
func scanExpiries(v View, until int64, visit func(expiring) (more bool, err error)) error {
	high := binary.BigEndian.AppendUint64([]byte{tableExpiry}, uint64(until)+1)
	return v.Scan([]byte{tableExpiry}, high, func(key, _ []byte) (bool, error) {
		e, err := parseExpiryKey(key)
		if err != nil {
			return false, fmt.Errorf("expiry %x: %w", key, err)
		}
		return visit(e)
	})
}

// NextExpiry returns when the first temporary unavailability ends, in microseconds, and false where there is none.
func NextExpiry(v View) (at int64, found bool, err error) {
	err = scanExpiries(v, 1<<62, func(e expiring) (bool, error) {
		at, found = e.at, true
		return false, nil
	})
	return at, found, err
}

// ExpireUnavailable makes replicas available again whose temporary unavailability has ended by the log time, the earliest
// first, and removes the declarations. A replica that is in another state by now keeps it. The payload of the answer is a
// command.Expired. Nobody but the cluster itself proposes it, so it needs no permission.
func ExpireUnavailable(tx Tx, at Stamp, c *command.ExpireUnavailable) ([]byte, error) {
	var ended []expiring
	err := scanExpiries(tx, at.Time, func(e expiring) (bool, error) {
		if len(ended) < int(c.Limit) {
			ended = append(ended, e)
		}
		return len(ended) < int(c.Limit), nil
	})
	if err != nil {
		return nil, err
	}
	edits, rses := newReplicaEdits(tx, at), make([]*RSE, len(ended))
	for i, e := range ended {
		rse, err := RSEByID(tx, e.rse)
		if err != nil {
			return nil, err
		}
		rses[i] = rse
		r, found, err := edits.findRef(rse, e.ref)
		if err != nil {
			return nil, err
		}
		if found && r.replica.State == StateTemporarilyUnavailable {
			edits.setState(r, StateAvailable)
		}
	}
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(&command.Expired{Count: uint32(len(ended))})
	if err != nil {
		return nil, err
	}
	if err := edits.write(tx); err != nil {
		return nil, err
	}
	for i, e := range ended {
		if err := removeUnavailable(tx, at, e, rses[i]); err != nil {
			return nil, err
		}
	}
	return payload, nil
}

// removeUnavailable removes the declaration that ended, and its end.
func removeUnavailable(tx Tx, at Stamp, e expiring, rse *RSE) error {
	tx.Delete(expiryKey(e.at, e.rse, e.ref))
	var keys []badKey
	prefix := appendRef0(badStatePrefix(byte(BadStateTemporarilyUnavailable), e.rse), e.ref)
	err := tx.Scan(prefix, prefixEnd(prefix), func(key, _ []byte) (bool, error) {
		k, err := parseBadKey(key[2:])
		keys = append(keys, k)
		return true, err
	})
	if err != nil {
		return err
	}
	for _, k := range keys {
		r, err := mustLoadBad(tx, k)
		if err != nil {
			return err
		}
		if r.Expires != e.at {
			continue
		}
		tx.Delete(badReplicaKey(k.rse, k.ref, k.revision))
		tx.Delete(badStateKey(byte(r.State), k.rse, k.ref, k.revision))
		tx.Note(at, badChange(ChangeBadDeleted, k.ref, rse.Name, r.State, 0))
	}
	return nil
}
