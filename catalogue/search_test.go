package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func TestMatchWildcard(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"abc", "abc", true},
		{"abc", "abcd", false},
		{"a*", "abc", true},
		{"a*", "ba", false},
		{"*c", "abc", true},
		{"*b*", "abc", true},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"a**c", "abc", true},
		{"*", "", true},
		{"a%c", "abbc", true},
		{"a_c", "abc", false},
		{"a*b*c", "axbxc", true},
		{"a*b*c", "axcxb", false},
		{"*ab*ab", "ab", false},
		{"a.c", "abc", false},
	} {
		require.Equal(t, c.want, matchWildcard(c.pattern, c.text), "%s against %s", c.pattern, c.text)
	}
}

func searchStore(t *testing.T) *didStore {
	s := newDIDStore(t)
	s.files("f1", "f2", "data.1")
	s.collections(TypeDataset, "ds1", "ds2", "other")
	s.collections(TypeContainer, "cont", "ds_top")
	s.attach("ds1", "f1", "f2")
	s.attach("cont", "ds1", "ds2")
	s.attach("ds_top", "cont")
	didDo(s, "root", SetDIDStatus, &command.SetDIDStatus{Scope: "s", Name: "ds1"})
	didDo(s, "root", SetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{
		{Scope: "s", Name: "ds1", Set: map[string]string{"campaign": `"mc26"`, "quality": `5`}},
		{Scope: "s", Name: "ds2", Set: map[string]string{"campaign": `"mc25"`, "run_number": `7`, "quality": `"good"`, "checked": `true`}},
		{Scope: "s", Name: "f1", Set: map[string]string{"guid": `"0123456789abcdef0123456789abcdef"`, "events": `100`}},
	}})
	didDo(s, "root", SetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{
		{Scope: "s", Name: "f1", Set: map[string]string{"panda_id": `9007199254740993`, "big": `9007199254740993`, "mark": `"x"`}},
		{Scope: "s", Name: "f2", Set: map[string]string{"panda_id": `9007199254740992`, "big": `9007199254740992`}},
		{Scope: "s", Name: "ds1", Set: map[string]string{"mark": `"x"`}},
		{Scope: "s", Name: "cont", Set: map[string]string{"mark": `"x"`}},
	}})
	return s
}

func TestSearch(t *testing.T) {
	s := searchStore(t)
	for name, c := range map[string]struct {
		groups  [][]Condition
		options SearchOptions
		want    []string
	}{
		"collections":        {[][]Condition{{}}, SearchOptions{}, []string{"cont", "ds1", "ds2", "ds_top", "other"}},
		"datasets":           {[][]Condition{{}}, SearchOptions{Type: "DATASET"}, []string{"ds1", "ds2", "other"}},
		"all":                {[][]Condition{{{"name", "*"}}}, SearchOptions{Type: "all"}, []string{"cont", "data.1", "ds1", "ds2", "ds_top", "f1", "f2", "other"}},
		"exact name":         {[][]Condition{{{"name", "ds1"}}}, SearchOptions{}, []string{"ds1"}},
		"wildcard":           {[][]Condition{{{"name", "d*1"}}}, SearchOptions{Type: "all"}, []string{"data.1", "ds1"}},
		"underscore":         {[][]Condition{{{"name", "ds_*"}}}, SearchOptions{}, []string{"ds_top"}},
		"not the name":       {[][]Condition{{{"name.ne", "ds*"}}}, SearchOptions{}, []string{"cont", "other"}},
		"limit":              {[][]Condition{{{"name", "ds*"}}}, SearchOptions{Limit: 2}, []string{"ds1", "ds2"}},
		"groups":             {[][]Condition{{{"name", "ds1"}}, {{"name", "o*"}}, {{"name", "ds1"}}}, SearchOptions{}, []string{"ds1", "other"}},
		"type of a group":    {[][]Condition{{{"name", "ds1"}}, {{"type", "FILE"}, {"name", "f*"}}}, SearchOptions{}, []string{"ds1", "f1", "f2"}},
		"length":             {[][]Condition{{{"length", "2"}}}, SearchOptions{}, []string{"ds1"}},
		"length over":        {[][]Condition{{{"length.gt", "2"}}}, SearchOptions{}, nil},
		"length at least":    {[][]Condition{{{"length.gte", "2"}}}, SearchOptions{}, []string{"ds1"}},
		"bytes of files":     {[][]Condition{{{"bytes.lt", "11"}}}, SearchOptions{Type: "file"}, []string{"data.1", "f1", "f2"}},
		"text":               {[][]Condition{{{"campaign", "mc26"}}}, SearchOptions{}, []string{"ds1"}},
		"text ne with none":  {[][]Condition{{{"campaign.ne", "mc26"}}}, SearchOptions{Type: "dataset"}, []string{"ds2", "other"}},
		"text wildcard":      {[][]Condition{{{"campaign", "mc*"}}}, SearchOptions{}, []string{"ds1", "ds2"}},
		"number":             {[][]Condition{{{"run_number.lte", "7"}}}, SearchOptions{}, []string{"ds2"}},
		"default":            {[][]Condition{{{"hidden", "False"}}}, SearchOptions{Type: "container"}, []string{"cont", "ds_top"}},
		"guid":               {[][]Condition{{{"guid", "01234567-89AB-CDEF-0123-456789ABCDEF"}}}, SearchOptions{Type: "file"}, []string{"f1"}},
		"created after":      {[][]Condition{{{"created_after", "1970-01-01T00:00:01"}, {"name", "cont"}}}, SearchOptions{}, []string{"cont"}},
		"created before":     {[][]Condition{{{"created_before", "1970-01-01 00:00:01"}}}, SearchOptions{}, nil},
		"own number":         {[][]Condition{{{"quality.gte", "5"}}}, SearchOptions{Type: "dataset"}, []string{"ds1"}},
		"own by type":        {[][]Condition{{{"quality.gte", "5"}}}, SearchOptions{Type: "file"}, nil},
		"own of any type":    {[][]Condition{{{"mark", "x"}}}, SearchOptions{Type: "-"}, []string{"cont", "ds1", "f1"}},
		"own, type in group": {[][]Condition{{{"mark", "x"}, {"type", "container"}}, {{"mark", "x"}, {"type", "FILE"}}}, SearchOptions{Type: "dataset"}, []string{"cont", "f1"}},
		"own and scope":      {[][]Condition{{{"mark", "x"}, {"scope", "s"}}}, SearchOptions{Type: "dataset"}, []string{"ds1"}},
		"own and name":       {[][]Condition{{{"mark", "x"}, {"name", "*1"}}}, SearchOptions{Type: "all"}, []string{"ds1", "f1"}},
		"own exactly":        {[][]Condition{{{"big", "9007199254740993"}}}, SearchOptions{Type: "all"}, []string{"f1"}},
		"own above":          {[][]Condition{{{"big.gt", "9007199254740992"}}}, SearchOptions{Type: "all"}, []string{"f1"}},
		"scope":              {[][]Condition{{{"scope", "s"}, {"name", "ds1"}}}, SearchOptions{}, []string{"ds1"}},
		"scope twice":        {[][]Condition{{{"scope", "s"}, {"scope", "*"}, {"name", "ds1"}}}, SearchOptions{}, []string{"ds1"}},
		"two scopes":         {[][]Condition{{{"scope", "s"}, {"scope", "a"}}}, SearchOptions{}, nil},
		"another scope":      {[][]Condition{{{"scope", "a"}}}, SearchOptions{}, nil},
		"not the scope":      {[][]Condition{{{"scope.ne", "s"}}}, SearchOptions{}, nil},
		"big number":         {[][]Condition{{{"panda_id", "9007199254740993"}}}, SearchOptions{Type: "all"}, []string{"f1"}},
		"big number above":   {[][]Condition{{{"panda_id.gt", "9007199254740992"}}}, SearchOptions{Type: "all"}, []string{"f1"}},
		"big number below":   {[][]Condition{{{"panda_id.lte", "9007199254740992.5"}}}, SearchOptions{Type: "all"}, []string{"f2"}},
		"offset":             {[][]Condition{{{"name", "ds*"}}}, SearchOptions{Offset: 1}, []string{"ds2", "ds_top"}},
		"offset and limit":   {[][]Condition{{{"name", "ds*"}}}, SearchOptions{Offset: 1, Limit: 1}, []string{"ds2"}},
		"offset beyond":      {[][]Condition{{{"name", "ds*"}}}, SearchOptions{Offset: 9}, nil},
		"recursive offset":   {[][]Condition{{{"name", "ds_top"}}}, SearchOptions{Recursive: true, Offset: 1, Limit: 2}, []string{"cont", "ds1"}},
		"own text":           {[][]Condition{{{"quality", "good"}}}, SearchOptions{}, []string{"ds2"}},
		"own boolean":        {[][]Condition{{{"checked", "True"}}}, SearchOptions{}, []string{"ds2"}},
		"own ne wants a key": {[][]Condition{{{"quality.ne", "bad"}}}, SearchOptions{}, []string{"ds1", "ds2"}},
		"recursive":          {[][]Condition{{{"name", "ds_top"}}}, SearchOptions{Type: "all", Recursive: true}, []string{"ds_top", "cont", "ds1", "ds2", "f1", "f2"}},
		"recursive by type":  {[][]Condition{{{"name", "ds_top"}}}, SearchOptions{Recursive: true}, []string{"ds_top", "cont", "ds1", "ds2"}},
		"recursive limited":  {[][]Condition{{{"name", "ds_top"}}}, SearchOptions{Recursive: true, Limit: 2}, []string{"ds_top", "cont"}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.options.Type == "-" {
				c.options.Type = ""
			}
			search, err := NewSearch("s", c.groups, c.options)
			require.NoError(t, err)
			var got []string
			require.NoError(t, search.Scan(s.tx, func(_, name string, d *DID) (bool, error) {
				require.NotZero(t, d.Created)
				got = append(got, name)
				return true, nil
			}))
			require.Equal(t, c.want, got)
		})
	}
	nowhere, err := NewSearch("nowhere", [][]Condition{nil}, SearchOptions{Type: "all"})
	require.NoError(t, err)
	require.NoError(t, nowhere.Scan(s.tx, func(string, string, *DID) (bool, error) { t.Fatal("found"); return false, nil }))
}

func TestSearchRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		group []Condition
		t     string
		code  command.Code
	}{
		"type":               {nil, "thing", command.CodeUnsupportedOperation},
		"type of own keys":   {[]Condition{{"mark", "x"}}, "thing", command.CodeUnsupportedOperation},
		"ordered scope":      {[]Condition{{"scope.gt", "s"}}, "all", command.CodeInvalidFilter},
		"type in the group":  {[]Condition{{"type", "thing"}}, "all", command.CodeUnsupportedOperation},
		"operator":           {[]Condition{{"name.like", "x"}}, "all", command.CodeInvalidFilter},
		"two operators":      {[]Condition{{"length.gt.lt", "1"}}, "all", command.CodeInvalidFilter},
		"empty operator":     {[]Condition{{"name.", "1"}}, "all", command.CodeInvalidFilter},
		"ordered name":       {[]Condition{{"name.gt", "x"}}, "all", command.CodeInvalidFilter},
		"ordered wildcard":   {[]Condition{{"campaign.gt", "x*"}}, "all", command.CodeInvalidFilter},
		"wildcard in number": {[]Condition{{"length", "1*"}}, "all", command.CodeInvalidFilter},
		"number":             {[]Condition{{"length", "x"}}, "all", command.CodeInvalidFilter},
		"infinite":           {[]Condition{{"length", "inf"}}, "all", command.CodeInvalidFilter},
		"boolean":            {[]Condition{{"hidden", "perhaps"}}, "all", command.CodeInvalidFilter},
		"date":               {[]Condition{{"created_after", "yesterday"}}, "all", command.CodeInvalidFilter},
		"twice":              {[]Condition{{"created_after", "2026-01-01"}, {"created_at.gte", "2026-01-01"}}, "all", command.CodeInvalidFilter},
		"lifetime":           {[]Condition{{"lifetime", "1"}}, "all", command.CodeKeyNotFound},
		"mixed":              {[]Condition{{"own", "1"}, {"campaign", "x"}}, "all", command.CodeInvalidMetadata},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewSearch("s", [][]Condition{c.group}, SearchOptions{Type: c.t})
			require.Equal(t, c.code, CodeOf(err), "%v", err)
		})
	}
}

func TestScanScope(t *testing.T) {
	s := searchStore(t)
	type row struct {
		name, parent string
		level        int
	}
	list := func(scan func(visit func(ListedDID) (bool, error)) error) []row {
		var all []row
		require.NoError(t, scan(func(r ListedDID) (bool, error) {
			parent := ""
			if r.Parent != nil {
				parent = r.Parent.Name
			}
			all = append(all, row{r.Name, parent, r.Level})
			return true, nil
		}))
		return all
	}
	require.Equal(t, []row{{"data.1", "", 0}, {"ds_top", "", 0}, {"other", "", 0}}, list(func(visit func(ListedDID) (bool, error)) error {
		return ScanScope(s.tx, "s", false, visit)
	}))
	require.Equal(t, []row{
		{"data.1", "", 0}, {"ds_top", "", 0}, {"cont", "ds_top", 1}, {"ds1", "cont", 2}, {"ds2", "cont", 2}, {"f1", "ds1", 3}, {"f2", "ds1", 3}, {"other", "", 0},
	}, list(func(visit func(ListedDID) (bool, error)) error { return ScanScope(s.tx, "s", true, visit) }))
	require.Equal(t, []row{{"ds1", "cont", 1}, {"ds2", "cont", 1}}, list(func(visit func(ListedDID) (bool, error)) error {
		return ScanUnder(s.tx, "s", "cont", false, visit)
	}))
	require.Empty(t, list(func(visit func(ListedDID) (bool, error)) error { return ScanScope(s.tx, "nowhere", true, visit) }))
	err := ScanUnder(s.tx, "s", "no", false, func(ListedDID) (bool, error) { return true, nil })
	require.Equal(t, command.CodeDIDNotFound, CodeOf(err))
}
