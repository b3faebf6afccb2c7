// Package transport is the one port between nodes. The first byte of a connection tells Raft's own RPCs from internal
// calls; a handshake then names both ends and their cluster, before either side acts on anything.
//
// The package knows bytes and peers only. What the internal calls mean, and which of them a node without a cluster may
// make, is decided by the table of methods that it is given.
package transport
