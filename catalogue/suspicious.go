package catalogue

import "dapple/command"

// unknownRSE is what stands for the RSE of PFNs that belong to none.
const unknownRSE = "unknown"

// DeclareSuspicious notes that replicas look suspicious; their state stays. Every declaration counts. The payload of the
// answer is a command.NotDeclared with what is unknown, empty where nothing is.
func DeclareSuspicious(tx Tx, at Stamp, c *command.DeclareSuspicious) ([]byte, error) {
	if err := Authorize(tx, at.Issuer, ActionDeclareSuspicious); err != nil {
		return nil, err
	}
	account, err := requireActiveAccount(tx, at.Issuer)
	if err != nil {
		return nil, err
	}
	targets, strange, err := findTargets(tx, c.Pfns, c.Replicas)
	if err != nil {
		return nil, err
	}
	var (
		edits  = newReplicaEdits(tx, at)
		answer notDeclared
	)
	for _, pfn := range strange {
		answer.add(unknownRSE, pfn)
	}
	for i := range targets {
		t := &targets[i]
		r, found, err := edits.find(t.rse, t.scope, t.name)
		if err != nil {
			return nil, err
		}
		if !found {
			answer.add(t.rse.Name, t.unknown())
			continue
		}
		edits.declare(r, BadReplica{State: BadStateSuspicious, Account: account.ID, Reason: c.Reason})
	}
	return declared(tx, edits, &answer)
}

// SuspiciousFilter chooses what ListSuspicious visits.
type SuspiciousFilter struct {
	// Expression chooses the RSEs; "" for all.
	Expression string
	// YoungerThan is the log time in microseconds from which on declarations count.
	YoungerThan int64
	// Attempts is what the number of declarations must exceed.
	Attempts int
}

// Suspicious is a replica with declarations that do not settle whether it is bad.
type Suspicious struct {
	Scope, Name string
	RSE         *RSE
	// Count is the number of its declarations.
	Count int
	// Created is the log time in microseconds at which the replica was registered.
	Created int64
}

// ListSuspicious visits the replicas that were declared suspicious or unavailable more often than the filter's attempts and
// that were not, in the same time, declared bad, recovered or deleted. CodeInvalidRSEExpression for an expression without RSEs.
func ListSuspicious(v View, filter SuspiciousFilter, visit func(Suspicious) error) error {
	rses, err := rsesOf(v, filter.Expression)
	if err != nil {
		return err
	}
	names := scopeNames{}
	for _, rse := range rses {
		var (
			group badKey
			count int
			out   bool
		)
		finish := func() error {
			if out || count <= filter.Attempts {
				return nil
			}
			d, found, err := loadDID(v, group.ref)
			if err != nil || !found {
				return err
			}
			i, found := d.Replica(rse.ID)
			if !found {
				return nil
			}
			scope, err := names.name(v, group.ref.scope)
			if err != nil {
				return err
			}
			return visit(Suspicious{Scope: scope, Name: group.ref.name, RSE: rse, Count: count, Created: d.Replicas[i].Created})
		}
		err := scanBad(v, idKey(tableBadReplica, rse.ID), func(k badKey, r BadReplica) (bool, error) {
			if k.ref != group.ref {
				if err := finish(); err != nil {
					return false, err
				}
				group, count, out = k, 0, false
			}
			if r.Created < filter.YoungerThan {
				return true, nil
			}
			count++
			switch r.State {
			case BadStateBad, BadStateRecovered, BadStateDeleted:
				out = true
			}
			return true, nil
		})
		if err == nil {
			err = finish()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rsesOf returns the RSEs of an expression, all for "", in ascending order of name.
func rsesOf(v View, expression string) ([]*RSE, error) {
	if expression != "" {
		return ResolveExpression(v, expression)
	}
	var all []*RSE
	err := ListRSEs(v, func(r *RSE) error {
		all = append(all, r)
		return nil
	})
	return all, err
}
