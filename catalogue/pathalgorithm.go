package catalogue

import (
	"crypto/md5" //nolint:gosec // spreads files over directories, protects nothing
	"encoding/hex"
	"strings"

	"dapple/command"
)

// The path algorithms that every catalogue has. Settings of the cluster add others, see pathsetting.go.
const (
	algorithmHash     = "hash"
	algorithmIdentity = "identity"
	// algorithmDefault is another name of the cluster's default.
	algorithmDefault = "default"
)

// PathAlgorithm returns the name of the algorithm that makes paths at a deterministic RSE: the attribute lfn2pfn_algorithm, or
// the cluster's default where that is not set or "default".
func (r *RSE) PathAlgorithm() string {
	name, found := r.Attribute(AttributePathAlgorithm)
	switch {
	case found && name != "" && name != algorithmDefault:
		return name
	case r.defaultAlgorithm != "":
		return r.defaultAlgorithm
	default:
		return algorithmHash
	}
}

// Path returns where a deterministic RSE keeps a file, without a leading slash. By the algorithm "hash" that is the scope, two
// directories made of the first four digits of the MD5 of scope:name, and the name; by "identity" scope and name. Dots
// of the scope are slashes where it begins with user or group. An algorithm that is not known, which could be set before feature
// level 1, makes the paths of "identity".
func (r *RSE) Path(scope, name string) string {
	if r.template != nil {
		return string(r.template.appendPath(nil, scope, name))
	}
	directory := scopeDirectory(scope)
	if r.PathAlgorithm() == algorithmHash {
		h := pathHash(scope, name)
		return directory + "/" + h[0:2] + "/" + h[2:4] + "/" + name
	}
	return directory + "/" + name
}

func scopeDirectory(scope string) string {
	if strings.HasPrefix(scope, "user") || strings.HasPrefix(scope, "group") {
		return strings.ReplaceAll(scope, ".", "/")
	}
	return scope
}

// pathHash returns the four digits that choose the directories.
func pathHash(scope, name string) string {
	var h pathHasher
	return h.digits(scope, name)
}

// pathHasher is pathHash for many files.
type pathHasher struct{ text []byte }

func (h *pathHasher) digits(scope, name string) string {
	h.text = append(append(append(h.text[:0], scope...), ':'), name...)
	sum := md5.Sum(h.text) //nolint:gosec // see the import
	var digits [4]byte
	hex.Encode(digits[:], sum[:2])
	return string(digits[:])
}

// filesAt visits the files that this deterministic RSE may keep at a path, the likeliest first, until visit returns false. Below
// feature level 1 only "hash" looked for more than one. It returns the number of steps that it took.
func (r *RSE) filesAt(path string, level uint64, visit func(scope, name string) bool) (steps int, err error) {
	switch {
	case r.template != nil && !r.template.reversible():
		return 0, Errorf(command.CodeInvalidPath, "RSE '%s': its path algorithm '%s' makes paths that do not tell scope and name; "+
			"name its files by scope and name", r.Name, r.PathAlgorithm())
	case r.template != nil:
		return r.template.filesAt(strings.TrimLeft(path, "/"), visit), nil
	case level >= 1 && r.PathAlgorithm() == algorithmIdentity:
		identityFilesAt(path, visit)
		return 0, nil
	}
	if scope, name, ok := r.scopeNameFromPath(path); ok {
		visit(scope, name)
	}
	return 0, nil
}

// identityFilesAt visits the files that "identity" puts at a path: of a scope that begins with user or group each number of
// directories may be the scope.
func identityFilesAt(path string, visit func(scope, name string) bool) {
	parts := strings.Split(strings.TrimLeft(path, "/"), "/")
	for i := 1; i < len(parts) && i <= templateScope; i++ {
		scope, name := strings.Join(parts[:i], "."), strings.Join(parts[i:], "/")
		if scope == "" || name == "" || scopeDirectory(scope) != strings.Join(parts[:i], "/") {
			continue
		}
		if !visit(scope, name) {
			return
		}
	}
}

// scopeNameFromPath returns scope and name of the file at a path of this deterministic RSE. Where the rule is "hash", the two
// directories prove which split is right; a path that none fits is taken to be of another rule. Then, as by "identity", the
// first directory is the scope; the name is the rest by "identity" and the last part of the path by any other rule.
func (r *RSE) scopeNameFromPath(path string) (scope, name string, ok bool) {
	parts := strings.Split(strings.TrimLeft(path, "/"), "/")
	if len(parts) < 2 || parts[0] == "" || len(parts) == 2 && parts[1] == "" {
		return "", "", false
	}
	if r.PathAlgorithm() != algorithmHash {
		return parts[0], strings.Join(parts[1:], "/"), true
	}
	for i := 1; i+2 < len(parts) && i <= maxScopeName; i++ {
		scope, name = strings.Join(parts[:i], "."), strings.Join(parts[i+2:], "/")
		if len(parts[i]) == 2 && len(parts[i+1]) == 2 && pathHash(scope, name) == parts[i]+parts[i+1] &&
			scopeDirectory(scope) == strings.Join(parts[:i], "/") {
			return scope, name, true
		}
	}
	name = parts[len(parts)-1]
	return parts[0], name, name != ""
}
