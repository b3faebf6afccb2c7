package node

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/transport"
)

// Without anything that proves who a peer is, only this host's processes may reach the cluster port.
func TestUnprotectedPortIsLoopback(t *testing.T) {
	for name, c := range map[string]struct {
		listen, advertise string
		join              []string
		want              string // "" is refused
	}{
		"alone, default":         {":7080", "", nil, "127.0.0.1:7080"},
		"alone, unspecified":     {"0.0.0.0:7080", "", nil, "127.0.0.1:7080"},
		"loopback":               {"127.0.0.1:7080", "127.0.0.1:7080", []string{"127.0.0.1:7081"}, "127.0.0.1:7080"},
		"loopback is advertised": {":7080", "localhost:7080", []string{"127.0.0.1:7081"}, "localhost:7080"},
		"another host to join":   {":7080", "", []string{"n2.example.org:7080"}, ""},
		"advertised to others":   {"[::]:7080", "n1.example.org:7080", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{NodeID: "n", DataDir: "d", HTTPAddr: "127.0.0.1:0", ClusterAddr: c.listen, ClusterAdvertise: c.advertise, Join: c.join}
			got, err := cfg.withDefaults()
			if c.want == "" {
				require.ErrorIs(t, err, transport.ErrOpen)
				cfg.ClusterInsecure = true
				got, err = cfg.withDefaults()
				c.want = c.listen
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got.ClusterAddr)
		})
	}
}

// An address that others reach stops the start, unless the operator insists; then each start warns.
func TestOpenPortIsRefused(t *testing.T) {
	var log bytes.Buffer
	cfg := Config{
		NodeID: "n", DataDir: t.TempDir(), HTTPAddr: "127.0.0.1:0", ClusterAddr: "0.0.0.0:0", ClusterAdvertise: "n.example.org:1",
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}
	_, err := Start(t.Context(), cfg)
	require.ErrorIs(t, err, transport.ErrOpen)
	require.ErrorContains(t, err, "--cluster-insecure")
	for range 2 {
		log.Reset()
		cfg.ClusterInsecure = true
		n, err := Start(t.Context(), cfg)
		require.NoError(t, err)
		require.NoError(t, n.Close(t.Context()))
		require.Contains(t, log.String(), "the cluster port is open")
	}
}
