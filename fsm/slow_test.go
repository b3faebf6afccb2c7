package fsm

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"dapple/command"
)

func TestSlowCommandsAreLoggedOnceInAWhile(t *testing.T) {
	var out bytes.Buffer
	slow := slowLog{log: slog.New(slog.NewTextHandler(&out, nil))}
	c := &command.Command{Type: command.TypeAttachDIDs, Issuer: "alice", Payload: make([]byte, 274)}
	at := time.Unix(1000, 0)
	slow.note(7, c, at, slowCommand-1)
	require.Empty(t, out.String())
	slow.note(8, c, at, slowCommand)
	require.Contains(t, out.String(), "level=WARN")
	require.Contains(t, out.String(), "command=AttachDIDs index=8 bytes=274 issuer=alice seconds=0.1 others=0")
	slow.note(9, c, at.Add(slowPause-1), time.Second)
	slow.note(10, c, at.Add(slowPause), time.Second)
	require.Equal(t, 2, strings.Count(out.String(), "\n"))
	require.Contains(t, out.String(), "index=10 bytes=274 issuer=alice seconds=1 others=1")
}

func TestCommandsAreTimed(t *testing.T) {
	m := newMachine(t)
	apply(t, m, configuration(1, "a"), entry(t, 2, genesis(t, 1)))
	families, err := prometheusOf(t, m).Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == "dapple_fsm_command_seconds" {
			require.EqualValues(t, 1, family.GetMetric()[0].GetHistogram().GetSampleCount())
			return
		}
	}
	require.Fail(t, "no such metric")
}

func prometheusOf(t *testing.T, m *Machine) prometheus.Gatherer {
	t.Helper()
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(m.Collector()))
	return registry
}
