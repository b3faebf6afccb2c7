package catalogue

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// drawDID draws a record with every field in the ranges that are stored.
func drawDID(t *rapid.T) *DID {
	checksum := rapid.SampledFrom([]string{"", "0cc737eb", "0CC737EB", "x", strings.Repeat("0a", 16), strings.Repeat("0A", 16)})
	d := &DID{
		Type:     rapid.SampledFrom([]DIDType{TypeFile, TypeDataset, TypeContainer}).Draw(t, "type"),
		Revision: rapid.Uint64().Draw(t, "revision"), Account: rapid.Uint32().Draw(t, "account"),
		Created: rapid.Int64().Draw(t, "created"), Updated: rapid.Int64().Draw(t, "updated"),
		Archive: rapid.Bool().Draw(t, "archive"), Constituent: rapid.Bool().Draw(t, "constituent"),
		Open: rapid.Bool().Draw(t, "open"), Monotonic: rapid.Bool().Draw(t, "monotonic"), HasMetadata: rapid.Bool().Draw(t, "metadata"),
	}
	if rapid.Bool().Draw(t, "attached") {
		d.home = appendRef(nil, didRef{rapid.Uint32().Draw(t, "home's scope"), rapid.StringN(1, -1, -1).Draw(t, "home")})
	}
	if d.Type != TypeFile {
		d.Length, d.Size = rapid.Uint64().Draw(t, "length"), rapid.Uint64().Draw(t, "size")
		if d.ClosedAt = rapid.Int64().Draw(t, "closed"); d.ClosedAt != 0 {
			d.ClosedLength, d.ClosedSize = rapid.Uint64().Draw(t, "closed length"), rapid.Uint64().Draw(t, "closed size")
		}
		return d
	}
	d.Bytes = rapid.Uint64().Draw(t, "bytes")
	d.Adler32, d.MD5 = checksum.Draw(t, "adler32"), checksum.Draw(t, "md5")
	rse := uint32(0)
	for range rapid.IntRange(0, 4).Draw(t, "replicas") {
		rse += rapid.Uint32Range(1, math.MaxUint32/8).Draw(t, "step")
		d.Replicas = append(d.Replicas, Replica{
			RSE: rse, State: ReplicaState(rapid.SampledFrom([]byte(counterStates)).Draw(t, "state")),
			Revision: rapid.Uint64().Draw(t, "replica revision"),
			Created:  rapid.Int64().Draw(t, "replica created"), Updated: rapid.Int64().Draw(t, "replica updated"),
			Tombstone: rapid.Int64().Draw(t, "tombstone"), Locks: rapid.Uint32().Draw(t, "locks"),
			Path: rapid.SampledFrom([]string{"", "/a", "/a/b c"}).Draw(t, "path"),
		})
	}
	return d
}

func TestDIDRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDID(t)
		b := AppendDID(nil, d)
		got, err := ParseDID(b)
		require.NoError(t, err)
		require.Equal(t, b, AppendDID(nil, got))
		if len(got.Replicas) == 0 {
			got.Replicas = nil
		}
		require.Equal(t, d, got)
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		_, err = ParseDID(b[:cut])
		require.ErrorIs(t, err, ErrRecord)
	})
}

// TestParseDIDIntoForgets sees to it that nothing of the record before shows in the next one.
func TestParseDIDIntoForgets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		used := drawDID(t)
		next := AppendDID(nil, drawDID(t))
		require.NoError(t, ParseDIDInto(used, next))
		require.Equal(t, next, AppendDID(nil, used))
	})
}

func FuzzParseDID(f *testing.F) {
	f.Add(AppendDID(nil, &DID{Type: TypeDataset, Open: true, Length: 3, ClosedAt: 5}))
	f.Add(AppendDID(nil, &DID{Type: TypeFile, Bytes: 10, Adler32: "0cc737eb", MD5: "x", Replicas: []Replica{
		{RSE: 1, State: StateAvailable, Created: 3, Updated: 4, Tombstone: 5, Locks: 6, Path: "/p"}, {RSE: 9, State: StateBad},
	}}))
	f.Add(AppendDID(nil, &DID{Type: TypeContainer, home: appendRef(nil, didRef{1, "up"})}))
	f.Add([]byte{didFormat, byte(TypeFile), 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseDID(b)
		if err != nil {
			require.ErrorIs(t, err, ErrRecord)
			return
		}
		// What parses may be written in another way than ours, never with another meaning.
		again, err := ParseDID(AppendDID(nil, d))
		require.NoError(t, err)
		require.Equal(t, AppendDID(nil, d), AppendDID(nil, again))
	})
}
