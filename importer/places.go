package importer

import (
	"context"
	"errors"
	"fmt"

	"dapple/client"
)

// ErrMissing is in the error of an import that a scope or an RSE was missing for.
var ErrMissing = errors.New("does not exist")

// places are the scopes and RSEs that are there. One goroutine uses it.
type places struct {
	client  *client.Client
	account string
	create  bool
	scopes  map[string]bool
	rses    map[string]bool // by name, whether it is deterministic
}

func findPlaces(ctx context.Context, c *client.Client, cfg Config) (*places, error) {
	p := &places{client: c, account: cfg.Account, create: cfg.Create, scopes: map[string]bool{}, rses: map[string]bool{}}
	scopes, err := c.Scopes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list scopes: %w", err)
	}
	for _, scope := range scopes {
		p.scopes[scope] = true
	}
	for rse, err := range c.ListRSEs(ctx, "") {
		if err != nil {
			return nil, fmt.Errorf("list RSEs: %w", err)
		}
		p.rses[rse.RSE] = rse.Deterministic
	}
	return p, nil
}

// scope makes sure that a scope is there.
func (p *places) scope(ctx context.Context, scope string) error {
	if p.scopes[scope] {
		return nil
	}
	if !p.create {
		return fmt.Errorf("scope %s %w", scope, ErrMissing)
	}
	if err := there(p.client.AddScope(ctx, p.account, scope)); err != nil {
		return fmt.Errorf("add scope %s: %w", scope, err)
	}
	p.scopes[scope] = true
	return nil
}

// rse makes sure that an RSE is there. One that is added is deterministic and has no protocol.
func (p *places) rse(ctx context.Context, rse string) (deterministic bool, err error) {
	if deterministic, known := p.rses[rse]; known {
		return deterministic, nil
	}
	if !p.create {
		return false, fmt.Errorf("RSE %s %w", rse, ErrMissing)
	}
	if err := there(p.client.AddRSE(ctx, rse, client.RSESettings{})); err != nil {
		return false, fmt.Errorf("add RSE %s: %w", rse, err)
	}
	p.rses[rse] = true
	return true, nil
}

// there takes what exists already for made.
func there(err error) error {
	if errors.Is(err, client.ErrConflict) {
		return nil
	}
	return err
}
