package catalogue

import (
	"maps"
	"slices"

	"dapple/command"
)

// maxMetadataBytes bounds the keys and values of one DID's metadata from workFeatures on: all of it is read and written
// whenever one key changes.
const maxMetadataBytes = 64 << 10

// metadataEdits are changes of a DID's metadata, of which later ones replace earlier ones. Setting one key costs the same
// however many have been set before.
type metadataEdits struct {
	sorted []MetadataEntry   // the first changes, in ascending order of key
	later  map[string]string // what came after them
}

// lay puts changes, which are in ascending order of key, over those before.
func (m *metadataEdits) lay(changes []MetadataEntry) {
	if len(m.sorted) == 0 && m.later == nil {
		m.sorted = changes
		return
	}
	if m.later == nil {
		m.later = map[string]string{}
	}
	for _, e := range changes {
		m.later[e.Key] = e.Value
	}
}

// get returns what a key is changed to, "" where it is taken away, and false where it is not changed.
func (m *metadataEdits) get(key string) (string, bool) {
	if value, found := m.later[key]; found {
		return value, true
	}
	return FindMetadata(m.sorted, key)
}

// entries returns the changes in ascending order of key.
func (m *metadataEdits) entries() []MetadataEntry {
	if len(m.later) == 0 {
		return m.sorted
	}
	later := make([]MetadataEntry, 0, len(m.later))
	for _, key := range slices.Sorted(maps.Keys(m.later)) {
		later = append(later, MetadataEntry{key, m.later[key]})
	}
	return layMetadata(m.sorted, later)
}

// metadataBytes returns the size of keys and values.
func metadataBytes(entries []MetadataEntry) (size int) {
	for _, e := range entries {
		size += len(e.Key) + len(e.Value)
	}
	return size
}

// storedMetadata returns the stored metadata of a DID and reads it once. Large metadata counts as more records.
func (c *didChanges) storedMetadata(d *changedDID) ([]MetadataEntry, error) {
	if d.read || d.isNew {
		return d.stored, nil
	}
	stored, err := loadMetadata(c.v, d.ref, d.did)
	if err != nil {
		return nil, err
	}
	d.stored, d.read = stored, true
	return stored, c.work.spendOn(max(metadataBytes(stored)-freeMetadata, 0)/metadataPerRecord, "the metadata of '"+d.ref.name+"'")
}

// freeMetadata is what goes with a DID's own record; of what is more, each metadataPerRecord costs as much as another record.
const (
	freeMetadata      = 4 << 10
	metadataPerRecord = 1 << 10
)

// checkMetadataSizes refuses metadata that would become too large. What is stored may be larger, and get smaller.
func (c *didChanges) checkMetadataSizes() error {
	if !c.work.limited {
		return nil
	}
	for _, d := range c.order {
		changes := d.meta.entries()
		if len(changes) == 0 {
			continue
		}
		stored, err := c.storedMetadata(d)
		if err != nil {
			return err
		}
		before := metadataBytes(stored)
		if before+metadataBytes(changes) <= maxMetadataBytes {
			continue
		}
		if after := metadataBytes(mergeMetadata(stored, changes)); after > before {
			if err := checkMetadataBytes(d.ref.name, after); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkMetadataBytes refuses metadata of so many bytes.
func checkMetadataBytes(name string, size int) error {
	if size <= maxMetadataBytes {
		return nil
	}
	return Errorf(command.CodeTooManyItems, "metadata of '%s' would have %d bytes, and a DID may have %d", name, size, maxMetadataBytes)
}
