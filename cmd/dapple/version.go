package main

import (
	"fmt"
	"runtime"

	"dapple/internal/version"
)

type versionCmd struct{}

// Run prints the version of Dapple and of the Go that built it.
func (versionCmd) Run(s *streams) error {
	_, err := fmt.Fprintf(s.out, "dapple %s (%s %s/%s)\n", version.String(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
