package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/client"
	"dapple/internal/testcluster"
)

// TestCluster does what a user does, on three nodes one of which goes down.
func TestCluster(t *testing.T) {
	cluster := testcluster.Start(t, 3)
	c, err := client.New(client.Config{URLs: cluster.URLs(), User: testcluster.User, Password: testcluster.Password, Account: "root"})
	require.NoError(t, err)
	defer c.Close()
	ctx := t.Context()
	_, err = c.Ping(ctx)
	require.NoError(t, err)
	who, err := c.Whoami(ctx)
	require.NoError(t, err)
	require.Equal(t, "root", who.Account)
	require.NoError(t, c.AddAccount(ctx, "joe", "USER", "joe@example.org"))
	require.NoError(t, c.AddScope(ctx, "joe", "user.joe"))
	require.ErrorIs(t, c.AddScope(ctx, "joe", "user.joe"), client.ErrConflict)
	for _, rse := range []string{"ONE", "TWO"} {
		require.NoError(t, c.AddRSE(ctx, rse, client.RSESettings{}))
		on := client.Priorities{Read: 1, Write: 1, Delete: 1}
		require.NoError(t, c.AddProtocol(ctx, rse, client.Protocol{
			Scheme: "davs", Hostname: rse + ".example", Port: 443, Prefix: "/x/", Impl: "rucio.rse.protocols.gfal.Default", LAN: on, WAN: on,
		}))
	}
	require.NoError(t, c.SetRSEAttribute(ctx, "ONE", "tier", 1))
	rses, err := all(c.ListRSEs(ctx, "tier=1"))
	require.NoError(t, err)
	require.Equal(t, []client.RSE{{RSE: "ONE"}}, rses)

	files := []client.NewFile{{Scope: "user.joe", Name: "dir/a", Bytes: 1}, {Scope: "user.joe", Name: "b", Bytes: 2, Adler32: "0cc737eb"}}
	require.NoError(t, c.AddReplicas(ctx, "ONE", files))
	cluster.StopNode(0)
	added, err := c.AddReplicasReporting(ctx, "TWO", []client.NewFile{files[0], {Scope: "nosuch", Name: "x"}})
	require.NoError(t, err)
	require.Equal(t, []int{201, 404}, []int{added[0].Status, added[1].Status})
	a, b, dataset := client.DIDName{Scope: "user.joe", Name: "dir/a"}, client.DIDName{Scope: "user.joe", Name: "b"}, client.DIDName{Scope: "user.joe", Name: "d"}
	require.NoError(t, c.AddDID(ctx, dataset, "DATASET"))
	require.NoError(t, c.Attach(ctx, dataset, []client.DIDName{a, b}))
	second := client.DIDName{Scope: "user.joe", Name: "d2"}
	require.NoError(t, c.AddDID(ctx, second, "DATASET"))
	wrong := uint64(3)
	require.ErrorIs(t, c.AttachAt(ctx, second, "TWO", []client.AttachedFile{{Scope: b.Scope, Name: b.Name, Bytes: &wrong}}), client.ErrConflict)
	require.NoError(t, c.AttachAt(ctx, second, "TWO", []client.AttachedFile{{Scope: a.Scope, Name: a.Name}}))
	children, err := all(c.ListContent(ctx, dataset))
	require.NoError(t, err)
	require.Len(t, children, 2)
	listed, err := all(c.ListReplicas(ctx, client.ReplicaQuery{DIDs: []client.DIDName{dataset}}))
	require.NoError(t, err)
	require.Len(t, listed, 2)
	pfns := listed[1].RSEs["ONE"]
	dids, err := all(c.DIDsOfPFNs(ctx, pfns))
	require.NoError(t, err)
	require.Equal(t, []map[string]client.DIDName{{pfns[0]: {Scope: listed[1].Scope, Name: listed[1].Name}}}, dids)

	require.NoError(t, c.UpdateStates(ctx, "ONE", []client.NewState{{Scope: b.Scope, Name: b.Name, State: "U"}}))
	found, err := all(c.Exists(ctx, []client.DIDName{a, b, {Scope: "user.joe", Name: "no"}}, ""))
	require.NoError(t, err)
	require.Equal(t, [][]string{{"ONE", "TWO"}, {}, nil}, [][]string{found[0].RSEs, found[1].RSEs, found[2].RSEs})
	require.False(t, found[2].Exists)
	not, err := c.DeclareBad(ctx, pfns, "broken")
	require.NoError(t, err)
	require.Empty(t, not)
	require.NoError(t, c.SetMetadata(ctx, dataset, map[string]any{"project": "p", "panda_id": int64(9007199254740993), "own": uint64(1<<64 - 1)}))
	meta, err := c.Metadata(ctx, dataset)
	require.NoError(t, err)
	require.Equal(t, "p", meta["project"])
	require.Equal(t, json.Number("9007199254740993"), meta["panda_id"])
	short := client.NewDID{
		Scope: "user.joe", Name: "short", Type: "DATASET", Lifetime: time.Hour, Meta: map[string]any{"own": 1}, Children: []client.DIDName{a},
	}
	require.NoError(t, c.AddDIDs(ctx, []client.NewDID{short}))
	ending := client.DIDName{Scope: short.Scope, Name: short.Name}
	was, err := c.GetDID(ctx, ending)
	require.NoError(t, err)
	require.NotNil(t, was.ExpiredAt)
	over := -time.Second
	require.NoError(t, c.SetLifetime(ctx, ending, &over))
	_, err = c.GetDID(ctx, ending)
	require.ErrorIs(t, err, client.ErrNotFound)
	require.NoError(t, c.Resurrect(ctx, []client.DIDName{ending}))
	was, err = c.GetDID(ctx, ending)
	require.NoError(t, err)
	require.Nil(t, was.ExpiredAt)
	children, err = all(c.ListContent(ctx, ending))
	require.NoError(t, err)
	require.Len(t, children, 1)
	require.NoError(t, c.SetLifetime(ctx, ending, nil))
	require.ErrorIs(t, c.Resurrect(ctx, []client.DIDName{ending}), client.ErrNotFound)
	usage, err := all(c.RSEUsage(ctx, "ONE"))
	require.NoError(t, err)
	require.EqualValues(t, 3, *usage[0].Used)
	require.NoError(t, c.DeleteReplicas(ctx, "ONE", []client.DIDName{b}))
	_, err = c.GetDID(ctx, b)
	require.ErrorIs(t, err, client.ErrNotFound)
	status, err := c.ClusterStatus(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, status.NodeID)
	left, err := all(c.ListFiles(ctx, dataset))
	require.NoError(t, err)
	require.Len(t, left, 1)

	// Another client reads what this one has written, at each level that promises it.
	other, err := client.New(client.Config{URLs: cluster.URLs()[1:], User: testcluster.User, Password: testcluster.Password, Account: "root"})
	require.NoError(t, err)
	defer other.Close()
	require.Zero(t, other.Index())
	require.NotZero(t, c.Index())
	for _, reads := range []client.Reads{
		{MinIndex: c.Index()},
		{Level: client.Session, MinIndex: c.Index()},
		{Level: client.Linearizable},
		{Level: client.Bounded, MaxStale: time.Minute, MinIndex: c.Index()},
	} {
		seen, err := all(other.Reading(reads).ListFiles(ctx, dataset))
		require.NoError(t, err)
		require.Equal(t, left, seen, "%+v", reads)
	}
	_, err = other.Reading(client.Reads{Level: client.Local}).Scopes(ctx)
	require.NoError(t, err)
	_, err = other.Reading(client.Reads{Level: "strong"}).Scopes(ctx)
	require.ErrorIs(t, err, client.ErrInvalid)
}

// all gathers a list.
func all[T any](list func(func(T, error) bool)) (values []T, err error) {
	for value, err := range list {
		if err != nil {
			return values, err
		}
		values = append(values, value)
	}
	return values, nil
}

func ExampleClient_ListReplicas() {
	c, err := client.New(client.Config{URLs: []string{"http://node1:8080", "http://node2:8080"}, User: "joe", Password: "secret"})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	query := client.ReplicaQuery{DIDs: []client.DIDName{{Scope: "user.joe", Name: "dataset"}}}
	for file, err := range c.ListReplicas(context.Background(), query) {
		if errors.Is(err, client.ErrNotFound) {
			fmt.Println("there is no such dataset")
			return
		}
		if err != nil {
			panic(err)
		}
		fmt.Println(file.Name, file.RSEs)
	}
}
