package catalogue

import "slices"

// SiteDistances tells how far RSEs are from a site. It looks up each RSE once, in the view that it was made with.
type SiteDistances struct {
	v View
	// site are the RSEs of the site.
	site  []uint32
	known map[uint32]siteDistance
}

type siteDistance struct {
	distance uint32
	found    bool
}

// NewSiteDistances finds the RSEs whose attribute "site" has that value; "" is no site.
func NewSiteDistances(v View, site string) (*SiteDistances, error) {
	s := &SiteDistances{v: v, known: map[uint32]siteDistance{}}
	if site == "" {
		return s, nil
	}
	return s, ListRSEs(v, func(r *RSE) error {
		if value, _ := r.Attribute(attributeSite); value == site {
			s.site = append(s.site, r.ID)
		}
		return nil
	})
}

// From returns the shortest of the distances from an RSE to those of the site: 0 for one of its own, and false where none is
// known.
func (s *SiteDistances) From(r *RSE) (uint32, bool, error) {
	if slices.Contains(s.site, r.ID) {
		return 0, true, nil
	}
	nearest, done := s.known[r.ID]
	if done {
		return nearest.distance, nearest.found, nil
	}
	for _, to := range s.site {
		d, found, err := GetDistance(s.v, r.ID, to)
		if err != nil {
			return 0, false, err
		}
		if found && (!nearest.found || d.Distance < nearest.distance) {
			nearest = siteDistance{d.Distance, true}
		}
	}
	s.known[r.ID] = nearest
	return nearest.distance, nearest.found, nil
}
