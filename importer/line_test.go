package importer

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/client"
)

func TestParse(t *testing.T) {
	i, err := parse([]byte(`{"scope":"s","name":"n","bytes":0,"adler32":null,"md5":null,"replicas":[{"rse":"A","state":"COPYING","pfn":"p"},{"rse":"B"}],` +
		`"dataset":{"scope":"s","name":"d"},"datasets":[{"scope":"s","name":"e"}]}`))
	require.NoError(t, err)
	require.Equal(t, &item{
		file:     client.NewFile{Scope: "s", Name: "n"},
		replicas: []replica{{rse: "A", state: "C", pfn: "p"}, {rse: "B", state: "A"}},
		datasets: []client.DIDName{{Scope: "s", Name: "e"}, {Scope: "s", Name: "d"}},
	}, i)
}

// A listing names replicas in other words; copies within an archive are not the file's own.
func TestParseListing(t *testing.T) {
	i, err := parse([]byte(`{"scope":"s","name":"n","bytes":3,"md5":null,"adler32":"0cc737eb","pfns":{"z://1":{"rse_id":"i","rse":"ZIP","domain":"zip","priority":1},` +
		`"p://1":{"rse":"A","domain":"wan"},"p://2":{"rse":"A","domain":"wan"}},"rses":{"ZIP":["z://1"],"A":["p://1","p://2"]},` +
		`"states":{"A":"AVAILABLE","OFF":"UNAVAILABLE","ZIP":"AVAILABLE"},"parents":["s:d"],"versions":{"A":1}}`))
	require.NoError(t, err)
	require.Equal(t, []replica{
		{rse: "A", state: "A", pfn: "p://1", listed: true}, {rse: "OFF", state: "U", listed: true},
	}, i.replicas)
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"name":"n","bytes":1,"replicas":[{"rse":"A"}]}`:                                    "scope and name",
		`{"scope":"s","name":"n","replicas":[{"rse":"A"}]}`:                                  "bytes is required",
		`{"scope":"s","name":"n","bytes":-1,"replicas":[{"rse":"A"}]}`:                       "bytes",
		`{"scope":"s","name":"n","bytes":1,"replicas":[{"state":"A"}]}`:                      "needs an rse",
		`{"scope":"s","name":"n","bytes":1,"replicas":[{"rse":"A","state":"LOST"}]}`:         `at A: no state "LOST"`,
		`{"scope":"s","name":"n","bytes":1,"replicas":[{"rse":"A"},{"rse":"A"}]}`:            "two replicas at A",
		`{"scope":"s","name":"n","bytes":1,"replicas":[{"rse":"A"}],"dataset":{"name":"d"}}`: "a dataset needs",
		`{"scope":"s","name":"n","bytes":1,"replicas":[{"rse":"A"}]} {"scope":"s"}`:          "more than one",
		`{"scope":"s","name":"n","bytes":1,"replicas":[{"rse":"A"}]`:                         "not a line",
		`{"scope":"s","name":"n","bytes":1,"replicas":[{"rse":"A","path":"p"}]}`:             `"path"`,
		`[]`: "not a line",
	} {
		_, err := parse([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

// Requests are as full as may be, and none has a file twice.
func TestByRSE(t *testing.T) {
	var items []*item
	for i := range 25 {
		items = append(items, &item{file: client.NewFile{Name: fmt.Sprint("f", i%20)}, replicas: []replica{{rse: "A", state: "A"}, {rse: fmt.Sprint("B", i%2), state: "U"}}})
	}
	sizes := map[string][]int{}
	for _, b := range byRSE(items, 10) {
		sizes[b.rse] = append(sizes[b.rse], len(b.files))
		seen := map[string]bool{}
		for n, f := range b.files {
			require.False(t, seen[f.Name], "%s twice at %s", f.Name, b.rse)
			seen[f.Name] = true
			require.Equal(t, b.items[n].file.Name, f.Name)
			require.Equal(t, map[bool]string{true: "A", false: "U"}[b.rse == "A"], f.State)
		}
	}
	require.Equal(t, map[string][]int{"A": {10, 10, 5}, "B0": {10, 3}, "B1": {10, 2}}, sizes)
}

// Requests are bounded in bytes too, and the items that are long are in them all the same.
func TestBatchesOfLongNames(t *testing.T) {
	dataset := []client.DIDName{{Scope: "s", Name: "d"}}
	var items []*item
	there := map[*item]bool{}
	for i := range 10 {
		name := strings.Repeat("x", batchBytes*3/10) + fmt.Sprint(i)
		if i == 9 {
			name = strings.Repeat("x", 2*batchBytes) // in a request of its own
		}
		items = append(items, &item{file: client.NewFile{Name: name}, replicas: []replica{{rse: "A"}}, datasets: dataset})
		there[items[i]] = true
	}
	var registered, attached []int
	for _, b := range byRSE(items, 1000) {
		registered = append(registered, len(b.items))
	}
	pairs, _ := memberships(items, there)
	for _, b := range batches(pairs, 1000) {
		attached = append(attached, len(b))
	}
	require.Equal(t, []int{3, 3, 3, 1}, registered)
	require.Equal(t, []int{3, 3, 3, 1}, attached)
}

// A line that has no end is not held in memory.
func TestEndlessLine(t *testing.T) {
	r := &importRun{sources: []Source{{"in", strings.NewReader(strings.Repeat("x", maxLine+1))}}}
	require.ErrorContains(t, r.read(t.Context(), 0, func(*item, int) {}), "in:1: the line is longer")
}
