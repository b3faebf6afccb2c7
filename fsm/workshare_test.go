package fsm

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// TestReturnsInSteps brings back a dataset, and a container, that were in many containers which are in others: it is in all
// of them again, however many commands that takes.
func TestReturnsInSteps(t *testing.T) {
	const parents = 900
	for _, kind := range []catalogue.DIDType{catalogue.TypeDataset, catalogue.TypeContainer} {
		t.Run(kind.String(), func(t *testing.T) {
			s := newWorstStore(t)
			in, tops := numbered("in", 0, parents), numbered("top", 0, 3)
			s.collections(kind, "back")
			s.collections(catalogue.TypeContainer, slices.Concat(in, tops)...)
			s.into("back", in...)
			for _, top := range tops {
				s.fill(top, in...)
			}
			s.do(command.TypeSetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{settingOf("back", map[string]string{"lifetime": "-1"})}})
			for s.due() {
				s.progress(1000)
			}
			require.Empty(t, s.did("back"))

			s.do(command.TypeResurrectDIDs, &command.ResurrectDIDs{Dids: didNames("back"), Limit: 1000})
			for s.due() {
				s.progress(1000)
			}
			require.Equal(t, parents, s.parents("back"))
			require.NoError(t, catalogue.CheckInvariants(s.m.overlay))
		})
	}
}

// TestSmallestStepsEnd removes a file with commands that may do next to nothing.
func TestSmallestStepsEnd(t *testing.T) {
	s := newWorstStore(t)
	datasets := numbered("d", 0, 1010)
	s.collections(catalogue.TypeDataset, datasets...)
	s.files("ONE", "f")
	s.into("f", datasets...)
	s.do(command.TypeDeleteReplicas, &command.DeleteReplicas{Rse: "ONE", Files: []*command.ReplicaName{{Scope: "s", Name: "f"}}})
	require.NotEmpty(t, s.did("f"))
	for steps := 0; s.due(); steps++ {
		require.Less(t, steps, 20)
		s.progress(1)
	}
	require.Empty(t, s.did("f"))
}

// TestBulkRequestsPass sends requests of as many items as a client may name, each of which leads to a little more.
func TestBulkRequestsPass(t *testing.T) {
	s := newWorstStore(t)
	files := numbered("f", 0, manyItems)
	s.files("ONE", files...)
	s.collections(catalogue.TypeDataset, "one", "two", "three")
	s.fill("one", files...)
	s.fill("two", files...)
	set := func(key, value string) *command.SetMetadata {
		c := &command.SetMetadata{}
		for _, name := range files {
			c.Dids = append(c.Dids, settingOf(name, map[string]string{key: value}))
		}
		return c
	}
	for _, c := range []struct {
		what   string
		number command.Type
		c      proto.Message
	}{
		{"events of files in two datasets", command.TypeSetMetadata, set("events", "5")},
		{"metadata of 2 KiB", command.TypeSetMetadata, set("own", `"`+strings.Repeat("x", 2<<10)+`"`)},
		{"more metadata", command.TypeSetMetadata, set("another", "1")},
		{"files with such metadata", command.TypeAttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{attachment("three", files...)}}},
		{"the same out again", command.TypeDetachDIDs, &command.DetachDIDs{Scope: "s", Name: "three", Children: didNames(files...)}},
	} {
		_, result := s.worst(c.number, "root", c.c)
		require.Equal(t, command.CodeOK, result.Code, "%s: %s", c.what, result.Message)
	}
}

// TestLargeContainersForgetTotals closes a container, and again after it has grown beyond what can be added up.
func TestLargeContainersForgetTotals(t *testing.T) {
	s := newWorstStore(t)
	datasets := numbered("d", 0, manyItems+1)
	s.collections(catalogue.TypeDataset, datasets...)
	s.collections(catalogue.TypeContainer, "box")
	s.files("ONE", "f")
	s.do(command.TypeSetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{settingOf("f", map[string]string{"events": "5"})}})
	s.fill(datasets[0], "f")
	closed := func() (known bool, events string) {
		s.do(command.TypeSetDIDStatus, &command.SetDIDStatus{Scope: "s", Name: "box"})
		d, err := catalogue.GetDID(s.m.overlay, "s", "box")
		require.NoError(t, err)
		_, known = d.KnownLength()
		meta, err := catalogue.GetMetadata(s.m.overlay, "s", "box")
		require.NoError(t, err)
		events, _ = catalogue.FindMetadata(meta, "events")
		return known, events
	}
	s.fill("box", datasets[0])
	known, events := closed()
	require.True(t, known)
	require.Equal(t, "5", events)
	s.do(command.TypeSetDIDStatus, &command.SetDIDStatus{Scope: "s", Name: "box", Open: true})
	s.fill("box", datasets[1:]...)
	known, events = closed()
	require.False(t, known)
	require.Empty(t, events)
}

// progress applies one command of the cluster that goes on with what has been begun.
func (s *worstStore) progress(limit uint32) {
	s.t.Helper()
	result := s.as("", command.TypeExpireDIDs, &command.ExpireDIDs{Limit: limit})
	require.Equal(s.t, command.CodeOK, result.Code, result.Message)
}

// parents counts what a DID is directly attached to.
func (s *worstStore) parents(name string) (n int) {
	s.t.Helper()
	err := catalogue.ScanParents(s.m.overlay, "s", name, func(_, _ string, _ catalogue.DIDType) (bool, error) {
		n++
		return true, nil
	})
	require.NoError(s.t, err)
	return n
}
