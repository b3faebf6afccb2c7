package node

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// retention says how much of the change feed is kept.
type retention struct {
	age   time.Duration
	bytes uint64
}

// trimChanges has the oldest changes dropped that are more than is to be kept, until ctx ends. All nodes drop the same: the node
// that leads finds out how far, and the command that it proposes says so.
func (n *Node) trimChanges(ctx context.Context, interval time.Duration, keep retention) {
	n.whileLeading(ctx, interval, "old changes could not be dropped", func(ctx context.Context) error { return n.trimDue(ctx, keep) })
}

// trimDue proposes to drop what is due, where anything is.
func (n *Node) trimDue(ctx context.Context, keep retention) error {
	through, err := n.findTrim(keep)
	if err != nil || through == 0 {
		return err
	}
	payload, err := proto.Marshal(&command.TrimChanges{Through: through})
	if err != nil {
		return err
	}
	r, err := n.cluster.Propose(ctx, command.TypeTrimChanges, "", payload)
	if err == nil && r.Code != command.CodeOK {
		err = fmt.Errorf("refused with code %d", r.Code)
	}
	return err
}

// findTrim returns the last revision that is to go, 0 for none.
func (n *Node) findTrim(keep retention) (uint64, error) {
	v, err := n.machine.View()
	if err != nil {
		return 0, err
	}
	through, err := catalogue.FindTrim(v, time.Now().Add(-keep.age).UnixMicro(), keep.bytes)
	if closeErr := v.Close(); err == nil {
		err = closeErr
	}
	return through, err
}
