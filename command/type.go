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
}

// types is never written after it is declared; a golden test pins it.
var types = [...]typeRow{
	{TypeTermStart, "TermStart"},
	{TypeRegisterSession, "RegisterSession"},
	{TypeGenesis, "Genesis"},
	{TypeDigest, "Digest"},
	{TypeOnce, "Once"},
	{TypeTrimChanges, "TrimChanges"},
	{TypeAddAccount, "AddAccount"},
	{TypeUpdateAccount, "UpdateAccount"},
	{TypeDeleteAccount, "DeleteAccount"},
	{TypeSetAccountAttribute, "SetAccountAttribute"},
	{TypeDeleteAccountAttribute, "DeleteAccountAttribute"},
	{TypeAddIdentity, "AddIdentity"},
	{TypeDeleteIdentity, "DeleteIdentity"},
	{TypeAddScope, "AddScope"},
	{TypeRevokeToken, "RevokeToken"},
	{TypeRevokeAccountTokens, "RevokeAccountTokens"},
	{TypeAddSigningKey, "AddSigningKey"},
	{TypeSetScopeOwner, "SetScopeOwner"},
	{TypeAddRSE, "AddRSE"},
	{TypeUpdateRSE, "UpdateRSE"},
	{TypeDeleteRSE, "DeleteRSE"},
	{TypeSetRSEAttribute, "SetRSEAttribute"},
	{TypeDeleteRSEAttribute, "DeleteRSEAttribute"},
	{TypeAddProtocol, "AddProtocol"},
	{TypeUpdateProtocols, "UpdateProtocols"},
	{TypeDeleteProtocols, "DeleteProtocols"},
	{TypeSetDistance, "SetDistance"},
	{TypeDeleteDistance, "DeleteDistance"},
	{TypeSetRSEUsage, "SetRSEUsage"},
	{TypeSetRSELimit, "SetRSELimit"},
	{TypeDeleteRSELimit, "DeleteRSELimit"},
	{TypeAddDIDs, "AddDIDs"},
	{TypeAttachDIDs, "AttachDIDs"},
	{TypeDetachDIDs, "DetachDIDs"},
	{TypeSetDIDStatus, "SetDIDStatus"},
	{TypeSetMetadata, "SetMetadata"},
	{TypeAddReplicas, "AddReplicas"},
	{TypeUpdateReplicaStates, "UpdateReplicaStates"},
	{TypeDeleteReplicas, "DeleteReplicas"},
	{TypeDeclareBad, "DeclareBad"},
	{TypeDeclareSuspicious, "DeclareSuspicious"},
	{TypeDeclareBadPFNs, "DeclareBadPFNs"},
	{TypeSetTombstones, "SetTombstones"},
	{TypeQuarantine, "Quarantine"},
	{TypeExpireUnavailable, "ExpireUnavailable"},
	{TypeAddReplicasReporting, "AddReplicasReporting"},
	{TypeUpdateReplicaStatesIf, "UpdateReplicaStatesIf"},
	{TypeDeleteReplicasIf, "DeleteReplicasIf"},
}
