package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func TestDistances(t *testing.T) {
	tx := rseStore(&RSE{Name: "A"}, &RSE{Name: "B"})
	distance := func(from, to uint32) any {
		d, found, err := GetDistance(tx, from, to)
		require.NoError(t, err)
		if !found {
			return nil
		}
		return int(d.Distance)
	}
	refused(t, tx, as("joe"), command.CodeAccessDenied, SetDistance, &command.SetDistance{Source: "A", Destination: "B"})
	refused(t, tx, testStamp, command.CodeRSENotFound, SetDistance, &command.SetDistance{Source: "A", Destination: "NO"})
	done(t, tx, testStamp, SetDistance, &command.SetDistance{Source: "A", Destination: "B", Distance: 3})
	require.Equal(t, []any{3, nil}, []any{distance(1, 2), distance(2, 1)})
	// One of the two is known: neither is set.
	refused(t, tx, testStamp, command.CodeDistanceExists, SetDistance, &command.SetDistance{Source: "B", Destination: "A", Distance: 9, Bidirectional: true})
	require.Nil(t, distance(2, 1))
	done(t, tx, testStamp, SetDistance, &command.SetDistance{Source: "A", Destination: "B", Distance: 5, Bidirectional: true, Update: true})
	require.Equal(t, []any{5, nil}, []any{distance(1, 2), distance(2, 1)}, "an update sets what is known alone")
	done(t, tx, testStamp, SetDistance, &command.SetDistance{Source: "B", Destination: "A", Distance: 7})
	done(t, tx, testStamp, SetDistance, &command.SetDistance{Source: "A", Destination: "A", Bidirectional: true})
	require.NoError(t, CheckInvariants(tx))

	refused(t, tx, as("joe"), command.CodeAccessDenied, DeleteDistance, &command.DeleteDistance{Source: "A", Destination: "B"})
	refused(t, tx, testStamp, command.CodeRSENotFound, DeleteDistance, &command.DeleteDistance{Source: "NO", Destination: "B"})
	done(t, tx, testStamp, DeleteDistance, &command.DeleteDistance{Source: "A", Destination: "B"})
	require.Equal(t, []any{nil, 7}, []any{distance(1, 2), distance(2, 1)})
	done(t, tx, testStamp, DeleteDistance, &command.DeleteDistance{Source: "A", Destination: "B", Bidirectional: true})
	require.Equal(t, []any{nil, nil}, []any{distance(1, 2), distance(2, 1)})

	done(t, tx, testStamp, SetDistance, &command.SetDistance{Source: "A", Destination: "B", Bidirectional: true})
	done(t, tx, testStamp, DeleteRSE, &command.DeleteRSE{Name: "B"})
	require.Equal(t, []any{0, nil, nil}, []any{distance(1, 1), distance(1, 2), distance(2, 1)}, "they go with the RSE")
	require.NoError(t, CheckInvariants(tx))
}

func TestUsageAndLimits(t *testing.T) {
	tx := rseStore(&RSE{Name: "A"})
	report := func(source string, used uint64) *command.SetRSEUsage {
		return &command.SetRSEUsage{Rse: "A", Source: source, Used: &used}
	}
	refused(t, tx, as("joe"), command.CodeAccessDenied, SetRSEUsage, report("srm", 1))
	refused(t, tx, testStamp, command.CodeInvalidObject, SetRSEUsage, report("", 1))
	refused(t, tx, testStamp, command.CodeInvalidValue, SetRSEUsage, report(UsageSourceCatalogue, 1))
	refused(t, tx, testStamp, command.CodeRSENotFound, SetRSEUsage, &command.SetRSEUsage{Rse: "NO", Source: "srm"})
	at := testStamp
	for i := range uint64(maxUsageHistory + 2) {
		at.Revision++
		done(t, tx, at, SetRSEUsage, report("srm", i))
	}
	at.Revision++
	done(t, tx, at, SetRSEUsage, &command.SetRSEUsage{Rse: "A", Source: "https", Used: ptr(uint64(7)), Free: ptr(uint64(5)), Files: ptr(uint64(2))})
	latest, err := LatestUsage(tx, 1)
	require.NoError(t, err)
	require.Len(t, latest, 2)
	require.Equal(t, []any{"https", uint64(12), uint64(2)}, []any{latest[0].Source, latest[0].Total(), *latest[0].Files})
	require.Equal(t, []any{"srm", uint64(maxUsageHistory + 1), (*uint64)(nil)}, []any{latest[1].Source, *latest[1].Used, latest[1].Free})
	var history []uint64
	require.NoError(t, ListUsageHistory(tx, 1, "srm", func(u *Usage) error { history = append(history, *u.Used); return nil }))
	require.Len(t, history, maxUsageHistory)
	require.Equal(t, []uint64{maxUsageHistory + 1, 2}, []uint64{history[0], history[maxUsageHistory-1]}, "latest first, the oldest are gone")

	limit := &command.SetRSELimit{Rse: "A", Name: "MinFreeSpace", Value: -1}
	refused(t, tx, as("joe"), command.CodeAccessDenied, SetRSELimit, limit)
	refused(t, tx, testStamp, command.CodeInvalidObject, SetRSELimit, &command.SetRSELimit{Rse: "A"})
	done(t, tx, testStamp, SetRSELimit, limit)
	done(t, tx, testStamp, SetRSELimit, &command.SetRSELimit{Rse: "A", Name: "MinFreeSpace", Value: 10})
	done(t, tx, testStamp, SetRSELimit, &command.SetRSELimit{Rse: "A", Name: "Max", Value: 20})
	limits, err := ListLimits(tx, 1)
	require.NoError(t, err)
	require.Equal(t, []Limit{{"Max", 20}, {"MinFreeSpace", 10}}, limits)
	done(t, tx, testStamp, DeleteRSELimit, &command.DeleteRSELimit{Rse: "A", Name: "Max"})
	require.NoError(t, CheckInvariants(tx))

	done(t, tx, testStamp, DeleteRSE, &command.DeleteRSE{Name: "A"})
	require.Empty(t, tx.keys(string([]byte{tableRSEUsage}), string([]byte{tableRSELimit + 1})), "they go with the RSE")
	require.NoError(t, CheckInvariants(tx))
}

// TestPriorityZero: 0 is off beside a priority above it, and the first choice in a protocol that has none.
func TestPriorityZero(t *testing.T) {
	for name, c := range map[string]struct {
		lan, wan Priorities
		want     []any
	}{
		"off":     {Priorities{Read: 2}, Priorities{}, []any{2, true, 0, false, 2, true}},
		"zero":    {Priorities{Read: 0, Write: PriorityNone}, Priorities{Read: PriorityNone}, []any{0, true, 0, false, 0, true}},
		"nothing": {Priorities{Read: PriorityNone}, Priorities{Read: PriorityNone}, []any{0, false, 0, false, 0, false}},
	} {
		t.Run(name, func(t *testing.T) {
			p := &Protocol{LAN: c.lan, WAN: c.wan}
			var got []any
			for _, domain := range []string{DomainLAN, DomainWAN, DomainAll} {
				priority, offered := p.Priority(OperationRead, domain)
				got = append(got, priority, offered)
			}
			require.Equal(t, c.want, got)
		})
	}
}
