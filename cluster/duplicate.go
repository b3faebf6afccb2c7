package cluster

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"

	"dapple/command"
	"dapple/internal/halt"
)

// placePause is how many times Config.Heartbeat a node has no leader before it asks the others whether they know it elsewhere. A
// shorter pause notices a copy sooner, and asks more in each election that takes long.
const placePause = 10

// elsewhere returns the address at which a process answers with a server's id that is not of that run: two processes have copies
// of one folder. It returns "" for none.
func (n *Node) elsewhere(ctx context.Context, id, run string) string {
	address := n.addressOf(id)
	if address == "" || run == "" || id == n.serverID() {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	var a pollMessage
	code, err := n.ask(ctx, address, methodPoll, nil, &a)
	if err != nil || code != command.CodeOK || a.ServerID != id || a.Run == run {
		return ""
	}
	return address
}

// runningElsewhere returns the address at which another process of this node answers to one of the others, "" for none.
func runningElsewhere(answers []recallAnswer) string {
	for _, a := range answers {
		if a.Elsewhere != "" {
			return a.Elsewhere
		}
	}
	return ""
}

// duplicate is the error of a process whose node is running at that address.
func (n *Node) duplicate(address string) error {
	return fmt.Errorf("%w: %s answers at %s; of two processes with copies of one data folder only the first may run",
		halt.ErrDuplicate, n.serverID(), address)
}

// refuseDuplicate returns the leader's answer to a process that would take the address of a member which is running, nil where
// none is.
func (n *Node) refuseDuplicate(ctx context.Context, q joinMessage, s raft.Server) *joinAnswer {
	where := n.elsewhere(ctx, q.ServerID, q.Run)
	if where == "" {
		return nil
	}
	n.log.Error("a second process with the data folder of a member was refused", "member", s.ID, "running_at", where, "refused", q.Address)
	return &joinAnswer{Refused: fmt.Sprintf("%s is running at %s", s.ID, where), Duplicate: true}
}

// watchPlace asks the others, while no leader is heard, where they know this node: a process with a copy of its folder may have
// taken its place while it could not be reached. Where that one is gone, this node takes its place back.
func (n *Node) watchPlace() {
	for n.ctx.Err() == nil {
		v := n.views.get()
		if v.leaderID != "" {
			select {
			case <-v.changed:
			case <-n.ctx.Done():
			}
			continue
		}
		n.sleep(placePause*n.cfg.Heartbeat, v.changed)
		if n.views.get().leaderID != "" {
			continue
		}
		n.checkPlace()
	}
}

func (n *Node) checkPlace() {
	q, err := n.recallQuestion()
	if err != nil {
		return // the log's own watch says so
	}
	answers := n.askRecall(q)
	if where := runningElsewhere(answers); where != "" {
		n.fail(n.duplicate(where))
		return
	}
	if slices.ContainsFunc(answers, func(a recallAnswer) bool { return a.Address != "" && a.Address != n.cfg.ClusterAdvertise }) {
		n.announce()
	}
}
