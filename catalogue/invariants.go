package catalogue

import (
	"bytes"
	"errors"
	"fmt"
)

// maxViolations bounds how many violations one check reports.
const maxViolations = 20

// CheckInvariants scans the whole catalogue and returns nil where every record is canonical and agrees with its indexes,
// counters and counts, otherwise what it found, at most 20 violations. It reads every key several times: it is for tests
// and for an operator who doubts a store.
func CheckInvariants(v View) error {
	indexed, err := indexesFilesByRSE(v)
	if err != nil {
		return err
	}
	homes, err := keepsHomes(v)
	if err != nil {
		return err
	}
	c := &invariants{v: v, indexed: indexed, homes: homes, tallies: map[uint32]*Counters{}}
	for _, table := range [...]struct {
		table byte
		check func(key, value []byte) error
	}{
		{tableOnce, c.answer},
		{tableOnceExpiry, c.answerExpiry},
		{tableIdentity, c.identity},
		{tableAccountAttr, c.accountAttribute},
		{tableQuarantine, c.quarantined},
		{tableJoinToken, c.joinToken},
		{tableBadPFN, c.badPFN},
		{tableScope, c.scope},
		{tableScopeID, c.scopeID},
		{tableAccount, c.account},
		{tableAccountID, c.accountID},
		{tableRSE, c.rse},
		{tableRSEName, c.rseName},
		{tableRSEDistance, c.distance},
		{tableRSEUsage, c.usage},
		{tableRSELimit, c.limit},
		{tableDID, c.did},
		{tableMetadata, c.metadata},
		{tableAttachment, c.attachment},
		{tableParent, c.parent},
		{tableConstituent, c.constituent},
		{tableArchive, c.archive},
		{tableRSEFile, c.rseFile},
		{tableRSEPath, c.rsePath},
		{tableRSECounter, c.counter},
		{tableBadReplica, c.badReplica},
		{tableBadState, c.badState},
		{tableExpiry, c.expiry},
		{tableEnd, c.end},
		{tableEnded, c.ended},
		{tableEndedChild, c.endedChild},
		{tableEndedParent, c.endedParent},
		{tableEndedAt, c.endedAt},
		{tableEnding, c.ending},
		{tableFileStep, c.fileStep},
		{tableChange, c.change},
	} {
		if err := c.scan(table.table, table.check); err != nil {
			return err
		}
	}
	c.missingCounters()
	return errors.Join(c.found...)
}

// invariants is the state of one check.
type invariants struct {
	v       View
	indexed bool                         // files, by RSE
	homes   bool                         // are in records
	tallies map[uint32]*Counters         // recounted, by RSE
	changes struct{ last, total uint64 } // of the records of the feed so far
	found   []error
}

// violation is what a check returns for a record that breaks a rule; any other error is one of the store or of a record that
// does not parse.
type violation struct{ text string }

func (v *violation) Error() string { return v.text }

func violated(format string, args ...any) error { return &violation{fmt.Sprintf(format, args...)} }

var errEnough = errors.New("enough violations")

// scan checks every record of a table. Records that do not parse count as violations, so that one does not hide the others.
func (c *invariants) scan(table byte, check func(key, value []byte) error) error {
	low := []byte{table}
	err := c.v.Scan(low, prefixEnd(low), func(key, value []byte) (bool, error) {
		key, value = bytes.Clone(key), bytes.Clone(value)
		err := check(key[1:], value)
		var broken *violation
		switch {
		case err == nil:
			return true, nil
		case errors.As(err, &broken), errors.Is(err, ErrRecord), errors.Is(err, ErrKey):
			c.found = append(c.found, fmt.Errorf("table %#02x, key %q: %w", table, key[1:], err))
		default:
			return false, err
		}
		if len(c.found) >= maxViolations {
			return false, errEnough
		}
		return true, nil
	})
	if errors.Is(err, errEnough) {
		return errors.Join(c.found...)
	}
	return err
}

// same checks that a record is what it would be written as.
func same(stored, canonical []byte) error {
	if !bytes.Equal(stored, canonical) {
		return violated("the encoding is not canonical: %x, want %x", stored, canonical)
	}
	return nil
}

// holds checks that a key has a value.
func (c *invariants) holds(key, want []byte, what string) error {
	value, found, err := c.v.Get(key)
	switch {
	case err != nil:
		return err
	case !found:
		return violated("%s is missing", what)
	case !bytes.Equal(value, want):
		return violated("%s is %q, want %q", what, value, want)
	}
	return nil
}

func (c *invariants) scope(key, value []byte) error {
	s, err := parseScope(string(key), value)
	if err != nil {
		return err
	}
	if err := same(value, appendScope(nil, s)); err != nil {
		return err
	}
	if err := checkName("scope", s.Name); err != nil {
		return err
	}
	if _, found, err := findAccount(c.v, s.Account); err != nil || !found {
		return errors.Join(err, violated("account %q does not exist", s.Account))
	}
	return c.holds(idKey(tableScopeID, s.ID), key, "the index by number")
}

func (c *invariants) scopeID(key, value []byte) error {
	id, _, err := parseID(key)
	if err != nil {
		return err
	}
	s, err := GetScope(c.v, string(value))
	if err != nil || s.ID != id {
		return violated("scope %q does not have this number: %v", value, err)
	}
	return nil
}

func (c *invariants) account(key, value []byte) error {
	a, err := parseAccount(string(key), value)
	if err != nil {
		return err
	}
	if err := same(value, appendAccount(nil, a)); err != nil {
		return err
	}
	if err := checkName("account", a.Name); err != nil {
		return err
	}
	return c.holds(idKey(tableAccountID, a.ID), key, "the index by number")
}

func (c *invariants) accountID(key, value []byte) error {
	id, _, err := parseID(key)
	if err != nil {
		return err
	}
	a, err := GetAccount(c.v, string(value))
	if err != nil || a.ID != id {
		return violated("account %q does not have this number: %v", value, err)
	}
	return nil
}

func (c *invariants) rse(key, value []byte) error {
	id, _, err := parseID(key)
	if err != nil {
		return err
	}
	r, err := parseRSE(id, value)
	if err != nil {
		return err
	}
	if err := same(value, appendRSE(nil, r)); err != nil {
		return err
	}
	if err := rseNames(r); err != nil {
		return err
	}
	if r.Deleted == 0 {
		if err := c.holds(textKey(tableRSEName, r.Name), key, "the index by name"); err != nil {
			return err
		}
	}
	return c.holds(append([]byte{tableRSEUUID}, r.UUID[:]...), key, "the index by id")
}

func (c *invariants) rseName(key, value []byte) error {
	id, _, err := parseID(value)
	if err != nil {
		return err
	}
	r, err := RSEByID(c.v, id)
	if err != nil {
		return err
	}
	if r.Name != string(key) || r.Deleted != 0 {
		return violated("the name leads to RSE %q, deleted %d", r.Name, r.Deleted)
	}
	return nil
}

func (c *invariants) rseFile(key, value []byte) error {
	if !c.indexed {
		return violated("this schema version has no index of files by RSE")
	}
	rse, d, err := c.replicaAt(key)
	if err != nil {
		return err
	}
	if _, there := d.Replica(rse); !there {
		return violated("the file has no replica at RSE %d", rse)
	}
	return same(value, nil)
}

// replicaAt reads RSE and file from a key of the index of files by RSE.
func (c *invariants) replicaAt(key []byte) (uint32, *DID, error) {
	rse, rest, err := parseID(key)
	if err != nil {
		return 0, nil, err
	}
	ref, err := parseRef(rest)
	if err != nil {
		return 0, nil, err
	}
	d, err := mustLoadDID(c.v, ref)
	return rse, d, err
}

func (c *invariants) rsePath(key, value []byte) error {
	rse, path, err := parseID(key)
	if err != nil {
		return err
	}
	if err := checkText("path", string(path), maxPFN); err != nil {
		return err
	}
	ref, err := parseRef(value)
	if err != nil {
		return err
	}
	d, err := mustLoadDID(c.v, ref)
	if err != nil {
		return err
	}
	if i, there := d.Replica(rse); !there || d.Replicas[i].Path != string(path) {
		return violated("file %d:%s is not there", ref.scope, ref.name)
	}
	return nil
}

func (c *invariants) counter(key, value []byte) error {
	rse, _, err := parseID(key)
	if err != nil {
		return err
	}
	stored, err := parseCounters(rse, value)
	if err != nil {
		return err
	}
	if err := same(value, appendCounters(nil, stored)); err != nil {
		return err
	}
	recounted := c.tally(rse)
	delete(c.tallies, rse)
	if stored.states != recounted.states {
		return violated("counters of %s are %v, recounted %v", counterStates, stored.states, recounted.states)
	}
	return nil
}

func (c *invariants) tally(rse uint32) *Counters {
	if c.tallies[rse] == nil {
		c.tallies[rse] = &Counters{}
	}
	return c.tallies[rse]
}

// missingCounters reports RSEs that hold replicas and have no counters.
func (c *invariants) missingCounters() {
	for rse, t := range c.tallies {
		if t.Total().Files > 0 {
			c.found = append(c.found, violated("RSE %d holds %d replicas and has no counters", rse, t.Total().Files))
		}
	}
}
