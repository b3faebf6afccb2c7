package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"dapple/command"
)

func TestAddReplicasReporting(t *testing.T) {
	s := newReplicaStore(t)
	s.add("ONE", newFile("known"))
	inScope := func(scope string) func(*command.NewFile) { return func(f *command.NewFile) { f.Scope = scope } }
	otherSize := func(f *command.NewFile) { f.Bytes = 11 }
	add := func(issuer, rse string, files ...*command.NewFile) map[int]command.Code {
		t.Helper()
		payload, err := AddReplicasReporting(s.tx, s.at(issuer), &command.AddReplicasReporting{Rse: rse, Files: files})
		require.NoError(t, err)
		require.NoError(t, CheckInvariants(s.tx))
		var report command.AddReport
		require.NoError(t, proto.Unmarshal(payload, &report))
		refused := map[int]command.Code{}
		last := -1
		for _, r := range report.Refused {
			require.Greater(t, int(r.Item), last, "in the order of the items")
			require.NotEmpty(t, r.Message)
			last = int(r.Item)
			refused[last] = command.Code(r.Code)
		}
		return refused
	}
	require.Empty(t, add("root", "ONE", newFile("z"), newFile("y"), newFile("known")))
	require.Equal(t, map[int]command.Code{
		0: command.CodeFileMismatch, 2: command.CodeScopeNotFound, 4: command.CodeInvalidValue,
	}, add("root", "ONE", newFile("known", otherSize), newFile("b"), newFile("c", inScope("nosuch")), newFile("a"), newFile("b")))
	for name, there := range map[string]bool{"a": true, "b": true, "c": false} {
		_, err := GetDID(s.tx, "s", name)
		require.Equal(t, there, err == nil, name)
	}
	require.Equal(t, map[int]command.Code{0: command.CodeUnsupportedOperation},
		add("root", "ND", newFile("n1"), newFile("n2", withPFN("davs://nd.example:443/dav/x/n2"))))

	// One whose scope is not the issuer's is refused, what exists already is not.
	require.Equal(t, map[int]command.Code{1: command.CodeAccessDenied},
		add("bob", "A_SCRATCHDISK", newFile("a"), newFile("bobs")))
	// What is wrong with the RSE or the issuer fails the whole.
	didRefused(s, command.CodeRSENotFound, "root", AddReplicasReporting, &command.AddReplicasReporting{Rse: "NO", Files: []*command.NewFile{newFile("q")}})
	didRefused(s, command.CodeAccessDenied, "bob", AddReplicasReporting, &command.AddReplicasReporting{Rse: "ONE", Files: []*command.NewFile{newFile("q")}})
	didRefused(s, command.CodeUnsupportedOperation, "root", AddReplicasReporting, &command.AddReplicasReporting{Rse: "VOL", Files: []*command.NewFile{newFile("q")}})
}
