package httpapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

func TestExists(t *testing.T) {
	ts := newReplicaServer(t)
	ts.do("POST", "/replicas", `{"rse":"ONE","files":[{"scope":"s","name":"copying","bytes":1,"state":"C"}]}`).want(t, 201, "")
	lines := func(body string) []string {
		return strings.Split(strings.TrimSuffix(ts.do("POST", "/replicas/exists", body).want(t, 200, "").Body.String(), "\n"), "\n")
	}
	require.Equal(t, []string{
		`{"scope":"s","name":"copying","exists":true,"type":"FILE","rses":[]}`,
		`{"scope":"s","name":"no","exists":false}`,
		`{"scope":"nosuch","name":"a","exists":false}`,
		`{"scope":"s","name":"a","exists":true,"type":"FILE","rses":["ONE","TWO"]}`,
	}, lines(`{"dids":[{"scope":"s","name":"copying"},{"scope":"s","name":"no"},{"scope":"nosuch","name":"a"},{"scope":"s","name":"a"}]}`))
	require.Equal(t, []string{`{"scope":"s","name":"a","exists":true,"type":"FILE","rses":["TWO"]}`},
		lines(`{"dids":[{"scope":"s","name":"a"}],"rse_expression":"TWO"}`))
	require.Equal(t, []string{""}, lines(`{"dids":[]}`))
	ts.do("POST", "/replicas/exists", `{"dids":[{"scope":"s","name":"a"}],"rse_expression":"NO"}`).want(t, 400, "InvalidRSEExpression")
	ts.do("POST", "/replicas/exists", `{}`).want(t, 400, "KeyError")
	ts.do("POST", "/replicas/exists", `{"dids":[{"scope":"s"}]}`).want(t, 400, "KeyError")
	ts.do("POST", "/replicas/exists", `{"dids":7}`).want(t, 400, "InvalidObject")
}

// existsAnswer is a line as encoding/json writes it.
type existsAnswer struct {
	Scope  string    `json:"scope"`
	Name   string    `json:"name"`
	Exists bool      `json:"exists"`
	Type   string    `json:"type,omitempty"`
	RSEs   *[]string `json:"rses,omitempty"`
}

func plainExistence(t *testing.T, v catalogue.View, did catalogue.DIDName, chosen map[uint32]string) string {
	t.Helper()
	answer := existsAnswer{Scope: did.Scope, Name: did.Name}
	if d, err := catalogue.GetDID(v, did.Scope, did.Name); err == nil {
		answer.Exists, answer.Type = true, d.Type.String()
		if d.Type == catalogue.TypeFile {
			answer.RSEs = &[]string{}
			for _, r := range d.Replicas {
				if name, wanted := chosen[r.RSE]; wanted && r.State == catalogue.StateAvailable {
					*answer.RSEs = append(*answer.RSEs, name)
				}
			}
			slices.Sort(*answer.RSEs)
		}
	} else {
		require.Equal(t, command.CodeDIDNotFound, catalogue.CodeOf(err))
	}
	b, err := json.Marshal(answer)
	require.NoError(t, err)
	return string(b) + "\n"
}

// The lines are those that encoding/json would write, whatever came before them.
func TestExistenceLines(t *testing.T) {
	ts := newReplicaServer(t)
	ts.do("POST", "/accounts/root/scopes/z.-_9", "").want(t, 201, "")
	ts.do("POST", "/dids/z.-_9/set", `{"type":"DATASET"}`).want(t, 201, "")
	ts.do("POST", "/dids/z.-_9/cont", `{"type":"CONTAINER"}`).want(t, 201, "")
	ts.do("POST", "/replicas", `{"rse":"TWO","files":[{"scope":"z.-_9","name":"a","bytes":1,"state":"U"}]}`).want(t, 201, "")
	ts.do("POST", "/replicas", `{"rse":"ONE","files":[{"scope":"z.-_9","name":"a","bytes":1}]}`).want(t, 201, "")
	for _, expression := range []string{"", "TWO", "ONE|TWO"} {
		chosen, err := rsesOf(&memoryView{ts.store.tx, ts.store}, expression)
		require.NoError(t, err)
		lines := existenceLines{dids: catalogue.NewDIDReader(ts.store.tx), chosen: chosen}
		for _, did := range []catalogue.DIDName{
			{Scope: "s", Name: "a"},
			{Scope: "s", Name: "dir/b"},
			{Scope: "no", Name: "a"},
			{Scope: "z.-_9", Name: "a"},
			{Scope: "z.-_9", Name: "set"},
			{Scope: "z.-_9", Name: "cont"},
			{Scope: "s", Name: "no"},
			{Scope: "s", Name: "a"},
		} {
			b, err := lines.appendLine([]byte("before"), did)
			require.NoError(t, err)
			require.Equal(t, "before"+plainExistence(t, ts.store.tx, did, chosen), string(b))
			require.Equal(t, did.String(), string(lines.idOf(did)))
		}
	}
}

// BenchmarkExists tells what POST /replicas/exists costs for 1,000 files, all but the way of the body and the answer.
func BenchmarkExists(b *testing.B) {
	tx := catalogue.NewMemTx()
	at := catalogue.Stamp{Revision: 1, Time: 1, Issuer: catalogue.RootAccount}
	add := &command.AddReplicas{Rse: "ONE"}
	var body strings.Builder
	for i := range 1000 {
		name := fmt.Sprintf("run%06d/file.%06d.root", i/100, i)
		add.Files = append(add.Files, &command.NewFile{Scope: "data24", Name: name, Bytes: 5, Adler32: "0cc737eb"})
		fmt.Fprintf(&body, `, {"scope": "data24", "name": %q}`, name)
	}
	raw := []byte(`{"dids": [` + body.String()[2:] + `]}`)
	run := func(_ []byte, err error) {
		if err != nil {
			b.Fatal(err)
		}
		at.Revision++
	}
	run(catalogue.Genesis(tx, at, &command.Genesis{
		Schema: catalogue.SchemaVersion, ClusterId: testCluster[:], RootIdentity: "ddmlab", KeyId: "k", KeySeed: make([]byte, 32),
		RootPassword: "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
	}))
	run(catalogue.AddScope(tx, at, &command.AddScope{Name: "data24", Account: "root"}))
	run(catalogue.AddRSE(tx, at, &command.AddRSE{Name: "ONE", Uuid: make([]byte, 16), Settings: &command.RSESettings{}}))
	run(catalogue.AddReplicas(tx, at, add))
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		fields, err := scanObject(raw)
		if err != nil {
			b.Fatal(err)
		}
		dids, err := didNames(fields, 1000, true)
		if err != nil || len(dids) != 1000 {
			b.Fatal(len(dids), err)
		}
		lines := existenceLines{dids: catalogue.NewDIDReader(tx), chosen: map[uint32]string{1: "ONE"}}
		for _, did := range dids {
			if out, err = lines.appendLine(out[:0], did); err != nil {
				b.Fatal(err)
			}
		}
	}
}
