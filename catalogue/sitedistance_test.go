package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func TestSiteDistances(t *testing.T) {
	tx := rseStore(&RSE{Name: "A"}, &RSE{Name: "B"}, &RSE{Name: "C"}, &RSE{Name: "D"})
	for _, rse := range []string{"C", "D"} {
		done(t, tx, testStamp, SetRSEAttribute, &command.SetRSEAttribute{Rse: rse, Key: "site", Value: "HERE"})
	}
	done(t, tx, testStamp, SetRSEAttribute, &command.SetRSEAttribute{Rse: "B", Key: "site", Value: "THERE"})
	for _, d := range []*command.SetDistance{
		{Source: "A", Destination: "C", Distance: 9}, {Source: "A", Destination: "D", Distance: 4}, {Source: "C", Destination: "B", Distance: 1},
	} {
		done(t, tx, testStamp, SetDistance, d)
	}
	distances := func(site string) map[string]any {
		s, err := NewSiteDistances(tx, site)
		require.NoError(t, err)
		all := map[string]any{}
		for range 2 { // what was looked up is remembered
			require.NoError(t, ListRSEs(tx, func(r *RSE) error {
				d, found, err := s.From(r)
				if found {
					all[r.Name] = int(d)
				}
				return err
			}))
		}
		return all
	}
	require.Equal(t, map[string]any{"A": 4, "C": 0, "D": 0}, distances("HERE"))
	require.Equal(t, map[string]any{"B": 0, "C": 1}, distances("THERE"))
	require.Empty(t, distances("NOWHERE"))
	require.Empty(t, distances(""))
}
