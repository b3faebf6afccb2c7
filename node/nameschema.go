package node

import (
	"context"
	"time"

	"dapple/catalogue"
)

// readyInterval is how often a node that starts asks itself whether it has caught up.
const readyInterval = 500 * time.Millisecond

// compareNameSchema warns once the node has caught up if it was started with another schema of names than the cluster
// has. It ends then, or with ctx.
func (n *Node) compareNameSchema(ctx context.Context, want string) {
	if want == "" {
		return
	}
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	for n.cluster.Ready(ctx) != nil {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
	have, err := n.nameSchema()
	switch {
	case ctx.Err() != nil:
	case err != nil:
		n.logger.Warn("the schema of names could not be read", "error", err)
	case have != want:
		n.logger.Warn("--name-schema does not count, since the cluster exists and has another: "+
			"drop the flag, or let root change the setting with PUT /cluster/settings/name-schema", "cluster", have, "flag", want)
	}
}

// nameSchema returns the name of the schema of names in this node's state.
func (n *Node) nameSchema() (string, error) {
	v, err := n.machine.View()
	if err != nil {
		return "", err
	}
	defer v.Close()
	schema, err := catalogue.NameSchemaOf(v)
	if err != nil {
		return "", err
	}
	return schema.Name(), nil
}
