package fsm

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

const benchFiles, benchBatch = 100_000, 1000

func benchFile(i int) string {
	return fmt.Sprintf("run%06d/some.project.stream.file.%08d.root", i/100, i)
}

// readMachine has benchFiles files, a tenth of them in the dataset "set".
func readMachine(b *testing.B) *Machine {
	b.Helper()
	m := benchmarkMachine(b)
	made := func(t command.Type, c proto.Message) command.Command {
		return command.Command{Type: t, Issuer: "root", Payload: payload(b, c)}
	}
	index := uint64(3)
	do := func(c command.Command) {
		if results := apply(b, m, entry(b, index, c)); results[0].Code != command.CodeOK {
			b.Fatal(results[0].Code, results[0].Message)
		}
		index++
	}
	do(made(command.TypeAddScope, &command.AddScope{Name: "s", Account: "root"}))
	do(made(command.TypeAddRSE, &command.AddRSE{Name: "ONE", Uuid: make([]byte, 16)}))
	do(made(command.TypeAddDIDs, &command.AddDIDs{Dids: []*command.NewCollection{{Scope: "s", Name: "set", Type: uint32(catalogue.TypeDataset)}}}))
	for first := 0; first < benchFiles; first += benchBatch {
		add := &command.AddReplicas{Rse: "ONE"}
		attach := &command.Attachment{Scope: "s", Name: "set"}
		for i := first; i < first+benchBatch; i++ {
			f := &command.NewFile{Scope: "s", Name: benchFile(i), Bytes: 1 << 30, Adler32: "0cc737eb"}
			add.Files = append(add.Files, f)
			attach.Children = append(attach.Children, &command.Child{File: &command.NewFile{Scope: f.Scope, Name: f.Name}})
		}
		do(made(command.TypeAddReplicas, add))
		if first < benchFiles/10 {
			do(made(command.TypeAttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{attach}}))
		}
	}
	return m
}

// BenchmarkPointRead opens a view and reads the record of one file at random.
func BenchmarkPointRead(b *testing.B) {
	m := readMachine(b)
	random := rand.New(rand.NewPCG(1, 1))
	b.ReportAllocs()
	for b.Loop() {
		v, err := m.View()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := catalogue.GetDID(v, "s", benchFile(random.IntN(benchFiles))); err != nil {
			b.Fatal(err)
		}
		if err := v.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkListDataset lists the files of a dataset with their replicas, per file.
func BenchmarkListDataset(b *testing.B) {
	m := readMachine(b)
	b.ReportAllocs()
	files := 0
	for b.Loop() {
		v, err := m.View()
		if err != nil {
			b.Fatal(err)
		}
		list, err := catalogue.NewReplicaList(v, catalogue.ReplicaQuery{DIDs: []catalogue.DIDName{{Scope: "s", Name: "set"}}})
		if err != nil {
			b.Fatal(err)
		}
		if err := list.Each(func(*catalogue.ListedFile) (bool, error) {
			files++
			return true, nil
		}); err != nil {
			b.Fatal(err)
		}
		if err := v.Close(); err != nil {
			b.Fatal(err)
		}
	}
	if files != b.N*benchFiles/10 {
		b.Fatalf("%d files in %d lists", files, b.N)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(files), "ns/file")
}
