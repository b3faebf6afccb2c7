package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"dapple/client"
	"dapple/internal/httpload"
)

const (
	setupBatch   = 1000             // files in a request of setup
	setupClients = 4                // requests of setup at a time
	settleTime   = 30 * time.Second // that a target may need to have all that setup wrote
)

// setUp makes what the workload needs: scope, RSEs, files and datasets, and waits until every target has it.
func (p *plan) setUp(ctx context.Context, progress func(float64)) error {
	c, err := p.client(p.Targets)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := p.addPlaces(ctx, c); err != nil {
		return err
	}
	if err := p.addFiles(ctx, c, progress); err != nil {
		return err
	}
	if err := p.addDatasets(ctx, c, progress); err != nil {
		return err
	}
	if err := p.settle(ctx, c); err != nil {
		return err
	}
	if p.workload.own {
		return p.checkOwn(ctx, c)
	}
	return nil
}

func (p *plan) client(targets []string) (*client.Client, error) {
	return client.New(client.Config{URLs: targets, User: p.User, Password: p.Password, Account: p.Account})
}

// there takes what exists already for made.
func there(err error) error {
	if errors.Is(err, client.ErrConflict) {
		return nil
	}
	return err
}

func (p *plan) addPlaces(ctx context.Context, c *client.Client) error {
	if err := there(c.AddScope(ctx, p.Account, scope)); err != nil {
		return fmt.Errorf("add scope %s: %w", scope, err)
	}
	on := client.Priorities{Read: 1, Write: 1, Delete: 1}
	for i := range p.RSEs {
		rse := string(appendRSE(nil, i))
		if err := there(c.AddRSE(ctx, rse, client.RSESettings{})); err != nil {
			return fmt.Errorf("add RSE %s: %w", rse, err)
		}
		err := c.AddProtocol(ctx, rse, client.Protocol{
			Scheme: "davs", Hostname: fmt.Sprintf("se%d.example.org", i), Port: 443, Prefix: "/bench/",
			Impl: "rucio.rse.protocols.gfal.Default", LAN: on, WAN: on,
		})
		if there(err) != nil {
			return fmt.Errorf("add protocol to %s: %w", rse, err)
		}
	}
	return nil
}

// addFiles registers the files chunk by chunk, each file as often as the workload wants.
func (p *plan) addFiles(ctx context.Context, c *client.Client, progress func(float64)) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(setupClients)
	for first := 0; first < p.Files && ctx.Err() == nil; first += p.chunk() {
		progress(float64(first) / float64(p.Files))
		group.Go(func() error {
			var files []client.NewFile
			for i := first; i < min(first+p.chunk(), p.Files); i++ {
				files = append(files, client.NewFile{Scope: scope, Name: string(appendName(nil, p.run, 0, i)), Bytes: 1 << 20, Adler32: "0cc737eb"})
			}
			for copied := range p.workload.replicas {
				if err := c.AddReplicas(ctx, string(appendRSE(nil, p.rseOf(first, copied))), files); err != nil {
					return fmt.Errorf("register files: %w", err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// addDatasets makes datasets of the files that follow each other.
func (p *plan) addDatasets(ctx context.Context, c *client.Client, progress func(float64)) error {
	size := p.datasetSize()
	if size == 0 {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(setupClients)
	for n := 0; n < p.Files/size && ctx.Err() == nil; n++ {
		progress(float64(n*size) / float64(p.Files))
		group.Go(func() error { return p.addDataset(ctx, c, n, size) })
	}
	return group.Wait()
}

func (p *plan) addDataset(ctx context.Context, c *client.Client, n, size int) error {
	dataset := client.DIDName{Scope: scope, Name: string(appendDataset(nil, p.run, n))}
	if err := there(c.AddDID(ctx, dataset, "DATASET")); err != nil {
		return fmt.Errorf("add dataset: %w", err)
	}
	for first := 0; first < size; first += setupBatch {
		var files []client.DIDName
		for i := first; i < min(first+setupBatch, size); i++ {
			files = append(files, client.DIDName{Scope: scope, Name: string(appendName(nil, p.run, 0, n*size+i))})
		}
		if err := c.Attach(ctx, dataset, files); err != nil {
			return fmt.Errorf("attach files: %w", err)
		}
	}
	return nil
}

// marker is the last DID that setup adds: who has it has all.
func (p *plan) marker() client.DIDName {
	return client.DIDName{Scope: scope, Name: p.run + ".ready"}
}

// settle waits until every target has what was written last, for the clients ask without a session.
func (p *plan) settle(ctx context.Context, c *client.Client) error {
	if err := there(c.AddDID(ctx, p.marker(), "DATASET")); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for _, target := range p.Targets {
		if err := p.awaitMarker(ctx, target); err != nil {
			return fmt.Errorf("%s has not got what was set up: %w", target, err)
		}
	}
	return nil
}

func (p *plan) awaitMarker(ctx context.Context, target string) error {
	c, err := p.client([]string{target})
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		_, err := c.GetDID(ctx, p.marker())
		if !errors.Is(err, client.ErrNotFound) {
			return err
		}
		if httpload.Pause(ctx, 50*time.Millisecond) != nil {
			return err
		}
	}
}

// checkOwn says clearly that a server lacks a route which is Dapple's own.
func (p *plan) checkOwn(ctx context.Context, c *client.Client) error {
	for _, err := range c.Exists(ctx, []client.DIDName{p.marker()}, "") {
		var answer *client.Error
		if errors.As(err, &answer) && (answer.Status == http.StatusNotFound || answer.Status == http.StatusMethodNotAllowed) {
			return fmt.Errorf("the server has no POST %s, which is Dapple's own: workload %s cannot be run against it", existsPath, p.Workload)
		}
		return err
	}
	return nil
}
