package catalogue

import "dapple/command"

// attachedFiles says what is different about files that are registered at an RSE because they are attached to a dataset: the
// catalogue knows the size and the path of those that are registered already. nil stands for a plain registration.
type attachedFiles struct {
	// sizeless are the files, by their places in the command, whose size was not given.
	sizeless []bool
	// elsewhere has the files that the same command registers at other RSEs; nil where there are none.
	elsewhere map[didRef]*changedDID
}

// unsized reports whether the size of a file was not given.
func (a *attachedFiles) unsized(item int) bool { return a != nil && a.sizeless[item] }

// registered returns the record of a file as the same command has left it so far, nil where it has not touched the file.
func (a *attachedFiles) registered(ref didRef) *DID {
	if a == nil || a.elsewhere[ref] == nil {
		return nil
	}
	return a.elsewhere[ref].did
}

// needPFN refuses a file without a PFN at a non-deterministic RSE.
func (c *planCheck) needPFN(f *command.NewFile) error {
	if f.Pfn == "" && !c.plan.rse.Deterministic {
		return Errorf(command.CodeUnsupportedOperation, "PFN needed for this (non deterministic) RSE %s ", c.plan.rse.Name)
	}
	return nil
}

// path returns the path that a file asks for. A path that another file has is a conflict, which does not matter where the
// replica exists already and keeps its own path; before feature level 1 it is an error at once.
func (c *planCheck) path(n namedFile) (path string, conflict, err error) {
	path, err = c.paths.path(n.file)
	if err != nil || path == "" {
		return "", nil, err
	}
	conflict = c.paths.claim(c.v, n.ref, path)
	if conflict == nil {
		return path, nil, nil
	}
	if CodeOf(conflict) == command.CodeInternal {
		return "", nil, conflict
	}
	level, err := FeatureLevel(c.v)
	if err == nil && level < 1 {
		err = conflict
	}
	return path, conflict, err
}

// keepPath decides on a replica that exists and was named with another path, or none: it keeps the path that it has. Before
// feature level 1 it is refused.
func (c *planCheck) keepPath(p *plannedFile, f *command.NewFile, has, named string) error {
	level, err := FeatureLevel(c.v)
	if err != nil {
		return err
	}
	if level < 1 {
		return Errorf(command.CodeReplicaExists, "File replica %s:%s already exists at %s with path %s", f.Scope, f.Name, c.plan.rse.Name, has)
	}
	p.pathKept = named != ""
	c.paths.release(p.ref, named)
	return nil
}
