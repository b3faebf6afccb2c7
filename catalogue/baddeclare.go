package catalogue

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"dapple/command"
)

// badTarget is what a client wants to declare: a replica by DID and RSE or by PFN.
type badTarget struct {
	rse         *RSE
	scope, name string
	// pfn is set where the replica was named by PFN at a non-deterministic RSE: there the PFN is all that tells.
	pfn string
}

// label is how the answer names a target that is known.
func (t *badTarget) label() string {
	if t.pfn != "" {
		return t.pfn
	}
	return t.scope + ":" + t.name
}

// unknown is what the answer says about a target that is no replica.
func (t *badTarget) unknown() string {
	if t.pfn != "" {
		return t.pfn + " Unknown replica"
	}
	return "(" + t.scope + ", '" + t.name + "') Unknown replica"
}

// findTargets finds the RSEs of what is to be declared, each target once. PFNs that belong to no RSE are returned apart.
func findTargets(v View, pfns []string, replicas []*command.ReplicaAt) (targets []badTarget, strange []string, err error) {
	if len(pfns) > 0 && len(replicas) > 0 {
		return nil, nil, Errorf(command.CodeInvalidType, "The replicas must be specified either as a list of PFNs (strings) or list of dicts")
	}
	seen := map[badTarget]bool{}
	add := func(t badTarget) {
		if !seen[t] {
			seen[t] = true
			targets = append(targets, t)
		}
	}
	finder, err := newPFNFinder(v)
	if err != nil {
		return nil, nil, err
	}
	for i, pfn := range pfns {
		if schemeOf(pfn) != schemeOf(pfns[0]) {
			return nil, nil, Errorf(command.CodeInvalidType, "The PFNs specified must have the same protocol: %.256s, %.256s", pfns[0], pfns[i])
		}
		m, found, err := finder.findOnly(pfn)
		if err != nil {
			return nil, nil, err
		}
		if !found {
			strange = append(strange, pfn)
			continue
		}
		t := badTarget{rse: m.rse, scope: m.scope, name: m.name}
		if !m.rse.Deterministic {
			t.pfn = pfn
		}
		add(t)
	}
	rses := rseCache{v: v}
	for _, r := range replicas {
		rse, err := rses.find(r.Rse, r.RseId)
		if err != nil {
			return nil, nil, err
		}
		add(badTarget{rse: rse, scope: r.Scope, name: r.Name})
	}
	return targets, strange, nil
}

func schemeOf(pfn string) string {
	scheme, _, _ := strings.Cut(pfn, ":")
	return scheme
}

// notDeclared gathers the answer of a declaration.
type notDeclared struct {
	answer command.NotDeclared
	byRSE  map[string]*command.NotDeclared_RSE
}

func (n *notDeclared) add(rse, item string) {
	r := n.byRSE[rse]
	if r == nil {
		if n.byRSE == nil {
			n.byRSE = map[string]*command.NotDeclared_RSE{}
		}
		r = &command.NotDeclared_RSE{Rse: rse}
		n.byRSE[rse] = r
		n.answer.Rses = append(n.answer.Rses, r)
	}
	r.Items = append(r.Items, item)
}

func (n *notDeclared) encode() ([]byte, error) {
	if len(n.answer.Rses) == 0 {
		return nil, nil
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(&n.answer)
}

// DeclareBad declares replicas bad: their state becomes BAD and each gets a record with the reason. The payload of the answer
// is a command.NotDeclared with what is unknown or, without force, declared already; empty where nothing is.
func DeclareBad(tx Tx, at Stamp, c *command.DeclareBad) ([]byte, error) {
	if c.ByDids {
		if err := Authorize(tx, at.Issuer, ActionDeclareBadOrSuspicious); err != nil {
			return nil, err
		}
	}
	targets, strange, err := findTargets(tx, c.Pfns, c.Replicas)
	if err != nil {
		return nil, err
	}
	if len(strange) > 0 {
		return nil, Errorf(command.CodeReplicaNotFound, "Not all replicas found: %.512s", strange[0])
	}
	account, err := requireActiveAccount(tx, at.Issuer)
	if err != nil {
		return nil, err
	}
	var (
		edits   = newReplicaEdits(tx, at)
		answer  notDeclared
		allowed = map[*RSE]bool{}
	)
	for i := range targets {
		t := &targets[i]
		if !c.ByDids && !allowed[t.rse] {
			if err = Authorize(tx, at.Issuer, ActionDeclareBad, t.rse.Name); err != nil {
				return nil, err
			}
			allowed[t.rse] = true
		}
		item, err := declareBad(edits, t, BadReplica{State: BadStateBad, Account: account.ID, Reason: c.Reason}, c.Force)
		if err != nil {
			return nil, err
		}
		if item == unknownReplica && c.ByDids {
			answer.add(t.rse.Name, t.label()+" "+unknownReplica)
		} else if item == unknownReplica {
			answer.add(t.rse.Name, t.unknown())
		} else if item != "" {
			answer.add(t.rse.Name, t.label()+" "+item)
		}
	}
	return declared(tx, edits, &answer)
}

// What the API says about a replica that could not be declared.
const (
	unknownReplica  = "Unknown replica"
	alreadyDeclared = "Already declared"
)

// declareBad declares one replica; it returns why it could not, "" where it could.
func declareBad(edits *replicaEdits, t *badTarget, declaration BadReplica, force bool) (why string, err error) {
	r, found, err := edits.find(t.rse, t.scope, t.name)
	if err != nil || !found {
		return unknownReplica, err
	}
	known, err := isDeclaredBad(edits.v, t.rse.ID, r.ref)
	if err != nil {
		return "", err
	}
	if known && !force {
		return alreadyDeclared, nil
	}
	if !known {
		edits.declare(r, declaration)
	}
	edits.setState(r, StateBad)
	return "", nil
}

// declare adds a declaration about a replica.
func (e *replicaEdits) declare(r editedReplica, declaration BadReplica) {
	declaration.Bytes = r.file.d.Bytes
	declaration.Created, declaration.Updated = e.at.Time, e.at.Time
	e.bad.add(r.rse, badKey{r.rse.ID, r.ref, e.at.Revision}, declaration)
}

// declared ends a declaration: it encodes the answer and stores the changes.
func declared(tx Tx, edits *replicaEdits, answer *notDeclared) ([]byte, error) {
	payload, err := answer.encode()
	if err != nil {
		return nil, err
	}
	return payload, edits.write(tx)
}
