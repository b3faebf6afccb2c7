package fsm

import (
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// errPayload is wrapped where a command's payload does not decode.
var errPayload = errors.New("malformed command payload")

// row is one command that the machine can execute.
type row struct {
	number command.Type
	// message makes an empty payload message.
	message func() proto.Message
	run     func(m *Machine, at catalogue.Stamp, payload []byte) ([]byte, error)

	shape *shape // of the message
	since uint64 // the feature level from which on every member knows the command
}

// registry is every command, in the order of the numbers. The effect of a row is frozen: it may be implemented better,
// but whoever changes what it does to the state makes a new number.
var registry = [...]row{
	own(command.TypeTermStart, termStart),
	own(command.TypeRegisterSession, registerSession),
	of(command.TypeGenesis, catalogue.Genesis),
	own(command.TypeDigest, digest),
	own(command.TypeOnce, nestedOnce),
	own(command.TypeTrimChanges, trimChanges),
	of(command.TypeRaiseFeatures, catalogue.RaiseFeatures),
	of(command.TypeAddAccount, catalogue.AddAccount),
	of(command.TypeUpdateAccount, catalogue.UpdateAccount),
	of(command.TypeDeleteAccount, catalogue.DeleteAccount),
	of(command.TypeSetAccountAttribute, catalogue.SetAccountAttribute),
	of(command.TypeDeleteAccountAttribute, catalogue.DeleteAccountAttribute),
	of(command.TypeAddIdentity, catalogue.AddIdentity),
	of(command.TypeDeleteIdentity, catalogue.DeleteIdentity),
	of(command.TypeAddScope, catalogue.AddScope),
	of(command.TypeRevokeToken, catalogue.RevokeToken),
	of(command.TypeRevokeAccountTokens, catalogue.RevokeAccountTokens),
	of(command.TypeAddSigningKey, catalogue.AddSigningKey),
	of(command.TypeSetScopeOwner, catalogue.SetScopeOwner),
	of(command.TypeSetSetting, catalogue.SetSetting),
	of(command.TypeAddJoinToken, catalogue.AddJoinToken),
	of(command.TypeUseJoinToken, catalogue.UseJoinToken),
	of(command.TypeSetPassword, catalogue.SetPassword),
	of(command.TypeRotateSigningKey, catalogue.RotateSigningKey),
	of(command.TypeDeleteSigningKey, catalogue.DeleteSigningKey),
	of(command.TypeAddRSE, catalogue.AddRSE),
	of(command.TypeUpdateRSE, catalogue.UpdateRSE),
	of(command.TypeDeleteRSE, catalogue.DeleteRSE),
	of(command.TypeSetRSEAttribute, catalogue.SetRSEAttribute),
	of(command.TypeDeleteRSEAttribute, catalogue.DeleteRSEAttribute),
	of(command.TypeAddProtocol, catalogue.AddProtocol),
	of(command.TypeUpdateProtocols, catalogue.UpdateProtocols),
	of(command.TypeDeleteProtocols, catalogue.DeleteProtocols),
	of(command.TypeSetDistance, catalogue.SetDistance),
	of(command.TypeDeleteDistance, catalogue.DeleteDistance),
	of(command.TypeSetRSEUsage, catalogue.SetRSEUsage),
	of(command.TypeSetRSELimit, catalogue.SetRSELimit),
	of(command.TypeDeleteRSELimit, catalogue.DeleteRSELimit),
	of(command.TypeAddDIDs, catalogue.AddDIDs),
	of(command.TypeAttachDIDs, catalogue.AttachDIDs),
	of(command.TypeDetachDIDs, catalogue.DetachDIDs),
	of(command.TypeSetDIDStatus, catalogue.SetDIDStatus),
	of(command.TypeSetMetadata, catalogue.SetMetadata),
	of(command.TypeExpireDIDs, catalogue.ExpireDIDs),
	of(command.TypeResurrectDIDs, catalogue.ResurrectDIDs),
	of(command.TypeForgetExpired, catalogue.ForgetExpired),
	of(command.TypeIndexLifetimes, catalogue.IndexLifetimes),
	of(command.TypeAddReplicas, catalogue.AddReplicas),
	of(command.TypeUpdateReplicaStates, catalogue.UpdateReplicaStates),
	of(command.TypeDeleteReplicas, catalogue.DeleteReplicas),
	of(command.TypeDeclareBad, catalogue.DeclareBad),
	of(command.TypeDeclareSuspicious, catalogue.DeclareSuspicious),
	of(command.TypeDeclareBadPFNs, catalogue.DeclareBadPFNs),
	of(command.TypeSetTombstones, catalogue.SetTombstones),
	of(command.TypeQuarantine, catalogue.Quarantine),
	of(command.TypeExpireUnavailable, catalogue.ExpireUnavailable),
	of(command.TypeAddReplicasReporting, catalogue.AddReplicasReporting),
	of(command.TypeUpdateReplicaStatesIf, catalogue.UpdateReplicaStatesIf),
	of(command.TypeDeleteReplicasIf, catalogue.DeleteReplicasIf),
}

// registered finds rows by number.
func registered(extra []row) map[command.Type]*row {
	all := make(map[command.Type]*row, len(registry)+len(extra))
	known := shapes{}
	for _, r := range slices.Concat(registry[:], extra) {
		r.shape, r.since = known.of(r.message().ProtoReflect().Descriptor()), r.number.Features()
		all[r.number] = &r
	}
	return all
}

// of makes the row of a command of the catalogue.
func of[M any, P interface {
	*M
	proto.Message
}](number command.Type, handler func(catalogue.Tx, catalogue.Stamp, P) ([]byte, error)) row {
	return own(number, func(m *Machine, at catalogue.Stamp, c P) ([]byte, error) { return handler(m.overlay, at, c) })
}

// own makes the row of a command of the machine itself.
func own[M any, P interface {
	*M
	proto.Message
}](number command.Type, handler func(*Machine, catalogue.Stamp, P) ([]byte, error)) row {
	return row{
		number:  number,
		message: func() proto.Message { return P(new(M)) },
		run: func(m *Machine, at catalogue.Stamp, payload []byte) ([]byte, error) {
			c := P(new(M))
			if err := unmarshal(payload, c); err != nil {
				return nil, err
			}
			return handler(m, at, c)
		},
	}
}

// termStart changes nothing: the log time, which every entry moves, is all that it is for.
func termStart(*Machine, catalogue.Stamp, *command.TermStart) ([]byte, error) { return nil, nil }

func registerSession(m *Machine, _ catalogue.Stamp, c *command.RegisterSession) ([]byte, error) {
	return nil, m.state.sessions.register(c)
}

// digest ends the batch with this entry; commit then digests what has been committed, gently where the cluster itself asks.
func digest(m *Machine, at catalogue.Stamp, _ *command.Digest) ([]byte, error) {
	m.digestDue, m.digestGently = true, at.Issuer == ""
	return nil, nil
}
