// Package command is what Dapple writes into its Raft log: the numbered commands, their protobuf payloads, the framing of a
// log entry, and the result and the codes that come back from applying one.
//
// Everything here is stored for ever. A command number, a field number and a code are never reused, and the effect of a
// command number never changes: a new rule is a new number. The package imports nothing else of the project.
package command

//go:generate ../scripts/generate-protobuf
