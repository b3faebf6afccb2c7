// Package cluster is consensus and membership: it forms a cluster or joins one, keeps Raft running, and brings commands
// into the log from whichever node they are proposed at. It moves commands as opaque bytes, and results as code and bytes.
//
// DESIGN.md tells why it is built as it is.
package cluster
