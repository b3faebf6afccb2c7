package cluster

import (
	"sync"
	"time"

	"dapple/command"
)

// proposal is a command on its way into the log, from Propose or a call of another node until it is answered or given up.
type proposal struct {
	size      int
	deadline  time.Time
	checked   bool          // may be appended, as far as this node can tell
	forwarded bool          // another node's: its session and number came with it, and it is not sent again from here
	added     time.Time     // to the queue, the last time; under the queue's mu
	done      chan struct{} // closed when finished
	onFinish  func(*proposal)

	mu       sync.Mutex
	cmd      command.Command
	session  *session // of an own command that was numbered
	copies   int      // sent copies of which it is not known that they did nothing
	finished bool
	result   command.Result
	err      *Error
	hint     *Error // why it still waits
}

// prepare makes the copy of the command that is sent next, numbering it with s where it has no number yet. It returns
// false where the proposal is finished.
func (p *proposal) prepare(s *session) (command.Command, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.finished {
		return command.Command{}, false
	}
	if !p.forwarded {
		if p.session == nil {
			p.session, p.cmd.Session, p.cmd.Seq = s, s.id, s.begin()
		}
		p.cmd.Lowest = p.session.lowestOpen()
	}
	p.copies++
	return p.cmd, true
}

// finish ends the proposal, the first time. The caller holds mu.
func (p *proposal) finish(r command.Result, err *Error) {
	if p.finished {
		return
	}
	p.finished, p.result, p.err = true, r, err
	p.cmd.Payload = nil
	if p.session != nil {
		p.session.end(p.cmd.Seq)
	}
	p.onFinish(p)
	close(p.done)
}

// fail ends a proposal that has not been sent.
func (p *proposal) fail(err *Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finish(command.Result{}, err)
}

// answered settles a copy with the state machine's result. It returns true where the command is to be sent again, under
// another session than the one returned.
func (p *proposal) answered(r command.Result) (again bool, lost *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.finished {
		return false, nil
	}
	if p.forwarded {
		p.finish(r, nil)
		return false, nil
	}
	switch r.Code {
	case command.CodeSessionUnknown:
		lost = p.session
		p.copies--
		if p.copies > 0 {
			p.finish(command.Result{}, errorf(command.CodeUnknownOutcome, "the session was closed while an earlier copy of the command was on its way"))
			return false, lost
		}
		p.session.end(p.cmd.Seq)
		p.session = nil
		return true, lost
	case command.CodeStaleSequence:
		p.finish(command.Result{}, errorf(command.CodeUnknownOutcome, "the command had been declared answered"))
		return false, nil
	}
	if r.Index == 0 && p.copies > 1 { // the leader refuses what an earlier one may have appended
		p.finish(command.Result{}, errorf(command.CodeUnknownOutcome, "an earlier copy of the command is on its way, and the leader refuses it: %s", r.Message))
		return false, nil
	}
	p.finish(r, nil)
	return false, nil
}

// bounced settles a copy that brought no result: sure where it surely did nothing. It returns true where the command is to
// be sent again.
func (p *proposal) bounced(sure bool, why *Error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if sure {
		p.copies--
	}
	if p.finished {
		return false
	}
	final := p.forwarded || why.Code == command.CodeTooLarge
	if why.Code == command.CodeQueueFull && p.copies == 0 {
		final = true
	}
	if !final {
		p.hint = why
		return true
	}
	if p.copies > 0 {
		why = &Error{Code: command.CodeUnknownOutcome, Message: "the command was sent and its outcome is not known", Err: why}
	}
	p.finish(command.Result{}, why)
	return false
}

// giveUp ends the proposal because its caller's time is over; why says what it waited for where it was not sent.
func (p *proposal) giveUp(why *Error, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.finished {
		return
	}
	if p.hint != nil && p.hint.Code != command.CodeNotLeader {
		why = p.hint
	}
	err := &Error{Code: why.Code, Message: why.Message, Err: cause}
	if p.copies > 0 {
		err = &Error{Code: command.CodeUnknownOutcome, Message: "the command was sent and no answer came in time", Err: cause}
	}
	p.finish(command.Result{}, err)
}

// abandon ends the proposal because of why, which also ends all others that wait.
func (p *proposal) abandon(why *Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.copies > 0 {
		why = &Error{Code: command.CodeUnknownOutcome, Message: "the command was sent and its outcome is not known", Err: why}
	}
	p.finish(command.Result{}, why)
}

// outcome returns what the finished proposal came to.
func (p *proposal) outcome() (command.Result, *Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.result, p.err
}

func (p *proposal) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.finished
}
