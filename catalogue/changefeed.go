package catalogue

import (
	"encoding/binary"

	"dapple/command"
)

// Feed says what the change feed holds.
type Feed struct {
	// Through is the last revision whose events are gone, 0 where none are.
	Through uint64
	// Total is the size of all records ever written, in bytes.
	Total uint64
}

const systemFeed = "feed" // what Feed says

// GetFeed returns what the feed holds; zeros before its first record.
func GetFeed(v View) (Feed, error) {
	value, found, err := v.Get(SystemKey(systemFeed))
	if err != nil || !found {
		return Feed{}, err
	}
	r := newRecordReader(value, systemFormat)
	f := Feed{Through: r.uvarint(), Total: r.uvarint()}
	return f, recordError(r.done(), "system record", systemFeed)
}

// PutFeed stores what GetFeed returns. Only the state machine calls it, after the commands of an entry.
func PutFeed(tx Tx, f Feed) {
	b := binary.AppendUvarint([]byte{systemFormat}, f.Through)
	tx.Put(SystemKey(systemFeed), binary.AppendUvarint(b, f.Total))
}

// KeepsChanges returns CodeChangesNotKept where the catalogue was made before there was a feed.
func KeepsChanges(v View) error {
	schema, err := Schema(v)
	if err == nil && schema < changeSchema {
		err = Errorf(command.CodeChangesNotKept, "this cluster was formed by a version of the program that kept no changes")
	}
	return err
}

// FeedOldest returns the log index of the oldest record that the feed holds, and false where it holds none.
func FeedOldest(v View) (index uint64, found bool, err error) {
	c, err := changeAt(v, 0)
	if err != nil || c == nil {
		return 0, false, err
	}
	return c.index, true, nil
}

// FeedBytes returns the size of the records that the feed holds.
func FeedBytes(v View) (uint64, error) {
	f, err := GetFeed(v)
	if err != nil {
		return 0, err
	}
	c, err := changeAt(v, 0)
	if err != nil || c == nil {
		return 0, err
	}
	return f.Total - c.total, nil
}

// changeAt returns the header of the first record whose last revision is at least that, nil where there is none.
func changeAt(v View, revision uint64) (c *changeRecord, err error) {
	err = v.Scan(changeKey(revision), prefixEnd([]byte{tableChange}), func(key, value []byte) (bool, error) {
		c, err = openChange(key, value)
		return false, err
	})
	return c, err
}

// ScanChanges visits the events after a revision in their order until visit returns false. The event is valid until visit
// returns. The caller sees to it that nothing after that revision is gone.
func ScanChanges(v View, since uint64, visit func(e *Event) (more bool, err error)) error {
	if since+1 == 0 {
		return nil
	}
	names := changeResolver{v: v, scopes: scopeNames{}}
	e := Event{}
	return v.Scan(changeKey(since+1), prefixEnd([]byte{tableChange}), func(key, value []byte) (bool, error) {
		c, err := openChange(key, value)
		if err != nil {
			return false, err
		}
		e = Event{Index: c.index, Time: c.time, Account: c.issuer}
		more := true
		err = c.each(func(revision uint64, change *Change) (bool, error) {
			if revision <= since {
				return true, nil
			}
			e.Revision, e.Change = revision, *change
			if err := names.resolve(&e); err != nil {
				return false, err
			}
			more, err = visit(&e)
			return more, err
		})
		return more, err
	})
}

// changeResolver finds the names behind the numbers in events.
type changeResolver struct {
	v      View
	scopes scopeNames
}

func (n *changeResolver) resolve(e *Event) (err error) {
	e.Name, e.ChildName = e.ref.name, e.child.name
	if e.Scope, err = n.scope(e.ref.scope); err != nil {
		return err
	}
	if e.ChildScope, err = n.scope(e.child.scope); err != nil {
		return err
	}
	e.Owner = ""
	if e.owner != 0 {
		e.Owner, err = accountName(n.v, e.owner)
	}
	return err
}

// scope returns the name of a scope, "" for 0, which is none.
func (n *changeResolver) scope(id uint32) (string, error) {
	if id == 0 {
		return "", nil
	}
	return n.scopes.name(n.v, id)
}

// FindTrim returns the last revision whose events are to go: those older than a time in microseconds, and as many as make the
// feed smaller than so many bytes. It is 0 where nothing is to go.
func FindTrim(v View, before int64, most uint64) (through uint64, err error) {
	f, err := GetFeed(v)
	if err != nil {
		return 0, err
	}
	newest, _, err := Clock(v)
	if err != nil {
		return 0, err
	}
	low, high := f.Through, newest // up to low may go, after high must stay
	for low < high {
		middle := low + (high-low+1)/2
		c, err := changeAt(v, middle)
		switch {
		case err != nil:
			return 0, err
		case c != nil && (c.time < before || f.Total-c.total > most):
			low = c.last
		default:
			high = middle - 1
		}
	}
	if low == f.Through {
		return 0, nil
	}
	return low, nil
}

// TrimChanges returns the feed without what a command takes away, and whether there is anything to take. Nobody but the cluster
// itself proposes it, so it needs no permission. The state machine removes the records.
func TrimChanges(f Feed, at Stamp, c *command.TrimChanges) (trimmed Feed, due bool, err error) {
	if c.Through >= at.Revision {
		return f, false, Errorf(command.CodeInvalidValue, "changes that are yet to come cannot be trimmed")
	}
	if c.Through <= f.Through {
		return f, false, nil
	}
	return Feed{Through: c.Through, Total: f.Total}, true, nil
}

// ChangeRange returns the bounds of the keys of the records up to a revision.
func ChangeRange(through uint64) (low, high []byte) {
	return []byte{tableChange}, changeKey(through + 1)
}
