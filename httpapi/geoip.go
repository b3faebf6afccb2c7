package httpapi

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
)

// place is a point on the Earth in degrees.
type place struct{ latitude, longitude float64 }

// kilometresTo returns the length of the great circle to another place.
func (p place) kilometresTo(o place) float64 {
	const (
		radius = 6371
		radian = math.Pi / 180
	)
	lat1, lat2 := p.latitude*radian, o.latitude*radian
	north, east := math.Sin((lat2-lat1)/2), math.Sin((o.longitude-p.longitude)*radian/2)
	half := north*north + math.Cos(lat1)*math.Cos(lat2)*east*east
	return 2 * radius * math.Asin(math.Sqrt(min(half, 1)))
}

// places tells where hosts are, by a database of addresses in MaxMind's format with cities (GeoLite2-City). Names of hosts are
// resolved with the patience of the caller and remembered.
type places struct {
	db *maxminddb.Reader
	// resolve finds the addresses of a host.
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	now     func() time.Time

	mu    sync.Mutex
	hosts map[string]hostPlace
}

// hostPlace is what was found out about a host, and until when that holds.
type hostPlace struct {
	place place
	known bool
	until time.Time
}

const (
	// placeLifetime is how long a host's place is remembered, missingLifetime that there is none, or that it is being asked for.
	placeLifetime   = time.Hour
	missingLifetime = time.Minute
	// mostPlaces bounds the memory: hosts are those of protocols, of which there are fewer.
	mostPlaces = 100_000
)

// openPlaces opens a database. It stays mapped into memory: the file may be replaced by another, but not be written to.
func openPlaces(path string) (*places, error) {
	db, err := maxminddb.Open(path)
	if err != nil {
		return nil, fmt.Errorf("GeoIP database %s: %w", path, err)
	}
	return &places{
		db: db, now: time.Now, hosts: map[string]hostPlace{},
		resolve: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
	}, nil
}

// ofAddress returns the place of an address, and false where the database has none.
func (p *places) ofAddress(address netip.Addr) (place, bool) {
	var record struct {
		Location struct {
			Latitude  *float64 `maxminddb:"latitude"`
			Longitude *float64 `maxminddb:"longitude"`
		} `maxminddb:"location"`
	}
	err := p.db.Lookup(address.Unmap().WithZone("")).Decode(&record)
	at := &record.Location
	if err != nil || at.Latitude == nil || at.Longitude == nil {
		return place{}, false
	}
	return place{*at.Latitude, *at.Longitude}, true
}

// ofHost returns the place of a host by its name or address. A name that is not remembered is resolved within ctx; while one
// caller does that, the host has no place for the others.
func (p *places) ofHost(ctx context.Context, host string) (place, bool) {
	if address, err := netip.ParseAddr(host); err == nil {
		return p.ofAddress(address)
	}
	if ctx.Err() != nil {
		return place{}, false
	}
	if found, fresh := p.remembered(host); fresh {
		return found.place, found.known
	}
	found := hostPlace{until: p.now().Add(missingLifetime)}
	addresses, err := p.resolve(ctx, host)
	if err != nil {
		return place{}, false
	}
	for _, address := range addresses {
		if found.place, found.known = p.ofAddress(address); found.known {
			found.until = p.now().Add(placeLifetime)
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hosts[host] = found
	return found.place, found.known
}

// remembered returns what is known about a host. Where that is nothing, the host counts as missing until the caller knows.
func (p *places) remembered(host string) (found hostPlace, fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if found = p.hosts[host]; now.Before(found.until) {
		return found, true
	}
	if len(p.hosts) >= mostPlaces {
		clear(p.hosts)
	}
	p.hosts[host] = hostPlace{until: now.Add(missingLifetime)}
	return hostPlace{}, false
}
