package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func TestLeavesDirectory(t *testing.T) {
	for path, leaves := range map[string]bool{
		"": false, "a": false, "a/b.c": false, "a..b/..c/c..": false, "...": false, "a//b": false, "%41": false, "a.%2eb": false,
		"..": true, ".": true, "a/..": true, "../a": true, "a/./b": true, "a/../../b": true, "/..": true,
		"a/%2e%2e/b": true, "a/%2E./b": true, "a%2f..%2Fb": true, "a/%252e%252e/b": true,
	} {
		require.Equal(t, leaves, leavesDirectory(path), path)
	}
}

func TestPathsThatLeadElsewhere(t *testing.T) {
	s := newDIDStore(t)
	one, loose := int32(1), false
	didDo(s, "root", AddRSE, &command.AddRSE{Name: "LOOSE", Uuid: uuidOf(9), Settings: &command.RSESettings{Deterministic: &loose}})
	protocol := func(prefix string) *command.AddProtocol {
		scheme, host, impl, port := "davs", "loose.example", "rucio.rse.protocols.gfal.Default", int32(443)
		return &command.AddProtocol{Rse: "LOOSE", Protocol: &command.ProtocolSettings{
			Scheme: &scheme, Hostname: &host, Port: &port, Prefix: &prefix, Impl: &impl, Wan: &command.ProtocolPriorities{Read: &one, Write: &one},
		}}
	}
	file := func(name string) *command.AddReplicas {
		return &command.AddReplicas{Rse: "ONE", Files: []*command.NewFile{{Scope: "s", Name: name, Bytes: 5}}}
	}
	lies := func(name, path string) *command.AddReplicas {
		return &command.AddReplicas{Rse: "LOOSE", Files: []*command.NewFile{{Scope: "s", Name: name, Bytes: 5, Pfn: "davs://loose.example:443/x" + path}}}
	}
	quarantined := &command.Quarantine{Rse: "ONE", Files: []*command.Quarantine_File{{Path: "/a/../b"}}}
	collection := &command.AddDIDs{Dids: []*command.NewCollection{{Scope: "s", Name: "a/../d", Type: uint32(TypeDataset)}}}
	moved := &command.UpdateReplicaStates{Rse: "LOOSE", Files: []*command.ReplicaChange{{Scope: "s", Name: "there", State: 'A', Path: "/a/%2e%2e/b"}}}

	didRefused(s, command.CodeInvalidPath, "root", AddProtocol, protocol("/x/../y"))
	didDo(s, "root", AddProtocol, protocol("/x"))
	didDo(s, "root", AddReplicas, lies("there", "/there"))
	didRefused(s, command.CodeInvalidPath, "root", AddScope, &command.AddScope{Name: "..", Account: "root"})
	refused := func(code command.Code) {
		didRefused(s, code, "root", AddReplicas, file("a/../../b"))
		didRefused(s, code, "root", AddReplicas, lies("f", "/a/../../b"))
		didRefused(s, code, "root", AddReplicas, lies("f", "/a/%2e%2e/b"))
		didRefused(s, code, "root", Quarantine, quarantined)
		didRefused(s, code, "root", AddDIDs, collection)
		didRefused(s, code, "root", UpdateReplicaStates, moved)
	}
	refused(command.CodeInvalidPath)

	allow := func(value string) {
		didDo(s, "root", SetSetting, &command.SetSetting{Setting: &command.Setting{Name: SettingPathTraversal, Value: value}})
	}
	allow("true")
	didDo(s, "root", AddReplicas, file("a/../../b"))
	didDo(s, "root", AddReplicas, lies("f", "/a/../../b"))
	allow("")
	// What is stored is read and deleted as before, and registered again.
	didDo(s, "root", AddReplicas, file("a/../../b"))
	s.did("a/../../b")
	didDo(s, "root", DeleteReplicas, &command.DeleteReplicas{Rse: "ONE", Files: []*command.ReplicaName{{Scope: "s", Name: "a/../../b"}}})
	didDo(s, "root", DeleteReplicas, &command.DeleteReplicas{Rse: "LOOSE", Files: []*command.ReplicaName{{Scope: "s", Name: "f"}}})
}
