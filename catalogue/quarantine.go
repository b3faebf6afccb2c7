package catalogue

import (
	"encoding/binary"

	"dapple/command"
)

// Quarantined is a file that lies at an RSE and is no replica; RSE and path are its key.
type Quarantined struct {
	// Scope and Name are what the file may be, "" where nobody knows.
	Scope, Name string
	Bytes       uint64
	// Created is the log time in microseconds.
	Created int64
}

const quarantineFormat = 1

func appendQuarantined(b []byte, q *Quarantined) []byte {
	b = appendString(appendString(append(b, quarantineFormat), q.Scope), q.Name)
	b = binary.AppendUvarint(b, q.Bytes)
	return binary.AppendVarint(b, q.Created)
}

func parseQuarantined(b []byte) (Quarantined, error) {
	r := newRecordReader(b, quarantineFormat)
	q := Quarantined{Scope: r.string(), Name: r.string(), Bytes: r.uvarint(), Created: r.varint()}
	return q, r.done()
}

// Quarantine notes files that lie at an RSE and are no replicas. Those that are replicas there after all, and paths that are
// noted already, are left as they are.
func Quarantine(tx Tx, at Stamp, c *command.Quarantine) ([]byte, error) {
	rse, err := findRSEByNameOrID(tx, c.Rse, c.RseId)
	if err != nil {
		return nil, err
	}
	if err = Authorize(tx, at.Issuer, ActionQuarantine, rse.Name); err != nil {
		return nil, err
	}
	schema, err := NameSchemaOf(tx)
	if err != nil {
		return nil, err
	}
	replicas := newReplicaEdits(tx, at)
	var fresh []*command.Quarantine_File
	for _, f := range c.Files {
		if f.Path == "" {
			return nil, Errorf(command.CodeInputValidation, "Replica info must include path")
		}
		if err := schema.checkQuarantined(f); err != nil {
			return nil, err
		}
		if f.Scope != "" && f.Name != "" {
			if _, registered, err := replicas.find(rse, f.Scope, f.Name); err != nil {
				return nil, err
			} else if registered {
				continue
			}
		}
		_, noted, err := tx.Get(quarantineKey(rse.ID, f.Path))
		if err != nil {
			return nil, err
		}
		if !noted {
			fresh = append(fresh, f)
		}
	}
	for _, f := range fresh {
		q := Quarantined{Scope: f.Scope, Name: f.Name, Bytes: f.Bytes, Created: at.Time}
		tx.Put(quarantineKey(rse.ID, f.Path), appendQuarantined(nil, &q))
		tx.Note(at, Change{Kind: ChangeQuarantineAdded, RSE: rse.Name, Path: f.Path, Bytes: f.Bytes})
	}
	return nil, nil
}

// ListQuarantined visits the quarantined files of an RSE in ascending order of path until visit returns an error.
func ListQuarantined(v View, rse *RSE, visit func(path string, q Quarantined) error) error {
	prefix := idKey(tableQuarantine, rse.ID)
	return v.Scan(prefix, prefixEnd(prefix), func(key, value []byte) (bool, error) {
		q, err := parseQuarantined(value)
		if err != nil {
			return false, recordError(err, "quarantined", string(key[len(prefix):]))
		}
		return true, visit(string(key[len(prefix):]), q)
	})
}
