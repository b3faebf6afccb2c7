package catalogue

import (
	"fmt"
	"testing"

	"dapple/command"
)

// benchStore is a store with the scope s and the RSE ONE, and what a command of n new files needs.
func benchFiles(n int) []*command.NewFile {
	files := make([]*command.NewFile, n)
	for i := range files {
		files[i] = newFile(fmt.Sprintf("data/run%06d/file.%06d.root", i/100, i))
	}
	return files
}

// BenchmarkAddReplicas tells what one replica costs, in memory and of 1,000 in a command.
func BenchmarkAddReplicas(b *testing.B) {
	files := benchFiles(1000)
	for range b.N {
		b.StopTimer()
		tx := NewMemTx()
		benchSetup(b, tx)
		b.StartTimer()
		if _, err := AddReplicas(tx, Stamp{Revision: 9, Time: 9, Issuer: "root"}, addTo("ONE", files...)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(files)), "ns/replica")
}

// BenchmarkListReplicas tells what a file of a dataset costs in a list.
func BenchmarkListReplicas(b *testing.B) {
	tx := NewMemTx()
	benchSetup(b, tx)
	files := benchFiles(1000)
	query := ReplicaQuery{}
	if _, err := AddReplicas(tx, Stamp{Revision: 9, Time: 9, Issuer: "root"}, addTo("ONE", files...)); err != nil {
		b.Fatal(err)
	}
	for _, f := range files {
		query.DIDs = append(query.DIDs, DIDName{f.Scope, f.Name})
	}
	list, err := NewReplicaList(tx, query)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if err := list.Each(func(*ListedFile) (bool, error) { return true, nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(files)), "ns/file")
}

func benchSetup(b *testing.B, tx *MemTx) {
	b.Helper()
	at := Stamp{Revision: 1, Time: 1, Issuer: "root"}
	if _, err := Genesis(tx, Stamp{Revision: 1, Time: 1}, genesisCommand()); err != nil {
		b.Fatal(err)
	}
	if _, err := AddScope(tx, at, &command.AddScope{Name: "s", Account: "root"}); err != nil {
		b.Fatal(err)
	}
	if _, err := AddRSE(tx, at, &command.AddRSE{Name: "ONE", Uuid: uuidOf(1), Settings: &command.RSESettings{}}); err != nil {
		b.Fatal(err)
	}
	scheme, host, prefix, impl, port := "davs", "one.example", "/dav", "rucio.rse.protocols.gfal.Default", int32(443)
	if _, err := AddProtocol(tx, at, &command.AddProtocol{Rse: "ONE", Protocol: &command.ProtocolSettings{
		Scheme: &scheme, Hostname: &host, Port: &port, Prefix: &prefix, Impl: &impl,
		Wan: &command.ProtocolPriorities{Read: ptr(int32(1))},
	}}); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPFN makes the path and the PFN of one file at a deterministic RSE.
func BenchmarkPFN(b *testing.B) {
	protocol := newListedProtocol(&Protocol{
		Scheme: "davs", Hostname: "one.example", Port: 443, Prefix: "/dav", Impl: "rucio.rse.protocols.gfal.Default",
	}, DomainWAN)
	var paths pathCache
	b.ReportAllocs()
	for b.Loop() {
		paths.reset("data24", "run000001/some.project.stream.file.00000001.root")
		if pfn := protocol.pfn(&paths.texts, paths.make(&listedRSE{rse: &RSE{}, algorithm: algorithmHash})); len(pfn) == 0 {
			b.Fatal("no PFN")
		}
	}
}
