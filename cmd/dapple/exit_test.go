package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each cause has an exit code of its own, and advice that names the folder.
func TestExitCodes(t *testing.T) {
	seen := map[int]bool{}
	for _, row := range exitRows {
		require.False(t, seen[row.code], "code %d has two causes", row.code)
		seen[row.code] = true
		err := withExitCode(fmt.Errorf("node n1: %w: more", row.cause), "/srv/d")
		var exit *exitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, row.code, exit.code)
		require.ErrorIs(t, err, row.cause)
		require.Contains(t, err.Error(), "/srv/d")
		require.NotContains(t, err.Error(), "DATA_DIR")
	}
	plain := errors.New("plain")
	require.Equal(t, plain, withExitCode(plain, "/srv/d"))
	require.NoError(t, withExitCode(nil, "/srv/d"))
}

// The runbook lists every code of the table.
func TestExitCodesAreDocumented(t *testing.T) {
	listed := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(documentation(t)["runbook.md"], -1) {
		require.False(t, listed[match[1]], "code %s stands there twice", match[1])
		listed[match[1]] = true
	}
	codes := []int{0, exitFailure, exitUsage, exitUnhealth}
	for _, row := range exitRows {
		codes = append(codes, row.code)
	}
	require.Len(t, listed, len(codes))
	for _, code := range codes {
		require.True(t, listed[strconv.Itoa(code)], "code %d", code)
	}
}
