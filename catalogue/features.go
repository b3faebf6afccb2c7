package catalogue

import (
	"fmt"

	"dapple/command"
)

// NewestFeatureLevel is the newest feature level that this program knows, and the one of a new cluster.
//
// The feature level says which rules the commands of the log follow. It is part of the replicated state and 0 in a
// cluster that an earlier program formed; the leader raises it by an entry of the log once every member knows the next
// level. Below a level its rules do not hold, so that a log of before replays to the same state, and neither its
// commands nor its fields of commands may be proposed, since older members would stop at them.
//
// Level 1: syntax of names checked in apply, settings of the cluster, files attached with an RSE take what the
// catalogue knows of them, a replica registered again keeps its path, DIDs that expire, path algorithms that are known
// and those of settings, files of "identity" found by PFN, integers of metadata with 64 bits, declarations by a PFN of
// several RSEs refused.
//
// Level 2: join tokens; an end of unavailability before 1970 refused; the usage of RSEs is reported by root alone, and the owner of a
// scope may give it away; passwords change, and an identity is not granted with another password than it has; signing keys
// are deleted. Commands are refused, or go on in steps, when they lead to much more than they name (worklimit.go): circles of
// containers are searched for once a command, files leave many datasets in steps, containers that hold very much are
// closed without totals; metadata of a DID and the sources of an RSE's usage have a limit. New names, paths and prefixes
// have no segment "." or "..", unless a setting allows it.
const NewestFeatureLevel = 2

// The schema version of a store is in the low bits of a number, the feature level above: a program that knows no feature
// levels finds a schema version there that it does not know, and refuses the store.
const (
	schemaBits = 8
	schemaMask = 1<<schemaBits - 1
)

// FeatureLevel returns the feature level of the store; 0 before Genesis and in clusters of earlier programs.
func FeatureLevel(v View) (uint64, error) {
	n, err := systemNumber(v, systemSchema)
	return n >> schemaBits, err
}

// putVersions stores what Schema and FeatureLevel return.
func putVersions(tx Tx, schema, features uint64) {
	putSystemNumber(tx, systemSchema, schema|features<<schemaBits)
}

// RaiseFeatures makes the rules of a feature level hold from this entry on. A level that holds already changes nothing; an
// error that has no code is one of a program that does not know the level, which must stop.
func RaiseFeatures(tx Tx, at Stamp, c *command.RaiseFeatures) ([]byte, error) {
	if at.Issuer != "" {
		return nil, Errorf(command.CodeAccessDenied, "the feature level is raised by the cluster itself, not by %s", at.Issuer)
	}
	if c.Level > NewestFeatureLevel {
		return nil, fmt.Errorf("feature level %d: this program knows %d", c.Level, NewestFeatureLevel)
	}
	level, err := FeatureLevel(tx)
	if err != nil || uint64(c.Level) <= level {
		return nil, err
	}
	schema, err := Schema(tx)
	if err != nil {
		return nil, err
	}
	putVersions(tx, schema, uint64(c.Level))
	return nil, nil
}
