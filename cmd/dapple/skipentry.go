package main

import (
	"fmt"
	"io"
	"time"

	"dapple/cluster"
	"dapple/node"
)

// skipEntryCmd is the way out if all nodes stop at an entry of the log.
type skipEntryCmd struct {
	DataDir string `required:"" help:"Folder of the node's log and state. The node must not run."`
	Index   uint64 `required:"" help:"Index of the entry, from the message with which the node stopped."`
	Digest  string `help:"Digest of the entry, as shown without this flag: skip it."`
}

// Run shows the entry, and skips it if its digest is given.
func (c *skipEntryCmd) Run(s *streams) error {
	e, err := node.ReadEntry(c.DataDir, c.Index)
	if err != nil {
		return withExitCode(err, c.DataDir)
	}
	if err := showEntry(s.out, e); err != nil {
		return err
	}
	switch {
	case e.Skipped:
		_, err = fmt.Fprintln(s.out, "The entry carries nothing: it is skipped already.")
		return err
	case c.Digest == "":
		_, err = fmt.Fprintf(s.out, "Nothing was changed. If this entry has the same digest on all nodes and all are stopped, skip it on each:\n"+
			"  dapple skip-entry --data-dir %s --index %d --digest %s\n", c.DataDir, e.Index, e.Digest)
		return err
	}
	if err := node.SkipEntry(c.DataDir, c.Index, c.Digest); err != nil {
		return withExitCode(err, c.DataDir)
	}
	_, err = fmt.Fprintln(s.out, "The entry is skipped on this node. Skip it on all nodes before you start the first.")
	return err
}

func showEntry(w io.Writer, e cluster.StoredEntry) error {
	if _, err := fmt.Fprintf(w, "entry %d of term %d, %d bytes\ndigest %s\n", e.Index, e.Term, e.Bytes, e.Digest); err != nil || e.Skipped {
		return err
	}
	if e.Undecodable != nil {
		_, err := fmt.Fprintf(w, "cannot be decoded: %v\n", e.Undecodable)
		return err
	}
	if _, err := fmt.Fprintf(w, "time %s\n", e.Time.Format(time.RFC3339Nano)); err != nil {
		return err
	}
	for i, c := range e.Commands {
		if _, err := fmt.Fprintf(w, "command %d: %s of %d bytes, issuer %q\n", i, c.Type, len(c.Payload), c.Issuer); err != nil {
			return err
		}
	}
	return nil
}
