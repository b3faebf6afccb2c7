package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"dapple/client"
)

// membership is a file that is to be in a dataset.
type membership struct {
	dataset client.DIDName
	item    *item
}

// memberships lists which files that are there are to be in which datasets, in the order of the datasets, and the datasets.
func memberships(items []*item, there map[*item]bool) (pairs []membership, datasets []client.DIDName) {
	for _, i := range items {
		for _, d := range i.datasets {
			if there[i] {
				pairs = append(pairs, membership{d, i})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b membership) int {
		return cmp.Or(cmp.Compare(a.dataset.Scope, b.dataset.Scope), cmp.Compare(a.dataset.Name, b.dataset.Name))
	})
	for _, p := range pairs {
		if len(datasets) == 0 || datasets[len(datasets)-1] != p.dataset {
			datasets = append(datasets, p.dataset)
		}
	}
	return pairs, datasets
}

// batches cuts memberships into requests of so many, or of batchBytes.
func batches(pairs []membership, most int) (all [][]membership) {
	first, bytes := 0, 0
	for n, p := range pairs {
		more := p.bytes()
		if n-first >= most || n > first && bytes+more > batchBytes {
			all = append(all, pairs[first:n])
			first, bytes = n, 0
		}
		bytes += more
	}
	if first < len(pairs) {
		all = append(all, pairs[first:])
	}
	return all
}

// bytes is about how much a membership takes in a request, escapes aside. The dataset counts each time: it may be another than the last.
func (m membership) bytes() int {
	const keys = 50
	return keys + len(m.dataset.Scope) + len(m.dataset.Name) + len(m.item.file.Scope) + len(m.item.file.Name)
}

// unknown leaves those datasets that are not known to exist.
func (r *importRun) unknown(datasets []client.DIDName) []client.DIDName {
	return slices.DeleteFunc(datasets, r.datasets.Contains)
}

// refusals are datasets that could not be added.
type refusals struct {
	mu sync.Mutex
	by map[client.DIDName]error
}

// addDataset adds a dataset unless something of that name is there: what cannot be attached to is refused then.
func (r *importRun) addDataset(ctx context.Context, d client.DIDName, refused *refusals) error {
	err := r.client().AddDID(ctx, d, "DATASET")
	switch {
	case err == nil:
		r.tally.datasets.Add(1)
		r.datasets.Add(d, struct{}{})
	case errors.Is(err, client.ErrConflict):
		r.datasets.Add(d, struct{}{})
	case isRefusal(err):
		refused.mu.Lock()
		defer refused.mu.Unlock()
		refused.by[d] = err
	default:
		return fmt.Errorf("add dataset %s:%s: %w", d.Scope, d.Name, err)
	}
	return nil
}

// taken leaves the memberships of datasets that are there; the others are refused.
func (r *importRun) taken(pairs []membership, refused *refusals) []membership {
	return slices.DeleteFunc(pairs, func(p membership) bool {
		err := refused.by[p.dataset]
		if err != nil {
			r.refuse(p.item, p.where(), err)
		}
		return err != nil
	})
}

func (m membership) where() string { return "in " + m.dataset.Scope + ":" + m.dataset.Name }

// attach attaches files to their datasets in one request. One that is refused is sent again in halves until it is about one dataset, and
// where it is malformed, too large or names a file that is gone about one file, so that only what is at fault is refused.
func (r *importRun) attach(ctx context.Context, pairs []membership) error {
	err := r.client().AttachMany(ctx, attachments(pairs), true)
	oneDataset := pairs[0].dataset == pairs[len(pairs)-1].dataset
	ofFile := errors.Is(err, client.ErrInvalid) || errors.Is(err, client.ErrNotFound)
	switch {
	case err == nil:
		r.tally.attached.Add(int64(len(pairs)))
		return nil
	case !isRefusal(err):
		return fmt.Errorf("attach files to %s:%s: %w", pairs[0].dataset.Scope, pairs[0].dataset.Name, err)
	case len(pairs) > 1 && (!oneDataset || ofFile):
		half := len(pairs) / 2
		if err := r.attach(ctx, pairs[:half]); err != nil {
			return err
		}
		return r.attach(ctx, pairs[half:])
	}
	for _, p := range pairs {
		r.refuse(p.item, p.where(), err)
	}
	return nil
}

// attachments makes the items of a request; the pairs of a dataset follow each other.
func attachments(pairs []membership) (all []client.Attachment) {
	for _, p := range pairs {
		if n := len(all); n == 0 || all[n-1].Scope != p.dataset.Scope || all[n-1].Name != p.dataset.Name {
			all = append(all, client.Attachment{Scope: p.dataset.Scope, Name: p.dataset.Name})
		}
		last := &all[len(all)-1]
		last.Children = append(last.Children, client.DIDName{Scope: p.item.file.Scope, Name: p.item.file.Name})
	}
	return all
}
