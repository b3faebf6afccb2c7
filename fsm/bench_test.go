package fsm

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"dapple/command"
)

// benchmarkMachine is a machine on disk with a formed cluster and the session of one node.
func benchmarkMachine(b *testing.B) *Machine {
	b.Helper()
	m, err := Open(Config{Dir: b.TempDir() + "/state", CacheBytes: 256 << 20})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, m.Close()) })
	apply(b, m, configuration(1, "a"), entry(b, 2, genesis(b, 1), register(b, "a", sessionID(1))))
	return m
}

// benchmarkEntries applies n entries in batches of 16 and reports the time of one command.
func benchmarkEntries(b *testing.B, commandsOf func(i int) []command.Command) {
	b.Helper()
	m := benchmarkMachine(b)
	var batch []*raft.Log
	index, commands := uint64(2), 0
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		index++
		c := commandsOf(i)
		commands += len(c)
		if batch = append(batch, entry(b, index, c...)); len(batch) == 16 {
			apply(b, m, batch...)
			batch = batch[:0]
		}
	}
	if len(batch) > 0 {
		apply(b, m, batch...)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(commands), "ns/command")
}

// BenchmarkApplyTermStart is what the machine itself costs, without a session.
func BenchmarkApplyTermStart(b *testing.B) {
	c := command.Command{Type: command.TypeTermStart, Payload: payload(b, &command.TermStart{Leader: "a-1"})}
	benchmarkEntries(b, func(int) []command.Command { return []command.Command{c} })
}

// BenchmarkApplySession is the same within a session that has so many commands unanswered.
func BenchmarkApplySession(b *testing.B) {
	for _, open := range []uint64{1, 64, 1024} {
		b.Run(fmt.Sprint(open), func(b *testing.B) {
			benchmarkEntries(b, func(i int) []command.Command {
				seq := uint64(i) + 1
				return []command.Command{in(sessionID(1), seq, max(seq, open)-open+1, command.Command{Type: command.TypeTermStart})}
			})
		})
	}
}

// BenchmarkApplyAddScope is a small command that reads and writes a few records.
func BenchmarkApplyAddScope(b *testing.B) {
	benchmarkEntries(b, func(i int) []command.Command {
		return []command.Command{{Type: command.TypeAddScope, Issuer: "root", Payload: payload(b, &command.AddScope{
			Name: fmt.Sprintf("scope%d", i), Account: "root",
		})}}
	})
}

// BenchmarkDigest is the digest of a store of 100,000 keys, per key.
func BenchmarkDigest(b *testing.B) {
	m := benchmarkMachine(b)
	const keys = 100_000
	o := m.overlay
	for i := range keys {
		o.Put(scriptKey(fmt.Sprintf("%09d", i)), bytes.Repeat([]byte{byte(i)}, 60))
	}
	m.state.applied = position{3, 1}
	require.NoError(b, m.commit())
	for b.Loop() {
		stateDigest(b, m)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/keys, "ns/key")
}

// BenchmarkApplyRegister registers new files at an RSE, so many in a command: what the catalogue is mostly there for.
func BenchmarkApplyRegister(b *testing.B) {
	for _, files := range []int{1, 1000} {
		b.Run(fmt.Sprint(files), func(b *testing.B) {
			m := benchmarkMachine(b)
			uuid := [16]byte{1}
			apply(b, m, entry(b, 3,
				command.Command{Type: command.TypeAddScope, Issuer: "root", Payload: payload(b, &command.AddScope{Name: "s", Account: "root"})},
				command.Command{Type: command.TypeAddRSE, Issuer: "root", Payload: payload(b, &command.AddRSE{Name: "ONE", Uuid: uuid[:]})},
			))
			index, registered := uint64(3), 0
			var took time.Duration
			for b.Loop() {
				var batch []*raft.Log
				for range max(1, 16/files) {
					c := &command.AddReplicas{Rse: "ONE"}
					for range files {
						c.Files = append(c.Files, &command.NewFile{
							Scope: "s", Name: fmt.Sprintf("data/run%06d/some.project.stream.file.%08d.root", registered/100, registered),
							Bytes: 1 << 30, Adler32: fmt.Sprintf("%08x", registered*2654435761%(1<<32)),
						})
						registered++
					}
					index++
					batch = append(batch, entry(b, index, command.Command{Type: command.TypeAddReplicas, Issuer: "root", Payload: payload(b, c)}))
				}
				started := time.Now()
				apply(b, m, batch...)
				took += time.Since(started)
			}
			b.ReportMetric(float64(took.Nanoseconds())/float64(registered), "ns/replica")
		})
	}
}
