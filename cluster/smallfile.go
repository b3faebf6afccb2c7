package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
)

// The node's small files are JSON objects whose last member is a checksum of all before it. Earlier versions wrote none, and
// pass over it where they read one.
const (
	sumMember = `,"crc32c":"`
	sumBytes  = len(sumMember) + 8 + len(`"}`)
)

var errSmallSum = errors.New("it does not match its checksum")

// writeSmallFile writes a file durably and renames it into place, so that either the old or the new one is whole.
func writeSmallFile(path string, content any) error {
	b, err := json.Marshal(content)
	if err == nil {
		err = writeSynced(path+".new", sealSmall(b))
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	return err
}

// sealSmall returns an object, which must have members, with its checksum.
func sealSmall(object []byte) []byte {
	b := object[:len(object)-1]
	return slices.Concat(b, []byte(sumMember), []byte(sumOf(b)), []byte("\"}\n"))
}

// parseSmall decodes a file, and verifies it if it has a checksum.
func parseSmall(b []byte, to any) error {
	if err := json.Unmarshal(b, to); err != nil {
		return err
	}
	if n := len(b) - len("\n") - sumBytes; n > 0 && string(b[n:n+len(sumMember)]) == sumMember {
		if string(b[n+len(sumMember):len(b)-len("\"}\n")]) != sumOf(b[:n]) {
			return errSmallSum
		}
	}
	return nil
}

func sumOf(b []byte) string {
	return fmt.Sprintf("%08x", crc32.Checksum(b, castagnoli))
}
