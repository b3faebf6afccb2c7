package catalogue

import (
	"encoding/binary"
	"fmt"
	"math"

	"dapple/command"
)

// SchemaVersion is the newest version of tables and rules that this program knows: what a new cluster is to have. Version 2 has
// the change feed, with a revision for each event instead of each command; version 3 has no index of files by RSE; version 4 keeps
// the home of a DID in its record. It is raised only by an entry of the log, once every
// member runs a program that knows the next one.
const SchemaVersion = 4

// Names of the system keys; they are stored.
const (
	systemSchema  = "schema"  // schema version
	systemCluster = "cluster" // cluster id, 16 bytes
	systemClock   = "clock"   // revision and log time
)

const systemFormat = 1

// ClusterID returns the id that Genesis gave the cluster, and false before that.
func ClusterID(v View) (id [16]byte, found bool, err error) {
	value, found, err := v.Get(SystemKey(systemCluster))
	if err != nil || !found {
		return id, false, err
	}
	if len(value) != len(id) {
		return id, false, fmt.Errorf("%w: cluster id of %d bytes", ErrRecord, len(value))
	}
	return [16]byte(value), true, nil
}

// Schema returns the schema version of the store, 0 before Genesis.
func Schema(v View) (uint64, error) {
	n, err := systemNumber(v, systemSchema)
	return n & schemaMask, err
}

// Clock returns the revision of the last executed command and the log time of the last entry in microseconds, zeros in
// an empty store.
func Clock(v View) (revision uint64, time int64, err error) {
	value, found, err := v.Get(SystemKey(systemClock))
	if err != nil || !found {
		return 0, 0, err
	}
	r := newRecordReader(value, systemFormat)
	revision, time = r.uvarint(), r.varint()
	if err := r.done(); err != nil {
		return 0, 0, fmt.Errorf("clock: %w", err)
	}
	return revision, time, nil
}

// PutClock stores what Clock returns. Only the state machine calls it, after the commands of an entry.
func PutClock(tx Tx, revision uint64, time int64) {
	b := binary.AppendUvarint([]byte{systemFormat}, revision)
	tx.Put(SystemKey(systemClock), binary.AppendVarint(b, time))
}

// idKind names a sequence of the small numbers that stand for long names in keys. The values are stored.
type idKind string

const (
	idAccount idKind = "account"
	idScope   idKind = "scope"
	idRSE     idKind = "rse"
)

// nextID returns the number that the next new item of a kind gets; the first is 1, so that 0 stands for none. A command
// that makes several items counts on from there and stores with putNextID the first number that it left unused.
func nextID(v View, kind idKind) (uint32, error) {
	next, err := systemNumber(v, "next/"+string(kind))
	switch {
	case err != nil:
		return 0, err
	case next == 0:
		return 1, nil
	case next > math.MaxUint32:
		return 0, fmt.Errorf("%w: no number left for another %s", ErrRecord, kind)
	}
	return uint32(next), nil
}

// putNextID stores the first unused number of a kind.
func putNextID(tx Tx, kind idKind, next uint32) {
	putSystemNumber(tx, "next/"+string(kind), uint64(next))
}

// systemNumber reads a number; a missing one is 0.
func systemNumber(v View, name string) (uint64, error) {
	value, found, err := v.Get(SystemKey(name))
	if err != nil || !found {
		return 0, err
	}
	r := newRecordReader(value, systemFormat)
	n := r.uvarint()
	if err := r.done(); err != nil {
		return 0, fmt.Errorf("system number %s: %w", name, err)
	}
	return n, nil
}

func putSystemNumber(tx Tx, name string, n uint64) {
	tx.Put(SystemKey(name), binary.AppendUvarint([]byte{systemFormat}, n))
}

// Genesis makes the empty catalogue of a new cluster: its id, the account root with a user name and password, and the key
// that signs tokens. It is refused where the cluster has been formed already.
func Genesis(tx Tx, at Stamp, c *command.Genesis) ([]byte, error) {
	_, formed, err := ClusterID(tx)
	switch {
	case err != nil:
		return nil, err
	case formed:
		return nil, Errorf(command.CodeDuplicateGenesis, "the cluster has been formed already")
	}
	if c.Schema > SchemaVersion {
		return nil, fmt.Errorf("schema version %d: this program knows %d", c.Schema, SchemaVersion)
	}
	if c.Features > NewestFeatureLevel {
		return nil, fmt.Errorf("feature level %d: this program knows %d", c.Features, NewestFeatureLevel)
	}
	if err := validateGenesis(c); err != nil {
		return nil, err
	}
	id, err := nextID(tx, idAccount)
	if err != nil {
		return nil, err
	}
	putVersions(tx, uint64(max(c.Schema, 1)), uint64(c.Features))
	tx.Put(SystemKey(systemCluster), c.ClusterId)
	putNextID(tx, idAccount, id+1)
	root := &Account{
		Name: RootAccount, ID: id, Type: AccountService, Status: AccountActive, Email: c.RootEmail, Created: at.Time, Updated: at.Time,
	}
	addAccount(tx, at, root)
	putIdentity(tx, &Identity{
		Type: IdentityUserpass, Name: c.RootIdentity, Created: at.Time, Email: c.RootEmail, PasswordHash: c.RootPassword,
	})
	putGrant(tx, IdentityUserpass, c.RootIdentity, &Grant{Account: RootAccount, Created: at.Time, Default: true})
	putSigningKey(tx, &SigningKey{ID: c.KeyId, Seed: c.KeySeed, Created: at.Time})
	for _, s := range c.Settings {
		putSetting(tx, s.Name, s.Value)
	}
	return nil, nil
}

func validateGenesis(c *command.Genesis) error {
	switch {
	case len(c.ClusterId) != 16 || [16]byte(c.ClusterId) == [16]byte{}:
		return Errorf(command.CodeInvalidObject, "a cluster id is 16 bytes that are not all zero")
	case c.RootPassword == "":
		return Errorf(command.CodeInvalidObject, "root needs the hash of a password")
	case c.KeyId == "" || len(c.KeyId) > maxTokenID || !isPlainText(c.KeyId) || len(c.KeySeed) != signingSeedLen:
		return Errorf(command.CodeInvalidObject, "the signing key needs an id and a seed of %d bytes", signingSeedLen)
	}
	if err := ValidateText("email", c.RootEmail); err != nil {
		return err
	}
	for _, s := range c.Settings {
		if err := ValidateSetting(s.GetName(), s.GetValue()); err != nil {
			return err
		}
	}
	return ValidateIdentity(c.RootIdentity)
}
