package cluster

// renew makes a new incarnation of a node that had acknowledged more than it has: it is to rejoin. The log and the state stay, as far
// as they go they are the cluster's; the server that acknowledged the rest is no more.
func (n *Node) renew() error {
	fresh, err := newMeta(n.cfg.NodeID)
	if err != nil {
		return err
	}
	err = n.updateMeta(func(m *meta) {
		m.Incarnation, m.Rejoining = fresh.Incarnation, m.Cluster != ""
	})
	if err != nil {
		return err
	}
	n.transport.Identify(n.serverID())
	return nil
}

// rejoin asks the members to take this node in as a new incarnation, until one does.
func (n *Node) rejoin() error {
	own := publicName(n.currentMeta().clusterID())
	n.mu.Lock()
	for _, s := range n.knownServers() {
		n.callers = append(n.callers, string(s.Address))
	}
	n.mu.Unlock()
	for n.ctx.Err() == nil {
		var members []helloMessage
		for _, a := range n.survey() {
			if a.Cluster != "" && publicNameOf(a.Cluster) == own {
				members = append(members, a)
			}
		}
		joined, err := n.join(own, members)
		if err != nil {
			return err
		}
		if joined {
			return n.updateMeta(func(m *meta) { m.Rejoining = false })
		}
	}
	return n.ctx.Err()
}
