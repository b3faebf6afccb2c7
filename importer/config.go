// Package importer fills a catalogue from lines of JSON, one file with its replicas and datasets a line, through the bulk calls of
// Rucio's REST API. docs/import.md describes the lines. It knows the API alone.
package importer

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"dapple/client"
)

// Config says where to import to and how. Targets, User and Password are required.
type Config struct {
	// Targets are base URLs, http://host:port; requests spread over them.
	Targets []string
	// User and Password log in for Account: root.
	User, Password, Account string
	// Clients is how many requests are under way at a time, 1 to 64: 8.
	Clients int
	// Batch is the most items in a request, 1 to 10000: 1000.
	Batch int
	// Create adds scopes and RSEs that lines name and that are missing; without it the first such line ends the import.
	Create bool
	// Dataset is the dataset of lines that name none; the zero value is none.
	Dataset client.DIDName
	// Refused, where it is set, is told of each item that was refused. It is never called twice at a time.
	Refused func(Refusal)
	// Progress, where it is set, is told now and then how far the import is. It is never called twice at a time.
	Progress func(Summary)
}

// Source is a text to import. Name stands in messages.
type Source struct {
	Name string
	io.Reader
}

// ErrConfig is what Run returns, wrapped, for a configuration that cannot be run.
var ErrConfig = errors.New("wrong setting")

const (
	maxClients = 64
	maxBatch   = 10000
	// attempts is how often a request is sent: with the client's pauses, for about three minutes in which a cluster has no room or
	// no leader.
	attempts = 120
)

func (c Config) withDefaults() (Config, error) {
	c.Account = cmp.Or(c.Account, "root")
	c.Clients, c.Batch = cmp.Or(c.Clients, 8), cmp.Or(c.Batch, 1000)
	switch {
	case c.Clients < 1 || c.Clients > maxClients:
		return c, fmt.Errorf("%w: clients must be 1 to %d, not %d", ErrConfig, maxClients, c.Clients)
	case c.Batch < 1 || c.Batch > maxBatch:
		return c, fmt.Errorf("%w: batch must be 1 to %d, not %d", ErrConfig, maxBatch, c.Batch)
	case (c.Dataset.Scope == "") != (c.Dataset.Name == ""):
		return c, fmt.Errorf("%w: a dataset needs a scope and a name", ErrConfig)
	}
	return c, nil
}

// connect makes a client for each target that asks that one first: a client stays with the node that answers.
func (c Config) connect() ([]*client.Client, error) {
	if len(c.Targets) == 0 {
		return nil, fmt.Errorf("%w: no target", ErrConfig)
	}
	var all []*client.Client
	for i := range c.Targets {
		urls := append(append([]string(nil), c.Targets[i:]...), c.Targets[:i]...)
		one, err := client.New(client.Config{URLs: urls, User: c.User, Password: c.Password, Account: c.Account, Attempts: attempts})
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		all = append(all, one)
	}
	return all, nil
}
