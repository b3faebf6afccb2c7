package command

import "strconv"

// Type is the number of a command in the log. Numbers are only ever appended.
type Type uint16

// The commands. 1 to 9 belong to the state machine itself, the others to the catalogue.
const (
	// TypeTermStart is the first command of a leader's term. It changes nothing but the log time: once it is applied, the
	// leader's state holds everything that was committed in earlier terms.
	TypeTermStart Type = 1
	// TypeRegisterSession opens the session of a node incarnation and closes earlier ones of the same node name.
	TypeRegisterSession Type = 2
	// TypeGenesis makes the empty catalogue of a new cluster: its id, the account root and the first signing key.
	TypeGenesis Type = 3
	// TypeDigest makes every node digest its state as of this entry.
	TypeDigest Type = 4
	// TypeOnce carries another command that takes effect once for all requests with the same key.
	TypeOnce Type = 5
	// TypeTrimChanges drops the oldest part of the change feed.
	TypeTrimChanges Type = 7
	// TypeRaiseFeatures makes the rules of a higher feature level hold from its entry on.
	TypeRaiseFeatures Type = 8

	TypeAddAccount             Type = 10
	TypeUpdateAccount          Type = 11
	TypeDeleteAccount          Type = 12
	TypeSetAccountAttribute    Type = 13
	TypeDeleteAccountAttribute Type = 14
	TypeAddIdentity            Type = 15
	TypeDeleteIdentity         Type = 16
	TypeAddScope               Type = 17
	TypeRevokeToken            Type = 18
	TypeRevokeAccountTokens    Type = 19
	TypeAddSigningKey          Type = 20
	TypeSetScopeOwner          Type = 21
	// TypeSetSetting sets a setting of the cluster.
	TypeSetSetting Type = 22
	// TypeAddJoinToken lets a new member join, TypeUseJoinToken is the leader's: it has let one in.
	TypeAddJoinToken Type = 23
	TypeUseJoinToken Type = 24
	// TypeSetPassword changes the password of an identity.
	TypeSetPassword Type = 25
	// TypeRotateSigningKey and TypeDeleteSigningKey change the keys that sign tokens, as root asks for it.
	TypeRotateSigningKey Type = 26
	TypeDeleteSigningKey Type = 27

	TypeAddRSE             Type = 30
	TypeUpdateRSE          Type = 31
	TypeDeleteRSE          Type = 32
	TypeSetRSEAttribute    Type = 33
	TypeDeleteRSEAttribute Type = 34
	TypeAddProtocol        Type = 35
	TypeUpdateProtocols    Type = 36
	TypeDeleteProtocols    Type = 37
	TypeSetDistance        Type = 38
	TypeDeleteDistance     Type = 39
	TypeSetRSEUsage        Type = 40
	TypeSetRSELimit        Type = 41
	TypeDeleteRSELimit     Type = 42

	TypeAddDIDs      Type = 50
	TypeAttachDIDs   Type = 51
	TypeDetachDIDs   Type = 52
	TypeSetDIDStatus Type = 53
	TypeSetMetadata  Type = 54
	// TypeExpireDIDs ends DIDs whose lifetime is over, TypeResurrectDIDs brings them back, TypeForgetExpired makes that impossible, and
	// TypeIndexLifetimes finds the lifetimes of before there was an index.
	TypeExpireDIDs     Type = 55
	TypeResurrectDIDs  Type = 56
	TypeForgetExpired  Type = 57
	TypeIndexLifetimes Type = 58

	TypeAddReplicas         Type = 70
	TypeUpdateReplicaStates Type = 71
	TypeDeleteReplicas      Type = 72
	TypeDeclareBad          Type = 73
	TypeDeclareSuspicious   Type = 74
	TypeDeclareBadPFNs      Type = 75
	TypeSetTombstones       Type = 76
	TypeQuarantine          Type = 77
	TypeExpireUnavailable   Type = 78
	// TypeAddReplicasReporting is AddReplicas for a caller that wants what can be had.
	TypeAddReplicasReporting Type = 79
	// TypeUpdateReplicaStatesIf and TypeDeleteReplicasIf take effect only where the replicas have the versions named.
	TypeUpdateReplicaStatesIf Type = 80
	TypeDeleteReplicasIf      Type = 81
)

// String returns the name of the command, or its number where the number has none.
func (t Type) String() string {
	if name, ok := typeName(t); ok {
		return name
	}
	return "command(" + strconv.Itoa(int(t)) + ")"
}

// Known reports whether this version of the program has the command. An entry with an unknown one stops the node.
func (t Type) Known() bool {
	_, ok := typeName(t)
	return ok
}

func typeName(t Type) (string, bool) {
	for _, row := range types {
		if row.number == t {
			return row.name, true
		}
	}
	return "", false
}

// Features returns the feature level from which on every member of a cluster knows the command. Below that level the
// command must not be proposed: an older member stops at a number that it does not know.
func (t Type) Features() uint64 {
	for _, row := range types {
		if row.number == t {
			return row.since
		}
	}
	return 0
}

// Types lists every command of this version in the order of the numbers.
func Types() []Type {
	all := make([]Type, len(types))
	for i, row := range types {
		all[i] = row.number
	}
	return all
}

type typeRow struct {
	number Type
	name   string
	// since is the feature level from which on every member knows the command.
	since uint64
}

// types is never written after it is declared; a golden test pins it.
var types = [...]typeRow{
	{TypeTermStart, "TermStart", 0},
	{TypeRegisterSession, "RegisterSession", 0},
	{TypeGenesis, "Genesis", 0},
	{TypeDigest, "Digest", 0},
	{TypeOnce, "Once", 0},
	{TypeTrimChanges, "TrimChanges", 0},
	{TypeRaiseFeatures, "RaiseFeatures", 0},
	{TypeAddAccount, "AddAccount", 0},
	{TypeUpdateAccount, "UpdateAccount", 0},
	{TypeDeleteAccount, "DeleteAccount", 0},
	{TypeSetAccountAttribute, "SetAccountAttribute", 0},
	{TypeDeleteAccountAttribute, "DeleteAccountAttribute", 0},
	{TypeAddIdentity, "AddIdentity", 0},
	{TypeDeleteIdentity, "DeleteIdentity", 0},
	{TypeAddScope, "AddScope", 0},
	{TypeRevokeToken, "RevokeToken", 0},
	{TypeRevokeAccountTokens, "RevokeAccountTokens", 0},
	{TypeAddSigningKey, "AddSigningKey", 0},
	{TypeSetScopeOwner, "SetScopeOwner", 0},
	{TypeSetSetting, "SetSetting", 1},
	{TypeAddJoinToken, "AddJoinToken", 2},
	{TypeUseJoinToken, "UseJoinToken", 2},
	{TypeSetPassword, "SetPassword", 2},
	{TypeRotateSigningKey, "RotateSigningKey", 2},
	{TypeDeleteSigningKey, "DeleteSigningKey", 2},
	{TypeAddRSE, "AddRSE", 0},
	{TypeUpdateRSE, "UpdateRSE", 0},
	{TypeDeleteRSE, "DeleteRSE", 0},
	{TypeSetRSEAttribute, "SetRSEAttribute", 0},
	{TypeDeleteRSEAttribute, "DeleteRSEAttribute", 0},
	{TypeAddProtocol, "AddProtocol", 0},
	{TypeUpdateProtocols, "UpdateProtocols", 0},
	{TypeDeleteProtocols, "DeleteProtocols", 0},
	{TypeSetDistance, "SetDistance", 0},
	{TypeDeleteDistance, "DeleteDistance", 0},
	{TypeSetRSEUsage, "SetRSEUsage", 0},
	{TypeSetRSELimit, "SetRSELimit", 0},
	{TypeDeleteRSELimit, "DeleteRSELimit", 0},
	{TypeAddDIDs, "AddDIDs", 0},
	{TypeAttachDIDs, "AttachDIDs", 0},
	{TypeDetachDIDs, "DetachDIDs", 0},
	{TypeSetDIDStatus, "SetDIDStatus", 0},
	{TypeSetMetadata, "SetMetadata", 0},
	{TypeExpireDIDs, "ExpireDIDs", 1},
	{TypeResurrectDIDs, "ResurrectDIDs", 1},
	{TypeForgetExpired, "ForgetExpired", 1},
	{TypeIndexLifetimes, "IndexLifetimes", 1},
	{TypeAddReplicas, "AddReplicas", 0},
	{TypeUpdateReplicaStates, "UpdateReplicaStates", 0},
	{TypeDeleteReplicas, "DeleteReplicas", 0},
	{TypeDeclareBad, "DeclareBad", 0},
	{TypeDeclareSuspicious, "DeclareSuspicious", 0},
	{TypeDeclareBadPFNs, "DeclareBadPFNs", 0},
	{TypeSetTombstones, "SetTombstones", 0},
	{TypeQuarantine, "Quarantine", 0},
	{TypeExpireUnavailable, "ExpireUnavailable", 0},
	{TypeAddReplicasReporting, "AddReplicasReporting", 0},
	{TypeUpdateReplicaStatesIf, "UpdateReplicaStatesIf", 0},
	{TypeDeleteReplicasIf, "DeleteReplicasIf", 0},
}
