package cluster

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	"dapple/command"
	"dapple/transport"
)

// Propose brings a command into the log, from whichever node, and returns what applying it came to once that has happened
// on the leader. A command that the domain refuses is a Result with another code than CodeOK and no error; an error is
// always an *Error. ctx bounds the wait; without a deadline it is Config.ProposeTimeout. The payload must not be changed
// until Propose returns.
func (n *Node) Propose(ctx context.Context, t command.Type, issuer string, payload []byte) (command.Result, error) {
	r, err := n.propose(ctx, t, issuer, payload)
	n.metrics.proposed(r, err)
	if err != nil {
		return command.Result{}, err
	}
	return r, nil
}

// Admit returns nil where this node takes in commands now, and otherwise the CodeQueueFull error that Propose would return at once: what
// is costly to read need not be read first. requests and bytes are what has been let in so and is not proposed yet. The error is an *Error.
func (n *Node) Admit(requests, bytes int) error {
	if err := n.queue.admit(load{requests, bytes}); err != nil {
		return err
	}
	return nil
}

func (n *Node) propose(ctx context.Context, t command.Type, issuer string, payload []byte) (command.Result, *Error) {
	if len(payload) > n.cfg.MaxCommand {
		return command.Result{}, errorf(command.CodeTooLarge, "the command has %d bytes, %d are allowed", len(payload), n.cfg.MaxCommand)
	}
	if err := n.gone(); err != nil {
		return command.Result{}, err
	}
	if phase := n.currentPhase(); phase != "" {
		return command.Result{}, errorf(command.CodeNotReady, "this node is no member of a cluster yet: %s", phase)
	}
	if err := n.noQuorum(); err != nil {
		return command.Result{}, err
	}
	if s := n.session.Load(); s != nil && s.full() {
		return command.Result{}, errorf(command.CodeQueueFull, "an old command is unanswered")
	}
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	p := newProposal(ctx, command.Command{Type: t, Issuer: issuer, Payload: payload})
	if r := n.checkEarly(p); r != nil {
		return *r, nil
	}
	if err := n.queue.add(p); err != nil {
		return command.Result{}, err
	}
	n.await(ctx, p)
	return p.outcome()
}

// bounded gives ctx the default deadline where it has none.
func (n *Node) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, n.cfg.ProposeTimeout)
}

func newProposal(ctx context.Context, c command.Command) *proposal {
	p := &proposal{cmd: c, size: command.SizeOf(&c), done: make(chan struct{})}
	p.deadline, _ = ctx.Deadline()
	return p
}

// await returns when p is finished, by an answer, by the loss of the quorum, or by the end of ctx or of the node.
func (n *Node) await(ctx context.Context, p *proposal) {
	select {
	case <-p.done:
	case <-n.reach.enough().Done():
		p.abandon(n.noLeader())
	case <-ctx.Done():
		p.giveUp(n.whyWaiting(), ctx.Err())
	case <-n.ctx.Done():
		why := n.gone()
		if why == nil {
			why = errorf(command.CodeNotReady, "the node is stopping")
		}
		p.giveUp(why, nil)
	}
}

// whyWaiting says why a proposal may not have been sent.
func (n *Node) whyWaiting() *Error {
	v := n.views.get()
	switch {
	case v.leading && !v.ready:
		return errorf(command.CodeNotReady, "the new leader has not caught up")
	case v.leading && !v.open:
		return errorf(command.CodeNotReady, "%s", n.formingMessage())
	case !v.leading && v.leaderAddr == "":
		return n.noLeader()
	case n.session.Load() == nil:
		return errorf(command.CodeNotReady, "this node has no session yet")
	default:
		return errorf(command.CodeDeadline, "the deadline passed before the command was sent")
	}
}

// keepSession registers this node's session, and another one when the state machine no longer knows it.
func (n *Node) keepSession() {
	for {
		v := n.views.get()
		if n.session.Load() == nil && (v.ready || (!v.leading && v.leaderAddr != "")) {
			s, err := n.register(v)
			if err == nil {
				n.session.Store(s)
				n.views.poke()
				continue
			}
			n.log.Debug("no session yet", "error", err)
			if !n.sleep(jitter(100*time.Millisecond), v.changed) {
				return
			}
			continue
		}
		select {
		case <-v.changed:
		case <-n.ctx.Done():
			return
		}
	}
}

// register opens a session. Each attempt has a new id: a copy of an earlier attempt that is applied late closes the session
// in use, which commands then learn, and never empties it.
func (n *Node) register(v view) (*session, error) {
	s, err := newSession()
	if err != nil {
		return nil, err
	}
	payload, err := proto.Marshal(&command.RegisterSession{
		Session: s.id[:], Node: n.cfg.NodeID, ServerId: n.serverID(), HttpAddress: n.cfg.HTTPAdvertise, Version: n.cfg.Version,
	})
	if err != nil {
		return nil, err
	}
	cmd := command.Command{Type: command.TypeRegisterSession, Payload: payload}
	ctx, cancel := context.WithTimeout(v.epoch, n.cfg.ForwardTimeout)
	defer cancel()
	out, failure := n.sendDirect(ctx, v, cmd)
	if failure != nil {
		return nil, failure
	}
	if out.Code != command.CodeOK {
		return nil, errorf(out.Code, "registering a session was refused: %s", out.Message)
	}
	return s, nil
}

// loseSession forgets s where it is the session in use.
func (n *Node) loseSession(s *session) {
	if s != nil && n.session.CompareAndSwap(s, nil) {
		n.log.Warn("the session was closed by another incarnation of this node; registering anew")
		n.views.poke()
	}
}

// sendDirect brings one command of the cluster itself to the leader, past the queue.
func (n *Node) sendDirect(ctx context.Context, v view, cmd command.Command) (command.Result, *Error) {
	if v.leading {
		return n.applyDirect(cmd)
	}
	outcomes, _, err := n.callPropose(ctx, v, []command.Command{cmd})
	if err != nil {
		return command.Result{}, err
	}
	return outcomes[0].result, outcomes[0].err
}

// applyDirect appends one command as an entry of its own and waits for its result. It ends at the latest when this node
// loses the leadership.
func (n *Node) applyDirect(cmd command.Command) (command.Result, *Error) {
	if r := n.check(&cmd); r != nil {
		return *r, nil
	}
	e := encodeGroup(n.clock.stamp, []command.Command{cmd})[0]
	if e.err != nil {
		return command.Result{}, e.err
	}
	c := n.consensus.Load()
	results, _, failure := c.outcome(c.applyEntry(e.data), 1)
	if failure != nil {
		return command.Result{}, failure
	}
	return results[0], nil
}

// callPropose makes the call that forwards commands. Where it brings no outcomes, sure tells that the leader surely did
// nothing.
func (n *Node) callPropose(ctx context.Context, v view, commands []command.Command) (outcomes []proposed, sure bool, failure *Error) {
	code, body, err := n.transport.Call(ctx, v.leaderAddr, methodPropose, encodeCommands(commands))
	if err != nil {
		var lost *transport.CallError
		sure = errors.As(err, &lost) && !lost.Sent
		if v.epoch.Err() == nil {
			n.reach.suspect()
		}
		return nil, sure, &Error{Code: command.CodeNotLeader, Message: "the leader cannot be reached", Err: err}
	}
	if code != command.CodeOK {
		return nil, code != command.CodeInternal, errorf(code, "the leader refused: %s", body)
	}
	outcomes, err = decodeProposed(body)
	if err == nil && len(outcomes) != len(commands) {
		err = errWire
	}
	if err != nil {
		return nil, false, &Error{Code: command.CodeInternal, Message: "the leader's answer cannot be read", Err: err}
	}
	return outcomes, false, nil
}

// handlePropose takes commands of another node into this leader's queue and answers when all have an outcome. They are
// never forwarded again.
func (n *Node) handlePropose(ctx context.Context, body []byte) (command.Code, []byte) {
	commands, err := decodeCommands(body)
	if err != nil {
		return command.CodeInvalidValue, []byte(err.Error())
	}
	v := n.views.get()
	if !v.leading || n.gone() != nil {
		return command.CodeNotLeader, []byte("this node does not lead")
	}
	if len(commands) == 1 && commands[0].Type == command.TypeRegisterSession {
		if !v.ready {
			return command.CodeNotReady, []byte("the new leader has not caught up")
		}
		r, failure := n.applyDirect(commands[0])
		return command.CodeOK, encodeProposed([]proposed{{result: r, err: failure}})
	}
	n.metrics.forwardedIn.Add(float64(len(commands)))
	return command.CodeOK, encodeProposed(n.proposeForwarded(ctx, commands))
}

func (n *Node) proposeForwarded(ctx context.Context, commands []command.Command) []proposed {
	all := make([]*proposal, len(commands))
	out := make([]proposed, len(commands))
	for i, c := range commands {
		p := newProposal(ctx, c)
		p.forwarded = true
		r := fromWire(&c)
		if r == nil {
			r = n.checkEarly(p)
		}
		if r != nil {
			out[i].result = *r
			continue
		}
		if out[i].err = n.queue.add(p); out[i].err == nil {
			all[i] = p
		}
	}
	for i, p := range all {
		if p != nil {
			n.await(ctx, p)
			out[i].result, out[i].err = p.outcome()
		}
	}
	return out
}

// sleep waits for d, or less when another channel closes. It returns false when the node ends.
func (n *Node) sleep(d time.Duration, early <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-early:
	case <-n.ctx.Done():
		return false
	}
	return n.ctx.Err() == nil
}

// jitter returns d to 2 d, so that nodes which wait for the same thing do not ask at the same time.
func jitter(d time.Duration) time.Duration { return d + rand.N(d) }
