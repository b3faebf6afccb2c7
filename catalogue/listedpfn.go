package catalogue

import (
	"cmp"
	"slices"
	"strings"
)

// ListedPFN is one way to read a file.
type ListedPFN struct {
	PFN string
	RSE *RSE
	// Host is the PFN's host.
	Host string
	// Domain is "lan", "wan", or "zip" for a file in an archive.
	Domain string
	// ClientExtract is set where the client has to take the file out of the archive.
	ClientExtract bool
	// Repeated is set where the same PFN comes with another RSE that is before this one by domain, priority and name.
	Repeated bool
	priority int
}

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
