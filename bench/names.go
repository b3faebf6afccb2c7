package bench

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
)

const (
	scope     = "bench"
	runLength = 8 // hex digits
)

// newRun makes the id of a run: names of different runs differ in it, so a server may be measured many times.
func newRun() string {
	var b [runLength / 2]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// appendName appends the name of a file, about 60 characters as names of files are. Setup's files are series 0, those that a client
// registers the number of the client.
func appendName(b []byte, run string, series, i int) []byte {
	b = append(b, "mc26_14TeV."...)
	b = append(b, run...)
	b = append(b, ".AOD.merge."...)
	b = appendPadded(b, series, 5)
	b = append(b, "._"...)
	b = appendPadded(b, i, 10)
	return append(b, ".pool.root.1"...)
}

// appendDataset appends the name of a dataset.
func appendDataset(b []byte, run string, i int) []byte {
	b = append(b, "mc26_14TeV."...)
	b = append(b, run...)
	b = append(b, ".AOD.dataset."...)
	return appendPadded(b, i, 8)
}

// appendRSE appends the name of a storage element. All runs use the same.
func appendRSE(b []byte, i int) []byte {
	return appendPadded(append(b, "BENCH_"...), i, 4)
}

// appendPadded appends a number that is not negative with leading zeros.
func appendPadded(b []byte, n, width int) []byte {
	digits := 1
	for limit := 10; n >= limit && digits < 19; limit *= 10 {
		digits++
	}
	for ; digits < width; digits++ {
		b = append(b, '0')
	}
	return strconv.AppendInt(b, int64(n), 10)
}
