package fsm

import (
	"maps"
	"math"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// BenchmarkWorst applies the commands of TestWorstCases at a machine with the default sizes, on disk. It reports the least
// time of each, and the least processor time: that is what compares where other jobs run on the same processors.
func BenchmarkWorst(b *testing.B) {
	cases := worstCases()
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		b.Run(name, func(b *testing.B) {
			least, leastCPU := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
			for b.Loop() { // with what comes before the command, so that a second is a few of them
				took, cpu := worstTime(b, cases[name])
				least, leastCPU = min(least, took), min(leastCPU, cpu)
			}
			b.ReportMetric(float64(least.Microseconds())/1000, "ms")
			b.ReportMetric(float64(leastCPU.Microseconds())/1000, "cpu-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// worstTime prepares a machine for a command and returns how long that takes to apply and to commit.
func worstTime(b *testing.B, prepare worstCase) (took, cpu time.Duration) {
	b.Helper()
	m, err := Open(Config{Dir: b.TempDir() + "/state", CacheBytes: 256 << 20})
	require.NoError(b, err)
	defer func() { require.NoError(b, m.Close()) }()
	s := fillWorstStore(b, m)
	number, c, _ := prepare(s)
	one := entry(b, s.index+1, command.Command{Type: number, Issuer: worstIssuer(number), Payload: payload(b, c)})
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	started, startedCPU := time.Now(), threadTime(b)
	result := apply(b, m, one)
	took, cpu = time.Since(started), threadTime(b)-startedCPU
	require.Len(b, result, 1)
	return took, cpu
}

// threadTime returns the processor time of this thread.
func threadTime(b *testing.B) time.Duration {
	b.Helper()
	const thread = 1 // RUSAGE_THREAD
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(thread, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
