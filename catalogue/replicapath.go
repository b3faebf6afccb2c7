package catalogue

import (
	"strings"

	"dapple/command"
)

// pathCheck checks the PFNs of files that are to lie at one RSE, all in one command.
type pathCheck struct {
	rse    *RSE
	schema *NameSchema
	// taken are the paths that files of the same command get.
	taken map[string]didRef
}

// path returns the path that is kept with the replica: none at a deterministic RSE, where a PFN has only to be the expected
// one, and what follows the protocol's prefix at any other.
func (c *pathCheck) path(f *command.NewFile) (string, error) {
	if c.rse.Deterministic {
		if err := c.rse.checkTemplatePath(f.Scope, f.Name); err != nil {
			return "", err
		}
	}
	switch {
	case f.Pfn == "":
		return "", nil
	case !c.rse.Deterministic:
		path, ok := c.rse.PathOfPFN(f.Pfn, c.schema.hashInPath())
		if strings.HasSuffix(path, "/") {
			return "", Errorf(command.CodeInvalidPath, "PFN '%.512s' of %s:%s is that of a directory", f.Pfn, f.Scope, f.Name)
		}
		if !ok {
			return "", Errorf(command.CodeInvalidPath, "PFN '%.512s' of %s:%s belongs to no protocol of %s", f.Pfn, f.Scope, f.Name, c.rse.Name)
		}
		return path, c.schema.checkSegments("path", path)
	case !c.rse.AcceptsPFN(f.Scope, f.Name, f.Pfn):
		return "", Errorf(command.CodeInvalidPath, "PFN '%.512s' of %s:%s does not match the expected PFNs of %s", f.Pfn, f.Scope, f.Name, c.rse.Name)
	default:
		return "", nil
	}
}

// claim refuses a path that another file of the catalogue or of the command has.
func (c *pathCheck) claim(v View, ref didRef, path string) error {
	if other, found := c.taken[path]; found && other != ref {
		return Errorf(command.CodeInvalidValue, "Path %s at %s is named for two files", path, c.rse.Name)
	}
	if c.taken == nil {
		c.taken = map[string]didRef{}
	}
	c.taken[path] = ref
	other, found, err := fileAtPath(v, c.rse.ID, path)
	if err != nil {
		return err
	}
	if found && other != ref {
		return Errorf(command.CodeReplicaExists, "Path %s at %s belongs to another file, %s", path, c.rse.Name, other.name)
	}
	return nil
}

// release gives back a path that a file does not take after all.
func (c *pathCheck) release(ref didRef, path string) {
	if c.taken[path] == ref {
		delete(c.taken, path)
	}
}

// fileAtPath returns the file that lies at a path of a non-deterministic RSE.
func fileAtPath(v View, rse uint32, path string) (didRef, bool, error) {
	b, found, err := v.Get(rsePathKey(rse, path))
	if err != nil || !found {
		return didRef{}, false, err
	}
	ref, err := parseRef(b)
	return ref, err == nil, err
}
