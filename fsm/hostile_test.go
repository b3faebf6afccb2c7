package fsm

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"dapple/catalogue"
	"dapple/command"
)

// hostileNames are texts that nothing may be called, and at the end one that is a name in no schema.
var hostileNames = []string{"", "a\x00b", "\x00", "a\nb", "a\x7f", "a\u0085b", strings.Repeat("x", 5000), "no name!"}

// takesAny are the fields, of all commands or of one, that take any text, each with the reason.
var takesAny = map[string]string{
	"Genesis.root_password":                "is a hash",
	"AddIdentity.password_hash":            "is a hash",
	"SetPassword.password_hash":            "is a hash",
	"SetPassword.previous_hash":            "is a hash",
	"DeclareBad.reason":                    "is what people write",
	"DeclareBadPFNs.reason":                "is what people write",
	"DeclareSuspicious.reason":             "is what people write",
	"ProtocolSettings.extended_attributes": "is JSON",
	"RevokeToken.account":                  "is not written, and root may revoke any token",
	"RSESettings.lfn2pfn_algorithm":        "is not read when an RSE changes, only when it is added",
	"ExpireDIDs DIDName.scope":             "is skipped if the DID does not exist",
	"ExpireDIDs DIDName.name":              "is skipped if the DID does not exist",
	"NewFile.pfn":                          "is not read of a file that exists and is only attached",
	"DIDMetadata.set value":                "is JSON",
	"NewCollection.meta value":             "is JSON",
	"NewFile.meta value":                   "is JSON",
}

// takesText are the fields that take any text without control characters that is not too long, each with the reason.
var takesText = map[string]string{
	"Genesis.root_identity":     "is a user's name",
	"Genesis.key_id":            "is random",
	"AddIdentity.identity":      "is a user's name or the subject of a certificate",
	"RevokeToken.token_id":      "is random",
	"AddSigningKey.id":          "is random",
	"UseJoinToken.server_id":    "is random",
	"RotateSigningKey.id":       "is random",
	"Genesis.root_email":        "is checked as little as any address",
	"AddAccount.email":          "is checked as little as any address",
	"UpdateAccount.email":       "is checked as little as any address",
	"AddIdentity.email":         "is checked as little as any address",
	"SetRSEAttribute.value":     "may be any text",
	"SetRSEAttribute.key":       "may be any text",
	"SetRSELimit.name":          "may be any text",
	"SetRSEUsage.source":        "may be any text",
	"DeleteRSELimit.name":       "need not exist",
	"DIDMetadata.set":           "may be any text",
	"NewCollection.meta":        "may be any text",
	"NewFile.meta":              "may be any text",
	"File.path":                 "is a path",
	"File.scope":                "need not exist",
	"File.name":                 "need not exist",
	"ReplicaChange.path":        "is a path",
	"ProtocolSettings.hostname": "may be any text",
	"ProtocolSettings.prefix":   "is a path",
	"ProtocolSettings.impl":     "is a name of another program",
}

// takesNothing are the fields whose empty text stands for something else, each with what.
var takesNothing = map[string]string{
	"Genesis.root_email": "none", "AddAccount.email": "none", "AddIdentity.email": "none", "UpdateAccount.email": "none",
	"UpdateRSE.new_name": "the old one", "Setting.value": "the default", "SetRSEAttribute.value": "none",
	"ProtocolSettings.hostname": "none", "ProtocolSettings.prefix": "none", "NewFile.adler32": "unknown", "NewFile.md5": "unknown",
	"ReplicaChange.path": "the old one", "NewCollection.account": "the issuer", "File.scope": "unknown", "File.name": "unknown",
}

// mutant is a command with one text replaced.
type mutant struct {
	field   string // message and field
	text    string
	message proto.Message
}

// mutants returns the command once for each text in it and each hostile name.
func mutants(message proto.Message) (all []mutant) {
	root := message.ProtoReflect()
	var walk func(path func(root protoreflect.Message) protoreflect.Message)
	walk = func(path func(root protoreflect.Message) protoreflect.Message) {
		add := func(field string, set func(m protoreflect.Message, text string)) {
			for _, text := range hostileNames {
				clone := proto.Clone(message)
				set(path(clone.ProtoReflect()), text)
				all = append(all, mutant{field, text, clone})
			}
		}
		m := path(root)
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			fd := fields.Get(i)
			name := string(m.Descriptor().Name()) + "." + string(fd.Name())
			switch {
			case fd.IsMap():
				if m.Get(fd).Map().Len() == 0 {
					continue
				}
				add(name, func(m protoreflect.Message, text string) {
					m.Mutable(fd).Map().Set(protoreflect.ValueOfString(text).MapKey(), protoreflect.ValueOfString("1"))
				})
			case fd.IsList() && fd.Kind() == protoreflect.MessageKind:
				for j := range m.Get(fd).List().Len() {
					walk(func(root protoreflect.Message) protoreflect.Message {
						return path(root).Mutable(fd).List().Get(j).Message()
					})
				}
			case fd.IsList() && fd.Kind() == protoreflect.StringKind:
				for j := range m.Get(fd).List().Len() {
					add(name, func(m protoreflect.Message, text string) {
						m.Mutable(fd).List().Set(j, protoreflect.ValueOfString(text))
					})
				}
			case fd.Kind() == protoreflect.MessageKind && !fd.IsList():
				if m.Has(fd) {
					walk(func(root protoreflect.Message) protoreflect.Message { return path(root).Mutable(fd).Message() })
				}
			case fd.Kind() == protoreflect.StringKind:
				add(name, func(m protoreflect.Message, text string) { m.Set(fd, protoreflect.ValueOfString(text)) })
			}
		}
	}
	walk(func(root protoreflect.Message) protoreflect.Message { return root })
	return all
}

// bench runs commands of the catalogue over a store in memory.
type bench struct {
	tx       *catalogue.MemTx
	revision uint64
}

// try runs a command aside: what it has written is in the overlay alone.
func (b *bench) try(t *testing.T, row *row, issuer string, message proto.Message) (*overlay, error) {
	t.Helper()
	payload, err := proto.Marshal(message)
	require.NoError(t, err)
	m := &Machine{overlay: newOverlay(b.tx)}
	m.overlay.begin()
	b.revision += 1000
	_, err = row.run(m, catalogue.Stamp{Revision: b.revision, Time: int64(b.revision), Issuer: issuer}, payload)
	return m.overlay, err
}

// do runs a command for good.
func (b *bench) do(t *testing.T, row *row, issuer string, message proto.Message) {
	t.Helper()
	o, err := b.try(t, row, issuer, message)
	require.NoError(t, err, row.number.String())
	for i := range o.changes {
		if c := &o.changes[i]; c.kind == changePut {
			b.tx.Put(c.key, c.value)
		} else {
			b.tx.Delete(c.key)
		}
	}
}

// TestHostileNames runs every command of the catalogue with each of its texts replaced by what nothing may be called. It is
// refused with a code that is the client's fault and writes nothing, or takes the text for what the tables above say; in
// either case the catalogue is sound. protobuf carries no text that is not UTF-8.
func TestHostileNames(t *testing.T) {
	_, err := proto.Marshal(&command.AddScope{Name: "\xff"})
	require.Error(t, err)
	b, rows := &bench{tx: catalogue.NewMemTx()}, registered(nil)
	seen := map[command.Type]bool{}
	for _, c := range append(everyCommand(t), moreCommands(t)...) {
		row := rows[c.Type]
		if c.Type == command.TypeOnce {
			continue // carries another
		}
		message := row.message()
		require.NoError(t, proto.Unmarshal(c.Payload, message))
		if g, ok := message.(*command.Genesis); ok {
			g.Features = catalogue.NewestFeatureLevel
		}
		for _, mutant := range mutants(message) {
			what := fmt.Sprintf("%s with %s %.20q", c.Type, mutant.field, mutant.text)
			o, err := b.try(t, row, c.Issuer, mutant.message)
			if err != nil {
				require.False(t, o.wrote(), what)
				requireClientsFault(t, err, what)
				continue
			}
			require.NoError(t, catalogue.CheckInvariants(o), what)
			if o.wrote() && !mayTake(c.Type, mutant, message) {
				t.Errorf("%s is taken", what)
			}
		}
		b.do(t, row, c.Issuer, message)
		seen[c.Type] = true
	}
	own := []command.Type{command.TypeTermStart, command.TypeRegisterSession, command.TypeDigest, command.TypeOnce, command.TypeTrimChanges}
	for _, number := range command.Types() {
		require.True(t, seen[number] || slices.Contains(own, number), "%s was not tried", number)
	}
	require.NoError(t, catalogue.CheckInvariants(b.tx))
}

// moreCommands are those that everyCommand does not have, being silent or due to time.
func moreCommands(t *testing.T) []command.Command {
	t.Helper()
	return []command.Command{
		as(t, command.TypeAddAccount, &command.AddAccount{Name: "bo", Type: "USER", Email: "b@o.example"}),
		as(t, command.TypeAddIdentity, &command.AddIdentity{Type: "X509", Identity: "/CN=bo", Account: "bo", Email: "b@o.example"}),
		as(t, command.TypeDeleteIdentity, &command.DeleteIdentity{Type: "X509", Identity: "/CN=bo", Account: "bo"}),
		as(t, command.TypeRevokeToken, &command.RevokeToken{TokenId: "t", Account: "bo", Expires: 1 << 60}),
		as(t, command.TypeRevokeAccountTokens, &command.RevokeAccountTokens{Account: "bo", Before: 1}),
		as(t, command.TypeAddSigningKey, &command.AddSigningKey{Id: "k2", Seed: make([]byte, 32)}),
		as(t, command.TypeAddJoinToken, &command.AddJoinToken{Digest: make([]byte, 32), Lifetime: 60}),
		{Type: command.TypeUseJoinToken, Payload: payload(t, &command.UseJoinToken{Digest: make([]byte, 32), ServerId: "n@1"})},
		as(t, command.TypeRotateSigningKey, &command.RotateSigningKey{Id: "k3", Seed: make([]byte, 32)}),
		as(t, command.TypeDeleteSigningKey, &command.DeleteSigningKey{Id: "k2"}),
		as(t, command.TypeSetPassword, &command.SetPassword{Identity: "ddmlab", PasswordHash: "$hash"}),
		{Type: command.TypeRaiseFeatures, Payload: payload(t, &command.RaiseFeatures{Level: catalogue.NewestFeatureLevel})},
		{Type: command.TypeIndexLifetimes, Payload: payload(t, &command.IndexLifetimes{Limit: 9})},
		{Type: command.TypeForgetExpired, Payload: payload(t, &command.ForgetExpired{Limit: 9})},
		{Type: command.TypeExpireUnavailable, Payload: payload(t, &command.ExpireUnavailable{Limit: 9})},
		// Fields that the others leave empty.
		as(t, command.TypeUpdateRSE, &command.UpdateRSE{Name: "ONE", Settings: &command.RSESettings{City: new("Geneva")}}),
		as(t, command.TypeAddRSE, &command.AddRSE{Name: "LOOSE", Uuid: slices.Repeat([]byte{9}, 16), Settings: &command.RSESettings{Deterministic: new(bool)}}),
		as(t, command.TypeAddProtocol, &command.AddProtocol{Rse: "LOOSE", Protocol: &command.ProtocolSettings{
			Scheme: new("davs"), Hostname: new("loose.example"), Port: new(int32(443)), Prefix: new("/x"), Impl: new("rucio.rse.protocols.gfal.Default"),
			Wan: &command.ProtocolPriorities{Read: new(int32(1))},
		}}),
		as(t, command.TypeAddReplicas, &command.AddReplicas{Rse: "LOOSE", Files: []*command.NewFile{{
			Scope: "s", Name: "p.zip", Bytes: 5, Adler32: "0cc737eb", Md5: strings.Repeat("a", 32), Pfn: "davs://loose.example/x/p.zip", Meta: map[string]string{"k": "1"},
		}}}),
		as(t, command.TypeUpdateReplicaStates, &command.UpdateReplicaStates{Rse: "LOOSE", Files: []*command.ReplicaChange{{Scope: "s", Name: "p.zip", State: 'A', Path: "/q"}}}),
		as(t, command.TypeAddDIDs, &command.AddDIDs{Dids: []*command.NewCollection{{
			Scope: "s", Name: "full", Type: uint32(catalogue.TypeDataset), Account: "bo", Rse: "ONE", Meta: map[string]string{"k": "1"},
			Children: []*command.Child{{File: &command.NewFile{Scope: "s", Name: "made", Bytes: 5}, HasBytes: true}},
		}}}),
		as(t, command.TypeAttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{{
			Scope: "s", Name: "p.zip", Children: []*command.Child{{File: feedFile("inside"), HasBytes: true}},
		}}}),
		as(t, command.TypeQuarantine, &command.Quarantine{Rse: "ONE", Files: []*command.Quarantine_File{{Path: "/darker", Scope: "s", Name: "dark"}}}),
	}
}

// requireClientsFault sees that an error is a refusal.
func requireClientsFault(t *testing.T, err error, what string) {
	t.Helper()
	require.NotEqual(t, command.CodeInternal, catalogue.CodeOf(err), "%s: %v", what, err)
}

// mayTake reports whether the tables let a field have the text, or it has had the same before.
func mayTake(number command.Type, m mutant, original proto.Message) bool {
	plain := catalogue.ValidateName("text", m.text) == nil
	if takesAny[m.field] == "" && strings.HasPrefix(m.field, "RSESettings.") {
		return plain || m.text == "" // what describes a place
	}
	return takesAny[m.field] != "" || takesAny[number.String()+" "+m.field] != "" || m.text == "" && takesNothing[m.field] != "" || plain && takesText[m.field] != "" || proto.Equal(m.message, original)
}
