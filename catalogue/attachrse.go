package catalogue

import "dapple/command"

// filesAtRSE are the files that a command registers at one RSE.
type filesAtRSE struct {
	rse   string
	files []*command.NewFile
	// sizeless are the files whose size was not given; sized is set while no file came first without its size.
	sizeless []bool
	sized    bool
	places   map[DIDName]int // in files
}

// atRSE notes that children of a dataset are to be registered at an RSE; "" is none.
func (a *attacher) atRSE(rse string, children []*command.Child) {
	if rse == "" || len(children) == 0 {
		return
	}
	at := a.atRSEs[rse]
	if at == nil {
		if a.atRSEs == nil {
			a.atRSEs, a.firstRSE = map[string]*filesAtRSE{}, map[DIDName]*filesAtRSE{}
		}
		at = &filesAtRSE{rse: rse, sized: true, places: map[DIDName]int{}}
		a.atRSEs[rse] = at
		a.rses = append(a.rses, at)
	}
	for _, child := range children {
		name := DIDName{child.GetFile().GetScope(), child.GetFile().GetName()}
		switch first := a.firstRSE[name]; {
		case first == nil:
			a.firstRSE[name] = at
		case first != at && a.twice == nil:
			a.twice = &name
		}
		at.add(name, child)
	}
}

// add notes a file. One that is named again adds its size where that was not given before.
func (r *filesAtRSE) add(name DIDName, child *command.Child) {
	file := child.GetFile()
	if file == nil { // no client says nothing of a file; what does is refused like one without a name
		file = &command.NewFile{}
	}
	place, again := r.places[name]
	switch {
	case !again:
		r.places[name] = len(r.files)
		r.files = append(r.files, file)
		r.sizeless = append(r.sizeless, !child.HasBytes)
		r.sized = r.sized && child.HasBytes
	case r.sizeless[place] && child.HasBytes:
		r.files[place], r.sizeless[place] = file, false
	}
}

// planReplicas checks the files noted by atRSE; from then on they are known to find. Of files that are registered already
// the catalogue knows sizes and checksums, so that they need none. Before feature level 1 every file needs its size, and
// none may be registered at two RSEs.
func (a *attacher) planReplicas() error {
	if len(a.rses) == 0 {
		return nil
	}
	level, err := FeatureLevel(a.v)
	if err != nil {
		return err
	}
	if a.twice != nil && level < 1 {
		return Errorf(command.CodeInvalidValue, "File %s is to be registered at two RSEs", *a.twice)
	}
	for _, r := range a.rses {
		if err := a.planAt(r, level); err != nil {
			return err
		}
	}
	return nil
}

// planAt checks the files of one RSE.
func (a *attacher) planAt(r *filesAtRSE, level uint64) error {
	rse, err := sharedRSE(a.v, r.rse)
	if err != nil {
		return a.schema.rseMissing(r.rse, err)
	}
	if err := Authorize(a.v, a.at.Issuer, ActionAddReplicas, rse.Name); err != nil {
		return err
	}
	var attached *attachedFiles
	if level >= 1 {
		attached = &attachedFiles{sizeless: r.sizeless}
		if a.twice != nil {
			attached.elsewhere = a.dids
		}
	} else if !r.sized {
		return Errorf(command.CodeInvalidObject, "files to be registered at %s need their size in bytes", rse.Name)
	}
	plan, err := checkNewReplicas(a.v, a.at, rse, r.files, attached, nil)
	if err != nil {
		return err
	}
	if err := plan.authorizeNewFiles(a.v, a.at); err != nil {
		return err
	}
	for i := range plan.files {
		f := &plan.files[i]
		if attached.registered(f.ref) == nil {
			a.remember(&changedDID{ref: f.ref, did: f.d, planned: f.meta})
		}
	}
	a.plans = append(a.plans, plan)
	return nil
}
