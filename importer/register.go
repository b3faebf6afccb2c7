package importer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"dapple/client"
)

// batch are the replicas of one request.
type batch struct {
	rse   string
	items []*item
	files []client.NewFile
}

// byRSE sorts the replicas of files into requests of so many, or of batchBytes. A file that comes twice, which is fine, is in two requests,
// for within one it is refused.
func byRSE(items []*item, most int) []batch {
	type open struct {
		at    int // in batches
		bytes int
		names map[client.DIDName]bool
	}
	var batches []batch
	current := map[string]*open{}
	for _, i := range items {
		name := client.DIDName{Scope: i.file.Scope, Name: i.file.Name}
		for _, replica := range i.replicas {
			file := i.file
			file.State, file.PFN = replica.state, replica.pfn
			o, bytes := current[replica.rse], fileBytes(&file)
			if o == nil || len(batches[o.at].items) >= most || o.bytes+bytes > batchBytes || o.names[name] {
				o = &open{at: len(batches), names: map[client.DIDName]bool{}}
				current[replica.rse] = o
				batches = append(batches, batch{rse: replica.rse})
			}
			o.names[name] = true
			o.bytes += bytes
			b := &batches[o.at]
			b.items, b.files = append(b.items, i), append(b.files, file)
		}
	}
	return batches
}

// fileBytes is about how much a file takes in a request, escapes aside.
func fileBytes(f *client.NewFile) int {
	const keys = 100 // and numbers
	return keys + len(f.Scope) + len(f.Name) + len(f.Adler32) + len(f.MD5) + len(f.PFN)
}

// registry remembers which files of a window have a replica that was accepted.
type registry struct {
	mu    sync.Mutex
	there map[*item]bool
}

// register registers the replicas of a batch. A request that is malformed or too large is sent again in halves, so that only the
// items at fault are refused.
func (r *importRun) register(ctx context.Context, b batch, registered *registry) error {
	added, err := r.client().AddReplicasReporting(ctx, b.rse, b.files)
	switch {
	case err == nil && len(added) != len(b.files):
		return fmt.Errorf("register %d files at %s: the answer has %d items", len(b.files), b.rse, len(added))
	case err == nil:
		r.registered(b, added, registered)
		return nil
	case !isRefusal(err):
		return fmt.Errorf("register files at %s: %w", b.rse, err)
	case errors.Is(err, client.ErrInvalid) && len(b.items) > 1:
		half := len(b.items) / 2
		if err := r.register(ctx, batch{b.rse, b.items[:half], b.files[:half]}, registered); err != nil {
			return err
		}
		return r.register(ctx, batch{b.rse, b.items[half:], b.files[half:]}, registered)
	}
	for _, i := range b.items {
		r.refuse(i, "at "+b.rse, err)
	}
	return nil
}

// registered notes what an answer says about each replica.
func (r *importRun) registered(b batch, added []client.Added, registered *registry) {
	registered.mu.Lock()
	defer registered.mu.Unlock()
	for n, a := range added {
		if a.Status == http.StatusCreated {
			registered.there[b.items[n]] = true
			r.tally.replicas.Add(1)
			continue
		}
		r.refuse(b.items[n], "at "+b.rse, &client.Error{Status: a.Status, Class: a.Class, Message: a.Message})
	}
}

// refuse tells that something about a file was refused.
func (r *importRun) refuse(i *item, where string, err error) {
	r.tally.refuse(Refusal{Source: r.sources[i.source].Name, Line: i.line, Item: i.did() + " " + where, Err: err})
}

// isRefusal reports whether an error is an answer about the items of the request or their RSE, which a repeat would not change and which
// says nothing against the next request.
func isRefusal(err error) bool {
	var answer *client.Error
	switch {
	case !errors.As(err, &answer) || errors.Is(err, client.ErrUnauthenticated):
		return false
	case errors.Is(err, client.ErrBlocked):
		return true
	case answer.Status == http.StatusInternalServerError: // Rucio's answer to what it does not support under /replicas
		return answer.Class == "UnsupportedOperation"
	}
	return answer.Status >= 400 && answer.Status < 500
}
