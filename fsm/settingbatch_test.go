package fsm

import (
	"bytes"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// The rules that a level and settings bring hold from their entry on, in one batch with what they decide as in batches of their own.
func TestSettingsWithinABatch(t *testing.T) {
	var history []*raft.Log
	var codes []command.Code
	do := func(code command.Code, kind command.Type, issuer string, c proto.Message) {
		history = append(history, entry(t, uint64(len(history)+1), command.Command{Type: kind, Issuer: issuer, Payload: payload(t, c)}))
		codes = append(codes, code)
	}
	add := func(code command.Code, name, pfn string) {
		do(code, command.TypeAddReplicas, "root", &command.AddReplicas{Rse: "ONE", Files: []*command.NewFile{{Scope: "s", Name: name, Bytes: 1, Pfn: pfn}}})
	}
	set := func(code command.Code, name, value string) {
		do(code, command.TypeSetSetting, "root", &command.SetSetting{Setting: &command.Setting{Name: name, Value: value}})
	}
	do(command.CodeOK, command.TypeGenesis, "", &command.Genesis{
		ClusterId: bytes.Repeat([]byte{7}, 16), RootIdentity: "ddmlab", RootPassword: "$hash", KeyId: "k", KeySeed: make([]byte, 32), Schema: catalogue.SchemaVersion,
	})
	do(command.CodeOK, command.TypeAddScope, "root", &command.AddScope{Name: "s", Account: "root"})
	do(command.CodeOK, command.TypeAddRSE, "root", &command.AddRSE{Name: "ONE", Uuid: make([]byte, 16), Settings: &command.RSESettings{}})
	scheme, host, prefix, impl, one := "davs", "h", "/dav", "rucio.rse.protocols.gfal.Default", int32(1)
	priorities := &command.ProtocolPriorities{Read: &one, Write: &one, Delete: &one}
	do(command.CodeOK, command.TypeAddProtocol, "root", &command.AddProtocol{Rse: "ONE", Protocol: &command.ProtocolSettings{
		Scheme: &scheme, Hostname: &host, Port: &one, Prefix: &prefix, Impl: &impl, Lan: priorities, Wan: priorities,
	}})
	set(command.CodeOK, "path-algorithm/flat", "{scope}-{name}")
	set(command.CodeOK, "default-path-algorithm", "flat")
	add(command.CodeOK, "a", "davs://h:1/dav/s-a")
	add(command.CodeInvalidPath, "b", "davs://h:1/dav/s/b")
	add(command.CodeOK, "bad name", "")
	do(command.CodeOK, command.TypeRaiseFeatures, "", &command.RaiseFeatures{Level: 1})
	add(command.CodeInvalidObject, "worse name", "")
	add(command.CodeOK, "with/slash", "")
	set(command.CodeOK, "name-schema", "atlas")
	add(command.CodeInvalidObject, "other/slash", "")
	set(command.CodeUnsupportedOperation, "default-path-algorithm", "")
	set(command.CodeOK, "name-schema", "")
	add(command.CodeOK, "third/slash", "")

	var digests []string
	for _, size := range []int{1, 2, 3, len(history)} {
		m, got := newMachine(t), []command.Code(nil)
		for at := 0; at < len(history); at += size {
			for _, r := range apply(t, m, history[at:min(at+size, len(history))]...) {
				got = append(got, r.Code)
			}
		}
		require.Equal(t, codes, got, "batches of %d", size)
		digests = append(digests, stateDigest(t, m))
		require.Equal(t, digests[0], digests[len(digests)-1], "batches of %d", size)
	}
}
