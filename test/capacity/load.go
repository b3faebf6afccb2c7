package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"dapple/client"
)

// attempts is how often a request of the load is sent.
const attempts = 60

// connect makes a client that asks a node first and the others where that one does not answer.
func (f *fleet) connect(first int) (*client.Client, error) {
	urls := f.urls()
	first %= len(urls)
	return client.New(client.Config{
		URLs: append(append([]string(nil), urls[first:]...), urls[:first]...), User: user, Password: password, Account: "root", Attempts: attempts,
	})
}

// connectAll makes some clients, each at the next node.
func (f *fleet) connectAll(count int) (clients []*client.Client, err error) {
	for i := range count {
		c, err := f.connect(i)
		if err != nil {
			return nil, err
		}
		clients = append(clients, c)
	}
	return clients, nil
}

// addPlaces adds the scope and the RSEs.
func addPlaces(ctx context.Context, c *client.Client) error {
	if err := c.AddScope(ctx, "root", scope); err != nil {
		return fmt.Errorf("add scope: %w", err)
	}
	on := client.Priorities{Read: 1, Write: 1, Delete: 1}
	for i := range rseCount {
		err := c.AddRSE(ctx, rseName(i), client.RSESettings{})
		if err == nil {
			err = c.AddProtocol(ctx, rseName(i), client.Protocol{
				Scheme: "davs", Hostname: fmt.Sprintf("se%03d.example.org", i), Port: 443, Prefix: "/atlas/rucio/",
				Impl: "rucio.rse.protocols.gfal.Default", LAN: on, WAN: on,
			})
		}
		if err != nil {
			return fmt.Errorf("add RSE %s: %w", rseName(i), err)
		}
	}
	return nil
}

// loadDatasets loads the datasets from one to before another with all clients, and returns how long that took.
func loadDatasets(ctx context.Context, clients []*client.Client, from, to int) (time.Duration, error) {
	start := time.Now()
	next := make(chan int)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(next)
		for d := from; d < to; d++ {
			select {
			case next <- d:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for _, c := range clients {
		group.Go(func() error {
			for d := range next {
				if err := loadDataset(ctx, c, d); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	return time.Since(start), err
}

// loadDataset registers the files of a dataset at two RSEs and puts them into it.
func loadDataset(ctx context.Context, c *client.Client, d int) error {
	files := datasetOf(d)
	first, second := places(d)
	for _, rse := range []int{first, second} {
		if err := c.AddReplicas(ctx, rseName(rse), files); err != nil {
			return fmt.Errorf("register files of dataset %d: %w", d, err)
		}
	}
	dataset := client.DIDName{Scope: scope, Name: datasetName(d)}
	if err := c.AddDID(ctx, dataset, "DATASET"); err != nil && !errors.Is(err, client.ErrConflict) {
		return fmt.Errorf("add dataset %d: %w", d, err)
	}
	children := make([]client.DIDName, len(files))
	for i := range files {
		children[i] = client.DIDName{Scope: scope, Name: files[i].Name}
	}
	err := c.AttachMany(ctx, []client.Attachment{{Scope: scope, Name: dataset.Name, Children: children}}, true)
	if err != nil {
		return fmt.Errorf("attach files to dataset %d: %w", d, err)
	}
	return nil
}
