package catalogue

import (
	"strings"

	"dapple/command"
)

// SettingPathTraversal is the name of the setting that lets new names, paths and prefixes have the segments "." and "..".
const SettingPathTraversal = "allow-path-traversal"

func checkPathTraversal(_, value string) error {
	if value != "true" && value != "false" {
		return Errorf(command.CodeInvalidValue, "'%.64s' must be true or false", value)
	}
	return nil
}

// checkSegments refuses a text that becomes part of a path at a storage element and would lead out of its directory
// there. It refuses nothing below feature level 2, or where the cluster allows it.
func (s *NameSchema) checkSegments(what, text string) error {
	if !s.strictPaths || !leavesDirectory(text) {
		return nil
	}
	return Errorf(command.CodeInvalidPath, "%s '%.256s' has the segment '.' or '..', which leads to another directory at the storage; "+
		"root may allow it with the setting %s", what, text, SettingPathTraversal)
}

// leavesDirectory reports whether a path has a segment "." or "..", also where its dots or slashes are percent-encoded, as
// servers may decode them.
func leavesDirectory(path string) bool {
	if strings.IndexByte(path, '.') < 0 && strings.IndexByte(path, '%') < 0 {
		return false
	}
	if strings.IndexByte(path, '%') >= 0 {
		for range 3 { // what is encoded twice is decoded twice by some
			path = decodedDots.Replace(path)
		}
	}
	for start := 0; start <= len(path); {
		end := strings.IndexByte(path[start:], '/')
		if end < 0 {
			end = len(path) - start
		}
		if segment := path[start : start+end]; segment == "." || segment == ".." {
			return true
		}
		start += end + 1
	}
	return false
}

var decodedDots = strings.NewReplacer("%2e", ".", "%2E", ".", "%2f", "/", "%2F", "/", "%25", "%")
