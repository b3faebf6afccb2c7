package httpapi

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"dapple/catalogue"
	"dapple/command"
)

// The orders in which a client may want the PFNs of a file.
const (
	sortGeoIP    = "geoip"
	sortRandom   = "random"
	sortDistance = "distance"
	// sortCloseness and sortCustomTable are other names of sortDistance.
	sortCloseness   = "closeness"
	sortCustomTable = "custom_table"
)

// checkSort returns the order that a name stands for; the usual one is sortGeoIP.
func checkSort(name string) (string, error) {
	switch name {
	case "", sortGeoIP:
		return sortGeoIP, nil
	case sortRandom:
		return sortRandom, nil
	case sortDistance, sortCloseness, sortCustomTable:
		return sortDistance, nil
	default:
		return "", catalogue.Errorf(command.CodeUnsupportedSort,
			"Sorting algorithm: %.64s is not supported. Supported algorithms: ['geoip', 'custom_table', 'distance', 'closeness', 'random']", name)
	}
}

// pfnSorter brings the PFNs of files into an order. They come by domain and priority, and what is equally far stays so.
type pfnSorter struct {
	// keepLocal leaves the PFNs of the client's own network in front.
	keepLocal bool
	random    bool
	// far tells how far a PFN is, nil where nothing is known about that.
	far     func(p *catalogue.ListedPFN) (float64, error)
	scratch []farPFN
}

type farPFN struct {
	pfn catalogue.ListedPFN
	far float64
}

// unknownFar is farther than anything.
var unknownFar = math.Inf(1)

// newSorter makes the sorter of a list.
func (s *Server) newSorter(ctx context.Context, v View, l *replicaListing) (*pfnSorter, error) {
	sorter := &pfnSorter{keepLocal: !l.brief, random: l.sort == sortRandom}
	switch l.sort {
	case sortGeoIP:
		sorter.far = s.byPlace(ctx, l.client)
	case sortDistance:
		toSite, err := catalogue.NewSiteDistances(v, l.client.site)
		if err != nil {
			return nil, err
		}
		sorter.far = func(p *catalogue.ListedPFN) (float64, error) {
			distance, found, err := toSite.From(p.RSE)
			if err != nil || !found {
				return unknownFar, err
			}
			return float64(distance), nil
		}
	}
	return sorter, nil
}

// hostAt is a host of an RSE.
type hostAt struct {
	rse  *catalogue.RSE
	host string
}

// resolvePatience is the time that one list may spend on names of hosts.
const resolvePatience = time.Second

// byPlace tells how many kilometres a PFN is from the client; nil where it is not known where the client is.
func (s *Server) byPlace(ctx context.Context, client clientLocation) func(*catalogue.ListedPFN) (float64, error) {
	if s.places == nil {
		return nil
	}
	from, known := place{}, false
	if client.place != nil {
		from, known = *client.place, true
	} else if client.address.IsValid() {
		from, known = s.places.ofAddress(client.address)
	}
	if !known {
		return nil
	}
	patience, far := resolvePatience, map[hostAt]float64{}
	return func(p *catalogue.ListedPFN) (float64, error) {
		at := hostAt{p.RSE, p.Host}
		kilometres, found := far[at]
		if found {
			return kilometres, nil
		}
		kilometres = unknownFar
		if to, known := s.placeOf(ctx, at, &patience); known {
			kilometres = from.kilometresTo(to)
		}
		far[at] = kilometres
		return kilometres, nil
	}
}

// placeOf returns where an RSE is: where it says itself, or else where the host is. It takes the time that it needs off patience.
func (s *Server) placeOf(ctx context.Context, at hostAt, patience *time.Duration) (place, bool) {
	if at.rse.Latitude != nil && at.rse.Longitude != nil {
		return place{*at.rse.Latitude, *at.rse.Longitude}, true
	}
	ctx, cancel := context.WithTimeout(ctx, *patience)
	defer cancel()
	start := time.Now()
	found, known := s.places.ofHost(ctx, at.host)
	*patience -= time.Since(start)
	return found, known
}

// sort brings the PFNs of one file into order.
func (o *pfnSorter) sort(pfns []catalogue.ListedPFN) error {
	if o.keepLocal {
		wide := slices.IndexFunc(pfns, func(p catalogue.ListedPFN) bool { return p.Domain != catalogue.DomainLAN })
		if wide < 0 {
			return nil
		}
		pfns = pfns[wide:]
	}
	if o.random {
		rand.Shuffle(len(pfns), func(i, j int) { pfns[i], pfns[j] = pfns[j], pfns[i] })
		return nil
	}
	if o.far == nil || len(pfns) < 2 {
		return nil
	}
	o.scratch = o.scratch[:0]
	for i := range pfns {
		far, err := o.far(&pfns[i])
		if err != nil {
			return err
		}
		o.scratch = append(o.scratch, farPFN{pfns[i], far})
	}
	slices.SortStableFunc(o.scratch, func(a, b farPFN) int { return cmp.Compare(a.far, b.far) })
	for i := range pfns {
		pfns[i] = o.scratch[i].pfn
	}
	return nil
}
