package catalogue

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dapple/command"
)

// rseStore returns a store with the RSEs given, which get their numbers and ids here.
func rseStore(rses ...*RSE) *MemTx {
	tx := NewMemTx()
	for i, r := range rses {
		r.ID, r.UUID = uint32(i+1), [16]byte{byte(i + 1)}
		if r.Type == "" {
			r.Type = RSETypeDisk
		}
		putRSE(tx, r)
	}
	putNextID(tx, idRSE, uint32(len(rses)+1))
	return tx
}

func names(rses []*RSE) string {
	var all []string
	for _, r := range rses {
		all = append(all, r.Name)
	}
	return strings.Join(all, " ")
}

func TestResolveExpression(t *testing.T) {
	tx := rseStore(
		&RSE{Name: "CERN-DISK", Deterministic: true, AvailableWrite: true, City: "Geneva", Attributes: []RSEAttribute{{"country", "CH"}, {"tier", "0"}}},
		&RSE{Name: "BNL_DISK", AvailableWrite: true, Attributes: []RSEAttribute{{"country", "US"}, {"istape", "false"}, {"tier", "1"}}},
		&RSE{Name: "BNL_TAPE", Type: RSETypeTape, Attributes: []RSEAttribute{{"country", "US"}, {"istape", "true"}, {"tier", "1.5"}}},
		&RSE{Name: "GONE", Deleted: 5},
	)
	for expression, want := range map[string]string{
		"*":                                    "BNL_DISK BNL_TAPE CERN-DISK",
		"CERN-DISK":                            "CERN-DISK",
		"country=US":                           "BNL_DISK BNL_TAPE",
		"country=US&istape":                    "BNL_TAPE",
		"istape=True":                          "BNL_TAPE",
		"istape=false":                         "BNL_DISK",
		`country=US\istape`:                    "BNL_DISK",
		"CERN-DISK|BNL_TAPE":                   "BNL_TAPE CERN-DISK",
		`*\CERN-DISK\BNL_TAPE`:                 "BNL_DISK",
		`*\(CERN-DISK|BNL_TAPE)`:               "BNL_DISK",
		"CERN-DISK|BNL_DISK&tier>0":            "BNL_DISK", // from left to right
		"CERN-DISK|(BNL_DISK&tier>0)":          "BNL_DISK CERN-DISK",
		"((CERN-DISK))":                        "CERN-DISK",
		"tier>0":                               "BNL_DISK BNL_TAPE",
		"tier<1":                               "CERN-DISK",
		"istape>0":                             "BNL_TAPE", // true is 1
		"rse=BNL_DISK":                         "BNL_DISK",
		"rse_type=TAPE":                        "BNL_TAPE",
		"deterministic":                        "CERN-DISK",
		"deterministic=1":                      "CERN-DISK",
		"availability_write=TRUE":              "BNL_DISK CERN-DISK",
		"availability=2":                       "BNL_DISK CERN-DISK",
		"city=Geneva":                          "CERN-DISK",
		"id=0100000000000000-0000000000000000": "CERN-DISK",
		"vo=def&BNL_TAPE":                      "BNL_TAPE",
	} {
		got, err := ResolveExpression(tx, expression)
		require.NoError(t, err, expression)
		require.Equal(t, want, names(got), expression)
	}
	for _, expression := range []string{
		"", "(", ")", "()", "(CERN-DISK", "CERN-DISK)", ")CERN-DISK(", "CERN-DISK|", "|CERN-DISK", "CERN-DISK BNL_DISK", "CERN-DISK||BNL_DISK",
		"country=", "=US", "a=b=c", "-A", "A-", "A(B)", "(A)(B)", "country=CH;drop", "tier>1.5",
		"NOSUCH", "tier>abc", "nosuch<5", "GONE", "country=ch", "CERN-DISK&BNL_DISK",
		strings.Repeat("(", 100) + "A" + strings.Repeat(")", 100),
		strings.Repeat("A|", maxExpression) + "A",
	} {
		_, err := ResolveExpression(tx, expression)
		require.Equal(t, command.CodeInvalidRSEExpression, CodeOf(err), "%.80s", expression)
	}
	for _, expression := range []string{"deterministic=maybe", "rse_type=CLOUD", "availability=8"} {
		_, err := ResolveExpression(tx, expression)
		require.Equal(t, command.CodeInvalidObject, CodeOf(err), expression)
	}
}

// setModel is the naive meaning of an expression: sets of names, joined as the operators say.
type setModel struct {
	text string
	set  []string
}

func drawExpression(t *rapid.T, all []*RSE, depth int) setModel {
	var m setModel
	for i := range rapid.IntRange(1, 4).Draw(t, "terms") {
		var next setModel
		switch kind := rapid.IntRange(0, 4).Draw(t, "kind"); {
		case kind == 0 && depth > 0:
			next = drawExpression(t, all, depth-1)
			next.text = "(" + next.text + ")"
		case kind == 1:
			next = keep(all, "*", func(*RSE) bool { return true })
		case kind == 2:
			limit := rapid.IntRange(0, 4).Draw(t, "limit")
			next = keep(all, fmt.Sprintf("tier>%d", limit), func(r *RSE) bool { return r.Attributes[0].Value > fmt.Sprint(limit) })
		case kind == 3:
			tier := rapid.IntRange(0, 4).Draw(t, "tier")
			next = keep(all, fmt.Sprintf("tier=%d", tier), func(r *RSE) bool { return r.Attributes[0].Value == fmt.Sprint(tier) })
		default:
			name := rapid.SampledFrom(all).Draw(t, "name").Name
			next = keep(all, name, func(r *RSE) bool { return r.Name == name })
		}
		if i == 0 {
			m = next
			continue
		}
		switch rapid.SampledFrom([]string{"|", "&", `\`}).Draw(t, "operator") {
		case "|":
			m.text += "|" + next.text
			m.set = append(slices.Clone(m.set), next.set...)
		case "&":
			m.text += "&" + next.text
			m.set = slices.DeleteFunc(slices.Clone(m.set), func(s string) bool { return !slices.Contains(next.set, s) })
		default:
			m.text += `\` + next.text
			m.set = slices.DeleteFunc(slices.Clone(m.set), func(s string) bool { return slices.Contains(next.set, s) })
		}
	}
	slices.Sort(m.set)
	m.set = slices.Compact(m.set)
	return m
}

func keep(all []*RSE, text string, in func(*RSE) bool) setModel {
	m := setModel{text: text}
	for _, r := range all {
		if in(r) {
			m.set = append(m.set, r.Name)
		}
	}
	return m
}

func TestExpressionAgainstSets(t *testing.T) {
	var all []*RSE
	for i := range 8 {
		all = append(all, &RSE{Name: fmt.Sprintf("R%d", i), Attributes: []RSEAttribute{{"tier", fmt.Sprint(i % 5)}}})
	}
	tx := rseStore(all...)
	rapid.Check(t, func(t *rapid.T) {
		m := drawExpression(t, all, 3)
		e, err := ParseExpression(m.text)
		require.NoError(t, err, m.text)
		got, err := e.Evaluate(tx)
		require.NoError(t, err)
		require.Equal(t, strings.Join(m.set, " "), names(got), m.text)
	})
}

func FuzzParseExpression(f *testing.F) {
	for _, seed := range []string{"*", "A|B&C", `(A\B)`, "a=b", "tier>5", "((", "deterministic=x"} {
		f.Add(seed)
	}
	r := &RSE{Name: "A", Attributes: []RSEAttribute{{"a", "b"}}}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := ParseExpression(text)
		if err != nil {
			require.Contains(t, []command.Code{command.CodeInvalidRSEExpression, command.CodeInvalidObject}, CodeOf(err))
			return
		}
		e.In(r)
	})
}
