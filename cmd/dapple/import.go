package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"dapple/client"
	"dapple/importer"
)

// importCmd fills a catalogue from lines of JSON.
type importCmd struct {
	Target  []string    `required:"" help:"Base URLs of the nodes; requests spread over them." placeholder:"URL"`
	Login   credentials `embed:""`
	Account string      `default:"root" help:"Account to act for."`
	Clients int         `default:"8" help:"Requests under way at a time."`
	Batch   int         `default:"1000" help:"Most items in a request."`
	Create  bool        `help:"Add scopes and RSEs that are missing: the RSEs deterministic and without a protocol."`
	Dataset string      `help:"Dataset of the lines that name none." placeholder:"SCOPE:NAME"`
	Files   []string    `arg:"" optional:"" name:"file" help:"Files to import; - or none is standard input."`
}

// shownRefusals is how many refusals are printed; the rest is counted.
const shownRefusals = 100

// Run imports and prints a summary. Items that were refused are a failure of the command.
func (i *importCmd) Run(ctx context.Context, s *streams) error {
	dataset, err := didName(i.Dataset)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	password, err := i.Login.password(s)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	sources, size, closeAll, err := openSources(i.Files)
	if err != nil {
		return err
	}
	defer closeAll()
	show, done := progress(s.err)
	refused := 0
	summary, err := importer.Run(ctx, importer.Config{
		Targets: i.Target, User: i.Login.User, Password: password, Account: i.Account, Clients: i.Clients, Batch: i.Batch,
		Create: i.Create, Dataset: dataset,
		Refused: func(r importer.Refusal) {
			if refused++; refused <= shownRefusals {
				fmt.Fprintln(s.err, r)
			}
		},
		Progress: importProgress(show, size),
	}, sources...)
	done()
	switch {
	case errors.Is(err, importer.ErrConfig):
		return &exitError{exitUsage, err}
	case errors.Is(err, importer.ErrMissing) && !i.Create:
		err = fmt.Errorf("%w; --create adds it", err)
	}
	if summary.Lines > 0 {
		printSummary(s.out, summary)
	}
	if err == nil && summary.Refused > 0 {
		err = fmt.Errorf("%d items were refused", summary.Refused)
		if summary.Refused > shownRefusals {
			err = fmt.Errorf("%w, of which the first %d are shown", err, shownRefusals)
		}
	}
	return err
}

func printSummary(w io.Writer, s importer.Summary) {
	fmt.Fprintf(w, "%d lines, %d files, %d replicas, %d datasets created, %d files in datasets, %d refused\n",
		s.Lines, s.Files, s.Replicas, s.Datasets, s.Attached, s.Refused)
	fmt.Fprintf(w, "%.1f s: %.0f files/s, %.0f replicas/s\n", s.Elapsed.Seconds(), s.Rate(s.Files), s.Rate(s.Replicas))
}

// importProgress shows how much of the input is read. Where its size is not known the bar stays empty and counts.
func importProgress(show func(string, float64), size int64) func(importer.Summary) {
	if show == nil {
		return nil
	}
	return func(s importer.Summary) {
		part := 0.0
		if size > 0 {
			part = min(float64(s.Read)/float64(size), 1)
		}
		show(fmt.Sprintf("%d lines, %.0f replicas/s", s.Lines, s.Rate(s.Replicas)), part)
	}
}

// didName reads a dataset's name as scope:name; "" is none.
func didName(text string) (client.DIDName, error) {
	scope, name, found := strings.Cut(text, ":")
	if text != "" && (!found || scope == "" || name == "") {
		return client.DIDName{}, fmt.Errorf("--dataset %q is not SCOPE:NAME", text)
	}
	return client.DIDName{Scope: scope, Name: name}, nil
}

// openSources opens the files of an import, and returns their size together, 0 where it is not known.
func openSources(names []string) (sources []importer.Source, size int64, closeAll func(), err error) {
	var opened []io.Closer
	closeAll = func() {
		for _, c := range opened {
			c.Close()
		}
	}
	if len(names) == 0 {
		names = []string{"-"}
	}
	known := true
	for _, name := range names {
		if name == "-" {
			sources, known = append(sources, importer.Source{Name: "standard input", Reader: os.Stdin}), false
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			closeAll()
			return nil, 0, nil, err
		}
		opened = append(opened, f)
		info, err := f.Stat()
		known = known && err == nil && info.Mode().IsRegular()
		if known {
			size += info.Size()
		}
		sources = append(sources, importer.Source{Name: name, Reader: f})
	}
	if !known {
		size = 0
	}
	return sources, size, closeAll, nil
}
