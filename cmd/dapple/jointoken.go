package main

import (
	"context"
	"fmt"
	"time"

	"dapple/client"
	"dapple/transport"
)

// joinTokenCmd makes a join token.
type joinTokenCmd struct {
	URL      []string      `name:"url" default:"http://127.0.0.1:8080" help:"Base URLs of nodes of the cluster."`
	Login    credentials   `embed:""`
	Lifetime time.Duration `default:"1h" help:"How long the token is good; 24h at most."`
}

// Run prints a token that lets one node join within its lifetime.
func (j *joinTokenCmd) Run(ctx context.Context, s *streams) error {
	password, err := j.Login.password(s)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	c, err := client.New(client.Config{URLs: j.URL, Account: "root", User: j.Login.User, Password: password})
	if err != nil {
		return &exitError{exitUsage, err}
	}
	defer c.Close()
	token, err := transport.NewKey()
	if err != nil {
		return err
	}
	if err := c.AddJoinToken(ctx, token, j.Lifetime); err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, token)
	return err
}

// clusterKeyCmd makes a cluster key.
type clusterKeyCmd struct{}

// Run prints a key for --cluster-key-file.
func (clusterKeyCmd) Run(s *streams) error {
	key, err := transport.NewKey()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, key)
	return err
}
