package catalogue

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"dapple/command"
)

// maxRefusalText bounds the message about one item: results are kept with the session until the node has them.
const maxRefusalText = 120

// refusals gathers what is wrong with single items of a registration that reports instead of failing whole. A nil one gathers
// nothing: the first refusal fails the command.
type refusals struct {
	list []*command.AddReport_Refusal
	// pathKept are the items whose replica exists and keeps the path that it has.
	pathKept []uint32
}

// take gathers a refusal of the domain; it returns what fails the command as a whole.
func (r *refusals) take(item int, err error) error {
	if err == nil || r == nil {
		return err
	}
	var refusal *Error
	if !errors.As(err, &refusal) {
		return err
	}
	text := refusal.Message
	r.list = append(r.list, &command.AddReport_Refusal{
		Item: uint32(item), Code: uint32(refusal.Code), Message: strings.ToValidUTF8(text[:min(len(text), maxRefusalText)], ""),
	})
	return nil
}

// encode returns the report in the order of the items.
func (r *refusals) encode() ([]byte, error) {
	slices.SortFunc(r.list, func(a, b *command.AddReport_Refusal) int { return cmp.Compare(a.Item, b.Item) })
	slices.Sort(r.pathKept)
	return proto.MarshalOptions{Deterministic: true}.Marshal(&command.AddReport{Refused: r.list, PathKept: r.pathKept})
}

// keptPaths notes the replicas of a plan that keep another path than the one they were named with.
func (r *refusals) keptPaths(plan *replicaPlan) {
	for i := range plan.files {
		if plan.files[i].pathKept {
			r.pathKept = append(r.pathKept, uint32(plan.files[i].item))
		}
	}
}

// dropUnauthorized takes the new files out of the plan in whose scope the issuer may make no DIDs.
func (p *replicaPlan) dropUnauthorized(v View, at Stamp, report *refusals) error {
	kept := p.files[:0]
	decided := map[string]error{}
	for i := range p.files {
		f := p.files[i]
		if !f.isNew {
			kept = append(kept, f)
			continue
		}
		refusal, known := decided[f.scope]
		if !known {
			refusal = Authorize(v, at.Issuer, ActionAddDIDs, f.scope)
			decided[f.scope] = refusal
		}
		if refusal == nil {
			kept = append(kept, f)
		} else if err := report.take(f.item, refusal); err != nil {
			return err
		}
	}
	p.files = kept
	return nil
}
