package catalogue

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// BadState is the state of a declaration that a replica is bad. The letters are the API's and are stored.
type BadState byte

// The states of a declaration. Each declaration has its own record, which outlives the replica.
const (
	BadStateBad                    BadState = 'B'
	BadStateDeleted                BadState = 'D'
	BadStateLost                   BadState = 'L'
	BadStateRecovered              BadState = 'R'
	BadStateSuspicious             BadState = 'S'
	BadStateTemporarilyUnavailable BadState = 'T'
)

const badStates = "BDLRST"

var badStateNames = [len(badStates)]string{"BAD", "DELETED", "LOST", "RECOVERED", "SUSPICIOUS", "TEMPORARY_UNAVAILABLE"}

// String returns the API's name of the state.
func (s BadState) String() string {
	if i := strings.IndexByte(badStates, byte(s)); i >= 0 {
		return badStateNames[i]
	}
	return fmt.Sprintf("state(%d)", byte(s))
}

// ParseBadState reads the letter or the name of a state, and returns false for any other text.
func ParseBadState(text string) (BadState, bool) {
	if len(text) == 1 && strings.Contains(badStates, text) {
		return BadState(text[0]), true
	}
	if i := slices.Index(badStateNames[:], text); i >= 0 {
		return BadState(badStates[i]), true
	}
	return 0, false
}

// BadReplica is one declaration about a replica; RSE, file and the revision of the declaring command are its key.
type BadReplica struct {
	State BadState
	// Account is the number of the account that declared it.
	Account uint32
	Reason  string
	Bytes   uint64
	// Created and Updated are log times in microseconds. Expires is when a temporary unavailability ends, 0 for never.
	Created, Updated, Expires int64
}

const badFormat = 1

func appendBad(b []byte, r *BadReplica) []byte {
	b = append(b, badFormat, byte(r.State))
	b = binary.AppendUvarint(b, uint64(r.Account))
	b = binary.AppendUvarint(b, r.Bytes)
	b = binary.AppendVarint(b, r.Created)
	b = binary.AppendVarint(b, r.Updated-r.Created)
	b = binary.AppendVarint(b, r.Expires)
	return appendString(b, r.Reason)
}

func parseBad(b []byte) (BadReplica, error) {
	d := newRecordReader(b, badFormat)
	r := BadReplica{State: BadState(d.byte()), Account: d.uint32(), Bytes: d.uvarint(), Created: d.varint()}
	r.Updated = r.Created + d.varint()
	r.Expires, r.Reason = d.varint(), d.string()
	return r, d.done()
}

// badKey is the key of a declaration.
type badKey struct {
	rse      uint32
	ref      didRef
	revision uint64
}

// parseBadKey reads what follows the table in a key of tableBadReplica, or the state in one of tableBadState.
func parseBadKey(b []byte) (k badKey, err error) {
	if k.rse, b, err = parseID(b); err != nil {
		return k, err
	}
	if k.ref, b, err = parseRef0(b); err != nil {
		return k, err
	}
	if k.revision, b, err = parseNumber(b); err == nil && len(b) != 0 {
		err = ErrKey
	}
	return k, err
}

// scanBad visits the declarations whose keys start with prefix, in ascending order of RSE, file and revision.
func scanBad(v View, prefix []byte, visit func(k badKey, r BadReplica) (more bool, err error)) error {
	return v.Scan(prefix, prefixEnd(prefix), func(key, value []byte) (bool, error) {
		k, err := parseBadKey(key[1:])
		if err != nil {
			return false, err
		}
		r, err := parseBad(value)
		if err != nil {
			return false, fmt.Errorf("bad replica %s at RSE %d: %w", k.ref.name, k.rse, err)
		}
		return visit(k, r)
	})
}

// hasBad reports whether there is any key with a prefix.
func hasBad(v View, prefix []byte) (found bool, err error) {
	err = v.Scan(prefix, prefixEnd(prefix), func([]byte, []byte) (bool, error) {
		found = true
		return false, nil
	})
	return found, err
}

// isDeclaredBad reports whether a replica has a declaration that still stands.
func isDeclaredBad(v View, rse uint32, ref didRef) (bool, error) {
	return hasBad(v, appendRef0(badStatePrefix(byte(BadStateBad), rse), ref))
}

func putBad(tx Tx, k badKey, r *BadReplica) {
	tx.Put(badReplicaKey(k.rse, k.ref, k.revision), appendBad(nil, r))
	tx.Put(badStateKey(byte(r.State), k.rse, k.ref, k.revision), nil)
	if r.State == BadStateTemporarilyUnavailable && r.Expires != 0 {
		tx.Put(expiryKey(r.Expires, k.rse, k.ref), nil)
	}
}

// badEdits gathers what a command changes in declarations.
type badEdits struct {
	added map[badKey]struct{}
	list  []badEdit
}

// badEdit is a new declaration, or the change of all that a replica has in one state to another.
type badEdit struct {
	key      badKey
	rse      *RSE
	declared BadReplica
	// renews is set where the declaration exists and keeps only the time at which it was made.
	renews   bool
	from, to BadState
}

// add declares a replica, at most once in a command.
func (e *badEdits) add(rse *RSE, k badKey, r BadReplica) {
	if _, found := e.added[k]; found {
		return
	}
	if e.added == nil {
		e.added = map[badKey]struct{}{}
	}
	e.added[k] = struct{}{}
	e.list = append(e.list, badEdit{key: k, rse: rse, declared: r})
}

// renew gives a declaration that exists another account, reason and end.
func (e *badEdits) renew(rse *RSE, k badKey, r BadReplica) {
	e.list = append(e.list, badEdit{key: k, rse: rse, declared: r, renews: true})
}

// move changes the declarations that a replica has in one state to another.
func (e *badEdits) move(rse *RSE, ref didRef, from, to BadState) {
	e.list = append(e.list, badEdit{key: badKey{rse: rse.ID, ref: ref}, rse: rse, from: from, to: to})
}

// write stores the changes in the order in which they were made. An error is one of the store.
func (e *badEdits) write(tx Tx, at Stamp) error {
	// Most RSEs have no declaration in the state in question: one look tells for many replicas.
	var looked struct {
		rse   uint32
		state BadState
		any   bool
	}
	for i := range e.list {
		edit := &e.list[i]
		if edit.renews {
			if err := renewBad(tx, at, edit); err != nil {
				return err
			}
			continue
		}
		if edit.from == 0 {
			putBad(tx, edit.key, &edit.declared)
			added := badChange(ChangeBadAdded, edit.key.ref, edit.rse.Name, 0, edit.declared.State)
			added.Value = jsonText(edit.declared.Reason)
			tx.Note(at, added)
			looked.state = 0
			continue
		}
		if looked.rse != edit.key.rse || looked.state != edit.from {
			found, err := hasBad(tx, badStatePrefix(byte(edit.from), edit.key.rse))
			if err != nil {
				return err
			}
			looked.rse, looked.state, looked.any = edit.key.rse, edit.from, found
		}
		if !looked.any {
			continue
		}
		if err := moveBad(tx, at, edit); err != nil {
			return err
		}
	}
	return nil
}

// moveBad changes the declarations of a replica that are in one state to another.
func moveBad(tx Tx, at Stamp, edit *badEdit) error {
	var keys []badKey
	from := edit.from
	prefix := appendRef0(badStatePrefix(byte(from), edit.key.rse), edit.key.ref)
	err := tx.Scan(prefix, prefixEnd(prefix), func(key, _ []byte) (bool, error) {
		found, err := parseBadKey(key[2:])
		keys = append(keys, found)
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
		tx.Delete(badStateKey(byte(from), k.rse, k.ref, k.revision))
		if from == BadStateTemporarilyUnavailable && r.Expires != 0 {
			tx.Delete(expiryKey(r.Expires, k.rse, k.ref))
		}
		r.State, r.Updated = edit.to, at.Time
		putBad(tx, k, &r)
		tx.Note(at, badChange(ChangeBadChanged, k.ref, edit.rse.Name, from, edit.to))
	}
	return nil
}

func renewBad(tx Tx, at Stamp, edit *badEdit) error {
	k, declared := edit.key, edit.declared
	old, err := mustLoadBad(tx, k)
	if err != nil {
		return err
	}
	if old.Expires != 0 {
		tx.Delete(expiryKey(old.Expires, k.rse, k.ref))
	}
	declared.Bytes, declared.Created, declared.Updated = old.Bytes, old.Created, at.Time
	putBad(tx, k, &declared)
	changed := badChange(ChangeBadChanged, k.ref, edit.rse.Name, old.State, declared.State)
	changed.Value = jsonText(declared.Reason)
	tx.Note(at, changed)
	return nil
}

// mustLoadBad returns the declaration that an index names.
func mustLoadBad(v View, k badKey) (BadReplica, error) {
	b, found, err := v.Get(badReplicaKey(k.rse, k.ref, k.revision))
	if err == nil && !found {
		err = ErrRecord
	}
	var r BadReplica
	if err == nil {
		r, err = parseBad(b)
	}
	if err != nil {
		return r, fmt.Errorf("bad replica %s at RSE %d: %w", k.ref.name, k.rse, err)
	}
	return r, nil
}
