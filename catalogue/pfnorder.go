package catalogue

import (
	"cmp"
	"slices"
	"strings"
)

// sortPFNs brings the PFNs of a file into their order and marks those that are repeated: RSEs may share a prefix, and a PFN is to be
// told of one of them where it is a key.
func sortPFNs(pfns []ListedPFN) {
	if len(pfns) < 2 {
		return
	}
	slices.SortFunc(pfns, func(a, b ListedPFN) int {
		if c := cmp.Or(strings.Compare(a.Domain, b.Domain), cmp.Compare(a.priority, b.priority), strings.Compare(a.PFN, b.PFN)); c != 0 {
			return c
		}
		return strings.Compare(a.RSE.Name, b.RSE.Name)
	})
	for i := range pfns {
		for j := range i {
			if pfns[j].PFN == pfns[i].PFN {
				pfns[i].Repeated = true
				break
			}
		}
	}
}
