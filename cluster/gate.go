package cluster

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"dapple/command"
)

// Each command passes here before it is appended: an entry that apply cannot read stops every member, for ever. A refusal is a
// Result without an index, since it comes from no entry; members of earlier versions take it for one of the domain.

// fromWire returns why a command of another node is refused, whatever its body; nil where it is not.
func fromWire(c *command.Command) *command.Result {
	switch {
	case c.Type.LeaderOnly():
		return refusal(command.CodeAccessDenied, "%s: only the leader itself makes this command", c.Type)
	case c.Type == command.TypeRegisterSession:
		return nil // its node has no session yet
	case c.Session == command.SessionID{}:
		return refusal(command.CodeInvalidValue, "%s: a command of another node belongs to a session", c.Type)
	case c.Issuer == "" && !forCluster(c):
		return refusal(command.CodeAccessDenied, "%s: another node must name the account that asks for it", c.Type)
	case c.Type == command.TypeOnce:
		return carriedFromWire(c)
	}
	return nil
}

// forCluster reports whether a command is one that every node makes in the name of the cluster: a request that ends DIDs, or
// brings them back, goes on in this way with those that it named.
func forCluster(c *command.Command) bool {
	var expire command.ExpireDIDs
	return c.Type == command.TypeExpireDIDs && proto.Unmarshal(c.Payload, &expire) == nil && len(expire.Dids) > 0
}

// carriedFromWire refuses a Once with a command in it that only the leader makes.
func carriedFromWire(c *command.Command) *command.Result {
	var once command.Once
	if err := proto.Unmarshal(c.Payload, &once); err != nil {
		return refusal(command.CodeInvalidValue, "%s: the leader cannot read it: %v", c.Type, err)
	}
	if carried := command.Type(once.Type); uint32(carried) == once.Type && carried.LeaderOnly() {
		return refusal(command.CodeAccessDenied, "%s: only the leader itself makes the command that it carries, %s", c.Type, carried)
	}
	return nil
}

func refusal(code command.Code, format string, args ...any) *command.Result {
	return &command.Result{Code: code, Message: fmt.Sprintf(format, args...)}
}

// check asks the state machine for a command; nil where it can be appended.
func (n *Node) check(c *command.Command) *command.Result {
	if r := n.space.refusal.Load(); r != nil && !c.Frees() {
		n.metrics.noSpace.Inc()
		return r
	}
	if n.cfg.Check == nil {
		return nil
	}
	err := n.cfg.Check(c)
	if err == nil {
		return nil
	}
	n.metrics.checkedOut.Inc()
	if now := time.Now().Unix(); n.unfitLogged.Swap(now) != now { // a sender that goes on must not fill the log
		n.log.Warn("a command was refused before the log", "command", c.Type, "issuer", c.Issuer, "reason", err.Message)
	}
	return &command.Result{Code: err.Code, Message: err.Message}
}

// checkEarly checks a command on the goroutine of its caller where this node leads. Where it does not, or does not know yet
// what the state will be, passGate has it checked before it is appended.
func (n *Node) checkEarly(p *proposal) *command.Result {
	if v := n.views.get(); !v.leading || !v.ready {
		return nil
	}
	p.checked = true
	return n.check(&p.cmd)
}

// passGate takes the proposals out of a group that must not be appended, and answers them.
func (d *dispatcher) passGate(ps []*proposal, commands []command.Command) ([]*proposal, []command.Command) {
	kept, keptCommands := ps[:0], commands[:0]
	for i, p := range ps {
		if !p.checked {
			if r := d.n.check(&commands[i]); r != nil {
				d.settle(p, *r)
				continue
			}
		}
		kept, keptCommands = append(kept, p), append(keptCommands, commands[i])
	}
	return kept, keptCommands
}
