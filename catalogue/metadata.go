package catalogue

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"dapple/command"
)

// MetadataEntry is one key of a DID's metadata. Value is JSON: for the keys that the API fixes (events, guid, campaign, ...) of
// the key's own type, for any other key what the client set. A time is its log-time number in microseconds.
type MetadataEntry struct{ Key, Value string }

const metadataFormat = 1

func appendMetadata(b []byte, entries []MetadataEntry) []byte {
	b = slices.Grow(b, 1+binary.MaxVarintLen64+metadataBytes(entries)+4*len(entries))
	b = binary.AppendUvarint(append(b, metadataFormat), uint64(len(entries)))
	for _, e := range entries {
		b = appendString(appendString(b, e.Key), e.Value)
	}
	return b
}

func parseMetadata(b []byte) ([]MetadataEntry, error) {
	r, all := newRecordReader(b, metadataFormat), string(b)
	text := func() string { // a part of all: one allocation for thousands of texts
		size := len(r.take(r.uvarint()))
		end := len(all) - len(r.b)
		return all[end-size : end]
	}
	n := r.count(2)
	entries := make([]MetadataEntry, 0, n+n/16+1) // with room for a few more keys
	for range n {
		e := MetadataEntry{Key: text(), Value: text()}
		if n := len(entries); n > 0 && entries[n-1].Key >= e.Key {
			r.fail()
		}
		entries = append(entries, e)
	}
	return entries, r.done()
}

// GetMetadata returns the metadata of a DID in ascending order of key, or CodeDIDNotFound.
func GetMetadata(v View, scope, name string) ([]MetadataEntry, error) {
	ref, d, err := findDID(v, scope, name)
	if err != nil {
		return nil, err
	}
	return loadMetadata(v, ref, d)
}

// MetadataOf is GetMetadata for a record at hand; it reads nothing where the DID has none.
func MetadataOf(v View, scope, name string, d *DID) ([]MetadataEntry, error) {
	if !d.HasMetadata {
		return nil, nil
	}
	id, found, err := findScopeID(v, scope)
	if err != nil || !found {
		return nil, err
	}
	return loadMetadata(v, didRef{id, name}, d)
}

func loadMetadata(v View, ref didRef, d *DID) ([]MetadataEntry, error) {
	if !d.HasMetadata {
		return nil, nil
	}
	b, found, err := v.Get(metadataKey(ref))
	if err == nil && !found {
		err = ErrRecord
	}
	if err == nil {
		var entries []MetadataEntry
		if entries, err = parseMetadata(b); err == nil {
			return entries, nil
		}
	}
	return nil, fmt.Errorf("metadata of %d:%s: %w", ref.scope, ref.name, err)
}

// FindMetadata returns the JSON of a key, and false where it is not set.
func FindMetadata(entries []MetadataEntry, key string) (string, bool) {
	i, found := slices.BinarySearchFunc(entries, key, func(e MetadataEntry, key string) int {
		return strings.Compare(e.Key, key)
	})
	if !found {
		return "", false
	}
	return entries[i].Value, true
}

// validateMetadata checks what a client wants to set on a DID of a type and returns it as it is to be stored, in ascending
// order of key. An entry with an empty Value takes a fixed key away.
func validateMetadata(v View, at Stamp, t DIDType, values map[string]string) ([]MetadataEntry, error) {
	entries := make([]MetadataEntry, 0, len(values))
	for key, value := range values {
		entries = append(entries, MetadataEntry{key, value})
	}
	slices.SortFunc(entries, func(a, b MetadataEntry) int { return strings.Compare(a.Key, b.Key) })
	for i := range entries {
		if err := checkMetadata(v, at, t, &entries[i]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(entries, func(a, b MetadataEntry) int { return strings.Compare(a.Key, b.Key) }) // a lifetime has become an expiry
	return entries, nil
}

// checkMetadata checks one entry and turns it into what is stored.
func checkMetadata(v View, at Stamp, t DIDType, e *MetadataEntry) error {
	if e.Key == "" || len(e.Key) > MaxMetadataKey {
		return Errorf(command.CodeInvalidMetadata, "metadata key %.40q is empty or longer than %d bytes", e.Key, MaxMetadataKey)
	}
	if strings.Contains(e.Key, ".") {
		return Errorf(command.CodeInvalidMetadata, "Restricted character \".\" found in metadata key '%s'", e.Key)
	}
	if isReserved(e.Key) {
		return Errorf(command.CodeAccessDenied, "the metadata key '%s' cannot be set", e.Key)
	}
	f, fixed := findMetadataField(e.Key)
	if !fixed {
		if e.Value == "" {
			return Errorf(command.CodeInvalidMetadata, "metadata key '%s' has no value", e.Key)
		}
		return nil
	}
	if f.filesOnly && t != TypeFile {
		return Errorf(command.CodeUnsupportedOperation, "%s can be set on files only", e.Key)
	}
	return f.convert(v, at, e)
}

// mergeMetadata lays changes over what is there; both are in ascending order of key. An empty value takes the key away.
func mergeMetadata(old, changes []MetadataEntry) []MetadataEntry {
	return slices.DeleteFunc(layMetadata(old, changes), func(e MetadataEntry) bool { return e.Value == "" })
}

// layMetadata puts the later of two lists of changes over the earlier; both are in ascending order of key.
func layMetadata(earlier, later []MetadataEntry) []MetadataEntry {
	laid := make([]MetadataEntry, 0, len(earlier)+len(later))
	for _, e := range later { // mostly a few over many
		at, found := slices.BinarySearchFunc(earlier, e.Key, func(e MetadataEntry, key string) int { return strings.Compare(e.Key, key) })
		laid = append(append(laid, earlier[:at]...), e)
		if found {
			at++
		}
		earlier = earlier[at:]
	}
	return append(laid, earlier...)
}

// putMetadata lays validated entries over the metadata of a DID and marks d, which the caller stores. It checks nothing.
func putMetadata(tx Tx, at Stamp, ref didRef, d *DID, changes []MetadataEntry) error {
	if len(changes) == 0 {
		return nil
	}
	old, err := loadMetadata(tx, ref, d)
	if err != nil {
		return err
	}
	return putMetadataOver(tx, at, ref, d, old, changes)
}

// editInPlace is how many changes are put into metadata that is there one by one.
const editInPlace = 8

// editMetadata is mergeMetadata for entries that nobody needs any more: a few changes of many keys copy nothing but what is
// behind them.
func editMetadata(entries, changes []MetadataEntry) []MetadataEntry {
	if len(changes) > editInPlace {
		return mergeMetadata(entries, changes)
	}
	for _, e := range changes {
		at, found := slices.BinarySearchFunc(entries, e.Key, func(e MetadataEntry, key string) int { return strings.Compare(e.Key, key) })
		switch {
		case found && e.Value == "":
			entries = slices.Delete(entries, at, at+1)
		case found:
			entries[at] = e
		case e.Value != "":
			entries = slices.Insert(entries, at, e)
		}
	}
	return entries
}

// putMetadataOver is putMetadata for a DID whose metadata has been read; old is used up.
func putMetadataOver(tx Tx, at Stamp, ref didRef, d *DID, old, changes []MetadataEntry) error {
	for _, e := range changes {
		d.Revision = tx.Note(at, Change{Kind: ChangeDIDChanged, ref: ref, Key: e.Key, Value: e.Value})
	}
	d.Updated = at.Time
	if err := moveEnd(tx, ref, old, changes); err != nil {
		return err
	}
	had := len(old) > 0
	merged := editMetadata(old, changes)
	d.HasMetadata = len(merged) > 0
	if d.HasMetadata {
		tx.Put(metadataKey(ref), appendMetadata(nil, merged))
	} else if had {
		tx.Delete(metadataKey(ref))
	}
	return nil
}
