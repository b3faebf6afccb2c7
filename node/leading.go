package node

import (
	"context"
	"time"
)

// whileLeading does some work of the leader again and again until ctx ends: at each interval, where this node leads. What fails is
// logged with the complaint and tried again at the next.
func (n *Node) whileLeading(ctx context.Context, interval time.Duration, complaint string, work func(context.Context) error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !n.cluster.IsLeader() {
			continue
		}
		// Who has lost the lead meanwhile is refused by the next leader, which does the work itself.
		if err := work(ctx); err != nil && ctx.Err() == nil && n.cluster.IsLeader() {
			n.logger.Warn(complaint+"; it is tried again", "error", err)
		}
	}
}
