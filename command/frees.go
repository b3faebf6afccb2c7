package command

import "google.golang.org/protobuf/proto"

// Frees reports whether the leader appends the command although disks are nearly full. Such a command frees space, protects data or
// accounts, or is what the cluster needs to go on. A command that the list does not name waits for space.
func (t Type) Frees() bool {
	switch t {
	case TypeTermStart, TypeRegisterSession, TypeGenesis, TypeDigest, TypeTrimChanges, TypeRaiseFeatures, TypeSetSetting,
		TypeAddJoinToken, TypeUseJoinToken:
		return true // the cluster itself, and what lets an operator add a node that has space
	case TypeUpdateAccount, TypeDeleteAccount, TypeDeleteAccountAttribute, TypeDeleteIdentity, TypeRevokeToken, TypeRevokeAccountTokens,
		TypeAddSigningKey, TypeSetPassword, TypeRotateSigningKey, TypeDeleteSigningKey:
		return true
	case TypeUpdateRSE, TypeDeleteRSE, TypeDeleteRSEAttribute, TypeDeleteProtocols, TypeDeleteDistance, TypeDeleteRSELimit:
		return true
	case TypeDetachDIDs, TypeExpireDIDs, TypeForgetExpired, TypeIndexLifetimes:
		return true
	case TypeUpdateReplicaStates, TypeUpdateReplicaStatesIf, TypeDeleteReplicas, TypeDeleteReplicasIf, TypeSetTombstones,
		TypeExpireUnavailable:
		return true
	}
	return false
}

// Frees is Type.Frees for the command that c is or carries. Metadata that only ends or moves a lifetime frees space too.
func (c *Command) Frees() bool {
	t, payload := c.Type, c.Payload
	if t == TypeOnce {
		var once Once
		if proto.Unmarshal(payload, &once) != nil {
			return false
		}
		t, payload = Type(once.Type), once.Payload
	}
	return t.Frees() || t == TypeSetMetadata && setsLifetimes(payload)
}

func setsLifetimes(payload []byte) bool {
	var c SetMetadata
	if proto.Unmarshal(payload, &c) != nil {
		return false
	}
	for _, d := range c.Dids {
		for key := range d.Set {
			if key != "lifetime" {
				return false
			}
		}
	}
	return true
}
