package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// childLists are lists of children; plain tells of those that have to be read without encoding/json: strictly, and not strictly.
var childLists = []struct {
	raw           string
	strict, loose bool
}{
	// What is usual.
	{`[]`, true, true},
	{` [ ] `, true, true},
	{`[{"scope":"s","name":"a"}]`, true, true},
	{` [ { "scope" : "s" , "name" : "a" } , {"name":"b","scope":"s2"} ] `, true, true},
	{`[{"scope":"s","name":"a","bytes":5,"adler32":"0CC737eb","md5":"d41d8cd98f00b204e9800998ecf8427E","state":"A","pfn":"davs://x/y"}]`, true, true},
	{`[{"scope":"s","name":"a","bytes":0,"type":"FILE","rules":[{"x":[1,null]}],"meta":{}}]`, true, true},
	{`[{"scope":"s","name":"a","type":"F","pfn":""},{"scope":"s","name":"b","type":"DATASET"},{"scope":"s","name":"b","type":""}]`, true, true},
	{`[{"scope":"s","name":"a","bytes":9223372036854775807}]`, true, true},
	// Metadata are kept as compact JSON.
	{`[{"scope":"s","name":"a","meta":{"guid":"x","n": -1.50e+3, "o": { "p" : [ 1 , null , " a b " ] } , "e":[ ]}}]`, true, true},
	{`[{"scope":"s","name":"a","meta":{"k":1,"k":{"z": 2}, "null":null,"A":"\u0061\n","<":"<&>\u2028"}}]`, true, true},
	{`[{"scope":"s","name":"a","meta":null}]`, false, true},
	{`[{"scope":"s","name":"a","meta":[]}]`, false, false},
	{`[{"scope":"s","name":"a","meta":[ ]}]`, false, false},
	{`[{"scope":"s","name":"a","meta":[1]}]`, false, false},
	{`[{"scope":"s","name":"a","meta":"x"}]`, false, false},
	{`[{"scope":"s","name":"a","meta":5}]`, false, false},
	// Escapes.
	{`[{"scope":"\u0073","name":"\u0061\/b"}]`, true, true},
	{`[{"\u0073cope":"s","na\u006de":"a"}]`, true, true},
	{`[{"scope":"s","name":"a","pfn":"x\u00e9é\ud83d\ude80\"\\"}]`, true, true},
	{`[{"scope":"s","name":"a","pfn":"\ud800"}]`, true, true},
	{`[{"scope":"s","name":"a\u0000"}]`, false, false},
	{`[{"scope":"s","name":"é"}]`, true, true},
	{`[{"scope":"s","name":"a","type":"\u0046"}]`, true, true},
	// Numbers.
	{`[{"scope":"s","name":"a","bytes":9223372036854775808}]`, false, false},
	{`[{"scope":"s","name":"a","bytes":18446744073709551616}]`, false, false},
	{`[{"scope":"s","name":"a","bytes":1` + strings.Repeat("0", 400) + `}]`, false, false},
	{`[{"scope":"s","name":"a","bytes":-1}]`, false, false},
	{`[{"scope":"s","name":"a","bytes":-0}]`, false, false},
	{`[{"scope":"s","name":"a","bytes":1.0}]`, false, false},
	{`[{"scope":"s","name":"a","bytes":1e3}]`, false, false},
	{`[{"scope":"s","name":"a","bytes":"5"}]`, false, false},
	{`[{"scope":"s","name":"a","bytes":true}]`, false, false},
	{`[{"scope":"s","name":"a","bytes":[5]}]`, false, false},
	{`[{"scope":"s","name":"a","bytes":{}}]`, false, false},
	// Wrong types and values.
	{`[{"scope":5,"name":"a"}]`, false, false},
	{`[{"scope":"s","name":["a"]}]`, false, false},
	{`[{"scope":{"s":1},"name":"a"}]`, false, false},
	{`[{"scope":"s","name":"a","adler32":5}]`, false, false},
	{`[{"scope":"s","name":"a","adler32":""}]`, false, false},
	{`[{"scope":"s","name":"a","adler32":"xyz"}]`, false, false},
	{`[{"scope":"s","name":"a","md5":"0cc737eb"}]`, false, false},
	{`[{"scope":"s","name":"a","md5":true}]`, false, false},
	{`[{"scope":"s","name":"a","pfn":7}]`, false, false},
	{`[{"scope":"s","name":"a","state":"GONE"}]`, false, false},
	{`[{"scope":"s","name":"a","state":"X"}]`, false, false},
	{`[{"scope":"s","name":"a","state":""}]`, false, false},
	{`[{"scope":"s","name":"a","state":1}]`, false, false},
	{`[{"scope":"s","name":"a","type":"file"}]`, false, false},
	{`[{"scope":"s","name":"a","type":1}]`, false, false},
	{`[{"scope":"a b","name":"a"}]`, true, true},
	{`[{"scope":"","name":"a"}]`, false, false},
	{`[{"scope":"s","name":""}]`, false, false},
	{`[{"scope":"s","name":"-a"}]`, true, true},
	{`[{"scope":"s","name":"` + strings.Repeat("n", catalogue.MaxNameBytes+1) + `"}]`, false, false},
	{`[{"scope":"` + strings.Repeat("s", catalogue.MaxNameBytes+1) + `","name":"a"}]`, false, false},
	// What is missing.
	{`[{}]`, false, false},
	{`[{"scope":"s"}]`, false, false},
	{`[{"name":"a"}]`, false, false},
	{`[{"name":"a","bytes":-1}]`, false, false},
	{`[{"scope":"s","name":"a"},{"Scope":"s","name":"a"}]`, false, false},
	// Nulls.
	{`[{"scope":null,"name":"a"}]`, false, false},
	{`[{"scope":"s","name":null}]`, false, false},
	{`[{"scope":"s","name":"a","bytes":null}]`, false, true},
	{`[{"scope":"s","name":"a","adler32":null}]`, false, true},
	{`[{"scope":"s","name":"a","type":null}]`, false, true},
	{`[{"scope":"s","name":"a","rules":null}]`, false, true},
	{`[{"scope":"s","name":"a","state":null}]`, false, true},
	{`[{"scope":"s","name":"a","md5":null,"md5":5}]`, false, false},
	// Keys that are there twice: the last counts.
	{`[{"scope":"s","name":"a","name":"b"}]`, false, false},
	{`[{"scope":5,"scope":"s","name":"b"}]`, false, false},
	{`[{"scope":"s","name":"a","bytes":1,"bytes":null}]`, false, false},
	{`[{"scope":"s","name":"a","bytes":null,"bytes":2}]`, false, false},
	{`[{"scope":"s","name":"a","meta":{"a":1},"meta":{"b":2}}]`, false, false},
	{`[{"scope":"s","name":"a","type":"x","type":"FILE"}]`, false, false},
	// Unknown keys.
	{`[{"scope":"s","name":"a","size":1}]`, false, true},
	{`[{"scope":"s","name":"a","Bytes":-1}]`, false, true},
	{`[{"scope":"s","name":"a","guid":{"x":[null]}}]`, false, true},
	{`[{"scope":"s","name":"a","":null}]`, false, true},
	{`[{"scope":"s","name":"a","path":5,"tombstone":5}]`, false, true},
	{`[{"scope":"s","name":"a","if_version":0}]`, false, true},
	// No list of objects.
	{`{}`, false, false},
	{`null`, false, false},
	{`"x"`, false, false},
	{`5`, false, false},
	{`[null]`, false, false},
	{`[5]`, false, false},
	{`["s:a"]`, false, false},
	{`[[]]`, false, false},
	{`[{"scope":"s","name":"-"},[]]`, false, false},
	// More than are allowed, with an error before and behind the limit.
	{`[` + strings.Repeat(`{"scope":"s","name":"a"},`, 3) + `{"scope":"s","name":"b"}]`, true, true},
	{`[` + strings.Repeat(`{"scope":"s","name":"a"},`, 4) + `{"scope":"s","name":"b"}]`, false, false},
	{`[{"scope":"s"},` + strings.Repeat(`{"scope":"s","name":"a"},`, 4) + `7]`, false, false},
}

// listLimit is how many items the lists above may have.
const listLimit = 4

// Children are read as encoding/json reads them, with the same refusals, whether or not the scanner gets through.
func TestChildrenAsByEncodingJSON(t *testing.T) {
	for _, tt := range childLists {
		require.True(t, json.Valid([]byte(tt.raw)), tt.raw)
		for strict, plain := range map[bool]bool{true: tt.strict, false: tt.loose} {
			left := listLimit
			got, err := newChildren([]byte(tt.raw), &left, strict)
			want, wantErr := decodeChildren([]byte(tt.raw), listLimit, strict)
			require.Equal(t, wantErr, err, tt.raw)
			requireSameChildren(t, want, got)
			if err == nil {
				require.Equal(t, listLimit-len(want), left, tt.raw)
				requireOldFields(t, []byte(tt.raw), got)
			}
			_, ok := scanChildren([]byte(tt.raw), listLimit, strict)
			require.Equal(t, plain, ok, "strict %v: %s", strict, tt.raw)
		}
		names, err := didNames(object{"dids": []byte(tt.raw)}, listLimit, true)
		wantNames, wantErr := decodeNames([]byte(tt.raw), listLimit)
		require.Equal(t, wantErr, err, tt.raw)
		require.Equal(t, wantNames, names, tt.raw)
	}
}

func requireSameChildren(t *testing.T, want, got []*command.Child) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		require.True(t, proto.Equal(want[i], got[i]), "want %v, got %v", want[i], got[i])
		require.Equal(t, want[i].File.Meta == nil, got[i].File.Meta == nil)
	}
}

// oldObjects splits a body with encoding/json alone.
func oldObjects(raw []byte, kind, what string, limit int) ([]object, error) {
	if err := checkJSON(raw, '[', kind); err != nil {
		return nil, err
	}
	return decodeItems[object](raw, what, limit)
}

func TestObjectsOfBodyAsByEncodingJSON(t *testing.T) {
	bodies := append([]string{" \n", `[{"a":1,"a":[ 2 ],"\u0062":null}]`, `[{}] x`, `[{},]`, `[{}`, "[{\"a\":\"\xff\"}]", `[{"a":01}]`}, bodySeeds...)
	for _, tt := range childLists {
		bodies = append(bodies, tt.raw)
	}
	for _, raw := range bodies {
		want, wantErr := oldObjects([]byte(raw), "list", "dids", listLimit)
		got, err := objectsOfBody([]byte(raw), "list", "dids", listLimit)
		require.Equal(t, wantErr, err, raw)
		require.Equal(t, want, got, raw)
		if checkJSON([]byte(raw), 0, "value") == nil {
			want, wantErr = decodeItems[object]([]byte(raw), "dids", listLimit)
			got, err = objectsOf([]byte(raw), "dids", listLimit)
			require.Equal(t, wantErr, err, raw)
			require.Equal(t, want, got, raw)
		}
	}
}

func TestAttachmentBodies(t *testing.T) {
	const ds = `{"scope":"s","name":"ds","dids":[{"scope":"s","name":"a"}]}`
	for raw, want := range map[string]string{
		`[` + ds + `]`: "",
		` {"attachments":[` + ds + `,` + ds + `]}`: "",
		`{"attachments":[],"ignore_duplicate":1}`:  "",
		``:                                 "cannot decode json parameter value",
		`[` + ds:                           "cannot decode json parameter value",
		`{"attachments":[`:                 "cannot decode json parameter value",
		"\"\xff\"":                         "cannot decode json parameter value",
		`true`:                             "body must be a json dictionary or list",
		`{}`:                               "'attachments' not defined",
		`{"attachments":null}`:             "'attachments' must be a list, not null",
		`{"attachments":[1]}`:              "'attachments[0]' must be an object, not number",
		`[{},{},{}]`:                       "'attachments' has more than 2 items",
		`[` + ds + `,` + ds + `,{"scope":`: "cannot decode json parameter value",
		`[{"scope":"s","name":"ds","dids":[{"scope":"s","name":"a"},{"scope":"s","name":"b"}]},` + ds + `]`: "'dids' has more than 0 items",
	} {
		attach, err := newAttachments([]byte(raw), 2)
		if want == "" {
			require.NoError(t, err, raw)
			require.True(t, attach.Bulk)
			continue
		}
		require.ErrorContains(t, err, want, raw)
	}
}

// oldFields are the texts and the metadata of an item as encoding/json alone reads them, for an item in which all are right.
func oldFields(t *testing.T, item object) (texts [3]string, meta map[string]string) {
	t.Helper()
	for i, key := range []string{"scope", "name", "pfn"} {
		if item.has(key) {
			require.NoError(t, json.Unmarshal(item[key], &texts[i]))
		}
	}
	if !item.has("meta") || string(item["meta"]) == "[]" {
		return texts, nil
	}
	var values map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(item["meta"], &values))
	meta = map[string]string{}
	for key, value := range values {
		var b bytes.Buffer
		require.NoError(t, json.Compact(&b, value))
		meta[key] = b.String()
	}
	return texts, meta
}

func requireOldFields(t *testing.T, raw []byte, children []*command.Child) {
	t.Helper()
	items, err := decodeItems[object](raw, "dids", listLimit)
	require.NoError(t, err)
	require.Len(t, children, len(items))
	for i, item := range items {
		texts, meta := oldFields(t, item)
		f := children[i].File
		require.Equal(t, texts, [3]string{f.Scope, f.Name, f.Pfn})
		require.Equal(t, meta, f.Meta)
	}
}

// Whatever the scanner reads, encoding/json reads alike.
func FuzzChildren(f *testing.F) {
	for _, tt := range childLists {
		f.Add([]byte(tt.raw), true)
		f.Add([]byte(tt.raw), false)
	}
	f.Fuzz(func(t *testing.T, raw []byte, strict bool) {
		want, wantErr := oldObjects(raw, "list", "dids", listLimit)
		got, err := objectsOfBody(raw, "list", "dids", listLimit)
		require.Equal(t, wantErr, err)
		require.Equal(t, want, got)
		if children, ok := scanChildren(raw, listLimit, strict); ok {
			want, err := decodeChildren(raw, listLimit, strict)
			require.NoError(t, err)
			requireSameChildren(t, want, children)
			requireOldFields(t, raw, want)
		}
		if names, ok := scanNames(raw, listLimit); ok {
			want, err := decodeNames(raw, listLimit)
			require.NoError(t, err)
			require.Equal(t, want, names)
		}
	})
}

// childrenBody is a list of n files in the shape in which a client attaches them.
func childrenBody(n int) []byte {
	body := benchBody(n)
	return bytes.Replace(body, []byte(`{"rse": "ONE", "files": `), []byte(`{"rse": "ONE", "dids": `), 1)
}

func BenchmarkDecodeChildren(b *testing.B) {
	raw := childrenBody(1000)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for range b.N {
		fields, err := scanObject(raw)
		if err != nil {
			b.Fatal(err)
		}
		left := 1000
		if a, err := newAttachment(fields, &left); err != nil || len(a.Children) != 1000 {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeChildrenByEncodingJSON is what the unusual list costs.
func BenchmarkDecodeChildrenByEncodingJSON(b *testing.B) {
	raw := childrenBody(1000)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for range b.N {
		if err := checkJSON(raw, '{', "dictionary"); err != nil {
			b.Fatal(err)
		}
		fields, err := parseObject(raw)
		if err != nil {
			b.Fatal(err)
		}
		if children, err := decodeChildren(fields["dids"], 1000, true); err != nil || len(children) != 1000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeCollections(b *testing.B) {
	var body bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&body, `, {"scope": "data24", "name": "run%06d", "type": "DATASET", "meta": {"project": "p", "run": %d}, "statuses": {"monotonic": true}}`, i, i)
	}
	raw := append(append([]byte{'['}, body.Bytes()[2:]...), ']')
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for range b.N {
		items, err := objectsOfBody(raw, "list", "dids", 1000)
		if err != nil {
			b.Fatal(err)
		}
		if add, err := newCollections(items, 1000); err != nil || len(add.Dids) != 1000 {
			b.Fatal(err)
		}
	}
}
