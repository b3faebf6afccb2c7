package httpapi

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

var (
	geneva  = place{46.2, 6.15}
	chicago = place{41.85, -87.65}
	tokyo   = place{35.69, 139.69}
)

// placesFile writes a database in which 1.1.1.0/24 is Geneva, 1.1.2.0/24 Chicago, 2a00::/32 Tokyo, and 1.1.3.0/24 without a place.
func placesFile(t *testing.T) string {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "GeoLite2-City", RecordSize: 24})
	require.NoError(t, err)
	insert := func(network string, value mmdbtype.Map) {
		_, parsed, err := net.ParseCIDR(network)
		require.NoError(t, err)
		require.NoError(t, tree.Insert(parsed, value))
	}
	for network, at := range map[string]place{"1.1.1.0/24": geneva, "1.1.2.0/24": chicago, "2a00::/32": tokyo} {
		insert(network, mmdbtype.Map{"location": mmdbtype.Map{
			"latitude": mmdbtype.Float64(at.latitude), "longitude": mmdbtype.Float64(at.longitude),
		}})
	}
	insert("1.1.3.0/24", mmdbtype.Map{"location": mmdbtype.Map{"accuracy_radius": mmdbtype.Uint16(10)}})
	path := filepath.Join(t.TempDir(), "cities.mmdb")
	file, err := os.Create(path)
	require.NoError(t, err)
	_, err = tree.WriteTo(file)
	require.NoError(t, errors.Join(err, file.Close()))
	return path
}

// fakeResolver knows some hosts and counts what it is asked.
type fakeResolver struct {
	hosts map[string]string
	asked map[string]int
}

func (f *fakeResolver) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	f.asked[host]++
	if _, bounded := ctx.Deadline(); !bounded {
		return nil, errors.New("nothing bounds the time")
	}
	address, found := f.hosts[host]
	if !found {
		return nil, errors.New("no such host")
	}
	return []netip.Addr{netip.MustParseAddr(address)}, nil
}

func newPlaces(t *testing.T) (*places, *fakeResolver) {
	t.Helper()
	p, err := openPlaces(placesFile(t))
	require.NoError(t, err)
	resolver := &fakeResolver{hosts: map[string]string{}, asked: map[string]int{}}
	p.resolve = resolver.resolve
	return p, resolver
}

func TestPlacesOfHosts(t *testing.T) {
	p, resolver := newPlaces(t)
	resolver.hosts = map[string]string{"ge.example": "1.1.1.9", "jp.example": "2a00::7", "dark.example": "1.1.3.1"}
	now := time.Now()
	p.now = func() time.Time { return now }
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	for host, want := range map[string]place{
		"1.1.1.1": geneva, "::ffff:1.1.2.1": chicago, "2a00::1": tokyo, "ge.example": geneva, "jp.example": tokyo,
	} {
		got, known := p.ofHost(ctx, host)
		require.True(t, known, host)
		require.Equal(t, want, got, host)
	}
	for _, host := range []string{"dark.example", "nowhere.example", "10.0.0.1", "1.1.3.1", ""} {
		for range 2 {
			_, known := p.ofHost(ctx, host)
			require.False(t, known, host)
		}
	}
	require.Equal(t, map[string]int{"ge.example": 1, "jp.example": 1, "dark.example": 1, "nowhere.example": 1, "": 1}, resolver.asked)

	// What is missing is asked for again soon, what is known later.
	now = now.Add(missingLifetime)
	for _, host := range []string{"ge.example", "nowhere.example"} {
		p.ofHost(ctx, host)
	}
	require.Equal(t, 1, resolver.asked["ge.example"])
	require.Equal(t, 2, resolver.asked["nowhere.example"])
	now = now.Add(placeLifetime)
	p.ofHost(ctx, "ge.example")
	require.Equal(t, 2, resolver.asked["ge.example"])

	// Who has no time left does not ask, and does not keep others from asking.
	now = now.Add(placeLifetime)
	cancel()
	_, known := p.ofHost(ctx, "ge.example")
	require.False(t, known)
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, known = p.ofHost(ctx, "ge.example")
	require.True(t, known)
}

func TestKilometres(t *testing.T) {
	require.InDelta(t, 7050, geneva.kilometresTo(chicago), 50)
	require.InDelta(t, 9800, geneva.kilometresTo(tokyo), 50)
	require.Zero(t, tokyo.kilometresTo(tokyo))
	require.InDelta(t, 20015, place{90, 0}.kilometresTo(place{-90, 0}), 1)
}

func TestGeoIPDatabaseMissing(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "garbage")
	require.NoError(t, os.WriteFile(garbage, []byte("no database"), 0o600))
	for _, path := range []string{garbage, garbage + "2"} {
		_, err := openPlaces(path)
		require.ErrorContains(t, err, path)
	}
}

// listedAt returns the PFNs of s:a in the order that a client gets who comes from an address.
func (ts *testServer) listedAt(method, query, fields, address string) []string {
	ts.t.Helper()
	target, body := "/replicas/s/a"+query, ""
	if method == "POST" {
		target, body = "/replicas/list"+query, `{"dids": [{"scope": "s", "name": "a"}]`+fields+`}`
	}
	return inOrder(ts.do(method, target, body, header(headerForwarded, address)).want(ts.t, 200, "").lines(ts.t)[0])
}

func TestSortByPlace(t *testing.T) {
	path := placesFile(t)
	ts := newReplicaServer(t, func(c *Config) { c.GeoIPDatabase = path })
	resolver := &fakeResolver{hosts: map[string]string{"one.example": "1.1.1.1", "two.example": "1.1.2.1"}, asked: map[string]int{}}
	ts.places.resolve = resolver.resolve
	european, american := []string{pfnA1, pfnA2}, []string{pfnA2, pfnA1}
	for _, c := range []struct {
		method, query, fields, address string
		want                           []string
	}{
		{"GET", "", "", "1.1.1.7", european},
		{"GET", "", "", "1.1.2.7, 1.1.1.7", american},
		{"GET", "?select=geoip", "", "1.1.2.7", american},
		{"GET", "?select=geoip", "", "10.1.1.1", european}, // nobody knows where: by priority
		{"GET", "?select=geoip", "", "not an address", european},
		{"GET", "?sort=distance", "", "1.1.2.7", european}, // no site
		{"POST", "", "", "1.1.2.7", american},
		{"POST", "", `, "sort": "geoip"`, "1.1.2.7", american},
		{"POST", "", `, "sort": "distance"`, "1.1.2.7", european},
		{"POST", "?sort=geoip", `, "sort": "distance"`, "1.1.2.7", american},
		{"POST", "", `, "client_location": {"ip": "1.1.2.7"}`, "1.1.1.7", european}, // as seen, not as said
		{"POST", "", `, "client_location": {"latitude": 41.5, "longitude": -80}`, "1.1.1.7", american},
		{"POST", "", `, "client_location": {"latitude": null, "longitude": -80}`, "1.1.1.7", european},
		{"POST", "?limit=1", "", "1.1.2.7", american[:1]},
		{"POST", "", `, "domain": "lan"`, "1.1.2.7", european}, // local ones by priority
	} {
		require.Equal(t, c.want, ts.listedAt(c.method, c.query, c.fields, c.address), "%+v", c)
	}
	require.Equal(t, map[string]int{"one.example": 1, "two.example": 1}, resolver.asked, "names are remembered")

	// Where an RSE says where it is, its host does not count.
	ts.do("PUT", "/rses/ONE", `{"latitude": 35.0, "longitude": 139.0}`).want(t, 201, "")
	require.Equal(t, american, ts.listedAt("POST", "", "", "1.1.1.7"))
	for fields, class := range map[string]string{`{"latitude": 91, "longitude": 0}`: "ValueError", `{"latitude": 1, "longitude": "x"}`: "InvalidObject"} {
		ts.do("POST", "/replicas/list", `{"dids": [], "client_location": `+fields+`}`).want(t, 400, class)
	}
}

func TestSortByDistance(t *testing.T) {
	ts := newReplicaServer(t)
	ts.do("POST", "/rses/ND/attr/site", `{"value": "HERE"}`).want(t, 201, "")
	for rse, distance := range map[string]uint32{"ONE": 9, "TWO": 3} {
		ts.command(command.TypeSetDistance, &command.SetDistance{Source: rse, Destination: "ND", Distance: distance})
	}
	for _, name := range []string{sortDistance, sortCloseness, sortCustomTable} {
		fields := `, "sort": "` + name + `", "client_location": {"site": "HERE"}`
		require.Equal(t, []string{pfnA2, pfnA1}, ts.listedAt("POST", "", fields, ""), name)
	}
	fields := `, "client_location": {"site": "HERE"}`
	require.Equal(t, []string{pfnA1, pfnA2}, ts.listedAt("POST", "", fields, ""))
	require.Equal(t, []string{pfnA2, pfnA1}, ts.listedAt("POST", "?select=closeness", fields, ""))
	require.Equal(t, []string{pfnA1, pfnA2}, ts.listedAt("POST", "?sort=distance", `, "client_location": {"site": "ELSEWHERE"}`, ""))

	// The site's own RSE is nearest, and local PFNs come first anyway.
	ts.do("POST", "/rses/ONE/attr/site", `{"value": "HERE"}`).want(t, 201, "")
	require.Equal(t, []string{pfnA1, pfnA2}, ts.listedAt("POST", "?sort=distance", fields+`, "domain": "wan"`, ""))
}

func TestSorterKeepsLocalFirst(t *testing.T) {
	pfn := func(name, domain string) catalogue.ListedPFN { return catalogue.ListedPFN{PFN: name, Domain: domain} }
	far := map[string]float64{"a": 3, "b": 2, "c": 9, "d": 1, "e": 9}
	sorter := pfnSorter{keepLocal: true, far: func(p *catalogue.ListedPFN) (float64, error) { return far[p.PFN], nil }}
	pfns := []catalogue.ListedPFN{pfn("a", "lan"), pfn("b", "lan"), pfn("c", "wan"), pfn("d", "wan"), pfn("e", "zip")}
	require.NoError(t, sorter.sort(pfns))
	names := ""
	for _, p := range pfns {
		names += p.PFN
	}
	require.Equal(t, "abdce", names)
	failure := errors.New("no")
	sorter.far = func(*catalogue.ListedPFN) (float64, error) { return 0, failure }
	require.ErrorIs(t, sorter.sort(pfns), failure)
	require.NoError(t, sorter.sort(pfns[:2]))
}
