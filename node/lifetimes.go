package node

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// indexBatch bounds how many records of metadata one command reads for the index of lifetimes: reading is cheaper than what else commands do.
const indexBatch = 10_000

// endDIDs has DIDs ended whose lifetime is over, until ctx ends. As for temporary unavailability, the node that leads looks for what is
// due, and the command that it proposes carries the time.
func (n *Node) endDIDs(ctx context.Context, interval time.Duration) {
	n.whileLeading(ctx, interval, "the end of DIDs could not be proposed", n.endDIDsDue)
}

// endDIDsDue proposes until nothing is due: the index first, without which nothing is found, and what is no more than tidying last.
// What is due is told by this node's clock, which the log time follows only while it leads.
func (n *Node) endDIDsDue(ctx context.Context) error {
	for ctx.Err() == nil && n.cluster.IsLeader() {
		work, err := n.lifetimesDue()
		if err != nil {
			return err
		}
		switch {
		case work.Index:
			err = n.proposeOwn(ctx, command.TypeIndexLifetimes, &command.IndexLifetimes{Limit: indexBatch})
		case work.Expire:
			err = n.proposeOwn(ctx, command.TypeExpireDIDs, &command.ExpireDIDs{Limit: expiryBatch})
		case work.Forget:
			err = n.proposeOwn(ctx, command.TypeForgetExpired, &command.ForgetExpired{Limit: expiryBatch})
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// proposeOwn proposes a command of the cluster itself.
func (n *Node) proposeOwn(ctx context.Context, t command.Type, message proto.Message) error {
	return n.proposeAs(ctx, "", t, message)
}

// proposeAs proposes a command in the name of an account.
func (n *Node) proposeAs(ctx context.Context, issuer string, t command.Type, message proto.Message) error {
	payload, err := proto.Marshal(message)
	if err != nil {
		return err
	}
	r, err := n.cluster.Propose(ctx, t, issuer, payload)
	if err != nil {
		return err
	}
	if r.Code != command.CodeOK {
		return fmt.Errorf("%s is refused with code %d", t, r.Code)
	}
	return nil
}

// lifetimesDue tells what this node's state wants to have proposed.
func (n *Node) lifetimesDue() (catalogue.LifetimeWork, error) {
	v, err := n.machine.View()
	if err != nil {
		return catalogue.LifetimeWork{}, err
	}
	work, err := catalogue.LifetimesDue(v, time.Now().UnixMicro())
	if closeErr := v.Close(); err == nil {
		err = closeErr
	}
	return work, err
}
