package node

import (
	"context"
	"time"

	"dapple/command"
)

// digestStates has every node digest its state at each interval, until ctx ends. The members compare the digests when the
// leader polls them.
func (n *Node) digestStates(ctx context.Context, interval time.Duration) {
	n.whileLeading(ctx, interval, "the states could not be compared", func(ctx context.Context) error {
		return n.proposeOwn(ctx, command.TypeDigest, &command.Digest{})
	})
}
