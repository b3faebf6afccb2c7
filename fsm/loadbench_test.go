package fsm

import (
	"fmt"
	"testing"

	"github.com/hashicorp/raft"

	"dapple/command"
)

// BenchmarkApplyLoad applies what a site's catalogue is filled with: files of datasets of 1,000, each at two of 100 RSEs, and their
// attachments. An iteration is a dataset. With many iterations flushes and compactions run beside, so that the processor time of the
// whole process is what tells: `time go test ./fsm -run XXX -bench ApplyLoad -benchtime 1500x`.
func BenchmarkApplyLoad(b *testing.B) {
	// Datasets do not come in the order of their names.
	const files, rses, runs, runStep = 1000, 100, 10_000_000, 7_654_321
	m := benchmarkMachine(b)
	made := []command.Command{{Type: command.TypeAddScope, Issuer: "root", Payload: payload(b, &command.AddScope{Name: "s", Account: "root"})}}
	for i := range rses {
		made = append(made, command.Command{Type: command.TypeAddRSE, Issuer: "root", Payload: payload(b, &command.AddRSE{
			Name: fmt.Sprintf("RSE%d", i), Uuid: append(make([]byte, 15), byte(i)),
		})})
	}
	apply(b, m, entry(b, 3, made...))
	index, set := uint64(3), 0
	for b.Loop() {
		run := set * runStep % runs
		name := fmt.Sprintf("data26_13p6TeV.%08d.physics_Main.deriv.DAOD_PHYS", run)
		list := make([]*command.NewFile, files)
		children := make([]*command.Child, files)
		for i := range list {
			list[i] = &command.NewFile{
				Scope: "s", Name: fmt.Sprintf("data26_13p6TeV.%08d.deriv.DAOD_PHYS._%06d.pool.root.%02d", run, i, i%7), Bytes: uint64(set*7919+i*104729) << 8,
				Adler32: fmt.Sprintf("%08x", uint32(set*files+i)*2654435761),
			}
			children[i] = &command.Child{File: &command.NewFile{Scope: "s", Name: list[i].Name}}
		}
		var batch []*raft.Log
		for _, c := range []command.Command{
			{Type: command.TypeAddReplicas, Payload: payload(b, &command.AddReplicas{Rse: fmt.Sprintf("RSE%d", set*31%rses), Files: list})},
			{Type: command.TypeAddReplicas, Payload: payload(b, &command.AddReplicas{Rse: fmt.Sprintf("RSE%d", (set*31+17)%rses), Files: list})},
			{Type: command.TypeAddDIDs, Payload: payload(b, &command.AddDIDs{Dids: []*command.NewCollection{{Scope: "s", Name: name, Type: 2}}})},
			{Type: command.TypeAttachDIDs, Payload: payload(b, &command.AttachDIDs{Attachments: []*command.Attachment{{Scope: "s", Name: name, Children: children}}})},
		} {
			c.Issuer = "root"
			index++
			batch = append(batch, entry(b, index, c))
		}
		for _, results := range m.ApplyBatch(batch) {
			if results.([]command.Result)[0].Code != command.CodeOK {
				b.Fatal(results)
			}
		}
		set++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(set*files*2), "ns/replica")
}
