package command

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func sampleEntry() Entry {
	return Entry{
		Time: 1_767_225_600_000_000,
		Commands: []Command{
			{Type: TypeTermStart},
			{
				Type: TypeAddScope, Session: SessionID{1, 2, 3}, Seq: 7, Lowest: 5, Issuer: "root",
				Payload: []byte("payload"),
			},
		},
	}
}

// The bytes of an entry are stored for ever: this test may only gain cases.
func TestEntryBytesAreFrozen(t *testing.T) {
	b, err := EncodeEntry(sampleEntry())
	require.NoError(t, err)
	require.Equal(t, "0100"+"808082e288d2a306"+"02"+
		"01"+strings.Repeat("00", 16)+"00000000"+
		"11"+"010203"+strings.Repeat("00", 13)+"0705"+"04"+hex.EncodeToString([]byte("root"))+
		"07"+hex.EncodeToString([]byte("payload")), hex.EncodeToString(b))
}

func TestEntryRoundTrip(t *testing.T) {
	large := sampleEntry()
	large.Commands[1].Payload = bytes.Repeat([]byte("compressible "), CompressAbove)
	for name, e := range map[string]Entry{"empty": {Time: -5, Commands: []Command{}}, "small": sampleEntry(), "compressed": large} {
		t.Run(name, func(t *testing.T) {
			b, err := EncodeEntry(e)
			require.NoError(t, err)
			got, err := DecodeEntry(b)
			require.NoError(t, err)
			require.Equal(t, e.Time, got.Time)
			require.Len(t, got.Commands, len(e.Commands))
			for i := range e.Commands {
				require.Equal(t, e.Commands[i].Payload, nilIfEmpty(got.Commands[i].Payload))
				got.Commands[i].Payload, e.Commands[i].Payload = nil, nil
				require.Equal(t, e.Commands[i], got.Commands[i])
			}
		})
	}
}

func nilIfEmpty(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

func TestEntryTooLarge(t *testing.T) {
	noise := make([]byte, MaxEntry+1)
	rand.New(rand.NewSource(1)).Read(noise)
	_, err := EncodeEntry(Entry{Commands: []Command{{Type: TypeAddReplicas, Payload: noise}}})
	require.ErrorIs(t, err, ErrEntryTooLarge)

	zeros := make([]byte, MaxDecoded)
	_, err = EncodeEntry(Entry{Commands: []Command{{Type: TypeAddReplicas, Payload: zeros}}})
	require.ErrorIs(t, err, ErrEntryTooLarge, "compresses well, but would not be decoded again")
}

func TestDecodeEntryRefusesDamage(t *testing.T) {
	good, err := EncodeEntry(sampleEntry())
	require.NoError(t, err)
	for cut := range good {
		_, err := DecodeEntry(good[:cut])
		require.ErrorIs(t, err, ErrEntry, "cut at %d", cut)
	}
	bomb := encoder().EncodeAll(make([]byte, MaxDecoded+1), []byte{entryVersion, flagZstd})
	for name, b := range map[string][]byte{
		"version":  append([]byte{9}, good[1:]...),
		"flags":    append([]byte{1, 0x80}, good[2:]...),
		"trailing": append(bytes.Clone(good), 0),
		"no zstd":  append([]byte{1, flagZstd}, good[2:]...),
		"bomb":     bomb,
		"count":    {1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f},
	} {
		_, err := DecodeEntry(b)
		require.ErrorIs(t, err, ErrEntry, name)
	}
}

func FuzzDecodeEntry(f *testing.F) {
	small, err := EncodeEntry(sampleEntry())
	require.NoError(f, err)
	large := sampleEntry()
	large.Commands[1].Payload = bytes.Repeat([]byte("compressible "), CompressAbove)
	packed, err := EncodeEntry(large)
	require.NoError(f, err)
	f.Add(small)
	f.Add(packed)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEntry(b)
		if err != nil {
			if !errors.Is(err, ErrEntry) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		again, err := EncodeEntry(e)
		if errors.Is(err, ErrEntryTooLarge) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeEntry(again); err != nil {
			t.Fatalf("an entry that was decoded does not survive encoding: %v", err)
		}
	})
}

func TestResultRoundTrip(t *testing.T) {
	want := Result{Code: CodeAccessDenied, Index: 9, Revision: 8, Message: "no", Payload: []byte{1}}
	b := AppendResult(nil, want)
	got, rest, err := ParseResult(append(bytes.Clone(b), 0xaa))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, []byte{0xaa}, rest)
	for cut := range b {
		_, _, err := ParseResult(b[:cut])
		require.ErrorIs(t, err, ErrResult)
	}
}
