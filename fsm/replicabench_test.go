package fsm

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// BenchmarkApplyAddReplicas is an entry that registers 1,000 new files, on disk, per file.
func BenchmarkApplyAddReplicas(b *testing.B) {
	const count = 1000
	m := benchmarkMachine(b)
	add := func(i uint64) command.Command {
		message := &command.AddReplicas{Rse: "BENCH"}
		for k := range count {
			message.Files = append(message.Files, &command.NewFile{
				Scope: "bench", Name: fmt.Sprintf("mc26_14TeV.%06d.AOD.merge._%010d.pool.root.1", i, k), Bytes: 1 << 20, Adler32: "0cc737eb",
			})
		}
		return command.Command{Type: command.TypeAddReplicas, Issuer: "root", Payload: payload(b, message)}
	}
	results := apply(b, m, entry(b, 3,
		command.Command{Type: command.TypeAddScope, Issuer: "root", Payload: payload(b, &command.AddScope{Name: "bench", Account: "root"})},
		command.Command{Type: command.TypeAddRSE, Issuer: "root", Payload: payload(b, &command.AddRSE{Name: "BENCH", Uuid: make([]byte, 16)})},
		add(0),
	))
	for _, result := range results {
		require.Equal(b, command.CodeOK, result.Code, string(result.Payload))
	}
	b.ReportAllocs()
	for index := uint64(4); b.Loop(); index++ {
		b.StopTimer()
		e := entry(b, index, add(index))
		b.StartTimer()
		if results := apply(b, m, e); results[0].Code != command.CodeOK {
			b.Fatal(results[0].Code)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*count), "ns/file")
}
