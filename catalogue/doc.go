// Package catalogue is the domain: accounts, scopes, RSEs, DIDs and replicas, their records, their rules, what the commands do
// to them and how they are queried, over an ordered key-value view.
//
// It is pure: no disk, clock, random number, network or goroutine, and no map iteration that could reach a result. Commands
// run on every node in the order of the log and must come to the same end everywhere.
package catalogue
