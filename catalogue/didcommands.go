package catalogue

import (
	"dapple/command"
)

// AddDIDs makes datasets and containers in the order of the request, with their metadata and contents. It makes all or none.
func AddDIDs(tx Tx, at Stamp, c *command.AddDIDs) ([]byte, error) {
	action := ActionAddDID
	if c.Bulk {
		action = ActionAddDIDs
	}
	for _, n := range c.Dids {
		if err := Authorize(tx, at.Issuer, action, n.Scope); err != nil {
			return nil, err
		}
	}
	changes, err := newDIDChanges(tx, at)
	if err != nil {
		return nil, err
	}
	plan := attacher{didChanges: changes}
	for _, n := range c.Dids {
		if _, err := changes.checkCollection(n); err != nil {
			return nil, err // before anything is said about what it is to hold
		}
		if DIDType(n.Type) == TypeDataset {
			plan.atRSE(n.Rse, n.Children)
		}
	}
	if err := plan.planReplicas(); err != nil {
		return nil, err
	}
	for _, n := range c.Dids {
		made, err := changes.checkCollection(n)
		if err != nil {
			return nil, err
		}
		changes.add(made.ref, made.did).meta = made.meta
		if len(n.Children) == 0 {
			if err := changes.checkRSEName(n.Rse); err != nil {
				return nil, err
			}
			continue
		}
		err = plan.attachTo(&command.Attachment{Scope: n.Scope, Name: n.Name, Rse: n.Rse, Children: n.Children})
		if err != nil {
			return nil, err
		}
	}
	if err := plan.check(); err != nil {
		return nil, err
	}
	return nil, plan.write(tx)
}

// checkCollection returns one dataset or container as it is to be made.
func (c *didChanges) checkCollection(n *command.NewCollection) (*changedDID, error) {
	t := DIDType(n.Type)
	if t != TypeDataset && t != TypeContainer {
		return nil, Errorf(command.CodeUnsupportedOperation, "Only collection (dataset/container) can be registered.")
	}
	scope, err := c.mustScope(n.Scope)
	if err != nil {
		return nil, err
	}
	if err := c.schema.CheckDID(t, n.Name); err != nil {
		return nil, err
	}
	if err := c.schema.checkSegments("name", n.Name); err != nil {
		return nil, err
	}
	if err := c.schema.checkMetadata(n.Meta); err != nil {
		return nil, err
	}
	ref := didRef{scope, n.Name}
	existing, err := c.load(ref)
	if err != nil {
		return nil, err
	}
	if existing != nil {
		return nil, didExists(n.Scope, n.Name, existing.did)
	}
	owner := c.issuer
	if n.Account != "" {
		account, err := requireActiveAccount(c.v, n.Account)
		if err != nil {
			return nil, err
		}
		owner = account.ID
	}
	meta, err := validateMetadata(c.v, c.at, t, n.Meta)
	if err != nil {
		return nil, err
	}
	return &changedDID{ref: ref, did: &DID{Type: t, Account: owner, Open: true, Monotonic: n.Monotonic}, meta: metadataEdits{sorted: meta}}, nil
}

// AttachDIDs puts DIDs into collections and files into archives, in the order of the request. It attaches all or none.
func AttachDIDs(tx Tx, at Stamp, c *command.AttachDIDs) ([]byte, error) {
	for _, a := range c.Attachments {
		action := ActionAttach
		if c.Bulk {
			action = ActionAttachMany
		}
		if err := Authorize(tx, at.Issuer, action, a.Scope, a.Name); err != nil {
			return nil, err
		}
	}
	changes, err := newDIDChanges(tx, at)
	if err != nil {
		return nil, err
	}
	changes.work.allow(len(c.Attachments))
	plan := attacher{didChanges: changes, ignoreDuplicate: c.IgnoreDuplicate}
	for _, a := range c.Attachments {
		if a.Rse == "" {
			continue
		}
		parent, err := changes.find(a.Scope, a.Name)
		if err != nil {
			return nil, err
		}
		if parent != nil && parent.did.Type == TypeDataset && parent.did.Open {
			plan.atRSE(a.Rse, a.Children)
		}
	}
	if err := plan.planReplicas(); err != nil {
		return nil, err
	}
	for _, a := range c.Attachments {
		if err := plan.attachTo(a); err != nil {
			return nil, err
		}
	}
	if err := plan.check(); err != nil {
		return nil, err
	}
	return nil, plan.write(tx)
}

// DetachDIDs takes DIDs out of a collection, all or none. A closed collection may shrink, a monotonic one may not.
func DetachDIDs(tx Tx, at Stamp, c *command.DetachDIDs) ([]byte, error) {
	if err := Authorize(tx, at.Issuer, ActionDetach, c.Scope, c.Name); err != nil {
		return nil, err
	}
	changes, err := newDIDChanges(tx, at)
	if err != nil {
		return nil, err
	}
	parent, err := changes.must(c.Scope, c.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case parent.did.Type == TypeFile:
		return nil, didNotFound(c.Scope, c.Name)
	case parent.did.Length == 0:
		return nil, Errorf(command.CodeDIDNotFound, "Data identifier '%s:%s' has no child data identifiers.", c.Scope, c.Name)
	case parent.did.Monotonic && len(c.Children) > 0:
		return nil, Errorf(command.CodeUnsupportedOperation, "Data identifier '%s:%s' is monotonic: nothing can be detached", c.Scope, c.Name)
	}
	for _, child := range c.Children {
		if child.Scope == c.Scope && child.Name == c.Name {
			return nil, Errorf(command.CodeUnsupportedOperation, "Self-detach is not valid.")
		}
		if err := changes.detachChild(parent, DIDName{c.Scope, c.Name}, DIDName{child.Scope, child.Name}); err != nil {
			return nil, err
		}
	}
	return nil, changes.write(tx)
}

func (c *didChanges) detachChild(parent *changedDID, parentName, childName DIDName) error {
	child, err := c.find(childName.Scope, childName.Name)
	if err != nil {
		return err
	}
	attached := false
	if child == nil {
		if err := c.schema.checkMissing(c.v, 0, childName.Scope, childName.Name); err != nil {
			return err
		}
	} else {
		if attached, err = c.attached(parent, child.ref); err != nil {
			return err
		}
	}
	if !attached {
		return Errorf(command.CodeDIDNotFound, "Data identifier '%s' not found under '%s'", childName, parentName)
	}
	return c.detach(parent, child)
}

// SetDIDStatus opens or closes a collection. Closing notes what it holds; a collection that is so already is refused.
func SetDIDStatus(tx Tx, at Stamp, c *command.SetDIDStatus) ([]byte, error) {
	action := ActionCloseDID
	if c.Open {
		action = ActionReopenDID
	}
	if err := Authorize(tx, at.Issuer, action, c.Scope, c.Name); err != nil {
		return nil, err
	}
	ref, d, err := findDID(tx, c.Scope, c.Name)
	if CodeOf(err) == command.CodeDIDNotFound {
		err = didMissing(tx, c.Scope, c.Name)
	}
	if err != nil {
		return nil, err
	}
	if d.Type == TypeFile || d.Open == c.Open {
		return nil, Errorf(command.CodeUnsupportedOperation, "The status of the data identifier '%s:%s' cannot be changed", c.Scope, c.Name)
	}
	if !c.Open {
		if err := closeDID(tx, at, ref, d); err != nil {
			return nil, err
		}
	}
	d.Open, d.Updated = c.Open, at.Time
	d.Revision = tx.Note(at, Change{Kind: ChangeDIDChanged, ref: ref, Old: statusText(!c.Open), New: statusText(c.Open)})
	putDID(tx, ref, d)
	return nil, nil
}

// closeDID notes what a collection holds when it is closed. From workFeatures on that of a container with very many
// collections below it stays unknown.
func closeDID(tx Tx, at Stamp, ref didRef, d *DID) error {
	work, err := newWorkLimit(tx)
	if err != nil {
		return err
	}
	d.ClosedAt, d.ClosedLength, d.ClosedSize = at.Time, unknownTotal, unknownTotal
	few, err := holdsFew(tx, ref, d, &work)
	if err != nil {
		return err
	}
	if !few {
		return putEvents(tx, at, ref, d, 0)
	}
	if d.ClosedLength, d.ClosedSize, err = totals(tx, ref, d); err != nil || d.Type != TypeContainer {
		return err
	}
	return sumEvents(tx, at, ref, d)
}

// statusText is the status of a collection in events.
func statusText(open bool) string {
	if open {
		return "OPEN"
	}
	return "CLOSED"
}

// SetMetadata sets and takes away metadata of DIDs, all or none, with Recursive also at what is directly attached to them.
func SetMetadata(tx Tx, at Stamp, c *command.SetMetadata) ([]byte, error) {
	for _, m := range c.Dids {
		if err := Authorize(tx, at.Issuer, ActionSetMetadata, m.Scope, m.Name); err != nil {
			return nil, err
		}
	}
	changes, err := newDIDChanges(tx, at)
	if err != nil {
		return nil, err
	}
	changes.work.allow(len(c.Dids))
	for _, m := range c.Dids {
		d, err := changes.must(m.Scope, m.Name)
		if err != nil {
			return nil, err
		}
		if err := changes.setMetadata(d, m, c.Recursive); err != nil {
			return nil, err
		}
	}
	if err := changes.checkMetadataSizes(); err != nil {
		return nil, err
	}
	if err := changes.checkEvents(); err != nil {
		return nil, err
	}
	return nil, changes.write(tx)
}

func (c *didChanges) setMetadata(d *changedDID, m *command.DIDMetadata, recursive bool) error {
	if err := c.schema.checkMetadata(m.Set); err != nil {
		return err
	}
	set, err := validateMetadata(c.v, c.at, d.did.Type, m.Set)
	if err != nil {
		return err
	}
	if _, changes := FindMetadata(set, metaEvents); changes {
		err = c.setEvents(d, set)
	} else {
		d.meta.lay(set)
	}
	if err != nil {
		return err
	}
	for _, key := range m.Delete {
		if err := c.deleteMetadata(d, key); err != nil {
			return err
		}
	}
	if !recursive || d.did.Type == TypeFile {
		return nil
	}
	if d.did.Length > maxRecursive {
		return Errorf(command.CodeTooManyItems, "Data identifier '%s:%s' has more than %d direct children: set their metadata one by one",
			m.Scope, m.Name, maxRecursive)
	}
	if err := c.work.spendOn(int(d.did.Length), "the contents of '"+m.Name+"'"); err != nil {
		return err
	}
	passedOn := inherited(set)
	return scanChildren(c.v, d.ref, func(ref didRef, _ DIDType) (bool, error) {
		child, err := c.load(ref)
		if err == nil && child == nil {
			_, err = mustLoadDID(c.v, ref)
		}
		if err != nil {
			return false, err
		}
		child.meta.lay(passedOn)
		return true, nil
	})
}

// maxRecursive bounds what one recursive command may hold up the log for. It is part of what SetMetadata does.
const maxRecursive = 10_000

// deleteMetadata takes away a key that the client owns.
func (c *didChanges) deleteMetadata(d *changedDID, key string) error {
	if isReserved(key) || IsFixedMetadata(key) {
		return Errorf(command.CodeUnsupportedOperation, "the metadata key '%s' cannot be deleted", key)
	}
	value, changed := d.meta.get(key)
	if !changed {
		stored, err := c.storedMetadata(d)
		if err != nil {
			return err
		}
		value, _ = FindMetadata(stored, key)
	}
	if value == "" {
		return Errorf(command.CodeKeyNotFound, "%s", key)
	}
	d.meta.lay([]MetadataEntry{{Key: key}})
	return nil
}
