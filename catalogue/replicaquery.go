package catalogue

import (
	"net/url"
	"strings"

	"dapple/command"
)

// ReplicaQuery says which replicas to list and how.
type ReplicaQuery struct {
	// DIDs are files, datasets and containers; one that is named twice is listed once.
	DIDs []DIDName
	// Schemes are those of the PFNs to show: of each the best protocol. None: the best protocol of all.
	Schemes []string
	// Domain is DomainWAN, DomainLAN or DomainAll. "" means LAN at the RSEs of the client's site and WAN elsewhere; in any
	// other domain nothing can be reached.
	Domain string
	// Site is the client's site, "" where unknown: the value of the attribute "site" of RSEs.
	Site string
	// Expression chooses the RSEs; "" for all.
	Expression string
	// AllStates lists replicas in any state, Unavailable those that are unavailable or being copied too; else only available ones.
	AllStates, Unavailable bool
	// IgnoreAvailability lists replicas at RSEs that are not available for reading too.
	IgnoreAvailability bool
	// UpdatedAfter leaves out replicas that were last changed before this log time in microseconds.
	UpdatedAfter int64
	// ResolveArchives lists for files named in DIDs the replicas of the archives that they are in too.
	ResolveArchives bool
	// ResolveParents adds the collections above each file.
	ResolveParents bool
}

// ListedFile is a file with its replicas. It and its slices are valid until the visit that got it returns.
type ListedFile struct {
	Scope, Name  string
	Bytes        uint64
	Adler32, MD5 string // "" where unknown
	// PFNs come by domain (lan before wan before zip), priority and name.
	PFNs []ListedPFN
	// Replicas are those that the query chose, with and without PFNs, in ascending order of the RSE's number.
	Replicas []ListedReplica
	// Parents are the collections above the file, nearest first, where asked for.
	Parents []DIDName
	ref     ListedRef
}

// ListedRef names a file of a list, to be kept and shown again.
type ListedRef struct {
	ref didRef
	// direct is set on a file that was asked for by name.
	direct bool
}

// Ref returns what stays valid of a file when the visit is over, for ReplicaList.Show.
func (f *ListedFile) Ref() ListedRef { return f.ref }

// ListedReplica is one replica of a file, or of an archive that it is in.
type ListedReplica struct {
	RSE   *RSE
	State ReplicaState
	// Version is the revision that last changed the file's own replica there, 0 where only an archive has one.
	Version uint64
}

const (
	domainZip     = "zip"
	attributeSite = "site"
	schemeRoot    = "root"
)

// ReplicaList is a checked query, ready to be streamed.
type ReplicaList struct {
	v    View
	q    ReplicaQuery
	rses map[uint32]*listedRSE
	only map[uint32]bool // nil where the query has no expression
	// named are the DIDs of the query from the first one on that exists, each once.
	named []didRef
	// ahead is set while d is the record of the first of them.
	ahead bool
	names scopeNames
	// direct are the DIDs of the query, visited the datasets whose files are listed already.
	direct, visited map[didRef]bool
	lineage         lineage
	row             ListedFile
	d, zip          DID
	paths           pathCache
	loader          didLoader
}

// NewReplicaList checks a query. Of the DIDs, those that are unknown are left out; where none is known, the error is
// CodeDIDNotFound. An expression without RSEs is CodeInvalidRSEExpression.
func NewReplicaList(v View, q ReplicaQuery) (*ReplicaList, error) {
	l := &ReplicaList{
		v: v, q: q, names: scopeNames{}, rses: map[uint32]*listedRSE{}, lineage: lineage{v: v},
		direct: make(map[didRef]bool, len(q.DIDs)),
	}
	if q.Expression != "" {
		rses, err := ResolveExpression(v, q.Expression)
		if err != nil {
			return nil, err
		}
		l.only = make(map[uint32]bool, len(rses))
		for _, r := range rses {
			l.only[r.ID] = true
		}
	}
	var scopes scopeIDs
	for _, n := range q.DIDs {
		id, found, err := scopes.find(v, n.Scope)
		if err != nil {
			return nil, err
		}
		ref := didRef{id, n.Name}
		if !found || l.direct[ref] {
			continue
		}
		if !l.ahead {
			if l.ahead, err = l.load(ref, &l.d); err != nil {
				return nil, err
			}
		}
		if l.ahead {
			l.direct[ref] = true
			l.names[id] = n.Scope
			l.named = append(l.named, ref)
		}
	}
	if !l.ahead && len(q.DIDs) > 0 {
		return nil, Errorf(command.CodeDIDNotFound, "Data identifier '%s' not found", q.DIDs[0])
	}
	return l, nil
}

// Each visits the files of the list until visit returns false or an error. A file that is named itself is listed even
// without replicas, one of a collection only with some. A file is listed once, however many collections lead to it; what is held
// in memory for that are the datasets on the way, not the files.
func (l *ReplicaList) Each(visit func(*ListedFile) (more bool, err error)) error {
	for _, ref := range l.named {
		if !l.ahead {
			found, err := l.load(ref, &l.d)
			if err != nil {
				return err
			}
			if !found {
				continue
			}
		}
		l.ahead = false
		list := l.collection
		if l.d.Type == TypeFile {
			list = l.file
		}
		if more, err := list(ref, visit); err != nil || !more {
			return err
		}
	}
	return nil
}

// Show visits files that Each has visited once more, until visit returns false or an error.
func (l *ReplicaList) Show(files []ListedRef, visit func(*ListedFile) (more bool, err error)) error {
	for _, f := range files {
		if found, err := l.load(f.ref, &l.d); err != nil || !found {
			return err
		}
		if err := l.fill(f); err != nil {
			return err
		}
		if more, err := l.finish(f.ref, visit); err != nil || !more {
			return err
		}
	}
	return nil
}

// load is loadDIDInto for this list.
func (l *ReplicaList) load(ref didRef, d *DID) (bool, error) {
	return l.loader.load(l.v, ref, d)
}

// file lists the file in l.d, which was asked for by name.
func (l *ReplicaList) file(ref didRef, visit func(*ListedFile) (bool, error)) (bool, error) {
	if err := l.fill(ListedRef{ref, true}); err != nil {
		return false, err
	}
	return l.finish(ref, visit)
}

// fill makes the row of the file in l.d. Archives count for files alone that are asked for by name.
func (l *ReplicaList) fill(f ListedRef) error {
	if err := l.begin(f); err != nil {
		return err
	}
	if err := l.replicas(&l.d, f.ref); err != nil {
		return err
	}
	if f.direct && l.d.Constituent && l.q.ResolveArchives {
		return l.archives(f.ref)
	}
	return nil
}

// collection lists the files of the dataset in l.d, or of all datasets under the container.
func (l *ReplicaList) collection(ref didRef, visit func(*ListedFile) (bool, error)) (more bool, err error) {
	more = true
	err = scanDatasets(l.v, ref, l.d.Type, func(dataset didRef) (bool, error) {
		if l.visited[dataset] {
			return true, nil
		}
		err := scanChildren(l.v, dataset, func(child didRef, _ DIDType) (bool, error) {
			if found, err := l.load(child, &l.d); err != nil || !found {
				return true, err
			}
			if listed, err := l.isListed(dataset, child); err != nil || listed {
				return true, err
			}
			if err := l.fill(ListedRef{child, false}); err != nil {
				return false, err
			}
			if len(l.row.Replicas) == 0 {
				return true, nil
			}
			more, err = l.finish(child, visit)
			return more, err
		})
		l.visit(dataset)
		return more, err
	})
	return more, err
}

// visit takes note of a dataset whose files have been listed.
func (l *ReplicaList) visit(dataset didRef) {
	if l.visited == nil {
		l.visited = map[didRef]bool{}
	}
	l.visited[dataset] = true
}

// isListed reports whether the file in l.d, of a dataset, was listed before: because it was named itself, or with an earlier dataset. The
// file's own parents tell, so that no set of files has to be kept.
func (l *ReplicaList) isListed(dataset, file didRef) (listed bool, err error) {
	if l.direct[file] {
		return true, nil
	}
	if len(l.visited) == 0 {
		return false, nil
	}
	err = scanParents(l.v, file, &l.d, func(parent didRef) (bool, error) {
		listed = parent != dataset && l.visited[parent]
		return !listed, nil
	})
	return listed, err
}

// begin starts the row of the file in l.d.
func (l *ReplicaList) begin(f ListedRef) error {
	scope, err := l.names.name(l.v, f.ref.scope)
	if err != nil {
		return err
	}
	l.row = ListedFile{
		ref: f, Scope: scope, Name: f.ref.name, Bytes: l.d.Bytes, Adler32: l.d.Adler32, MD5: l.d.MD5,
		PFNs: l.row.PFNs[:0], Replicas: l.row.Replicas[:0], Parents: l.row.Parents[:0],
	}
	return nil
}

// finish completes the row of the DID in l.d and shows it.
func (l *ReplicaList) finish(ref didRef, visit func(*ListedFile) (bool, error)) (bool, error) {
	sortPFNs(l.row.PFNs)
	if l.q.ResolveParents {
		parents, err := l.lineage.above(ref, &l.d)
		if err != nil {
			return false, err
		}
		for _, parent := range parents {
			name, err := l.names.full(l.v, parent)
			if err != nil {
				return false, err
			}
			l.row.Parents = append(l.row.Parents, name)
		}
	}
	return visit(&l.row)
}

// replicas adds the replicas of a file that the query chooses.
func (l *ReplicaList) replicas(d *DID, ref didRef) error {
	l.paths.reset(l.row.Scope, ref.name)
	for i := range d.Replicas {
		r := &d.Replicas[i]
		rse, err := l.choose(r)
		if err != nil {
			return err
		}
		if rse == nil {
			continue
		}
		l.row.Replicas = append(l.row.Replicas, ListedReplica{rse.rse, r.State, r.Revision})
		path := l.paths.path(rse, r)
		for j := range rse.protocols {
			p := &rse.protocols[j]
			l.row.PFNs = append(l.row.PFNs, ListedPFN{PFN: p.pfn(&l.paths.texts, path), RSE: rse.rse, Host: p.host, Domain: p.domain, priority: p.priority})
		}
	}
	return nil
}

// archives adds the replicas of the archives that a file is in. Clients that speak XRootD read out of an archive themselves,
// others have to extract.
func (l *ReplicaList) archives(file didRef) error {
	return scanArchives(l.v, file, func(archive didRef) (bool, error) {
		found, err := l.load(archive, &l.zip)
		if err != nil || !found {
			return true, err
		}
		scope, err := l.names.name(l.v, archive.scope)
		if err != nil {
			return false, err
		}
		l.paths.reset(scope, archive.name)
		for i := range l.zip.Replicas {
			r := &l.zip.Replicas[i]
			rse, err := l.choose(r)
			if err != nil {
				return false, err
			}
			if rse == nil {
				continue
			}
			l.addState(rse.rse, r.State)
			for _, p := range rse.archives() {
				pfn := ListedPFN{
					PFN: withQuery(p.pfn(&l.paths.texts, l.paths.path(rse, r)), "xrdcl.unzip", file.name), RSE: rse.rse, Host: p.host,
					Domain: domainZip, priority: p.priority, ClientExtract: true,
				}
				if p.scheme == schemeRoot {
					pfn.priority, pfn.ClientExtract = -1, false
				}
				l.row.PFNs = append(l.row.PFNs, pfn)
			}
		}
		return true, nil
	})
}

// addState notes the state of an archive's replica, which hides that of the file's own at the same RSE.
func (l *ReplicaList) addState(rse *RSE, state ReplicaState) {
	for i := range l.row.Replicas {
		if l.row.Replicas[i].RSE == rse {
			l.row.Replicas[i].State = state
			return
		}
	}
	l.row.Replicas = append(l.row.Replicas, ListedReplica{RSE: rse, State: state})
}

// withQuery adds a parameter to a URL.
func withQuery(pfn, key, value string) string {
	separator := "?"
	if strings.Contains(pfn, "?") {
		separator = "&"
	}
	return pfn + separator + key + "=" + url.QueryEscape(value)
}

// choose returns the RSE of a replica that the query chooses, nil for any other.
func (l *ReplicaList) choose(r *Replica) (*listedRSE, error) {
	if r.Updated < l.q.UpdatedAfter || !l.wantsState(r.State) {
		return nil, nil
	}
	rse := l.rses[r.RSE]
	if rse == nil {
		var err error
		if rse, err = l.listedRSEOf(r.RSE); err != nil {
			return nil, err
		}
		l.rses[r.RSE] = rse
	}
	if !rse.shown {
		return nil, nil
	}
	return rse, nil
}

func (l *ReplicaList) wantsState(s ReplicaState) bool {
	if l.q.AllStates || s == StateAvailable {
		return true
	}
	return l.q.Unavailable && (s == StateUnavailable || s == StateCopying)
}
