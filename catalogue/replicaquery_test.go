package catalogue

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// listed runs a query and returns for each file its PFNs as "RSE scheme domain", in order, after the file's name; "-" stands for a
// replica without PFN.
func (s *didStore) listed(q ReplicaQuery) map[string]string {
	s.t.Helper()
	all := map[string]string{}
	list, err := NewReplicaList(s.tx, q)
	require.NoError(s.t, err)
	require.NoError(s.t, list.Each(func(f *ListedFile) (bool, error) {
		require.NotContains(s.t, all, f.Name, "listed twice")
		var pfns []string
		for _, p := range f.PFNs {
			scheme, _, _ := strings.Cut(p.PFN, ":")
			pfns = append(pfns, p.RSE.Name+" "+scheme+" "+p.Domain)
		}
		if len(pfns) == 0 && len(f.Replicas) > 0 {
			pfns = []string{"-"}
		}
		all[f.Name] = strings.Join(pfns, ", ")
		return true, nil
	}))
	return all
}

func named(names ...string) []DIDName {
	all := make([]DIDName, len(names))
	for i, name := range names {
		all[i] = DIDName{"s", name}
	}
	return all
}

// newListStore has f1 at ONE, f2 at ONE and TWO and f3 at THREE, whose protocols are davs (local 3, wide 1), root (local 1, wide 2)
// and https (local only).
func newListStore(t *testing.T) *didStore {
	s := newReplicaStore(t)
	didDo(s, "root", AddRSE, &command.AddRSE{Name: "THREE", Uuid: uuidOf(33), Settings: &command.RSESettings{}})
	s.protocol("THREE", "davs", "three.example", 443, "/dav", 3, 1)
	s.protocol("THREE", "root", "threex.example", 1094, "/eos", 1, 2)
	s.protocol("THREE", "https", "threeh.example", 443, "/h", 2, 0)
	s.add("ONE", newFile("f1"), newFile("f2"))
	s.add("TWO", newFile("f2"))
	s.add("THREE", newFile("f3"))
	didDo(s, "root", SetRSEAttribute, &command.SetRSEAttribute{Rse: "THREE", Key: "site", Value: "HERE"})
	return s
}

func TestListChoosesProtocols(t *testing.T) {
	s := newListStore(t)
	for name, c := range map[string]struct {
		file string
		q    ReplicaQuery
		want string
	}{
		"best of all":           {"f3", ReplicaQuery{}, "THREE davs wan"},
		"wide":                  {"f3", ReplicaQuery{Domain: "wan"}, "THREE davs wan"},
		"local":                 {"f3", ReplicaQuery{Domain: "lan"}, "THREE root lan"},
		"at the client's site":  {"f3", ReplicaQuery{Site: "HERE"}, "THREE root lan"},
		"elsewhere":             {"f3", ReplicaQuery{Site: "THERE"}, "THREE davs wan"},
		"the domain prevails":   {"f3", ReplicaQuery{Site: "HERE", Domain: "wan"}, "THREE davs wan"},
		"both domains":          {"f3", ReplicaQuery{Domain: "all"}, "THREE root lan, THREE davs lan"},
		"no such domain":        {"f3", ReplicaQuery{Domain: "moon"}, "-"},
		"one scheme":            {"f3", ReplicaQuery{Schemes: []string{"root"}}, "THREE root wan"},
		"two schemes":           {"f3", ReplicaQuery{Schemes: []string{"root", "davs"}}, "THREE davs wan, THREE root wan"},
		"a scheme twice":        {"f3", ReplicaQuery{Schemes: []string{"root", "root"}}, "THREE root wan"},
		"a scheme that is off":  {"f3", ReplicaQuery{Schemes: []string{"https"}}, "-"},
		"local scheme anywhere": {"f3", ReplicaQuery{Schemes: []string{"https", "davs"}, Domain: "all"}, "THREE https lan, THREE davs lan"},
		"no such scheme":        {"f3", ReplicaQuery{Schemes: []string{"srm"}}, "-"},
		"two RSEs":              {"f2", ReplicaQuery{}, "ONE davs wan, TWO root wan"},
		"two RSEs, all schemes": {"f2", ReplicaQuery{Schemes: []string{"davs", "root"}}, "ONE davs wan, TWO root wan, ONE root wan"},
		"an expression":         {"f2", ReplicaQuery{Expression: "TWO"}, "TWO root wan"},
		"elsewhere only":        {"f2", ReplicaQuery{Expression: "THREE"}, ""},
	} {
		c.q.DIDs = named(c.file)
		s.t = t
		require.Equal(t, map[string]string{c.file: c.want}, s.listed(c.q), name)
	}
}

func TestListChoosesReplicas(t *testing.T) {
	s := newListStore(t)
	didDo(s, "root", UpdateReplicaStates, updateAt("ONE", change("f1", 'U'), change("f2", 'D')))
	require.Equal(t, map[string]string{"f1": "", "f2": "TWO root wan"}, s.listed(ReplicaQuery{DIDs: named("f1", "f2")}))
	require.Equal(t, map[string]string{"f1": "ONE davs wan", "f2": "TWO root wan"}, s.listed(ReplicaQuery{DIDs: named("f1", "f2"), Unavailable: true}))
	require.Equal(t, map[string]string{"f2": "ONE davs wan, TWO root wan"}, s.listed(ReplicaQuery{DIDs: named("f2"), AllStates: true}))

	didDo(s, "root", UpdateRSE, &command.UpdateRSE{Name: "TWO", Settings: &command.RSESettings{AvailabilityRead: ptr(false)}})
	require.Equal(t, map[string]string{"f2": ""}, s.listed(ReplicaQuery{DIDs: named("f2")}))
	require.Equal(t, map[string]string{"f2": "TWO root wan"}, s.listed(ReplicaQuery{DIDs: named("f2"), IgnoreAvailability: true}))

	after := s.replica("THREE", "f3").Updated
	require.Equal(t, map[string]string{"f3": "THREE davs wan"}, s.listed(ReplicaQuery{DIDs: named("f3"), UpdatedAfter: after}))
	require.Equal(t, map[string]string{"f3": ""}, s.listed(ReplicaQuery{DIDs: named("f3"), UpdatedAfter: after + 1}))
}

func TestListCollections(t *testing.T) {
	s := newListStore(t)
	s.collections(TypeDataset, "ds1", "ds2", "empty")
	s.collections(TypeContainer, "inner", "second", "outer")
	s.attach("ds1", "f1", "f2")
	s.attach("ds2", "f2", "f3")
	s.attach("inner", "ds1", "ds2")
	s.attach("second", "ds2", "empty")
	s.attach("outer", "inner", "second")
	all := map[string]string{"f1": "ONE davs wan", "f2": "ONE davs wan, TWO root wan", "f3": "THREE davs wan"}
	for _, dids := range [][]string{{"outer"}, {"inner"}, {"ds1", "ds2"}, {"f2", "outer"}, {"outer", "f2", "ds1", "f2", "unknown"}} {
		require.Equal(t, all, s.listed(ReplicaQuery{DIDs: named(dids...)}), "%v", dids)
	}
	// Files of collections are listed with replicas only, files that are named always.
	require.Equal(t, map[string]string{"f3": "THREE davs wan"}, s.listed(ReplicaQuery{DIDs: named("outer"), Expression: "THREE"}))
	require.Equal(t, map[string]string{"f1": "", "f3": "THREE davs wan"}, s.listed(ReplicaQuery{DIDs: named("outer", "f1"), Expression: "THREE"}))
	require.Empty(t, s.listed(ReplicaQuery{DIDs: named("empty")}))
	require.Empty(t, s.listed(ReplicaQuery{}))

	list, err := NewReplicaList(s.tx, ReplicaQuery{DIDs: named("f3"), ResolveParents: true})
	require.NoError(t, err)
	require.NoError(t, list.Each(func(f *ListedFile) (bool, error) {
		require.Equal(t, named("ds2", "inner", "second", "outer"), f.Parents)
		return true, nil
	}))
}

// What Each has visited can be shown again, alike: also a file of a collection whose archives do not count.
func TestListShowsAgain(t *testing.T) {
	s := newListStore(t)
	s.collections(TypeDataset, "ds")
	s.attach("ds", "f1", "f2")
	s.add("THREE", newFile("pack.zip"))
	didDo(s, "root", AttachDIDs, pack("pack.zip", sized("f1", 10), sized("f3", 10)))
	list, err := NewReplicaList(s.tx, ReplicaQuery{DIDs: named("f3", "ds"), ResolveArchives: true})
	require.NoError(t, err)
	var refs []ListedRef
	var first, second [][]ListedPFN
	require.NoError(t, list.Each(func(f *ListedFile) (bool, error) {
		refs, first = append(refs, f.Ref()), append(first, slices.Clone(f.PFNs))
		return true, nil
	}))
	show := func(f *ListedFile) (bool, error) {
		second = append(second, slices.Clone(f.PFNs))
		return len(second) < 3, nil
	}
	require.NoError(t, list.Show(refs, show))
	require.Equal(t, first, second)
	require.Len(t, first, 3)
	require.NoError(t, list.Show(refs, show))
	require.Len(t, second, 4, "it stops when told")
}

func TestListStops(t *testing.T) {
	s := newListStore(t)
	s.collections(TypeDataset, "ds")
	s.attach("ds", "f1", "f2")
	for _, dids := range [][]DIDName{named("f1", "f2"), named("ds", "f3")} {
		list, err := NewReplicaList(s.tx, ReplicaQuery{DIDs: dids})
		require.NoError(t, err)
		visits := 0
		require.NoError(t, list.Each(func(*ListedFile) (bool, error) { visits++; return false, nil }))
		require.Equal(t, 1, visits)
	}
}

func TestListRefused(t *testing.T) {
	s := newListStore(t)
	for code, q := range map[command.Code]ReplicaQuery{
		command.CodeDIDNotFound:          {DIDs: append(named("no", "neither"), DIDName{"noscope", "f1"})},
		command.CodeInvalidRSEExpression: {DIDs: named("f1"), Expression: "NOSUCH"},
	} {
		_, err := NewReplicaList(s.tx, q)
		require.Equal(t, code, CodeOf(err))
	}
}

func TestListArchives(t *testing.T) {
	s := newListStore(t)
	s.add("THREE", newFile("pack.zip"))
	s.add("ND", newFile("pack.zip", withPFN("davs://nd.example:443/dav/p/zip")))
	didDo(s, "root", AttachDIDs, pack("pack.zip", sized("f1", 10), sized("in/side", 10)))
	_, err := GetDID(s.tx, "s", "in/side")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"f1": "ONE davs wan"}, s.listed(ReplicaQuery{DIDs: named("f1")}))
	q := ReplicaQuery{DIDs: named("f1"), ResolveArchives: true}
	require.Equal(t, map[string]string{"f1": "ONE davs wan, THREE root zip, ND davs zip, THREE davs zip"}, s.listed(q))
	list, err := NewReplicaList(s.tx, ReplicaQuery{DIDs: named("in/side"), ResolveArchives: true, Expression: "THREE", Schemes: []string{"davs"}})
	require.NoError(t, err)
	require.NoError(t, list.Each(func(f *ListedFile) (bool, error) {
		require.Len(t, f.PFNs, 2)
		require.True(t, strings.HasPrefix(f.PFNs[0].PFN, "root://threex.example:1094/eos/s/"), f.PFNs[0].PFN)
		require.True(t, strings.HasSuffix(f.PFNs[0].PFN, "/pack.zip?xrdcl.unzip=in%2Fside"), f.PFNs[0].PFN)
		require.False(t, f.PFNs[0].ClientExtract)
		require.True(t, f.PFNs[1].ClientExtract)
		return true, nil
	}))
}

// What is listed can be looked up, whatever slashes a name has.
func TestListedPFNsAreFound(t *testing.T) {
	s := newListStore(t)
	names := []string{"x/", "/y", "dir/z//", "/", "a//b"}
	didDo(s, "root", SetRSEAttribute, &command.SetRSEAttribute{Rse: "TWO", Key: AttributePathAlgorithm, Value: "identity"})
	for _, name := range names {
		s.add("ONE", newFile(name))
		s.add("TWO", newFile(name))
	}
	list, err := NewReplicaList(s.tx, ReplicaQuery{DIDs: named(append(names, "f1")...), Domain: DomainAll})
	require.NoError(t, err)
	var want, found []string
	require.NoError(t, list.Each(func(f *ListedFile) (bool, error) {
		for _, p := range f.PFNs {
			want = append(want, p.PFN+" "+f.Name)
			require.NoError(t, DIDsOfPFNs(s.tx, "", []string{p.PFN}, func(pfn, _, name string) error {
				found = append(found, pfn+" "+name)
				return nil
			}))
		}
		return true, nil
	}))
	require.Equal(t, want, found)
	require.Len(t, found, 2*len(names)+1)
}

func TestListNonDeterministic(t *testing.T) {
	s := newListStore(t)
	s.add("ND", newFile("n", withPFN("davs://nd.example:443/dav/some/where/n")))
	list, err := NewReplicaList(s.tx, ReplicaQuery{DIDs: named("n")})
	require.NoError(t, err)
	require.NoError(t, list.Each(func(f *ListedFile) (bool, error) {
		require.Equal(t, "davs://nd.example:443/dav/some/where/n", f.PFNs[0].PFN)
		return true, nil
	}))
}

// The prefix that a list works out once must make the same PFNs as the protocol itself.
func TestListedPFNs(t *testing.T) {
	for _, p := range []Protocol{
		{Scheme: "davs", Hostname: "h", Port: 443, Prefix: "/dav", Impl: "rucio.rse.protocols.gfal.Default"},
		{Scheme: "root", Hostname: "h", Port: 1094, Prefix: "//eos/", Impl: "rucio.rse.protocols.xrootd.Default"},
		{Scheme: "root", Hostname: "h", Port: 1094, Prefix: "eos", Impl: "rucio.rse.protocols.gfal.Default"},
		{Scheme: "srm", Hostname: "srm://h", Port: 8443, Prefix: "/srm", Impl: "rucio.rse.protocols.gfal.Default", ExtendedAttributes: `{"web_service_path": "/srm/managerv2?SFN="}`},
		{Scheme: "file", Hostname: "localhost", Prefix: "/tmp", Impl: "rucio.rse.protocols.posix.Default"},
	} {
		l := newListedProtocol(&p, DomainWAN)
		for _, path := range []string{"s/ab/cd/name", "/s/ab/cd/name", "a//b"} {
			require.Equal(t, p.PFN(path), l.pfn(&textArena{}, path))
		}
	}
}

func TestDatasetReplicas(t *testing.T) {
	s := newListStore(t)
	s.collections(TypeDataset, "ds", "other")
	s.collections(TypeContainer, "c")
	s.attach("ds", "f1", "f2", "f3")
	s.attach("other", "f3")
	s.attach("c", "ds")
	didDo(s, "root", UpdateReplicaStates, updateAt("ONE", change("f1", 'U')))
	all := map[string]DatasetReplica{}
	collect := func(r *DatasetReplica) error {
		require.NotZero(t, r.Created)
		require.GreaterOrEqual(t, r.Updated, r.Created)
		all[r.Name+"@"+r.RSE.Name] = DatasetReplica{
			Length: r.Length, Bytes: r.Bytes, AvailableLength: r.AvailableLength, AvailableBytes: r.AvailableBytes,
		}
		return nil
	}
	require.NoError(t, ListDatasetReplicas(s.tx, "s", "ds", true, collect))
	part := DatasetReplica{Length: 3, Bytes: 30, AvailableLength: 1, AvailableBytes: 10}
	require.False(t, part.Complete())
	require.Equal(t, map[string]DatasetReplica{"ds@ONE": part, "ds@TWO": part, "ds@THREE": part}, all)
	for _, name := range []string{"c", "f1", "no"} {
		require.NoError(t, ListDatasetReplicas(s.tx, "s", name, true, func(*DatasetReplica) error { t.Fatal(name); return nil }))
	}

	clear(all)
	require.NoError(t, ListDatasetsAtRSE(s.tx, "THREE", collect))
	whole := DatasetReplica{Length: 1, Bytes: 10, AvailableLength: 1, AvailableBytes: 10}
	require.True(t, whole.Complete())
	require.Equal(t, map[string]DatasetReplica{"ds@THREE": part, "other@THREE": whole}, all)
	require.Equal(t, command.CodeRSENotFound, CodeOf(ListDatasetsAtRSE(s.tx, "NO", nil)))
}

func TestDatasetReplicasInArchives(t *testing.T) {
	s := newListStore(t)
	s.add("TWO", newFile("pack.zip"))
	didDo(s, "root", AttachDIDs, pack("pack.zip", sized("f1", 10), sized("f2", 10)))
	s.collections(TypeDataset, "ds")
	s.attach("ds", "f1", "f2")
	for deep, want := range map[bool][]string{false: {"ONE++", "TWO+"}, true: {"ONE++", "TWO+", "TWO++"}} {
		var all []string
		require.NoError(t, ListDatasetReplicas(s.tx, "s", "ds", deep, func(r *DatasetReplica) error {
			all = append(all, r.RSE.Name+strings.Repeat("+", int(r.AvailableLength)))
			return nil
		}))
		require.Equal(t, want, all, "deep: %v", deep)
	}
}
