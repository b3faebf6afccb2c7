package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/httpload"
)

// fake is a system that notes what is done with it.
func fake(name string, slow bool, rate float64, notes *[]string, runs ...string) system {
	return system{
		name: name, slow: slow, runs: runs,
		start: func(_ context.Context, folder string) (*nodes, error) {
			*notes = append(*notes, "start "+name)
			return &nodes{folder: folder}, os.WriteFile(folder+"/data", nil, 0o600)
		},
		measure: func(_ context.Context, _ *nodes, w workload, _ time.Duration) (httpload.Result, error) {
			*notes = append(*notes, name+" "+w.name)
			if rate == 0 {
				return httpload.Result{}, errors.New("it is broken")
			}
			rate++
			return httpload.Result{Requests: 1, RequestsPerSecond: rate, P50: rate, P99: 10 * rate}, nil
		},
	}
}

// Systems take turns within a round; a slow one is started once for all its workloads; folders are removed.
func TestRounds(t *testing.T) {
	var notes []string
	chosen, err := chosenWorkloads([]string{"register", "list"})
	require.NoError(t, err)
	c := &comparison{
		systems: []system{
			fake(own, false, 2000, &notes, "register", "list"), fake("peer", false, 500, &notes, "register"),
			fake("slow", true, 4, &notes, "register", "list"), fake("broken", false, 0, &notes, "list"),
		},
		floors:    []floor{{"floor", func(context.Context, string) (float64, error) { return 5, nil }}},
		workloads: chosen, rounds: 2, duration: time.Second, folder: t.TempDir(), progress: io.Discard, figures: map[cell][]figure{},
	}
	err = c.run(t.Context())
	require.ErrorContains(t, err, "broken list: it is broken")
	round := []string{
		"start " + own, own + " register", "start peer", "peer register", "start " + own, own + " list", "start broken", "broken list",
		"start slow", "slow register", "slow list",
	}
	require.Equal(t, append(round, round...), notes)
	left, err := os.ReadDir(c.folder)
	require.NoError(t, err)
	require.Empty(t, left)

	var text strings.Builder
	require.NoError(t, c.writeTables(&text))
	for _, row := range []string{
		"| workload | dapple | peer | slow | broken | dapple to peer | dapple to slow | dapple to broken |",
		"| `register`: single write, requests/s | 2,002 (2,001 to 2,003) | 502 (501 to 502) | 6.00 (5.00 to 7.00) |  | 3.99 | 333.67 |  |",
		"| `list`: 10,000 rows in one answer, ms p50 | 2,003 (2,002 to 2,004) |  | 7.00 (6.00 to 8.00) |  |  | 0.00 |  |",
		"| `register` | 20,020 (20,010 to 20,030) | 5,015 (5,010 to 5,020) | 60.0 (50.0 to 70.0) |  |",
		"| floor | 5.00 (5.00 to 5.00) |",
		"Rounds: 2;",
	} {
		require.Contains(t, text.String(), row)
	}
}

func TestUnknownNamesAreRefused(t *testing.T) {
	_, err := chosenWorkloads([]string{"none"})
	require.ErrorContains(t, err, `no workload "none": there are register,`)
	_, _, err = (&options{Systems: []string{"none"}}).systems(t.Context())
	require.ErrorContains(t, err, `no system "none": there are dapple,`)
}

func TestWhatIsNotThereIsLeftOut(t *testing.T) {
	t.Setenv("RQLITED", "")
	t.Setenv("RUCIO_SOURCE", "")
	systems, left, err := (&options{Systems: []string{own, "rqlite", "rucio"}}).systems(t.Context())
	require.NoError(t, err)
	require.Len(t, systems, 1)
	require.Equal(t, []string{"rqlite: RQLITED names no binary of rqlite's server", "rucio: RUCIO_SOURCE names no tree of Rucio's source"}, left)
}

func TestMiddle(t *testing.T) {
	require.InDelta(t, 2, middle([]float64{3, 1, 2}), 0)
	require.InDelta(t, 2.5, middle([]float64{4, 1, 2, 3}), 0)
	require.Equal(t, "1,234", number(1234.4))
	require.Equal(t, "", spread(nil))
	require.Equal(t, "12.3", spread([]float64{12.34}))
}
