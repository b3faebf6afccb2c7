package catalogue

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"dapple/command"
)

// UsageSourceCatalogue is the source of what the catalogue itself counts at an RSE; nobody else may report under that name.
const UsageSourceCatalogue = "rucio"

// maxUsageHistory bounds what is kept of one source's reports about one RSE; the oldest go first.
const maxUsageHistory = 1000

// Usage is one report of a source about the space of an RSE. Values that were not given are nil.
type Usage struct {
	Source string
	// Used and Free are bytes, Files a count.
	Used, Free, Files *uint64
	// Reported is a log time in microseconds.
	Reported int64
}

// Total returns what is used and free together; what was not given counts as nothing.
func (u *Usage) Total() uint64 {
	var sum uint64
	for _, part := range [...]*uint64{u.Used, u.Free} {
		if part != nil {
			sum += *part
		}
	}
	return sum
}

const usageFormat = 1

func (u *Usage) fields() [3]**uint64 { return [...]**uint64{&u.Used, &u.Free, &u.Files} }

func appendUsage(b []byte, u *Usage) []byte {
	b = binary.AppendVarint(append(b, usageFormat), u.Reported)
	for _, field := range u.fields() {
		b = appendBool(b, *field != nil)
		if *field != nil {
			b = binary.AppendUvarint(b, **field)
		}
	}
	return b
}

func parseUsage(source string, b []byte) (Usage, error) {
	r := newRecordReader(b, usageFormat)
	u := Usage{Source: source, Reported: r.varint()}
	for _, field := range u.fields() {
		if r.bool() {
			value := r.uvarint()
			*field = &value
		}
	}
	return u, r.done()
}

func usagePrefix(rse uint32) []byte { return idKey(tableRSEUsage, rse) }

func usageSourcePrefix(rse uint32, source string) []byte {
	return append(append(usagePrefix(rse), source...), 0)
}

// scanUsage visits the reports about an RSE, by source, and of each source the oldest first.
func scanUsage(v View, rse uint32, visit func(Usage) error) error {
	low := usagePrefix(rse)
	return v.Scan(low, prefixEnd(low), func(key, value []byte) (bool, error) {
		source, _, err := parseText0(key[len(low):])
		if err != nil {
			return false, fmt.Errorf("usage of RSE %d: %w", rse, err)
		}
		u, err := parseUsage(source, value)
		if err != nil {
			return false, fmt.Errorf("usage of RSE %d: %w", rse, err)
		}
		return true, visit(u)
	})
}

// ListUsageHistory visits the reports of a source about an RSE, of all sources where it is "": by source, and of each the
// latest first. Of a source at most 1000 are kept.
func ListUsageHistory(v View, rse uint32, source string, visit func(*Usage) error) error {
	var reports []Usage // of one source
	flush := func() error {
		for i := len(reports) - 1; i >= 0; i-- {
			if err := visit(&reports[i]); err != nil {
				return err
			}
		}
		reports = reports[:0]
		return nil
	}
	err := scanUsage(v, rse, func(u Usage) error {
		if source != "" && u.Source != source {
			return nil
		}
		if len(reports) > 0 && reports[0].Source != u.Source {
			if err := flush(); err != nil {
				return err
			}
		}
		reports = append(reports, u)
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// LatestUsage returns the last report of every source about an RSE, by source.
func LatestUsage(v View, rse uint32) ([]Usage, error) {
	var latest []Usage
	err := scanUsage(v, rse, func(u Usage) error {
		if n := len(latest); n > 0 && latest[n-1].Source == u.Source {
			latest[n-1] = u
		} else {
			latest = append(latest, u)
		}
		return nil
	})
	return latest, err
}

// SetRSEUsage records a report about the space of an RSE.
func SetRSEUsage(tx Tx, at Stamp, c *command.SetRSEUsage) ([]byte, error) {
	switch c.Source {
	case "":
		return nil, Errorf(command.CodeInvalidObject, "a usage needs a source")
	case UsageSourceCatalogue:
		return nil, Errorf(command.CodeInvalidValue, "the usage of source '%s' is what the catalogue counts", c.Source)
	}
	if err := ValidateText("source", c.Source); err != nil {
		return nil, err
	}
	r, err := changeableRSE(tx, at, c.Rse, ActionSetRSEUsage)
	if err != nil {
		return nil, err
	}
	prefix := usageSourcePrefix(r.ID, c.Source)
	var oldest []byte
	kept := 0
	err = tx.Scan(prefix, prefixEnd(prefix), func(key, _ []byte) (bool, error) {
		if kept == 0 {
			oldest = bytes.Clone(key)
		}
		kept++
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	if kept == 0 {
		if err := checkUsageSources(tx, r); err != nil {
			return nil, err
		}
	}
	if kept >= maxUsageHistory {
		tx.Delete(oldest)
	}
	report := &Usage{Used: c.Used, Free: c.Free, Files: c.Files, Reported: at.Time}
	tx.Put(appendNumber(prefix, at.Revision), appendUsage(nil, report))
	tx.Note(at, rseChange(r.Name, changedUsage, c.Source, ""))
	return nil, nil
}

// maxUsageSources bounds the sources that report about one RSE from workFeatures on: all reports go with the RSE.
const maxUsageSources = 16

// checkUsageSources refuses another source.
func checkUsageSources(v View, r *RSE) error {
	level, err := FeatureLevel(v)
	if err != nil || level < workFeatures {
		return err
	}
	low := usagePrefix(r.ID)
	end := prefixEnd(low)
	for sources, next := 0, low; ; sources++ {
		var source []byte
		err := v.Scan(next, end, func(key, _ []byte) (bool, error) {
			name, _, err := parseText0(key[len(low):])
			source = usageSourcePrefix(r.ID, name)
			return false, err
		})
		if err != nil || source == nil {
			return err
		}
		if sources+1 >= maxUsageSources {
			return Errorf(command.CodeTooManyItems, "RSE '%s' has reports of %d sources already", r.Name, maxUsageSources)
		}
		next = prefixEnd(source)
	}
}

// Limit is a limit of an RSE, by a name that its users agree upon.
type Limit struct {
	Name  string
	Value int64
}

func limitKey(rse uint32, name string) []byte { return append(idKey(tableRSELimit, rse), name...) }

// ListLimits returns the limits of an RSE in ascending order of name.
func ListLimits(v View, rse uint32) ([]Limit, error) {
	var limits []Limit
	low := limitKey(rse, "")
	err := v.Scan(low, prefixEnd(low), func(key, value []byte) (bool, error) {
		r := newRecordReader(value, limitFormat)
		limits = append(limits, Limit{string(key[len(low):]), r.varint()})
		return true, recordError(r.done(), "limit", string(key[len(low):]))
	})
	return limits, err
}

const limitFormat = 1

// SetRSELimit sets a limit of an RSE.
func SetRSELimit(tx Tx, at Stamp, c *command.SetRSELimit) ([]byte, error) {
	if c.Name == "" {
		return nil, Errorf(command.CodeInvalidObject, "a limit needs a name")
	}
	if err := ValidateText("name", c.Name); err != nil {
		return nil, err
	}
	r, err := changeableRSE(tx, at, c.Rse, ActionSetRSELimit)
	if err != nil {
		return nil, err
	}
	limits, err := ListLimits(tx, r.ID)
	if err != nil {
		return nil, err
	}
	key := limitKey(r.ID, c.Name)
	if _, found, err := tx.Get(key); err != nil {
		return nil, err
	} else if !found && len(limits) >= maxRSEParts {
		return nil, Errorf(command.CodeTooManyItems, "RSE '%s' has %d limits already", c.Rse, maxRSEParts)
	}
	tx.Put(key, binary.AppendVarint([]byte{limitFormat}, c.Value))
	tx.Note(at, rseChange(r.Name, changedLimit, c.Name, strconv.FormatInt(c.Value, 10)))
	return nil, nil
}

// DeleteRSELimit takes a limit of an RSE away.
func DeleteRSELimit(tx Tx, at Stamp, c *command.DeleteRSELimit) ([]byte, error) {
	schema, err := NameSchemaOf(tx)
	if err != nil {
		return nil, err
	}
	if schema.enforced && !validName(c.Name, maxText) {
		return nil, Errorf(command.CodeInvalidObject, "'%.64s' is no name of a limit", c.Name)
	}
	r, err := changeableRSE(tx, at, c.Rse, ActionSetRSELimit)
	if err != nil {
		return nil, err
	}
	tx.Delete(limitKey(r.ID, c.Name))
	tx.Note(at, rseChange(r.Name, changedLimit, c.Name, ""))
	return nil, nil
}

// deleteUsage removes the reports about an RSE and its limits.
func deleteUsage(tx Tx, rse uint32) error {
	var keys [][]byte
	for _, low := range [...][]byte{usagePrefix(rse), limitKey(rse, "")} {
		err := tx.Scan(low, prefixEnd(low), func(key, _ []byte) (bool, error) {
			keys = append(keys, bytes.Clone(key))
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	for _, key := range keys {
		tx.Delete(key)
	}
	return nil
}
