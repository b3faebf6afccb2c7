package catalogue

import (
	"encoding/binary"

	"dapple/command"
)

// maxUnavailable is how long replicas may be declared temporarily unavailable, in microseconds.
const maxUnavailable = 30 * 24 * 3600 * 1_000_000

// BadPFN is the declaration about a PFN whose replica is unknown; state and PFN are its key.
type BadPFN struct {
	Account uint32
	Reason  string
	// Created is a log time in microseconds, Expires another or 0.
	Created, Expires int64
}

const badPFNFormat = 1

func appendBadPFN(b []byte, p *BadPFN) []byte {
	b = binary.AppendUvarint(append(b, badPFNFormat), uint64(p.Account))
	b = binary.AppendVarint(b, p.Created)
	b = binary.AppendVarint(b, p.Expires)
	return appendString(b, p.Reason)
}

func parseBadPFN(b []byte) (BadPFN, error) {
	d := newRecordReader(b, badPFNFormat)
	p := BadPFN{Account: d.uint32(), Created: d.varint(), Expires: d.varint(), Reason: d.string()}
	return p, d.done()
}

// DeclareBadPFNs declares what lies at PFNs bad, suspicious or temporarily unavailable, at once. PFNs at which no replica is known,
// and those of replicas that cannot become unavailable, are kept as they are.
func DeclareBadPFNs(tx Tx, at Stamp, c *command.DeclareBadPFNs) ([]byte, error) {
	if err := Authorize(tx, at.Issuer, ActionDeclareBadPFNs); err != nil {
		return nil, err
	}
	account, err := requireActiveAccount(tx, at.Issuer)
	if err != nil {
		return nil, err
	}
	if err := checkBadPFNs(tx, at, c); err != nil {
		return nil, err
	}
	var (
		edits       = newReplicaEdits(tx, at)
		declaration = BadReplica{State: BadState(c.State), Account: account.ID, Reason: c.Reason, Expires: c.ExpiresAt}
		kept        []string
	)
	finder, err := newPFNFinder(tx)
	if err != nil {
		return nil, err
	}
	for _, pfn := range c.Pfns {
		m, found, err := finder.findOnly(pfn)
		if err != nil {
			return nil, err
		}
		done := found && m.exists
		if done {
			if done, err = declarePFN(edits, m, declaration); err != nil {
				return nil, err
			}
		}
		if !done {
			kept = append(kept, pfn)
		}
	}
	record := appendBadPFN(nil, &BadPFN{Account: account.ID, Reason: c.Reason, Created: at.Time, Expires: c.ExpiresAt})
	for _, pfn := range kept {
		clean := CleanPFN(pfn)
		tx.Put(badPFNKey(byte(c.State), clean), record)
		tx.Note(at, Change{Kind: ChangeBadPFNAdded, Path: clean, New: stateText(byte(c.State)), Value: jsonText(c.Reason)})
	}
	return nil, edits.write(tx)
}

// checkBadPFNs checks what is independent of the replicas.
func checkBadPFNs(v View, at Stamp, c *command.DeclareBadPFNs) error {
	state := BadState(c.State)
	switch {
	case c.State > 0x7f || state != BadStateBad && state != BadStateSuspicious && state != BadStateTemporarilyUnavailable:
		return Errorf(command.CodeInvalidValue, "PFNs cannot be declared %s", state)
	case state == BadStateTemporarilyUnavailable && c.ExpiresAt == 0:
		return Errorf(command.CodeInputValidation, "When adding a TEMPORARY UNAVAILABLE pfn the expires_at value should be set.")
	case state == BadStateBad && c.ExpiresAt != 0:
		return Errorf(command.CodeInputValidation, "When adding a BAD pfn the expires_at value shouldn't be set.")
	case c.ExpiresAt > at.Time+maxUnavailable:
		return Errorf(command.CodeInputValidation, "The given duration of %d days exceeds the maximum duration of 30 days.",
			(c.ExpiresAt-at.Time)/(24*3600*1_000_000))
	}
	for _, pfn := range c.Pfns {
		if _, err := ParsePFN(pfn); err != nil {
			return err
		}
	}
	return checkEnd(v, c.ExpiresAt)
}

// checkEnd refuses an end before 1970, which the index of ends cannot hold. Lower feature levels take it.
func checkEnd(v View, expires int64) error {
	if expires >= 0 {
		return nil
	}
	level, err := FeatureLevel(v)
	if err == nil && level >= 2 {
		err = Errorf(command.CodeInputValidation, "The expires_at value must not be before 1970.")
	}
	return err
}

// declarePFN applies a declaration to a replica; it returns false where the replica does not take it.
func declarePFN(edits *replicaEdits, m pfnMatch, declaration BadReplica) (bool, error) {
	r, found, err := edits.findRef(m.rse, m.ref)
	if err != nil || !found {
		return false, err
	}
	switch declaration.State {
	case BadStateBad:
		_, err := declareBad(edits, &badTarget{rse: m.rse, scope: m.scope, name: m.name}, declaration, false)
		return true, err
	case BadStateSuspicious:
		edits.declare(r, declaration)
		return true, nil
	}
	switch r.replica.State {
	case StateAvailable, StateTemporarilyUnavailable:
		edits.setState(r, StateTemporarilyUnavailable)
		return true, edits.declareUnavailable(r, declaration)
	case StateBad, StateBeingDeleted:
		return true, nil // worse than unavailable already
	default:
		return false, nil
	}
}

// declareUnavailable adds the declaration that a replica is temporarily unavailable, or renews the one that it has.
func (e *replicaEdits) declareUnavailable(r editedReplica, declaration BadReplica) error {
	prefix := appendRef0(badStatePrefix(byte(BadStateTemporarilyUnavailable), r.rse.ID), r.ref)
	renewed := false
	err := e.v.Scan(prefix, prefixEnd(prefix), func(key, _ []byte) (bool, error) {
		k, err := parseBadKey(key[2:])
		if err != nil {
			return false, err
		}
		renewed = true
		e.bad.renew(r.rse, k, declaration)
		return false, nil
	})
	if err == nil && !renewed {
		e.declare(r, declaration)
	}
	return err
}
