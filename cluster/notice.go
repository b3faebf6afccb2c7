package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"dapple/command"
	"dapple/internal/halt"
)

// noticeTime bounds the call that tells a member of a stop: a stop must not wait long for members that are away.
const noticeTime = 300 * time.Millisecond

// notify tells all other members that this node stops, or has started. A member that runs an earlier version does not know
// the call, and one that is away does not hear it: both find out by themselves. It reports whether all others have answered.
func (n *Node) notify(ctx context.Context, stopping bool) bool {
	ctx, cancel := context.WithTimeout(ctx, noticeTime)
	defer cancel()
	message := noticeMessage{ServerID: n.serverID(), Stopping: stopping}
	if stopping {
		message.Alarm, message.Message = n.lastAlarm()
	}
	var telling sync.WaitGroup
	var missed atomic.Bool
	for _, s := range n.knownServers() {
		if string(s.ID) == n.serverID() || (stopping && n.reach.isAway(string(s.ID))) {
			continue
		}
		telling.Go(func() {
			if _, err := n.askLong(ctx, string(s.Address), methodNotice, message, &struct{}{}); err != nil {
				missed.Store(true)
				n.log.Debug("a member was not told of this node's start or stop", "member", s.ID, "error", err)
			}
		})
	}
	telling.Wait()
	return !missed.Load()
}

// lastAlarm returns what the others should raise for this node, which has failed; nothing where that ends with the process.
func (n *Node) lastAlarm() (reason, message string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if errors.Is(n.failure, halt.ErrDiverged) {
		return AlarmDiverged, n.meta.Name + " has stopped: " + n.failure.Error()
	}
	return "", ""
}

// notifyStart tells the others, again for a while where some do not answer, that this node has started: a follower calls no
// other member, and would expect for good that this one does not answer.
func (n *Node) notifyStart() {
	for end := time.Now().Add(startGrace); !n.stopping.Load() && !n.notify(n.ctx, false) && time.Now().Before(end); {
		n.sleep(time.Second, nil)
	}
}

// handleNotice takes down that a member stops, so that failing calls to it are no news until it is back.
func (n *Node) handleNotice(_ context.Context, body []byte) (command.Code, []byte) {
	var m noticeMessage
	if err := json.Unmarshal(body, &m); err != nil {
		return command.CodeInvalidValue, nil
	}
	for _, s := range n.servers() {
		if string(s.ID) == m.ServerID && m.ServerID != n.serverID() {
			if n.reach.announced(m.ServerID, m.Stopping) {
				n.log.Info(nameOf(m.ServerID)+map[bool]string{true: " stops", false: " has started"}[m.Stopping], "member", m.ServerID)
			}
			if slices.Contains(alarmReasons, m.Alarm) {
				n.raise(m.Alarm, m.ServerID, m.Message)
			} else if !m.Stopping {
				n.clear(AlarmDiverged, m.ServerID)
			}
			return answer(struct{}{})
		}
	}
	return command.CodeInvalidValue, []byte("no member has that id")
}

// announced takes down a notice and reports whether it is news.
func (r *reach) announced(id string, stopping bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.of(id)
	was := !p.left.IsZero()
	switch {
	case stopping:
		p.left = time.Now()
	case was:
		p.left, p.back = time.Time{}, time.Now()
	}
	return was != stopping
}

// isAway tells that a member has said that it stops and is not back.
func (r *reach) isAway(id string) bool {
	p := r.peer(id)
	return !p.left.IsZero()
}

// isLeaving tells that errors with a member are those of an announced stop: it is away, or has only just come back.
func (r *reach) isLeaving(id string) bool {
	p := r.peer(id)
	return !p.left.IsZero() || time.Since(p.back) < settleTime
}

// majorityLeft tells that so many voters have said that they stop that the others are no majority.
func (n *Node) majorityLeft() bool {
	voters, here := 0, 0
	for _, s := range n.servers() {
		if s.Suffrage == raft.Voter {
			voters++
			if !n.reach.isLeaving(string(s.ID)) {
				here++
			}
		}
	}
	return here <= voters/2
}

// someoneLeft tells that errors of an announced stop are to be expected from some member.
func (n *Node) someoneLeft() bool {
	for _, s := range n.servers() {
		if n.reach.isLeaving(string(s.ID)) {
			return true
		}
	}
	return false
}
