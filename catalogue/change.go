package catalogue

import (
	"slices"
	"strings"
)

// ChangeKind says what an event of the change feed is about. The numbers are stored.
type ChangeKind byte

// The kinds of events.
const (
	ChangeReplicaAdded   ChangeKind = 1
	ChangeReplicaChanged ChangeKind = 2
	ChangeReplicaDeleted ChangeKind = 3

	ChangeDIDAdded   ChangeKind = 10
	ChangeDIDChanged ChangeKind = 11 // its status from Old to New, or the metadata Key
	ChangeDIDDeleted ChangeKind = 12 // with its metadata; its attachments and constituents have gone by events of their own

	ChangeAttachmentAdded    ChangeKind = 20
	ChangeAttachmentRemoved  ChangeKind = 21
	ChangeConstituentAdded   ChangeKind = 22
	ChangeConstituentRemoved ChangeKind = 23

	ChangeBadAdded        ChangeKind = 30 // a declaration about a replica, with its reason as Value
	ChangeBadChanged      ChangeKind = 31
	ChangeBadDeleted      ChangeKind = 32
	ChangeBadPFNAdded     ChangeKind = 33 // a declaration about the PFN in Path, whose replica is not known
	ChangeQuarantineAdded ChangeKind = 34

	ChangeRSEAdded   ChangeKind = 40
	ChangeRSEChanged ChangeKind = 41 // what Type says, at Key; a new name from Old to New
	ChangeRSEDeleted ChangeKind = 42

	ChangeScopeAdded   ChangeKind = 50 // New is the owner
	ChangeScopeChanged ChangeKind = 51 // the owner from Old to New

	ChangeAccountAdded   ChangeKind = 60
	ChangeAccountChanged ChangeKind = 61 // what Type says, at Key
	ChangeAccountDeleted ChangeKind = 62

	ChangeSettingChanged ChangeKind = 70 // of the cluster, at Key, from Old to New
)

// changeKinds has the API's names of the kinds.
var changeKinds = map[ChangeKind]string{
	ChangeReplicaAdded: "replica.added", ChangeReplicaChanged: "replica.changed", ChangeReplicaDeleted: "replica.deleted",
	ChangeDIDAdded: "did.added", ChangeDIDChanged: "did.changed", ChangeDIDDeleted: "did.deleted",
	ChangeAttachmentAdded: "attachment.added", ChangeAttachmentRemoved: "attachment.removed",
	ChangeConstituentAdded: "constituent.added", ChangeConstituentRemoved: "constituent.removed",
	ChangeBadAdded: "bad.added", ChangeBadChanged: "bad.changed", ChangeBadDeleted: "bad.deleted",
	ChangeBadPFNAdded: "badpfn.added", ChangeQuarantineAdded: "quarantine.added",
	ChangeRSEAdded: "rse.added", ChangeRSEChanged: "rse.changed", ChangeRSEDeleted: "rse.deleted",
	ChangeScopeAdded: "scope.added", ChangeScopeChanged: "scope.changed",
	ChangeSettingChanged: "setting.changed",
	ChangeAccountAdded:   "account.added", ChangeAccountChanged: "account.changed", ChangeAccountDeleted: "account.deleted",
}

// String returns the API's name of the kind, "" for a number that is none.
func (k ChangeKind) String() string { return changeKinds[k] }

// ChangeKindNames lists the names by which events can be chosen: the kinds, and what comes before the dot in them.
func ChangeKindNames() []string {
	var names []string
	for _, name := range changeKinds {
		group, _, _ := strings.Cut(name, ".")
		names = append(names, name, group)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Change is one event of the change feed as the command notes it. What does not apply to a kind is empty.
type Change struct {
	Kind ChangeKind
	// RSE is the name that the RSE has at that moment.
	RSE string
	// Old and New are the states before and after: of a replica and of a declaration by their letters, of a collection OPEN
	// and CLOSED; of other things what Kind says.
	Old, New string
	// DID is the type of a DID, or of what is attached.
	DID DIDType
	// Bytes, Adler32 and MD5 are those of a new file.
	Bytes        uint64
	Adler32, MD5 string
	// Monotonic is set on a new collection that never shrinks.
	Monotonic bool
	// Type says what of an RSE or an account has changed: settings, name, attribute, ...
	Type string
	// Key and Value are a piece of metadata or an attribute; Value is JSON, "" where there is none any more.
	Key, Value string
	// Path and Tombstone are a replica's, where it has them; Path is also that of a quarantined file and a PFN.
	Path      string
	Tombstone int64

	// ref is the DID that the event is about, child what is attached to it or packed into it. An account is a ref
	// without scope, a scope one without name.
	ref, child didRef
	// owner is the number of a new collection's account.
	owner uint32
}

// Event is a change as it is read back, with the names of what it is about.
type Event struct {
	// Revision is the event's own, Index the log index of the entry that made it, Time the log time in microseconds.
	Revision, Index uint64
	Time            int64
	// Account is the one that made the change, "" for the cluster itself.
	Account                            string
	Scope, Name, ChildScope, ChildName string
	Owner                              string
	Change
}

// replicaChange is the event of one replica.
func replicaChange(kind ChangeKind, ref didRef, rse string, r *Replica) Change {
	c := Change{Kind: kind, ref: ref, RSE: rse}
	if kind == ChangeReplicaDeleted {
		c.Old = stateText(byte(r.State))
		return c
	}
	c.New, c.Path, c.Tombstone = stateText(byte(r.State)), r.Path, r.Tombstone
	return c
}

// didAdded is the event of a new DID.
func didAdded(ref didRef, d *DID) Change {
	c := Change{Kind: ChangeDIDAdded, ref: ref, DID: d.Type}
	if d.Type == TypeFile {
		c.Bytes, c.Adler32, c.MD5 = d.Bytes, d.Adler32, d.MD5
		return c
	}
	c.Monotonic, c.owner = d.Monotonic, d.Account
	return c
}

// edgeChange is the event of an attachment or of a constituent.
func edgeChange(kind ChangeKind, parent, child didRef, t DIDType) Change {
	return Change{Kind: kind, ref: parent, child: child, DID: t}
}

// badChange is the event of a declaration about a replica that comes, changes or goes; 0 is no state.
func badChange(kind ChangeKind, ref didRef, rse string, from, to BadState) Change {
	return Change{Kind: kind, ref: ref, RSE: rse, Old: stateText(byte(from)), New: stateText(byte(to))}
}

// stateLetters are the texts of the letters of states, so that making one allocates nothing.
const stateLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// stateText returns a letter as a text, "" for 0.
func stateText(letter byte) string {
	if letter < 'A' || letter > 'Z' {
		return ""
	}
	return stateLetters[letter-'A' : letter-'A'+1]
}

// StateName returns the API's name of a state of the event, Old or New.
func (e *Event) StateName(text string) string {
	if len(text) != 1 {
		return text
	}
	switch e.Kind {
	case ChangeReplicaAdded, ChangeReplicaChanged, ChangeReplicaDeleted:
		return ReplicaState(text[0]).String()
	case ChangeBadAdded, ChangeBadChanged, ChangeBadDeleted, ChangeBadPFNAdded:
		return BadState(text[0]).String()
	default:
		return text
	}
}

// Cleared reports whether the event says that Key has no value any more.
func (e *Event) Cleared() bool {
	if e.Key == "" || e.Value != "" {
		return false
	}
	switch e.Type {
	case changedUsage, changedProtocol:
		return false
	default:
		return true
	}
}
