// Package version says which version of Dapple this is.
package version

import (
	"runtime/debug"
	"strings"
)

// Number is the version of the source. A release raises it.
const Number = "0.1.0"

// String returns the version, with the commit it was built from where the build recorded one.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Number
	}
	var revision, modified string
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			modified = s.Value
		}
	}
	if revision == "" {
		return Number
	}
	if len(revision) > 12 {
		revision = revision[:12]
	}
	return Number + "+" + revision + strings.Repeat(".dirty", boolToInt(modified == "true"))
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
