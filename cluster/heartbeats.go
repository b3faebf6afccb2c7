package cluster

import "github.com/hashicorp/raft"

// watchHeartbeats follows which voters the leader's heartbeats do not reach. While those that they reach are no majority,
// the dispatcher appends nothing: what is not in the log yet can be refused for sure once the leadership is lost, what is in
// it may still be committed by a later leader.
func (n *Node) watchHeartbeats() {
	events := make(chan raft.Observation, 64)
	observer := raft.NewObserver(events, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.FailedHeartbeatObservation, raft.ResumedHeartbeatObservation:
			return true
		}
		return false
	})
	r := n.consensus.Load().raft
	r.RegisterObserver(observer)
	defer r.DeregisterObserver(observer)
	for {
		select {
		case o := <-events:
			switch e := o.Data.(type) {
			case raft.FailedHeartbeatObservation:
				n.reach.heartbeat(e.PeerID, false)
			case raft.ResumedHeartbeatObservation:
				n.reach.heartbeat(e.PeerID, true)
			}
			n.weighHeartbeats()
		case <-n.ctx.Done():
			return
		}
	}
}

// lostConnection counts the end of a connection to a server as a heartbeat that failed, until one or a poll is answered.
func (n *Node) lostConnection(serverID string) {
	if n.IsLeader() {
		n.reach.heartbeat(raft.ServerID(serverID), false)
		n.weighHeartbeats()
	}
}

func (r *reach) heartbeat(id raft.ServerID, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ok {
		delete(r.heartbeats, id)
	} else {
		r.heartbeats[id] = true
	}
}

// resetHeartbeats begins a leadership: failures of an earlier one say nothing.
func (r *reach) resetHeartbeats() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.heartbeats)
	r.cut.Store(false)
}

// weighHeartbeats takes over whether heartbeats reach a majority. Events may be dropped when there are many: the answer to
// the next poll counts as a heartbeat too.
func (n *Node) weighHeartbeats() {
	voters, have := 0, 0
	servers := n.servers()
	n.reach.mu.Lock()
	for _, s := range servers {
		if s.Suffrage == raft.Voter {
			voters++
			if !n.reach.heartbeats[s.ID] {
				have++
			}
		}
	}
	n.reach.mu.Unlock()
	cut := voters > 0 && have <= voters/2
	switch was := n.reach.cut.Swap(cut); {
	case was && !cut:
		n.views.poke()
	case cut && !was:
		signal(n.reach.kick) // to find out at once
	}
}
