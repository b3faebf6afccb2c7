package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
)

// An import prints what it did; refused lines are named and make it fail.
func TestImport(t *testing.T) {
	cluster := testcluster.Start(t, 1)
	good := `{"scope":"s","name":"a","bytes":1,"replicas":[{"rse":"R"}]}` + "\n"
	file := writeFile(t, good+`{"scope":"s","name":"b"}`+"\n")
	args := func(more ...string) []string {
		return append([]string{"import", "--target", cluster.URLs()[0], "--user", testcluster.User, "--password", testcluster.Password}, more...)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"missing":      {args(writeFile(t, `{"scope":"gone","name":"a","bytes":1,"replicas":[{"rse":"R"}]}`)), exitFailure, []string{":1: gone:a: scope gone does not exist", "--create"}},
		"refused line": {args("--create", file), exitFailure, []string{file + ":2: bytes is required", "2 lines, 1 files, 1 replicas", "1 items were refused"}},
		"good":         {args("--create", "--dataset", "s:set", writeFile(t, good)), 0, []string{"1 lines, 1 files, 1 replicas, 1 datasets created, 1 files in datasets", "replicas/s"}},
		"no file":      {args("/no/such"), exitFailure, []string{"/no/such"}},
		"no dataset":   {args("--dataset", "set", file), exitUsage, []string{"SCOPE:NAME"}},
		"no clients":   {args("--clients", "1000", file), exitUsage, []string{"clients must be 1 to 64"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			require.Equal(t, c.code, run(t.Context(), c.args, &out, &out), out.String())
			for _, want := range c.want {
				require.Contains(t, out.String(), want)
			}
		})
	}
}
