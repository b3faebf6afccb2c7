package httpapi

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

// lifetimeServer is a didServer in which DIDs end.
func lifetimeServer(t *testing.T, configure ...func(*Config)) *testServer {
	t.Helper()
	ts := didServer(t, configure...)
	ts.store.commands = executors{
		command.TypeRaiseFeatures: execute(catalogue.RaiseFeatures),
		command.TypeExpireDIDs:    execute(catalogue.ExpireDIDs),
		command.TypeResurrectDIDs: execute(catalogue.ResurrectDIDs),
	}
	for number, run := range didExecutors {
		ts.store.commands[number] = run
	}
	ts.commandAs("", command.TypeRaiseFeatures, &command.RaiseFeatures{Level: 1})
	return ts
}

func TestLifetimes(t *testing.T) {
	ts := lifetimeServer(t)
	expires := func(name string) any {
		return ts.do("GET", "/dids/s/"+name+"/meta", "").want(t, 200, "").value(t).(map[string]any)["expired_at"]
	}
	ts.playDIDs(t, []didStep{
		{"POST", "/dids/s/ds", `{"type":"DATASET","lifetime":3600,"dids":[{"scope":"s","name":"f0"}]}`, 201, ""},
		{"POST", "/dids/s/cont", `{"type":"CONTAINER","dids":[{"scope":"s","name":"ds"}]}`, 201, ""},
	})
	require.NotNil(t, ts.do("GET", "/dids/s/ds", "").want(t, 200, "").value(t).(map[string]any)["expired_at"])
	for _, step := range []struct {
		method, path, body string
		ends               bool
	}{
		{"POST", "/dids/s/ds/meta/lifetime", `{"value": null, "recursive": false}`, false},
		{"POST", "/dids/s/ds/meta/lifetime", `{"value": 86400}`, true},
		{"PUT", "/dids/s/ds/meta", `{"meta": {"lifetime": null}}`, false},
		{"PUT", "/dids/s/ds/meta", `{"meta": {"lifetime": 100.5}}`, true},
		{"POST", "/dids/s/ds/meta", `{"meta": {"lifetime": null, "own": 1}}`, false},
		{"POST", "/dids/bulkdidsmeta", `{"dids": [{"scope": "s", "name": "ds", "meta": {"lifetime": 5}}]}`, true},
	} {
		ts.do(step.method, step.path, step.body).want(t, 201, "")
		require.Equal(t, step.ends, expires("ds") != nil, "%s %s %s", step.method, step.path, step.body)
	}
	gone := ts.do("POST", "/dids/s/ds/meta/lifetime", `{"value": -1}`).want(t, 201, "")
	require.Len(t, gone.Header().Values("Set-Cookie"), 1)
	require.Contains(t, gone.Header().Get("Set-Cookie"), fmt.Sprintf(":%d;", ts.store.AppliedIndex()), "of the command that ended it")
	ts.playDIDs(t, []didStep{
		{"GET", "/dids/s/ds", "", 404, "DataIdentifierNotFound"},
		{"GET", "/dids/s/ds/meta", "", 404, "DataIdentifierNotFound"},
		{"GET", "/dids/s/f0", "", 200, ""},
		{"POST", "/dids/s/f0/meta/lifetime", `{"value": -1}`, 201, ""},
		{"GET", "/dids/s/f0", "", 200, ""},
	})
	require.Nil(t, expires("f0"))
	require.Empty(t, ts.do("GET", "/dids/s/cont/dids", "").want(t, 200, "").lines(t))
	require.Empty(t, ts.do("GET", "/dids/s/f0/parents", "").want(t, 200, "").lines(t))

	ts.do("POST", "/dids/resurrect", `[{"scope":"s","name":"ds"}]`).want(t, 201, "")
	require.Equal(t, []string{"ds"}, didColumn(t, ts.do("GET", "/dids/s/cont/dids", ""), "name"))
	require.Nil(t, expires("ds"))
	require.Equal(t, 1.0, ts.do("GET", "/dids/s/ds/meta?plugin=JSON", "").want(t, 200, "").value(t).(map[string]any)["own"])
}

// Whatever sets a lifetime that is over has ended the DID when it answers.
func TestLifetimesThatAreOver(t *testing.T) {
	ts := lifetimeServer(t)
	for i, step := range []struct{ method, path, body string }{
		{"POST", "/dids/s/n0", `{"type":"DATASET","lifetime":-1}`},
		{"POST", "/dids", `[{"scope":"s","name":"n1","type":"DATASET","lifetime":-0.5},{"scope":"s","name":"other","type":"DATASET"}]`},
		{"POST", "/dids/s/n2", `{"type":"CONTAINER","meta":{"lifetime":"-5"}}`},
		{"POST", "/dids/s/n3", `{"type":"CONTAINER","meta":{"lifetime":0}}`},
	} {
		ts.do(step.method, step.path, step.body).want(t, 201, "")
		ts.do("GET", fmt.Sprintf("/dids/s/n%d", i), "").want(t, 404, "DataIdentifierNotFound")
	}
	ts.do("POST", "/dids/s/n4", `{"type":"DATASET","lifetime":0}`).want(t, 201, "") // none, as in Rucio
	ts.do("PUT", "/dids/s/n4/meta", `{"meta": {"lifetime": -2}}`).want(t, 201, "")
	ts.do("GET", "/dids/s/n4", "").want(t, 404, "DataIdentifierNotFound")
	ts.do("POST", "/dids/bulkdidsmeta", `{"dids": [{"scope": "s", "name": "other", "meta": {"lifetime": -1}}]}`).want(t, 201, "")
	ts.do("GET", "/dids/s/other", "").want(t, 404, "DataIdentifierNotFound")
}

func TestResurrectRefusals(t *testing.T) {
	ts := lifetimeServer(t)
	never := ts.do("POST", "/dids/resurrect", `[{"scope":"s","name":"never"}]`).want(t, 404, "DataIdentifierNotFound")
	require.Contains(t, never.Body.String(), "Deleted Data identifier 's:never' not found")
	ts.do("POST", "/dids/s/ds", `{"type":"DATASET","lifetime":-1}`).want(t, 201, "")
	ts.do("POST", "/dids/resurrect", `[{"scope":"s","name":"ds"}]`, as("alice")).want(t, 401, "AccessDenied")
	ts.do("POST", "/dids/s/ds", `{"type":"DATASET"}`).want(t, 201, "")
	ts.playDIDs(t, []didStep{
		{"POST", "/dids/resurrect", `[]`, 201, ""},
		{"POST", "/dids/resurrect", `[{"scope":"s","name":"ds"}]`, 409, "DataIdentifierAlreadyExists"},
		{"POST", "/dids/resurrect", `[{"scope":"none","name":"ds"}]`, 404, "DataIdentifierNotFound"},
	})
	for _, body := range []string{
		"", `{`, `{}`, `"s:ds"`, `["s:ds"]`, `[null]`, `[{"scope":"s"}]`, `[{"name":"n"}]`, `[{"scope":1,"name":"n"}]`,
		`[{"scope":"s","name":""}]`, `[{"scope":"s","name":null}]`, `[{"scope":"s","name":"a b"}]`,
	} {
		got := ts.do("POST", "/dids/resurrect", body)
		require.GreaterOrEqual(t, got.Code, 400, body)
		require.Less(t, got.Code, 500, "%s: %s", body, got.Body)
	}
	for _, value := range []string{`"soon"`, `1e99`, `{}`, `[]`, `true`, `"NaN"`} {
		got := ts.do("POST", "/dids/s/ds/meta/lifetime", `{"value": `+value+`}`)
		require.GreaterOrEqual(t, got.Code, 400, value)
		require.Less(t, got.Code, 500, "%s: %s", value, got.Body)
	}
	ts.do("POST", "/dids/s/ds/meta/lifetime", `{"value": -1}`, as("bob")).want(t, 401, "AccessDenied")
	ts.do("GET", "/dids/s/ds", "").want(t, 200, "")
}

// largeDataset makes a dataset of that many files in scope s.
func (ts *testServer) largeDataset(name string, files int) {
	ts.t.Helper()
	add, names := &command.AddReplicas{Rse: "ONE"}, make([]string, files)
	for i := range names {
		file := fmt.Sprintf("large%04d", i)
		add.Files = append(add.Files, &command.NewFile{Scope: "s", Name: file, Bytes: 1})
		names[i] = `{"scope":"s","name":"` + file + `"}`
	}
	ts.command(command.TypeAddReplicas, add)
	ts.do("POST", "/dids/s/"+name, `{"type":"DATASET","dids":[`+strings.Join(names, ",")+`]}`).want(ts.t, 201, "")
}

// A large dataset goes, and comes back, by several commands within one request.
func TestLargeDatasetsEndWithinTheRequest(t *testing.T) {
	ts := lifetimeServer(t)
	const files = 2*workStep + 1
	ts.largeDataset("ds", files)
	ts.do("POST", "/dids/s/ds/meta/lifetime", `{"value": -1}`).want(t, 201, "")
	ts.do("GET", "/dids/s/ds", "").want(t, 404, "DataIdentifierNotFound")
	ts.do("POST", "/dids/s/ds", `{"type":"DATASET"}`).want(t, 409, "DataIdentifierAlreadyExists")
	ts.do("POST", "/dids/resurrect", `[{"scope":"s","name":"ds"}]`).want(t, 201, "")
	require.Len(t, ts.do("GET", "/dids/s/ds/dids", "").want(t, 200, "").lines(t), files)
}

// Without a leader for what follows, the lifetime is set all the same.
func TestLifetimesWhoseEndCannotBeProposed(t *testing.T) {
	ts := lifetimeServer(t)
	ts.do("POST", "/dids/s/ds", `{"type":"DATASET"}`).want(t, 201, "")
	ts.proposer = withoutOne{ts.store, command.TypeExpireDIDs}
	ts.do("POST", "/dids/s/ds/meta/lifetime", `{"value": -1}`).want(t, 201, "")
	require.Contains(t, ts.logs.String(), "the leader goes on with it")
}

// A large dataset whose return breaks off in the middle is not said to be back; asking again finishes it.
func TestReturnsThatBreakOff(t *testing.T) {
	ts := lifetimeServer(t)
	ts.largeDataset("ds", 2*workStep)
	ts.do("POST", "/dids/s/ds/meta/lifetime", `{"value": -1}`).want(t, 201, "")
	whole := ts.proposer
	ts.proposer = withoutOne{ts.store, command.TypeExpireDIDs}
	ts.do("POST", "/dids/resurrect", `[{"scope":"s","name":"ds"}]`).want(t, 503, "ResourceTemporaryUnavailable")
	ts.do("GET", "/dids/s/ds", "").want(t, 404, "DataIdentifierNotFound")
	ts.proposer = whole
	ts.do("POST", "/dids/resurrect", `[{"scope":"s","name":"ds"}]`).want(t, 201, "")
	require.Len(t, ts.do("GET", "/dids/s/ds/dids", "").want(t, 200, "").lines(t), 2*workStep)
}

// withoutOne is a Proposer that does not get one kind of command through.
type withoutOne struct {
	Proposer
	refused command.Type
}

func (f withoutOne) Propose(ctx context.Context, t command.Type, issuer string, payload []byte) (command.Result, error) {
	if t == f.refused {
		return command.Result{}, otherLayer{command.CodeNoLeader}
	}
	return f.Proposer.Propose(ctx, t, issuer, payload)
}

// Members of an earlier version would stop at the commands: below the feature level a lifetime is kept and shown, as it always was.
func TestLifetimesWaitForTheFeatureLevel(t *testing.T) {
	ts := didServerAt(t, 0)
	ts.do("POST", "/dids/s/ds", `{"type":"DATASET","lifetime":-1}`).want(t, 201, "")
	ts.do("GET", "/dids/s/ds", "").want(t, 200, "")
	ts.do("POST", "/dids/resurrect", `[{"scope":"s","name":"ds"}]`).want(t, 503, "ResourceTemporaryUnavailable")
}
