package fsm

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"dapple/command"
)

func TestMetrics(t *testing.T) {
	m := newMachine(t)
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(m.Collector()))
	id := sessionID(1)
	c := in(id, 1, 1, script(t, "put x 1"))
	apply(t, m, configuration(1, "a"), entry(t, 2, register(t, "a", id), c, c, in(id, 2, 2, script(t, "refuse")), c),
		entry(t, 3, in(sessionID(2), 1, 1, script(t, "put x 1"))))
	v, err := m.View()
	require.NoError(t, err)

	families, err := registry.Gather()
	require.NoError(t, err)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
	require.EqualValues(t, 3, value(t, registry, "dapple_fsm_applied_index", nil))
	require.EqualValues(t, 1, value(t, registry, "dapple_fsm_views", nil))
	require.EqualValues(t, 0, value(t, registry, "dapple_fsm_failed", nil))
	require.Positive(t, value(t, registry, "dapple_pebble_memtable_bytes", nil))
	for outcome, want := range map[string]float64{outcomeDone: 1, outcomeRepeated: 1, outcomeRefused: 1, outcomeVoid: 2} {
		labels := map[string]string{"command": typeScript.String(), "outcome": outcome}
		require.Equal(t, want, value(t, registry, "dapple_fsm_commands_total", labels), outcome)
	}
	require.EqualValues(t, 1, value(t, registry, "dapple_fsm_commands_total",
		map[string]string{"command": command.TypeRegisterSession.String(), "outcome": outcomeDone}))

	require.NoError(t, v.Close())
	require.NoError(t, m.Close())
	require.EqualValues(t, 0, value(t, registry, "dapple_fsm_views", nil), "a closed machine can still be asked")
}

// value returns a counter or gauge of a registry.
func value(t *testing.T, from prometheus.Gatherer, name string, labels map[string]string) float64 {
	t.Helper()
	families, err := from.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	metrics:
		for _, m := range family.GetMetric() {
			for _, pair := range m.GetLabel() {
				if labels[pair.GetName()] != pair.GetValue() {
					continue metrics
				}
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	require.Fail(t, "no such metric", "%s %v", name, labels)
	return 0
}
