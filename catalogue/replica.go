package catalogue

import (
	"strconv"

	"dapple/command"
)

const (
	// MaxFileBytes is the largest size that a file may have.
	MaxFileBytes = 1<<63 - 1
	// maxRSEBytes is what the files of an RSE may sum up to: with it no counter can overflow.
	maxRSEBytes = 1<<63 - 1
	// obsoleteTombstone marks a replica that may be deleted at once: the first moment after 0, which stands for none.
	obsoleteTombstone = 1
	// attributeTombstoneDelay is the RSE attribute with the seconds after which a new replica may be deleted.
	attributeTombstoneDelay = "tombstone_delay"
)

// AddReplicas registers replicas of files at an RSE, all or none. Files that are unknown become DIDs of the issuer, with the
// metadata given; a replica that is there already stays as it is, with the path that it has.
func AddReplicas(tx Tx, at Stamp, c *command.AddReplicas) ([]byte, error) {
	plan, err := planReplicas(tx, at, c.Rse, c.Files, c.IgnoreAvailability, nil)
	if err == nil {
		err = plan.authorizeNewFiles(tx, at)
	}
	if err != nil {
		return nil, err
	}
	return nil, plan.write(tx, at)
}

// AddReplicasReporting is AddReplicas without the files that are refused. The payload of the answer is a command.AddReport that
// names those, and the replicas that keep another path; what is wrong with the RSE or the issuer fails the command all the same.
func AddReplicasReporting(tx Tx, at Stamp, c *command.AddReplicasReporting) ([]byte, error) {
	report := &refusals{}
	plan, err := planReplicas(tx, at, c.Rse, c.Files, c.IgnoreAvailability, report)
	if err == nil {
		err = plan.dropUnauthorized(tx, at, report)
	}
	if err != nil {
		return nil, err
	}
	report.keptPaths(plan)
	payload, err := report.encode()
	if err != nil {
		return nil, err
	}
	return payload, plan.write(tx, at)
}

// planReplicas checks the RSE and the files that are to be registered there.
func planReplicas(v View, at Stamp, name string, files []*command.NewFile, ignore bool, report *refusals) (*replicaPlan, error) {
	rse, err := sharedRSE(v, name)
	if err != nil {
		return nil, err
	}
	if err = Authorize(v, at.Issuer, ActionAddReplicas, rse.Name); err != nil {
		return nil, err
	}
	if !rse.AvailableWrite {
		if err = checkBlocked(v, at, rse, ignore, "%s is temporary unavailable for writing"); err != nil {
			return nil, err
		}
	}
	return checkNewReplicas(v, at, rse, files, nil, report)
}

// checkBlocked refuses an operation that an RSE is not available for, unless the issuer may and wants to ignore that.
func checkBlocked(v View, at Stamp, rse *RSE, ignore bool, refusal string) error {
	if ignore {
		err := Authorize(v, at.Issuer, ActionSkipAvailability, rse.Name)
		if CodeOf(err) != command.CodeAccessDenied {
			return err
		}
	}
	return Errorf(command.CodeRSEBlocked, refusal, rse.Name)
}

// defaultTombstone returns the tombstone of new replicas at an RSE that come without one, 0 for none.
func defaultTombstone(at Stamp, rse *RSE) int64 {
	text, _ := rse.Attribute(attributeTombstoneDelay)
	seconds, err := strconv.ParseInt(text, 10, 40)
	switch {
	case err != nil || seconds == 0:
		return 0
	case seconds < 0:
		return obsoleteTombstone
	default:
		return at.Time + seconds*1_000_000
	}
}

// scopeIDs finds the numbers of scopes and remembers them for the length of one command.
type scopeIDs struct {
	last  string
	id    uint32
	known map[string]uint32
}

// find returns the number of a scope, and false where there is no such scope.
func (s *scopeIDs) find(v View, name string) (uint32, bool, error) {
	if name == s.last && s.id != 0 {
		return s.id, true, nil
	}
	id, found := s.known[name]
	if !found {
		var err error
		if id, found, err = findScopeID(v, name); err != nil || !found {
			return 0, false, err
		}
		if s.known == nil {
			s.known = map[string]uint32{}
		}
		s.known[name] = id
	}
	s.last, s.id = name, id
	return id, true, nil
}
