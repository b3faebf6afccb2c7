// Package environ makes the environment of processes that tests and experiments start.
package environ

import (
	"os"
	"slices"
	"strings"
)

// Dapple returns the environment for a process of dapple: this one's without the variables that dapple would read or refuse,
// and with the given ones, each as NAME=value.
func Dapple(extra ...string) []string {
	own := slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "DAPPLE_") })
	return append(own, extra...)
}
