package catalogue

import (
	"cmp"
	"regexp"
	"strings"

	"dapple/command"
)

// attacher checks and gathers attachments, with the replicas of files that are registered on the way.
type attacher struct {
	*didChanges
	ignoreDuplicate bool
	rses            []*filesAtRSE // in the order in which they are named
	atRSEs          map[string]*filesAtRSE
	firstRSE        map[DIDName]*filesAtRSE // where a file is to be registered first
	plans           []*replicaPlan
	twice           *DIDName
}

// write carries everything out: replicas first, for the attachments count on their files.
func (a *attacher) write(tx Tx) error {
	for _, plan := range a.plans {
		if err := plan.write(tx, a.at); err != nil {
			return err
		}
	}
	return a.didChanges.write(tx)
}

// check refuses what the attachments come to as a whole.
func (a *attacher) check() error {
	if a.work.limited {
		if err := a.checkCircles(); err != nil {
			return err
		}
	}
	if err := a.checkMetadataSizes(); err != nil {
		return err
	}
	return a.checkEvents()
}

// checkRSEName refuses an RSE that does not exist; "" is none.
func (c *didChanges) checkRSEName(name string) error {
	if name == "" || c.rses[name] {
		return nil
	}
	if _, err := GetRSE(c.v, name); err != nil {
		return c.schema.rseMissing(name, err)
	}
	c.rses[name] = true
	return nil
}

// attachTo checks and gathers the attachments to one DID. A child that is named twice counts once, as the last one says.
func (a *attacher) attachTo(r *command.Attachment) error {
	if err := a.checkRSEName(r.Rse); err != nil {
		return err
	}
	parent, err := a.must(r.Scope, r.Name)
	if err != nil {
		return err
	}
	name, children := DIDName{r.Scope, r.Name}, eachOnce(r.Children)
	switch {
	case parent.did.Type == TypeFile && IsArchiveName(r.Name):
		return a.attachToArchive(parent, name, children)
	case parent.did.Type == TypeFile:
		return Errorf(command.CodeUnsupportedOperation, "Data identifier '%s' is a file", name)
	case !parent.did.Open:
		return Errorf(command.CodeUnsupportedOperation, "Data identifier '%s' is closed", name)
	case parent.did.Type == TypeDataset:
		return a.attachToDataset(parent, name, children)
	default:
		return a.attachToContainer(parent, name, children)
	}
}

// eachOnce leaves one of children with the same name, the last one at the place of the first.
func eachOnce(children []*command.Child) []*command.Child {
	if ascending(children) {
		return children
	}
	once := make([]*command.Child, 0, len(children))
	places := make(map[DIDName]int, len(children))
	for _, c := range children {
		name := DIDName{c.GetFile().GetScope(), c.GetFile().GetName()}
		if place, twice := places[name]; twice {
			once[place] = c
			continue
		}
		places[name] = len(once)
		once = append(once, c)
	}
	return once
}

// ascending reports whether every child's name is above the one before, so that none comes twice.
func ascending(children []*command.Child) bool {
	for i := 1; i < len(children); i++ {
		a, b := children[i-1].GetFile(), children[i].GetFile()
		if cmp.Or(cmp.Compare(a.GetScope(), b.GetScope()), cmp.Compare(a.GetName(), b.GetName())) >= 0 {
			return false
		}
	}
	return true
}

// attachToDataset checks every file before it attaches the first, so that what is missing is told before what is there twice.
func (a *attacher) attachToDataset(parent *changedDID, name DIDName, children []*command.Child) error {
	files := make([]*changedDID, len(children))
	for i, child := range children {
		file, err := a.must(child.GetFile().GetScope(), child.GetFile().GetName())
		if err != nil {
			return err
		}
		if file.did.Type != TypeFile {
			return Errorf(command.CodeUnsupportedOperation, "Data identifier %s:%s of type DIDType.%s cannot be added to a dataset",
				child.File.Scope, child.File.Name, file.did.Type)
		}
		if err := checkSame(child, file.did); err != nil {
			return err
		}
		files[i] = file
	}
	for _, file := range files {
		if file.did.Bytes > MaxFileBytes-min(parent.did.Size, MaxFileBytes) {
			return Errorf(command.CodeInvalidValue, "Data identifier '%s' cannot hold more than %d bytes", name, uint64(MaxFileBytes))
		}
		if err := a.attachOnce(parent, file, command.CodeAlreadyAttached, name); err != nil {
			return err
		}
	}
	return nil
}

// attachOnce attaches a DID that is not attached yet; one that is there is skipped or refused with the code.
func (a *attacher) attachOnce(parent, child *changedDID, twice command.Code, name DIDName) error {
	there, err := a.attached(parent, child.ref)
	switch {
	case err != nil:
		return err
	case !there:
		return a.attach(parent, child)
	case !a.ignoreDuplicate:
		return Errorf(twice, "Data identifier '%s' is attached to '%s' already", child.ref.name, name)
	}
	return nil
}

// checkSame compares what the client says about a file with what is known.
func checkSame(child *command.Child, d *DID) error {
	f := child.File
	switch {
	case child.HasBytes && f.Bytes != d.Bytes:
		return Errorf(command.CodeFileMismatch, "bytes mismatch for '%s:%s': %d!=%d", f.Scope, f.Name, f.Bytes, d.Bytes)
	case f.Adler32 != "" && !strings.EqualFold(f.Adler32, d.Adler32):
		return Errorf(command.CodeFileMismatch, "adler32 mismatch for '%s:%s': %s!=%s", f.Scope, f.Name, f.Adler32, d.Adler32)
	case f.Md5 != "" && !strings.EqualFold(f.Md5, d.MD5):
		return Errorf(command.CodeFileMismatch, "md5 mismatch for '%s:%s': %s!=%s", f.Scope, f.Name, f.Md5, d.MD5)
	}
	return nil
}

func (a *attacher) attachToContainer(parent *changedDID, name DIDName, children []*command.Child) error {
	var (
		collections = make([]*changedDID, len(children))
		above       map[didRef]bool
	)
	for i, child := range children {
		scope, childName := child.GetFile().GetScope(), child.GetFile().GetName()
		if scope == name.Scope && childName == name.Name {
			return Errorf(command.CodeUnsupportedOperation, "Self-append is not valid!")
		}
		collection, err := a.must(scope, childName)
		if err != nil {
			return err
		}
		t := collection.did.Type
		if t == TypeFile {
			return Errorf(command.CodeUnsupportedOperation, "Adding a file (%s:%s) to a container (%s) is forbidden", scope, childName, name)
		}
		if i > 0 && t != collections[0].did.Type {
			return Errorf(command.CodeUnsupportedOperation, "Mixed collection is not allowed: '%s:%s' is a DIDType.%s(expected type: DIDType.%s)",
				scope, childName, t, collections[0].did.Type)
		}
		if t == TypeContainer && above == nil && !a.work.limited {
			if above, err = a.ancestors(parent.ref); err != nil {
				return err
			}
		}
		if above[collection.ref] {
			return Errorf(command.CodeUnsupportedOperation, "Circular attachment detected. %s:%s is already a parent of %s", scope, childName, name)
		}
		collections[i] = collection
	}
	for _, collection := range collections {
		if err := a.attachOnce(parent, collection, command.CodeDuplicateContent, name); err != nil {
			return err
		}
	}
	return nil
}

// archiveName is what the name of an archive looks like; it is part of what AttachDIDs does.
var archiveName = regexp.MustCompile(`(?i)\A.*\.(zip|zipx|tar.gz|tgz|tar.Z|tar.bz2|tbz2)(\.[0-9]+)*\z`)

// IsArchiveName reports whether a file of that name may hold other files.
func IsArchiveName(name string) bool { return archiveName.MatchString(name) }

// attachToArchive makes files the constituents of an archive; those that are unknown become DIDs without replicas.
func (a *attacher) attachToArchive(parent *changedDID, name DIDName, children []*command.Child) error {
	for _, child := range children {
		f := child.GetFile()
		if f.GetScope() == name.Scope && f.GetName() == name.Name {
			return Errorf(command.CodeUnsupportedOperation, "Self-append is not valid!")
		}
		file, err := a.find(f.GetScope(), f.GetName())
		if err != nil {
			return err
		}
		if file == nil {
			if file, err = a.addConstituent(child); err != nil {
				return err
			}
		}
		if file.did.Type != TypeFile {
			return Errorf(command.CodeUnsupportedOperation, "Data identifier %s:%s of type DIDType.%s cannot be added to an archive",
				f.Scope, f.Name, file.did.Type)
		}
		if file.did.Archive {
			above, err := a.archivesAbove(parent.ref)
			if err != nil {
				return err
			}
			if above[file.ref] {
				return Errorf(command.CodeUnsupportedOperation, "Circular attachment detected. %s:%s holds %s", f.Scope, f.Name, name)
			}
		}
		if err := a.packOnce(parent, file, name); err != nil {
			return err
		}
	}
	if len(children) == 0 {
		return nil
	}
	return a.markArchive(parent)
}

// packOnce puts a file into an archive that it is not in yet.
func (a *attacher) packOnce(parent, file *changedDID, name DIDName) error {
	e := edge{parent.ref, file.ref}
	there, err := a.inArchive(e)
	switch {
	case err != nil:
		return err
	case there && a.ignoreDuplicate:
		return nil
	case there:
		return Errorf(command.CodeAlreadyAttached, "Data identifier '%s' is in archive '%s' already", file.ref.name, name)
	}
	a.pack(e)
	if !file.did.Constituent {
		file.did.Constituent = true
		a.touch(file)
	}
	return nil
}

// addConstituent makes the DID of a file that is known to be in an archive only.
func (a *attacher) addConstituent(child *command.Child) (*changedDID, error) {
	f := child.File
	scope, err := a.mustScope(f.GetScope())
	if err != nil {
		return nil, err
	}
	if err := Authorize(a.v, a.at.Issuer, ActionAddDIDs, f.Scope); err != nil {
		return nil, err
	}
	if err := a.checkConstituent(f); err != nil {
		return nil, err
	}
	if !child.HasBytes || f.Bytes > MaxFileBytes {
		return nil, Errorf(command.CodeInvalidObject, "File %s:%s needs its size in bytes", f.Scope, f.Name)
	}
	hidden, err := a.load(didRef{scope, f.Name})
	if err != nil {
		return nil, err
	}
	if hidden != nil {
		return nil, didExists(f.Scope, f.Name, hidden.did)
	}
	meta, err := validateMetadata(a.v, a.at, TypeFile, f.Meta)
	if err != nil {
		return nil, err
	}
	file := a.add(didRef{scope, f.Name}, &DID{Type: TypeFile, Account: a.issuer, Bytes: f.Bytes, Adler32: f.Adler32, MD5: f.Md5})
	file.meta.lay(meta)
	return file, nil
}

// checkConstituent refuses a file that is new for its name. Below feature level 1 the generic names count.
func (a *attacher) checkConstituent(f *command.NewFile) error {
	if !a.schema.enforced {
		return a.schema.CheckDID(TypeFile, f.Name)
	}
	return a.schema.checkNewFile(f)
}

// markArchive marks a file as an archive, and the datasets that it is in as holding one.
func (a *attacher) markArchive(archive *changedDID) error {
	if archive.did.Archive {
		return nil
	}
	archive.did.Archive = true
	a.touch(archive)
	parents, err := a.parentsOf(archive)
	if err != nil {
		return err
	}
	for _, ref := range append(parents, a.newParents()[archive.ref]...) {
		parent, err := a.load(ref)
		if err == nil && parent == nil {
			_, err = mustLoadDID(a.v, ref)
		}
		if err != nil {
			return err
		}
		if !parent.did.Archive {
			parent.did.Archive = true
			a.touch(parent)
		}
	}
	return nil
}
