package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"

	"dapple/client"
)

// accountCmd are the commands about accounts and how they log in.
type accountCmd struct {
	SetPassword setPasswordCmd `cmd:"" help:"Change your password, or as an admin reset that of another user name."`
}

// tokenCmd are the commands about tokens and the keys that sign them.
type tokenCmd struct {
	Revoke    revokeCmd    `cmd:"" help:"Make void one token, or all that an account has."`
	Keys      listKeysCmd  `cmd:"" help:"List the keys that sign tokens; for root."`
	RotateKey rotateKeyCmd `cmd:"" help:"Make a new key, which signs tokens from now on; for root."`
	DeleteKey deleteKeyCmd `cmd:"" help:"Delete a key: all tokens that it has signed are void; for root."`
}

// session is where a command asks, and as whom.
type session struct {
	URL     []string    `name:"url" default:"http://127.0.0.1:8080" help:"Base URLs of the nodes."`
	CA      string      `name:"ca" help:"Certificates of the authorities that the node's certificate must come from (PEM); by default those of the system." placeholder:"FILE"`
	Login   credentials `embed:""`
	Account string      `help:"Account to act for; by default the user's default or only one."`
}

// open returns a client and the password that it logs in with.
func (a *session) open(s *streams) (*client.Client, string, error) {
	password, err := a.Login.password(s)
	if err != nil {
		return nil, "", &exitError{exitUsage, err}
	}
	var config *tls.Config
	if a.CA != "" {
		trusting, err := (&healthCmd{CA: a.CA}).client()
		if err != nil {
			return nil, "", &exitError{exitUsage, err}
		}
		config = trusting.Transport.(*http.Transport).TLSClientConfig
	}
	c, err := client.New(client.Config{URLs: a.URL, Account: a.Account, User: a.Login.User, Password: password, TLS: config})
	if err != nil {
		return nil, "", &exitError{exitUsage, err}
	}
	return c, password, nil
}

// do opens a client for one piece of work.
func (a *session) do(s *streams, work func(c *client.Client) error) error {
	c, _, err := a.open(s)
	if err != nil {
		return err
	}
	defer c.Close()
	return work(c)
}

type setPasswordCmd struct {
	Session         session `embed:""`
	Identity        string  `help:"User name whose password is reset; by default your own is changed." placeholder:"USER"`
	NewPasswordFile string  `help:"File with the new password; by default the terminal asks for it." placeholder:"FILE"`
}

// Run changes or resets a password.
func (p *setPasswordCmd) Run(ctx context.Context, s *streams) error {
	c, current, err := p.Session.open(s)
	if err != nil {
		return err
	}
	defer c.Close()
	fresh, err := p.newPassword(s)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	if p.Identity != "" {
		return c.ResetPassword(ctx, p.Identity, fresh)
	}
	return c.SetPassword(ctx, current, fresh)
}

// newPassword reads the new password from the file, or asks for it twice.
func (p *setPasswordCmd) newPassword(s *streams) (string, error) {
	if p.NewPasswordFile != "" {
		return readPassword(p.NewPasswordFile)
	}
	once, err := promptPassword(s.err, "the new login")
	if err != nil {
		return "", errors.New("no new password: give --new-password-file, or start the command on a terminal")
	}
	again, err := promptPassword(s.err, "the new login, again")
	if err == nil && once != again {
		err = errors.New("the two passwords differ")
	}
	return once, err
}

type revokeCmd struct {
	Session   session `embed:""`
	TokenFile string  `help:"File with the token to revoke." placeholder:"FILE"`
	Of        string  `arg:"" optional:"" name:"account" help:"Account whose tokens are all revoked."`
}

// Run revokes.
func (r *revokeCmd) Run(ctx context.Context, s *streams) error {
	if (r.Of == "") == (r.TokenFile == "") {
		return &exitError{exitUsage, errors.New("give an account or --token-file")}
	}
	return r.Session.do(s, func(c *client.Client) error {
		if r.Of != "" {
			return c.RevokeTokens(ctx, r.Of)
		}
		token, err := os.ReadFile(r.TokenFile)
		if err != nil {
			return err
		}
		return c.RevokeToken(ctx, string(token))
	})
}

type listKeysCmd struct {
	Session session `embed:""`
}

// Run lists the keys, the newest last.
func (l *listKeysCmd) Run(ctx context.Context, s *streams) error {
	return l.Session.do(s, func(c *client.Client) error {
		keys, err := c.SigningKeys(ctx)
		for _, key := range keys {
			mark := ""
			if key.Signs {
				mark = "  signs new tokens"
			}
			fmt.Fprintf(s.out, "%s  %s%s\n", key.ID, key.Created, mark)
		}
		return err
	})
}

type rotateKeyCmd struct {
	Session session `embed:""`
}

// Run makes a key and prints its id.
func (r *rotateKeyCmd) Run(ctx context.Context, s *streams) error {
	return r.Session.do(s, func(c *client.Client) error {
		id, err := c.RotateSigningKey(ctx)
		if err == nil {
			fmt.Fprintln(s.out, id)
		}
		return err
	})
}

type deleteKeyCmd struct {
	Session session `embed:""`
	ID      string  `arg:"" help:"The key's id."`
}

// Run deletes a key.
func (d *deleteKeyCmd) Run(ctx context.Context, s *streams) error {
	return d.Session.do(s, func(c *client.Client) error { return c.DeleteSigningKey(ctx, d.ID) })
}
