package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

var bodySeeds = []string{
	`{"rse": "ONE", "files": [{"scope": "s", "name": "a", "bytes": 5, "adler32": "0cc737eb"}]}`,
	`{"rse": "ONE", "files": [{"scope": "s", "name": "\u0061\n", "bytes": 5e0, "meta": {"x": [1, null, {"y": -0.5E+7}]}}], "rse": null}`,
	`{"files": [{}, [], "", 0, -1, true, null]}`, `{"a":"\ud800","b":"\"\\\/\b"}`, `[]`, ``, `{`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`, "{\"a\":\"\x01\"}",
	"{\"\xff\": 1}", `{"a" : 1 , "b":[ ] } `, `{"a":1,}`, `nul`, `{"a":tru}`, `{"a":+1}`, "{\"a\":\"\u00e9\u2028\"}",
}

// What the scanner takes for JSON is what encoding/json takes for JSON, and both read the same.
func FuzzScanObject(f *testing.F) {
	for _, seed := range bodySeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := scanObject(raw)
		want := checkJSON(raw, '{', "dictionary")
		if (err == nil) != (want == nil) {
			t.Fatalf("scanner: %v, encoding/json: %v", err, want)
		}
		if err != nil {
			if codeOf(err) != codeOf(want) {
				t.Fatalf("scanner: %v, encoding/json: %v", err, want)
			}
			return
		}
		var fields map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(raw, &fields))
		require.Len(t, got, len(fields))
		for key, value := range fields {
			require.Equal(t, string(value), string(got[key]))
		}
	})
}

// plainFile is a file as encoding/json reads it.
type plainFile struct {
	Scope, Name string
	Bytes       uint64
	Adler32     string
	MD5         string
	PFN         string
	State       string
}

// Whatever the bytes, the decoder of registrations returns files that obey the rules or an error with a code, and what it
// reads is what encoding/json reads.
func FuzzAddReplicasBody(f *testing.F) {
	for _, seed := range bodySeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		fields, err := scanObject(raw)
		if err != nil {
			return
		}
		files, err := decodeNewFiles(fields["files"], 1000)
		if err != nil {
			if code := codeOf(err); code == command.CodeInternal {
				t.Fatalf("an error without code: %v", err)
			}
			return
		}
		var plain []map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(fields["files"], &plain))
		require.Len(t, plain, len(files))
		for i, file := range files {
			require.NoError(t, catalogue.ValidateName("name", file.Name))
			require.NoError(t, catalogue.ValidateName("scope", file.Scope))
			var want plainFile
			for key, field := range map[string]any{
				"scope": &want.Scope, "name": &want.Name, "bytes": &want.Bytes, "adler32": &want.Adler32, "md5": &want.MD5, "pfn": &want.PFN, "state": &want.State,
			} {
				if value, found := plain[i][key]; found {
					require.NoError(t, json.Unmarshal(value, field), "%s", value)
				}
			}
			got := plainFile{file.Scope, file.Name, file.Bytes, file.Adler32, file.Md5, file.Pfn, ""}
			if file.State != 0 {
				got.State = string(rune(file.State))
			}
			require.Equal(t, want, got)
		}
	})
}

func FuzzReplicaLists(f *testing.F) {
	for _, seed := range bodySeeds {
		f.Add([]byte(seed))
	}
	f.Add([]byte(`{"dids": [{"scope": "s", "name": "a"}], "schemes": ["root"], "client_location": {"site": "x"}, "nrandom": 3, "updated_after": 7}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		fields, err := scanObject(raw)
		if err != nil {
			return
		}
		var l replicaListing
		for _, err := range []error{
			l.readBody(fields, 100), third(decodeChanges(fields["files"], 100)), third(decodeDeletions(fields["files"], 100)), second(decodeDIDNames(fields["dids"], 100)),
			third(decodeTargets(fields, 100, "replicas", "pfns")), second(decodeQuarantine(fields, 100)),
		} {
			if err != nil && codeOf(err) == command.CodeInternal {
				t.Fatalf("an error without code: %v", err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func third[T, U any](_ T, _ U, err error) error { return err }

func TestScannerDepth(t *testing.T) {
	for depth, ok := range map[int]bool{100: true, maxJSONDepth - 1: true, maxJSONDepth: false, maxJSONDepth + 10: false} {
		raw := `{"b":[[],{}],"a":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`
		_, err := scanObject([]byte(raw))
		require.Equal(t, ok, err == nil, "depth %d", depth)
		require.Equal(t, ok, json.Valid([]byte(raw)), "depth %d", depth)
	}
}

func benchBody(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"rse": "ONE", "files": [`)
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, `{"scope": "data24", "name": "run%06d/file.%06d.root", "bytes": %d, "adler32": "%08x", "md5": "%032x"}`, i/100, i, i*1000, i, i)
	}
	b.WriteString("]}")
	return b.Bytes()
}

func BenchmarkDecodeNewFiles(b *testing.B) {
	raw := benchBody(1000)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for range b.N {
		fields, err := scanObject(raw)
		if err != nil {
			b.Fatal(err)
		}
		if files, err := decodeNewFiles(fields["files"], 1000); err != nil || len(files) != 1000 {
			b.Fatal(len(files), err)
		}
	}
}

func BenchmarkEncodeListedFile(b *testing.B) {
	one, two := &catalogue.RSE{Name: "SITE-ONE_DATADISK", Type: "DISK"}, &catalogue.RSE{Name: "SITE-TWO_DATADISK", Type: "DISK"}
	file := &catalogue.ListedFile{
		Scope: "data24", Name: "run000001/file.000001.root", Bytes: 123456789, Adler32: "0cc737eb", MD5: "d41d8cd98f00b204e9800998ecf8427e",
		PFNs: []catalogue.ListedPFN{
			{PFN: "davs://one.example:443/dav/rucio/data24/00/00/run000001/file.000001.root", RSE: one, Domain: "wan"},
			{PFN: "davs://two.example:443/dav/rucio/data24/00/00/run000001/file.000001.root", RSE: two, Domain: "wan"},
		},
		Replicas: []catalogue.ListedReplica{{RSE: one, State: catalogue.StateAvailable}, {RSE: two, State: catalogue.StateAvailable}},
	}
	encoder := replicaEncoder{rses: map[*catalogue.RSE][]byte{}, limit: maxPFNsAFile}
	buffer := encoder.appendFile(nil, file)
	b.SetBytes(int64(len(buffer)))
	b.ReportAllocs()
	for range b.N {
		buffer = encoder.appendFile(buffer[:0], file)
	}
}
