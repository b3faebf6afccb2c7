package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// passwordVariable is the variable of --password.
const passwordVariable = "DAPPLE_PASSWORD"

// credentials are how a command that is a client of the API logs in.
type credentials struct {
	User         string `required:"" help:"User name to log in with."`
	Password     string `help:"Password. Every user of the host can see it in the list of processes: prefer --password-file, the variable, or the prompt." env:"DAPPLE_PASSWORD"`
	PasswordFile string `help:"File with the password." placeholder:"FILE"`
}

// password returns the password from the file, the variable, the flag or, on a terminal, a prompt.
// It warns about the flag, which other users of the host can see.
func (c *credentials) password(s *streams) (string, error) {
	switch {
	case c.PasswordFile != "":
		return readPassword(c.PasswordFile)
	case c.Password != "" && c.Password != os.Getenv(passwordVariable):
		fmt.Fprintf(s.err, "dapple: warning: every user of this host can see --password in the list of processes; use --password-file or %s\n", passwordVariable)
		return c.Password, nil
	case c.Password != "":
		return c.Password, nil
	}
	return promptPassword(s.err, c.User)
}

// readPassword returns the content of a file without the line break at its end.
func readPassword(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// promptPassword asks the terminal, which is not the standard input: that may carry data.
func promptPassword(w io.Writer, user string) (string, error) {
	missing := errors.New("no password: give --password-file or " + passwordVariable + ", or start the command on a terminal")
	if f, ok := w.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return "", missing
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", missing
	}
	defer tty.Close()
	fmt.Fprintf(tty, "Password of %s: ", user)
	secret, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(tty)
	if err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	return string(secret), nil
}
