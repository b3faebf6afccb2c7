package node

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// featureInterval is how often the leader compares the feature level of the cluster with what its members know.
const featureInterval = 5 * time.Second

// raiseFeatures raises the feature level of the cluster, until ctx ends, whenever every member knows a higher one: at the end of a
// rolling upgrade, that is.
func (n *Node) raiseFeatures(ctx context.Context, interval time.Duration) {
	n.whileLeading(ctx, interval, "the feature level could not be raised", n.raiseFeaturesDue)
}

// raiseFeaturesDue proposes the highest level that every member knows, unless it holds already.
func (n *Node) raiseFeaturesDue(ctx context.Context) error {
	level, err := n.featureLevel()
	if err != nil || level >= n.newest {
		return err
	}
	common := n.newest
	for _, m := range n.cluster.Status(ctx).Members {
		if !m.Reachable {
			return nil // it may come back with an earlier program
		}
		common = min(common, m.Features)
	}
	if common <= level {
		return nil
	}
	payload, err := proto.Marshal(&command.RaiseFeatures{Level: uint32(common)})
	if err != nil {
		return err
	}
	r, err := n.cluster.Propose(ctx, command.TypeRaiseFeatures, "", payload)
	if err != nil {
		return err
	}
	if r.Code != command.CodeOK {
		return fmt.Errorf("refused with code %d", r.Code)
	}
	n.logger.Info("the feature level of the cluster has been raised", "from", level, "to", common)
	return nil
}

// featureLevel returns the feature level of this node's state.
func (n *Node) featureLevel() (uint64, error) {
	v, err := n.machine.View()
	if err != nil {
		return 0, err
	}
	level, err := catalogue.FeatureLevel(v)
	if closeErr := v.Close(); err == nil {
		err = closeErr
	}
	return level, err
}
