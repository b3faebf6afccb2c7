// Package system holds the tests that run real processes of the dapple binary: kill -9, wiped folders, restarts. They take
// minutes; `go test -short` leaves them out.
package system
