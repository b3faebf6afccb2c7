package command

import "strconv"

// Code is the outcome of a command or of a call between nodes. Codes travel between nodes and are stored with request
// results, so numbers are only ever appended; what they mean in HTTP is decided in one table of package httpapi.
type Code uint16

// Outcomes that the log, the state machine and the transport give themselves.
const (
	// CodeOK means done.
	CodeOK Code = 0
	// CodeInternal is a failure with no better code; its text is logged and not sent to clients.
	CodeInternal Code = 1
	// CodeUnknownOutcome means that the command may or may not take effect later.
	CodeUnknownOutcome Code = 2
	// CodeNotLeader means that the node asked does not lead; nothing was done.
	CodeNotLeader Code = 3
	// CodeNoLeader means that no leader was found within the deadline; nothing was done.
	CodeNoLeader Code = 4
	// CodeQueueFull means that the bounded queue of proposals is full; nothing was done.
	CodeQueueFull Code = 5
	// CodeTooLarge means that the command is larger than a log entry may be; nothing was done.
	CodeTooLarge Code = 6
	// CodeSessionUnknown means that the state machine does not know the session: it was closed by a later incarnation of
	// the same node. Nothing was done by this copy of the command.
	CodeSessionUnknown Code = 7
	// CodeStaleSequence means that the proposer had already declared this command answered. Nothing was done by this copy.
	CodeStaleSequence Code = 8
	// CodeFailed means that the state machine has stopped after an error that it must not go on from.
	CodeFailed Code = 9
	// CodeNotReady means that the node does not take part in a cluster yet, or has not caught up.
	CodeNotReady Code = 10
	// CodeDeadline means that the deadline passed while waiting; nothing was done.
	CodeDeadline Code = 11
	// CodeOtherCluster means that the peer belongs to another cluster.
	CodeOtherCluster Code = 12
	// CodeUnknownMethod means that the peer has no such internal call.
	CodeUnknownMethod Code = 13
	// CodeDuplicateGenesis means that the cluster has been formed already.
	CodeDuplicateGenesis Code = 14
	// CodeKeyReused means that the key of a request to be done once belongs to another request. Nothing was done.
	CodeKeyReused Code = 15
	// CodeDiskLow means that disks of the cluster are nearly full and the command needs space. Nothing was done. A member of
	// an earlier version answers it with 500.
	CodeDiskLow Code = 16
)

// Requests that are malformed, whatever the state of the catalogue.
const (
	CodeInvalidJSON      Code = 50 // the body is no JSON
	CodeInvalidBody      Code = 51 // the body is JSON of a wrong kind, an array where an object belongs
	CodeMissingKey       Code = 52 // a required key of the body is missing
	CodeInvalidObject    Code = 53 // a value does not fit the schema: characters, length, type
	CodeInvalidValue     Code = 54 // a value is of the right kind and out of range or meaningless
	CodeInvalidType      Code = 55 // a list mixes kinds of items
	CodeInvalidPath      Code = 56 // a PFN that the RSE would not make
	CodeInvalidDate      Code = 57 // a time that cannot be read
	CodeNotAcceptable    Code = 58 // no offered content type is accepted
	CodeNoRoute          Code = 59 // no such path
	CodeMethodNotAllowed Code = 60 // the path has no such method
	CodeBodyTooLarge     Code = 61 // the body is over the limit
	CodeTooManyItems     Code = 62 // a bulk request names more items than the limit
	CodeOverloaded       Code = 63 // too many bodies or logins in flight
	CodeUnsupportedSort  Code = 64 // no such sorting of replicas
	CodeInputValidation  Code = 65 // a value breaks a rule of the server's configuration
	CodeUnparsablePath   Code = 66 // scope and name cannot be told from the path
	CodeNotServed        Code = 67 // a path that Rucio serves and this program does not
)

// Accounts, identities, scopes, tokens.
const (
	CodeAccessDenied             Code = 100
	CodeCannotAuthenticate       Code = 101
	CodeAccountNotFound          Code = 102
	CodeAccountExists            Code = 103
	CodeInvalidAccountType       Code = 104
	CodeAccountAttributeNotFound Code = 105
	CodeAccountAttributeExists   Code = 106
	CodeIdentityExists           Code = 107
	CodeIdentityNotFound         Code = 108
	CodeScopeNotFound            Code = 109
	CodeScopeExists              Code = 110
	CodeInvalidIdentity          Code = 111 // an identity that lacks what its type needs
)

// RSEs.
const (
	CodeRSENotFound             Code = 130
	CodeRSEExists               Code = 131
	CodeRSEAttributeNotFound    Code = 132
	CodeProtocolExists          Code = 133
	CodeProtocolNotSupported    Code = 134
	CodeInvalidRSEExpression    Code = 135
	CodeRSEBlocked              Code = 136 // the RSE is not available for the operation
	CodeRSENotEmpty             Code = 137
	CodeProtocolDomainInvalid   Code = 138
	CodeProtocolPriorityInvalid Code = 139
	CodeDistanceExists          Code = 140
)

// DIDs and attachments.
const (
	CodeDIDNotFound          Code = 160
	CodeDIDExists            Code = 161
	CodeAlreadyAttached      Code = 162
	CodeUnsupportedOperation Code = 163
	CodeUnsupportedStatus    Code = 164
	CodeInvalidMetadata      Code = 165
	CodeKeyNotFound          Code = 166
	CodeDuplicateContent     Code = 167
	CodeInvalidFilter        Code = 168 // a search filter that cannot be understood
	CodeUnknownPlugin        Code = 169 // no such plugin of metadata
)

// Replicas.
const (
	CodeReplicaNotFound Code = 190
	CodeReplicaExists   Code = 191 // a replica that exists there with another path
	CodeFileMismatch    Code = 192 // a known file with another size or checksum
	CodeReplicaLocked   Code = 193
	CodeStateForbidden  Code = 194 // a change of state that the rules forbid
	CodeVersionMismatch Code = 195 // a replica that has another version than the one named
	CodeAmbiguousPFN    Code = 196 // a PFN by which several RSEs have a replica
)

// The change feed.
const (
	CodeChangesGone    Code = 220 // the position asked for is older than what is kept
	CodeChangesNotKept Code = 221 // a cluster formed before there was a feed
)

// String returns the number; names and texts belong to the layers that speak to people.
func (c Code) String() string { return "code " + strconv.Itoa(int(c)) }
