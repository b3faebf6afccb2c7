package catalogue

import (
	"cmp"
	"slices"
)

// DatasetReplica says how much of a dataset is available at an RSE.
type DatasetReplica struct {
	Scope, Name string
	RSE         *RSE
	// Length and Bytes are those of the dataset, AvailableLength and AvailableBytes of its files that are available there.
	Length, Bytes                   uint64
	AvailableLength, AvailableBytes uint64
	// Created is the log time in microseconds at which the first of them was registered, Updated that of the last change.
	Created, Updated int64
}

// Complete reports whether all of the dataset is available.
func (r *DatasetReplica) Complete() bool { return r.AvailableLength == r.Length }

func (r *DatasetReplica) add(bytes uint64, replica *Replica) {
	if r.AvailableLength == 0 || replica.Created < r.Created {
		r.Created = replica.Created
	}
	r.AvailableLength++
	r.AvailableBytes += bytes
	r.Updated = max(r.Updated, replica.Updated)
}

// ListDatasetReplicas visits the RSEs at which files of a dataset are available, in the order of their numbers: first by their own
// replicas, then, where deep is set, by those of archives that they are in. A DID that is unknown or no dataset has none.
func ListDatasetReplicas(v View, scope, name string, deep bool, visit func(*DatasetReplica) error) error {
	id, found, err := findScopeID(v, scope)
	if err != nil || !found {
		return err
	}
	dataset := didRef{id, name}
	d, found, err := loadDID(v, dataset)
	if err != nil || !found || d.hidden || d.Type != TypeDataset {
		return err
	}
	own, archived := datasetTally{}, datasetTally{}
	file := &DID{}
	err = scanChildren(v, dataset, func(child didRef, _ DIDType) (bool, error) {
		if found, err := loadDIDInto(v, child, file); err != nil || !found {
			return true, err
		}
		for i := range file.Replicas {
			own.add(file.Bytes, &file.Replicas[i])
		}
		if !deep || !file.Constituent {
			return true, nil
		}
		return true, archived.addArchives(v, child, file.Bytes)
	})
	if err != nil {
		return err
	}
	for _, tally := range [...]datasetTally{own, archived} {
		for _, t := range tally.rses {
			r := t.replica
			if r.RSE, err = RSEByID(v, t.rse); err != nil {
				return err
			}
			if r.RSE.Deleted != 0 {
				continue
			}
			r.Scope, r.Name, r.Length, r.Bytes = scope, name, d.Length, d.Size
			if err := visit(&r); err != nil {
				return err
			}
		}
	}
	return nil
}

// datasetTally sums up what is available by RSE, in ascending order of number.
type datasetTally struct{ rses []rseTally }

type rseTally struct {
	rse     uint32
	replica DatasetReplica
}

// add counts a replica of a file where it is available.
func (t *datasetTally) add(bytes uint64, r *Replica) {
	if r.State != StateAvailable {
		return
	}
	i, found := slices.BinarySearchFunc(t.rses, r.RSE, func(x rseTally, rse uint32) int { return cmp.Compare(x.rse, rse) })
	if !found {
		t.rses = slices.Insert(t.rses, i, rseTally{rse: r.RSE})
	}
	t.rses[i].replica.add(bytes, r)
}

// addArchives counts a file at the RSEs where an archive with it is available, once each.
func (t *datasetTally) addArchives(v View, file didRef, bytes uint64) error {
	var counted []uint32
	return scanArchives(v, file, func(archive didRef) (bool, error) {
		d, err := mustLoadDID(v, archive)
		if err != nil {
			return false, err
		}
		for i := range d.Replicas {
			if rse := d.Replicas[i].RSE; d.Replicas[i].State == StateAvailable && !slices.Contains(counted, rse) {
				counted = append(counted, rse)
				t.add(bytes, &d.Replicas[i])
			}
		}
		return true, nil
	})
}

// ListDatasetsAtRSE visits the datasets of which files are available at an RSE, in the order of their keys, until visit returns
// an error. It goes through all attachments of the catalogue, one dataset in memory at a time.
func ListDatasetsAtRSE(v View, name string, visit func(*DatasetReplica) error) error {
	rse, err := GetRSE(v, name)
	if err != nil {
		return err
	}
	var (
		names   = scopeNames{}
		file    = &DID{}
		dataset didRef
		replica = DatasetReplica{RSE: rse}
	)
	finish := func() error {
		if replica.AvailableLength == 0 {
			return nil
		}
		d, err := mustLoadDID(v, dataset)
		if err != nil || d.hidden {
			return err
		}
		full, err := names.full(v, dataset)
		if err != nil {
			return err
		}
		replica.Scope, replica.Name, replica.Length, replica.Bytes = full.Scope, full.Name, d.Length, d.Size
		return visit(&replica)
	}
	low := []byte{tableAttachment}
	err = v.Scan(low, prefixEnd(low), func(key, value []byte) (bool, error) {
		parent, rest, err := parseRef0(key[1:])
		if err != nil {
			return false, err
		}
		if a, err := parseAttachment(value); err != nil || a.child != TypeFile {
			return true, err
		}
		child, err := parseRef(rest)
		if err != nil {
			return false, err
		}
		if parent != dataset {
			if err := finish(); err != nil {
				return false, err
			}
			dataset, replica = parent, DatasetReplica{RSE: rse}
		}
		if found, err := loadDIDInto(v, child, file); err != nil || !found {
			return true, err
		}
		if i, found := file.Replica(rse.ID); found && file.Replicas[i].State == StateAvailable {
			replica.add(file.Bytes, &file.Replicas[i])
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	return finish()
}
