package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"dapple/command"
)

// drawChange makes any event that the encoding can hold.
func drawChange(t *rapid.T) Change {
	text := rapid.StringMatching(`([a-z/]{1,4}é?)?`)
	ref := func() didRef {
		return didRef{rapid.Uint32Range(0, 2).Draw(t, "scope"), rapid.SampledFrom([]string{"", "data/a", "data/ab", "other"}).Draw(t, "name")}
	}
	kinds := make([]ChangeKind, 0, len(changeKinds))
	for k := range 256 {
		if ChangeKind(k).String() != "" {
			kinds = append(kinds, ChangeKind(k))
		}
	}
	return Change{
		Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), RSE: rapid.SampledFrom([]string{"", "ONE", "TWO"}).Draw(t, "rse"),
		Old: text.Draw(t, "old"), New: text.Draw(t, "new"), DID: DIDType(rapid.IntRange(0, 3).Draw(t, "type")),
		Bytes:     rapid.Uint64().Draw(t, "bytes"),
		Adler32:   rapid.SampledFrom([]string{"", "0cc737eb", "0CC737EB", "odd"}).Draw(t, "adler32"),
		MD5:       rapid.SampledFrom([]string{"", "d41d8cd98f00b204e9800998ecf8427e", "odd"}).Draw(t, "md5"),
		Monotonic: rapid.Bool().Draw(t, "monotonic"), Type: text.Draw(t, "what"), Key: text.Draw(t, "key"), Value: text.Draw(t, "value"),
		Path: text.Draw(t, "path"), Tombstone: rapid.Int64().Draw(t, "tombstone"),
		ref: ref(), child: ref(), owner: rapid.Uint32().Draw(t, "owner"),
	}
}

// What is written of events is read again, and written again it is the same.
func TestChangeRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		changes := rapid.SliceOfN(rapid.Custom(drawChange), 1, 8).Draw(t, "changes")
		log := ChangeLog{kept: true}
		log.Begin()
		at := Stamp{Revision: 7, Time: -5, Issuer: "alice"}
		for i := range changes {
			require.EqualValues(t, 7+i, log.Note(nil, at, &changes[i]))
		}
		key, value, err := log.Record(at, 99, 1234)
		require.NoError(t, err)
		c, err := openChange(key, value)
		require.NoError(t, err)
		require.Equal(t, changeHeader{index: 99, time: -5, total: 1234, issuer: "alice", count: uint64(len(changes))}, c.changeHeader)
		var got []Change
		require.NoError(t, c.each(func(revision uint64, e *Change) (bool, error) {
			require.EqualValues(t, 7+len(got), revision)
			got = append(got, *e)
			return true, nil
		}))
		require.Equal(t, changes, got)
		if c, err = openChange(key, value); err == nil {
			var again []byte
			again, err = c.again()
			require.Equal(t, value, again)
		}
		require.NoError(t, err)
	})
}

// FuzzChangeRecord reads anything without a panic, and refuses what is no record.
func FuzzChangeRecord(f *testing.F) {
	var log ChangeLog
	log.kept = true
	log.Begin()
	c := Change{Kind: ChangeReplicaAdded, RSE: "ONE", New: "A", ref: didRef{1, "a"}, child: didRef{2, "b"}, MD5: "x", Path: "/p", Tombstone: 3}
	log.Note(nil, Stamp{Revision: 1}, &c)
	_, value, err := log.Record(Stamp{Revision: 1}, 1, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, value []byte) {
		c, err := openChange(changeKey(1), value)
		if err == nil {
			err = c.each(func(uint64, *Change) (bool, error) { return true, nil })
		}
		if err != nil {
			require.ErrorIs(t, err, ErrRecord)
		}
	})
}

// The feed of a bulk registration takes few bytes an event: names come in the order of their keys.
func TestChangesAreSmall(t *testing.T) {
	s := newReplicaStore(t)
	before, err := GetFeed(s.tx)
	require.NoError(t, err)
	const files = 1000
	s.add("ONE", benchFiles(files)...)
	after, err := GetFeed(s.tx)
	require.NoError(t, err)
	require.Less(t, (after.Total-before.Total)/(2*files), uint64(12), "bytes an event")
}

// Versions are compared as they are before the command, and a command that finds another one names it.
func TestConditionalCommands(t *testing.T) {
	s := newReplicaStore(t)
	s.add("ONE", newFile("a"), newFile("b"))
	version := func(name string) uint64 { return s.replica("ONE", name).Revision }
	a, b := version("a"), version("b")
	require.Greater(t, b, a)
	update := func(versions ...uint64) error {
		return didTry(s, "root", UpdateReplicaStatesIf, &command.UpdateReplicaStatesIf{
			Update: updateAt("ONE", change("a", StateUnavailable), change("b", StateBad)), Versions: versions,
		})
	}
	details := func(err error) *command.VersionMismatch {
		t.Helper()
		require.Equal(t, command.CodeVersionMismatch, CodeOf(err), "%v", err)
		var refusal *Error
		require.ErrorAs(t, err, &refusal)
		other := &command.VersionMismatch{}
		require.NoError(t, proto.Unmarshal(refusal.Details, other))
		return other
	}
	require.Equal(t, command.CodeInvalidValue, CodeOf(update(a)))
	other := details(update(b, b))
	require.EqualValues(t, 1, other.Count)
	require.Equal(t, "a", other.Items[0].Name)
	require.Equal(t, [2]uint64{b, a}, [2]uint64{other.Items[0].Wanted, other.Items[0].Found})
	require.Equal(t, StateAvailable, s.replica("ONE", "b").State, "all or none")
	require.NoError(t, update(a, 0))
	require.Greater(t, version("a"), b)
	require.EqualValues(t, 2, details(update(a, b)).Count)

	deletion := func(issuer string, version uint64, names ...string) error {
		c := &command.DeleteReplicasIf{Deletion: deleteAt("ONE", names...)}
		for range names {
			c.Versions = append(c.Versions, version)
		}
		return didTry(s, issuer, DeleteReplicasIf, c)
	}
	require.Equal(t, command.CodeAccessDenied, CodeOf(deletion("alice", 1, "a")), "who may not delete is told no version")
	require.Zero(t, details(deletion("root", 5, "none")).Items[0].Found, "a replica that is not there has no version")
	require.Equal(t, command.CodeReplicaNotFound, CodeOf(deletion("root", 0, "none")))
	require.EqualValues(t, 1, details(deletion("root", version("a"), "a", "b")).Count)
	require.NoError(t, deletion("root", version("a"), "a"))
	require.Nil(t, s.replica("ONE", "a"))
}
