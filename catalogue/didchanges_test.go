package catalogue

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// Apply is one goroutine for the whole cluster: what a command costs must grow as what it attaches and no faster. Allocations
// are counted, for they are the same on every machine. The last attachment is refused, so that the state stays as it is.
func TestCostOfManyAttachments(t *testing.T) {
	const few, many = 200, 800
	each := func(n int, parent, child string) (all []*command.Attachment) {
		for i := range n {
			all = append(all, &command.Attachment{
				Scope: "s", Name: fmt.Sprintf(parent, i), Children: childrenOf(fmt.Sprintf(child, i)),
			})
		}
		return all
	}
	s := newDIDStore(t)
	s.unchecked = true
	var outer, inner, parts, containers []string
	for i := range many {
		outer, inner = append(outer, fmt.Sprintf("outer%d.zip", i)), append(inner, fmt.Sprintf("inner%d.zip", i))
		parts = append(parts, fmt.Sprintf("part%d", i))
		containers = append(containers, fmt.Sprintf("parent%d", i), fmt.Sprintf("child%d", i))
	}
	s.files(append(append(outer, inner...), parts...)...)
	s.collections(TypeContainer, containers...)
	s.collections(TypeDataset, "dataset")
	didDo(s, "root", AttachDIDs, &command.AttachDIDs{Bulk: true, Attachments: each(many, "inner%d.zip", "part%d")})

	for name, attachments := range map[string]func(n int) []*command.Attachment{
		"containers into containers": func(n int) []*command.Attachment { return each(n, "parent%d", "child%d") },
		"archives into archives":     func(n int) []*command.Attachment { return each(n, "outer%d.zip", "inner%d.zip") },
		"archives of a dataset": func(n int) []*command.Attachment {
			return append(attachTo("dataset", outer[:n]...).Attachments, each(n, "outer%d.zip", "part%d")...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			cost := func(n int) float64 {
				c := &command.AttachDIDs{Bulk: true, Attachments: append(attachments(n), attachTo("nowhere", "part0").Attachments...)}
				return testing.AllocsPerRun(1, func() { didRefused(s, command.CodeDIDNotFound, "root", AttachDIDs, c) })
			}
			require.Less(t, cost(many)/cost(few), 1.25*many/few)
		})
	}
}

// What a command attaches after it has asked what is above is found the next time that it asks.
func TestAttachmentsAfterTheFirstLookUp(t *testing.T) {
	s := newDIDStore(t)
	s.files("x.zip", "y.zip", "z.zip", "new.zip", "part")
	s.collections(TypeContainer, "outer", "inner")
	s.collections(TypeDataset, "dataset")
	many := func(c ...*command.AttachDIDs) *command.AttachDIDs {
		all := &command.AttachDIDs{Bulk: true}
		for _, one := range c {
			all.Attachments = append(all.Attachments, one.Attachments...)
		}
		return all
	}
	didDo(s, "root", AttachDIDs, many(attachTo("x.zip", "part"), attachTo("y.zip", "part"), attachTo("z.zip", "part")))
	circle := many(attachTo("x.zip", "y.zip"), attachTo("y.zip", "z.zip"), attachTo("z.zip", "x.zip"))
	didRefused(s, command.CodeUnsupportedOperation, "root", AttachDIDs, circle)
	didDo(s, "root", AttachDIDs, many(attachTo("outer", "inner"), attachTo("dataset", "new.zip"), attachTo("new.zip", "part")))
	require.True(t, s.did("dataset").Archive)
}
