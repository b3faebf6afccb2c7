package node

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// expiryBatch bounds what one command ends, so that writes of clients do not wait long behind it.
const expiryBatch = 1000

// expire has replicas made available again whose temporary unavailability has ended, until ctx ends. The state machine has no
// clock: the node that leads looks for what is due, and the command that it proposes carries the time.
func (n *Node) expire(ctx context.Context, interval time.Duration) {
	n.whileLeading(ctx, interval, "the end of temporary unavailability could not be proposed", n.expireDue)
}

// expireDue proposes until nothing is due, which this node's clock tells: the log time follows it only while this node leads.
func (n *Node) expireDue(ctx context.Context) error {
	for ctx.Err() == nil && n.cluster.IsLeader() {
		due, err := n.expiryDue()
		if err != nil || !due {
			return err
		}
		payload, err := proto.Marshal(&command.ExpireUnavailable{Limit: expiryBatch})
		if err != nil {
			return err
		}
		r, err := n.cluster.Propose(ctx, command.TypeExpireUnavailable, "", payload)
		if err != nil {
			return err
		}
		if r.Code != command.CodeOK {
			return fmt.Errorf("refused with code %d", r.Code)
		}
	}
	return nil
}

// expiryDue reports whether this node's state has something whose end has come.
func (n *Node) expiryDue() (bool, error) {
	v, err := n.machine.View()
	if err != nil {
		return false, err
	}
	at, found, err := catalogue.NextExpiry(v)
	if closeErr := v.Close(); err == nil {
		err = closeErr
	}
	return found && at <= time.Now().UnixMicro(), err
}
