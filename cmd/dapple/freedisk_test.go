package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMinFreeDisk(t *testing.T) {
	for value, want := range map[string]freeDisk{"auto": 0, "0": -1, "1048576": 1 << 20} {
		c, err := parseServe(t, "--node-id", "a", "--data-dir", "/d", "--min-free-disk", value)
		require.NoError(t, err)
		require.Equal(t, want, c.Tuning.MinFreeDisk, value)
		c, err = parseServe(t, "--node-id", "a", "--data-dir", "/d", "--config", writeFile(t, "min-free-disk: "+value+"\n"))
		require.NoError(t, err)
		require.Equal(t, want, c.Tuning.MinFreeDisk, "in a file: "+value)
	}
	for _, value := range []string{"-1", "5%", "much"} {
		_, err := parseServe(t, "--node-id", "a", "--data-dir", "/d", "--min-free-disk="+value)
		require.ErrorContains(t, err, "neither auto nor a number of bytes")
	}
	c, err := parseServe(t, "--node-id", "a", "--data-dir", "/d")
	require.NoError(t, err)
	require.Zero(t, c.Tuning.MinFreeDisk)
}
