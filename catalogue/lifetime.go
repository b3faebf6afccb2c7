package catalogue

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"dapple/command"
)

// A lifetime is kept as the time at which the DID ends, among its metadata. From feature level 1 on there is an index of these
// times, and what has ended is removed by commands that the leader proposes: the log time decides, since apply has no clock.

// lifetimeFeatures is the feature level from which on DIDs end.
const lifetimeFeatures = 1

// SettingResurrectWindow is the name of the setting that says for how long a DID that has ended can be brought back.
const SettingResurrectWindow = "resurrect-window"

// DefaultResurrectWindow is how long a DID that has ended can be brought back.
const DefaultResurrectWindow = 7 * 24 * time.Hour

// maxResurrectWindow bounds the window, so that no sum of times overflows.
const maxResurrectWindow = 100 * 366 * 24 * time.Hour

func checkResurrectWindow(_, value string) error {
	if d, err := time.ParseDuration(value); err != nil || d < 0 || d > maxResurrectWindow {
		return Errorf(command.CodeInvalidValue, "the resurrect window '%s' must be a time from 0s to %s, such as 168h or 90m", value, maxResurrectWindow)
	}
	return nil
}

// resurrectWindow returns for how long a DID that has ended can be brought back, in microseconds.
func resurrectWindow(v View) (int64, error) {
	value, err := GetSetting(v, SettingResurrectWindow)
	if err != nil || value == "" {
		return DefaultResurrectWindow.Microseconds(), err
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		return 0, fmt.Errorf("%w: setting %s: %w", ErrRecord, SettingResurrectWindow, err)
	}
	return d.Microseconds(), nil
}

// endOfWindow returns the time up to which what has ended cannot be brought back any more. It is never before 0, which is the time of what
// is half forgotten: the window may be longer than the time since 1970.
func endOfWindow(now, window int64) int64 { return max(now-window, 0) }

// endIn returns the time at which a DID with that metadata ends, in microseconds, and false where it has no lifetime.
func endIn(meta []MetadataEntry) (at int64, found bool, err error) {
	text, found := FindMetadata(meta, MetaExpiredAt)
	if !found || text == "" {
		return 0, false, nil
	}
	if at, err = strconv.ParseInt(text, 10, 64); err != nil {
		return 0, false, fmt.Errorf("%w: %s %q", ErrRecord, MetaExpiredAt, text)
	}
	return at, true, nil
}

// hasEnded reports whether the lifetime of a DID, whose record is given, is over at a time.
func hasEnded(v View, ref didRef, d *DID, now int64) (bool, error) {
	meta, err := loadMetadata(v, ref, d)
	if err != nil {
		return false, err
	}
	at, found, err := endIn(meta)
	return found && at <= now, err
}

// indexesEnds reports whether there is an index of ends.
func indexesEnds(v View) (bool, error) {
	level, err := FeatureLevel(v)
	return level >= lifetimeFeatures, err
}

// moveEnd keeps the index of ends where changes are laid over the old metadata of a DID.
func moveEnd(tx Tx, ref didRef, old, changes []MetadataEntry) error {
	if _, changed := FindMetadata(changes, MetaExpiredAt); !changed {
		return nil
	}
	indexed, err := indexesEnds(tx)
	if err != nil || !indexed {
		return err
	}
	if at, found, err := endIn(old); err != nil {
		return err
	} else if found {
		tx.Delete(endKey(at, ref))
	}
	at, found, err := endIn(changes)
	if err == nil && found {
		tx.Put(endKey(at, ref), nil)
	}
	return err
}

// forgetEnd takes a DID, whose record is given, out of the index of ends.
func forgetEnd(tx Tx, ref didRef, d *DID) error {
	indexed, err := indexesEnds(tx)
	if err != nil || !indexed {
		return err
	}
	meta, err := loadMetadata(tx, ref, d)
	if err != nil {
		return err
	}
	at, found, err := endIn(meta)
	if err == nil && found {
		tx.Delete(endKey(at, ref))
	}
	return err
}

// scanTimes visits a table that is ordered by time as far as a time, in microseconds, the earliest first.
func scanTimes(v View, table byte, until int64, visit func(at int64, ref didRef) (more bool, err error)) error {
	if until < 0 {
		return nil
	}
	return v.Scan([]byte{table}, timeKey(table, until+1), func(key, _ []byte) (bool, error) {
		at, rest, err := parseNumber(key[1:])
		if err != nil {
			return false, fmt.Errorf("time %x: %w", key, err)
		}
		ref, err := parseRef(rest)
		if err != nil {
			return false, fmt.Errorf("time %x: %w", key, err)
		}
		return visit(int64(at), ref)
	})
}

// firstTimes returns the first DIDs of a table that is ordered by time, as far as a time.
func firstTimes(v View, table byte, until int64, limit int) (refs []didRef, err error) {
	if limit <= 0 {
		return nil, nil
	}
	err = scanTimes(v, table, until, func(_ int64, ref didRef) (bool, error) {
		refs = append(refs, ref)
		return len(refs) < limit, nil
	})
	return refs, err
}

// LifetimeWork is what the leader has to propose for lifetimes to be honoured.
type LifetimeWork struct{ Index, Expire, Forget bool }

// LifetimesDue tells what has to be proposed at a time in microseconds.
func LifetimesDue(v View, now int64) (work LifetimeWork, err error) {
	indexed, err := indexesEnds(v)
	if err != nil || !indexed {
		return work, err
	}
	_, done, err := lifetimesIndexed(v)
	if err != nil {
		return work, err
	}
	work.Index = !done
	hiding, err := findHiding(v)
	if err != nil {
		return work, err
	}
	due, err := firstTimes(v, tableEnd, now, 1)
	if err != nil {
		return work, err
	}
	work.Expire = hiding.any || len(due) > 0
	if !work.Expire {
		if work.Expire, err = anyFileStep(v); err != nil {
			return work, err
		}
	}
	window, err := resurrectWindow(v)
	if err != nil {
		return work, err
	}
	old, err := firstTimes(v, tableEndedAt, endOfWindow(now, window), 1)
	work.Forget = len(old) > 0
	return work, err
}

// systemLifetimes is the system key under which IndexLifetimes keeps how far it has got; it is stored.
const systemLifetimes = "lifetimes"

// lifetimesIndexed returns how far the metadata of before the index has been read: the last key, and whether that was all of it.
func lifetimesIndexed(v View) (last []byte, done bool, err error) {
	b, found, err := v.Get(SystemKey(systemLifetimes))
	if err != nil || !found {
		return nil, false, err
	}
	r := newRecordReader(b, systemFormat)
	done, last = r.bool(), bytes.Clone(r.take(r.uvarint()))
	return last, done, recordError(r.done(), "progress", systemLifetimes)
}

// IndexLifetimes reads more of the metadata in the order of its keys and puts the ends that it finds into the index: those that were
// set before there was one. It is proposed until all has been read, once in the life of a cluster.
func IndexLifetimes(tx Tx, at Stamp, c *command.IndexLifetimes) ([]byte, error) {
	if err := onlyCluster(at, "reads lifetimes into their index"); err != nil {
		return nil, err
	}
	last, done, err := lifetimesIndexed(tx)
	if err != nil || done {
		return nil, err
	}
	low := []byte{tableMetadata}
	if len(last) > 0 {
		low = append(bytes.Clone(last), 0)
	}
	var ends [][]byte
	read := uint32(0)
	err = tx.Scan(low, prefixEnd([]byte{tableMetadata}), func(key, value []byte) (bool, error) {
		last = bytes.Clone(key)
		read++
		end, err := endOfMetadata(tx, key, value)
		if end != nil {
			ends = append(ends, end)
		}
		return read < c.Limit, err
	})
	if err != nil {
		return nil, err
	}
	for _, end := range ends {
		tx.Put(end, nil)
	}
	b := appendBool([]byte{systemFormat}, read < c.Limit)
	tx.Put(SystemKey(systemLifetimes), appendString(b, string(last)))
	return nil, nil
}

// endOfMetadata returns the key that the index of ends has to have for a record of metadata, nil for none.
func endOfMetadata(v View, key, value []byte) ([]byte, error) {
	ref, err := parseRef(key[1:])
	if err != nil {
		return nil, err
	}
	meta, err := parseMetadata(value)
	if err != nil {
		return nil, fmt.Errorf("metadata of %d:%s: %w", ref.scope, ref.name, err)
	}
	at, found, err := endIn(meta)
	if err != nil || !found {
		return nil, err
	}
	d, err := mustLoadDID(v, ref)
	if err != nil || d.hidden {
		return nil, err
	}
	return endKey(at, ref), nil
}

// onlyCluster refuses a command that an account has proposed.
func onlyCluster(at Stamp, does string) error {
	if at.Issuer != "" {
		return Errorf(command.CodeAccessDenied, "the cluster itself %s, not %s", does, at.Issuer)
	}
	return nil
}
