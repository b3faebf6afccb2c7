package importer

import (
	"context"

	"golang.org/x/sync/errgroup"

	"dapple/client"
)

// window registers the replicas of files, and then puts the files into their datasets.
func (r *importRun) window(ctx context.Context, items []*item) error {
	registered := &registry{there: make(map[*item]bool, len(items))}
	err := each(ctx, r, byRSE(items, r.cfg.Batch), func(ctx context.Context, b batch) error { return r.register(ctx, b, registered) })
	r.tally.files.Add(int64(len(registered.there)))
	if err != nil {
		return err
	}
	pairs, datasets := memberships(items, registered.there)
	refused := &refusals{by: map[client.DIDName]error{}}
	err = each(ctx, r, r.unknown(datasets), func(ctx context.Context, d client.DIDName) error { return r.addDataset(ctx, d, refused) })
	if err != nil {
		return err
	}
	return each(ctx, r, batches(r.taken(pairs, refused), r.cfg.Batch), r.attach)
}

// each does something with all of a list, as many at a time as there may be requests.
func each[T any](ctx context.Context, r *importRun, list []T, do func(context.Context, T) error) error {
	group, groupCtx := errgroup.WithContext(ctx)
	for _, one := range list {
		if r.requests.Acquire(groupCtx, 1) != nil {
			break // the group knows why, or ctx
		}
		group.Go(func() error {
			defer r.requests.Release(1)
			return do(groupCtx, one)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}
