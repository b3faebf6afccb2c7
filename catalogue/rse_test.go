package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRSERecordRoundTrip(t *testing.T) {
	longitude := 6.05
	full := &RSE{
		ID: 7, UUID: [16]byte{1, 2, 3}, Name: "CERN-DISK", Revision: 9, Created: 10, Updated: 20, Deleted: 30,
		Type: RSETypeTape, Deterministic: true, Staging: true, AvailableWrite: true,
		City: "Geneva", TimeZone: "Europe/Zurich", QoSClass: "gold", Longitude: &longitude,
		Attributes: []RSEAttribute{{"a", "true"}, {"b", "2"}},
		Protocols: []Protocol{{
			Scheme: "srm", Hostname: "h", Prefix: "/p", Impl: "rucio.rse.protocols.gfal.Default", Port: 8443,
			LAN: Priorities{Read: 1, Write: PriorityNone}, WAN: Priorities{Delete: 2, ThirdPartyCopyWrite: 3}, ExtendedAttributes: `{"x":1}`,
		}},
	}
	for _, r := range []*RSE{full, {ID: 1, Name: "X", Type: RSETypeDisk}} {
		b := appendRSE(nil, r)
		got, err := parseRSE(r.ID, b)
		require.NoError(t, err)
		require.Equal(t, r, got)
		require.Equal(t, b, appendRSE(nil, got))
		for n := range b {
			_, err := parseRSE(r.ID, b[:n])
			require.ErrorIs(t, err, ErrRecord, "cut to %d bytes", n)
		}
	}
}
