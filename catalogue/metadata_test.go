package catalogue

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dapple/command"
)

func TestValidateMetadata(t *testing.T) {
	at := Stamp{Time: 1_000_000_000}
	for _, c := range []struct {
		key, value string
		stored     string // with the key, where that changes
	}{
		{"campaign", `"mc26"`, `"mc26"`},
		{"campaign", `26`, `"26"`},
		{"campaign", `"a\"\\\u0001é"`, `"a\"\\\u0001é"`},
		{"campaign", `null`, ``},
		{"events", `10`, `10`},
		{"events", `"10"`, `10`},
		{"events", `1099511627776`, `1099511627776`},
		{"run_number", `-3`, `-3`},
		{"task_id", `5000000001`, `5000000001`},
		{"panda_id", `9223372036854775807`, `9223372036854775807`},
		{"lumiblocknr", `"-9223372036854775808"`, `-9223372036854775808`},
		{"access_cnt", `4294967296`, `4294967296`},
		{"events", `9007199254740993`, `9007199254740993`},
		{"run_number", `5e9`, `5000000000`},
		{"run_number", `5.0`, `5`},
		{"hidden", `true`, `true`},
		{"hidden", `0`, `false`},
		{"guid", `"{01234567-89AB-cdef-0123-456789ABCDEF}"`, `"0123456789abcdef0123456789abcdef"`},
		{"eol_at", `"1970-01-02"`, `86400000000`},
		{"accessed_at", `"Fri, 02 Jan 1970 00:00:01 UTC"`, `86401000000`},
		{"lifetime", `86400`, `expired_at=87400000000`},
		{"lifetime", `"1.5"`, `expired_at=1001500000`},
		{"lifetime", `null`, `expired_at=`},
		{"own", `{"a":[1,2]}`, `{"a":[1,2]}`},
		{"own", `null`, `null`},
	} {
		got, err := validateMetadata(levelOneView(t), at, TypeFile, map[string]string{c.key: c.value})
		require.NoError(t, err, "%s=%s", c.key, c.value)
		key, value := c.key, c.stored
		if k, v, found := strings.Cut(c.stored, "="); found {
			key, value = k, v
		}
		require.Equal(t, []MetadataEntry{{key, value}}, got)
	}
	for _, c := range []struct {
		key, value string
		t          DIDType
		code       command.Code
	}{
		{"", `1`, TypeFile, command.CodeInvalidMetadata},
		{strings.Repeat("k", 256), `1`, TypeFile, command.CodeInvalidMetadata},
		{"a.b", `1`, TypeFile, command.CodeInvalidMetadata},
		{"name", `"x"`, TypeFile, command.CodeAccessDenied},
		{"bytes", `1`, TypeFile, command.CodeAccessDenied},
		{"events", `1`, TypeDataset, command.CodeUnsupportedOperation},
		{"guid", `"x"`, TypeFile, command.CodeInvalidMetadata},
		{"is_archive", `true`, TypeFile, command.CodeInvalidMetadata},
		{"campaign", `"` + strings.Repeat("é", 51) + `"`, TypeFile, command.CodeInvalidMetadata},
		{"campaign", `["x"]`, TypeFile, command.CodeInvalidMetadata},
		{"run_number", `9223372036854775808`, TypeFile, command.CodeInvalidMetadata},
		{"run_number", `-9223372036854775809`, TypeFile, command.CodeInvalidMetadata},
		{"run_number", `"9223372036854775808"`, TypeFile, command.CodeInvalidMetadata},
		{"run_number", `"5.0"`, TypeFile, command.CodeInvalidMetadata},
		{"run_number", `1e19`, TypeFile, command.CodeInvalidMetadata},
		{"run_number", `true`, TypeFile, command.CodeInvalidMetadata},
		{"run_number", `1.5`, TypeFile, command.CodeInvalidMetadata},
		{"hidden", `"yes"`, TypeFile, command.CodeInvalidMetadata},
		{"eol_at", `"soon"`, TypeFile, command.CodeInvalidMetadata},
		{"eol_at", `5`, TypeFile, command.CodeInvalidMetadata},
		{"lifetime", `1e300`, TypeFile, command.CodeInvalidMetadata},
		{"lifetime", `"NaN"`, TypeFile, command.CodeInvalidMetadata},
		{"own", ``, TypeFile, command.CodeInvalidMetadata},
	} {
		_, err := validateMetadata(levelOneView(t), at, c.t, map[string]string{c.key: c.value})
		require.Equal(t, c.code, CodeOf(err), "%s=%s: %v", c.key, c.value, err)
	}
}

func TestMetadataRecordRoundTrip(t *testing.T) {
	entries := []MetadataEntry{{"a", `1`}, {"b", `"x"`}, {"c", `null`}}
	b := appendMetadata(nil, entries)
	got, err := parseMetadata(b)
	require.NoError(t, err)
	require.Equal(t, entries, got)
	for n := range b {
		_, err := parseMetadata(b[:n])
		require.ErrorIs(t, err, ErrRecord, "cut to %d bytes", n)
	}
	_, err = parseMetadata(appendMetadata(nil, []MetadataEntry{{"b", "1"}, {"a", "1"}}))
	require.ErrorIs(t, err, ErrRecord, "keys out of order")
}

func TestSetMetadata(t *testing.T) {
	s := newDIDStore(t)
	s.files("f", "g")
	s.collections(TypeDataset, "ds")
	s.collections(TypeContainer, "cont")
	s.attach("ds", "f", "g")
	s.attach("cont", "ds")
	set := func(name string, values map[string]string, take ...string) *command.SetMetadata {
		return &command.SetMetadata{Dids: []*command.DIDMetadata{{Scope: "s", Name: name, Set: values, Delete: take}}}
	}
	meta := func(name string) []MetadataEntry {
		all, err := GetMetadata(s.tx, "s", name)
		require.NoError(t, err)
		return all
	}
	didDo(s, "root", SetMetadata, set("ds", map[string]string{"campaign": `"a"`, "own": `1`}))
	didDo(s, "root", SetMetadata, set("ds", map[string]string{"campaign": `"b"`, "other": `true`}))
	require.Equal(t, []MetadataEntry{{"campaign", `"b"`}, {"other", `true`}, {"own", `1`}}, meta("ds"))

	didRefused(s, command.CodeKeyNotFound, "root", SetMetadata, set("ds", nil, "nokey"))
	didRefused(s, command.CodeKeyNotFound, "root", SetMetadata, set("ds", nil, "own", "own"))
	didRefused(s, command.CodeUnsupportedOperation, "root", SetMetadata, set("ds", nil, "campaign"))
	didRefused(s, command.CodeUnsupportedOperation, "root", SetMetadata, set("ds", nil, "scope"))
	didRefused(s, command.CodeDIDNotFound, "root", SetMetadata, set("no", map[string]string{"k": "1"}))
	didRefused(s, command.CodeAccessDenied, "bob", SetMetadata, set("ds", map[string]string{"k": "1"}))
	both := set("f", map[string]string{"k": "1"})
	both.Dids = append(both.Dids, set("no", nil).Dids...)
	didRefused(s, command.CodeDIDNotFound, "root", SetMetadata, both)
	require.Empty(t, meta("f"))

	didDo(s, "root", SetMetadata, set("ds", map[string]string{"campaign": `null`}, "own", "other"))
	require.Empty(t, meta("ds"))
	require.False(t, s.did("ds").HasMetadata)

	// Down to the direct children go the fixed keys alone that say something of the whole.
	deep := set("ds", map[string]string{"campaign": `"c"`, "own": `1`, "eol_at": `"2030-01-01"`, "lifetime": `5`})
	deep.Recursive = true
	didDo(s, "root", SetMetadata, deep)
	require.Equal(t, []MetadataEntry{{"campaign", `"c"`}}, meta("f"))
	require.Equal(t, []MetadataEntry{{"campaign", `"c"`}}, meta("g"))
	require.Empty(t, meta("cont"))
	higher := set("cont", map[string]string{"project": `"p"`})
	higher.Recursive = true
	didDo(s, "root", SetMetadata, higher)
	value, _ := FindMetadata(meta("ds"), "project")
	require.Equal(t, `"p"`, value)
	require.Len(t, meta("f"), 1)

	// The same DID twice in a command: the later entry counts where both speak.
	twice := set("f", map[string]string{"campaign": `"x"`, "k": `1`})
	twice.Dids = append(twice.Dids, set("f", map[string]string{"campaign": `"y"`}, "k").Dids...)
	didDo(s, "root", SetMetadata, twice)
	require.Equal(t, []MetadataEntry{{"campaign", `"y"`}}, meta("f"))
}

func TestEventsOfCollections(t *testing.T) {
	s := newDIDStore(t)
	s.files("f", "g")
	s.collections(TypeDataset, "d1", "d2")
	s.collections(TypeContainer, "cont")
	s.attach("cont", "d1", "d2")
	events := func(name string) string {
		all, err := GetMetadata(s.tx, "s", name)
		require.NoError(t, err)
		value, _ := FindMetadata(all, metaEvents)
		return value
	}
	set := func(name, value string) *command.SetMetadata {
		return &command.SetMetadata{Dids: []*command.DIDMetadata{{Scope: "s", Name: name, Set: map[string]string{metaEvents: value}}}}
	}
	didDo(s, "root", SetMetadata, set("f", `10`))
	s.attach("d1", "f", "g")
	require.Equal(t, "10", events("d1"))
	didDo(s, "root", SetMetadata, set("g", `5`))
	require.Equal(t, "15", events("d1"))
	fresh := sized("new", 1)
	fresh.File.Meta = map[string]string{metaEvents: `100`}
	didDo(s, "root", AttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{
		{Scope: "s", Name: "d2", Rse: "ONE", Children: []*command.Child{fresh, sized("f", 10)}},
	}})
	require.Equal(t, "110", events("d2"))
	require.Empty(t, events("cont"))
	didDo(s, "root", SetDIDStatus, &command.SetDIDStatus{Scope: "s", Name: "cont"})
	require.Equal(t, "125", events("cont"))

	didDo(s, "root", SetMetadata, set("f", `null`))
	require.Equal(t, "100", events("d2"))
	didDo(s, "root", DetachDIDs, detachFrom("d2", "new"))
	require.Empty(t, events("d2"))
	didDo(s, "root", DeleteReplicas, &command.DeleteReplicas{Rse: "ONE", Files: []*command.ReplicaName{{Scope: "s", Name: "g"}}})
	require.Empty(t, events("d1"))
	require.Equal(t, "125", events("cont"), "what it had when it was closed")
	didRefused(s, command.CodeInvalidMetadata, "root", SetMetadata, set("f", `9223372036854775808`))
}

// levelOneView is an empty catalogue with the newest rules.
func levelOneView(t *testing.T) View {
	t.Helper()
	tx := NewMemTx()
	putVersions(tx, SchemaVersion, NewestFeatureLevel)
	return tx
}

func TestNumbersOfFeatureLevel0(t *testing.T) {
	tx := NewMemTx()
	putVersions(tx, SchemaVersion, 0)
	for _, c := range [][2]string{{"run_number", "2147483648"}, {"panda_id", "-2147483649"}, {"events", "1099511627777"}, {"task_id", "5.0"}} {
		_, err := validateMetadata(tx, Stamp{}, TypeFile, map[string]string{c[0]: c[1]})
		require.Equal(t, command.CodeInvalidMetadata, CodeOf(err), "%s", c)
	}
	_, err := validateMetadata(tx, Stamp{}, TypeFile, map[string]string{"run_number": "2147483647", "events": "1099511627776"})
	require.NoError(t, err)
}

// What a dataset's files have together fits into 64 bits, or the command is refused.
func TestManyEvents(t *testing.T) {
	s := newDIDStore(t)
	s.files("a", "b", "c")
	s.collections(TypeDataset, "ds", "other")
	s.collections(TypeContainer, "cont")
	s.attach("cont", "ds", "other")
	set := func(name, events string) *command.SetMetadata {
		return &command.SetMetadata{Dids: []*command.DIDMetadata{{Scope: "s", Name: name, Set: map[string]string{"events": events}}}}
	}
	events := func(name string) string {
		meta, err := GetMetadata(s.tx, "s", name)
		require.NoError(t, err)
		text, _ := FindMetadata(meta, "events")
		return text
	}
	didDo(s, "root", SetMetadata, set("a", "9223372036854775807"))
	didDo(s, "root", SetMetadata, set("b", "1"))
	didDo(s, "root", SetMetadata, set("c", "-1"))
	s.attach("ds", "a")
	didRefused(s, command.CodeInvalidValue, "root", AttachDIDs, attachTo("ds", "b"))
	s.attach("ds", "b", "c") // together they are no more
	require.Equal(t, "9223372036854775807", events("ds"))
	didRefused(s, command.CodeInvalidValue, "root", SetMetadata, set("b", "2"))
	s.attach("other", "a")
	didDo(s, "root", SetDIDStatus, &command.SetDIDStatus{Scope: "s", Name: "cont"})
	require.Equal(t, "9223372036854775807", events("cont"))
	didDo(s, "root", DetachDIDs, detachFrom("ds", "a"))
	require.Empty(t, events("ds"))
}

// TestTextOfAsTheDecoder compares values with what encoding/json says of them.
func TestTextOfAsTheDecoder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(
			rapid.StringMatching(`["ab\\ n0-]{0,6}`), rapid.String(), rapid.Map(rapid.String(), strconv.Quote), rapid.Map(rapid.String(), jsonText),
			rapid.SampledFrom([]string{"null", "true", "-1", "1e5", "0x", " 5", ` "a" `, `"\u0041"`, "\"\x7f\"", `"\"`, `"`, `""`, "[]", "{}"}),
		).Draw(t, "value")
		var want string
		isText := json.Unmarshal([]byte(value), &want) == nil
		text, ok := textOf(value)
		require.Equal(t, isText, ok, "%q", value)
		if ok {
			require.Equal(t, want, text, "%q", value)
		}
	})
}

// TestLayMetadata compares with maps.
func TestLayMetadata(t *testing.T) {
	entries := rapid.Custom(func(t *rapid.T) []MetadataEntry {
		all := rapid.MapOfN(rapid.StringMatching(`[a-e]{1,2}`), rapid.SampledFrom([]string{"", "1", "2"}), 0, 12).Draw(t, "entries")
		return entriesOf(all)
	})
	rapid.Check(t, func(t *rapid.T) {
		earlier, later := entries.Draw(t, "earlier"), entries.Draw(t, "later")
		want := map[string]string{}
		for _, e := range slices.Concat(earlier, later) {
			want[e.Key] = e.Value
		}
		require.Equal(t, entriesOf(want), layMetadata(earlier, later))
		maps.DeleteFunc(want, func(_, value string) bool { return value == "" })
		require.Equal(t, entriesOf(want), mergeMetadata(earlier, later))
		if stored := slices.DeleteFunc(slices.Clone(earlier), func(e MetadataEntry) bool { return e.Value == "" }); len(stored) > 0 {
			require.Equal(t, mergeMetadata(stored, later), editMetadata(stored, later))
		}
	})
}

func entriesOf(values map[string]string) []MetadataEntry {
	entries := make([]MetadataEntry, 0, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		entries = append(entries, MetadataEntry{key, values[key]})
	}
	return entries
}
