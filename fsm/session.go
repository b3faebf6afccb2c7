package fsm

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"dapple/catalogue"
	"dapple/command"
)

// A session makes commands exactly-once: a node incarnation numbers its commands, and the state keeps the results of
// those that it may still send again. The rules are part of the frozen effect of every command.
const (
	// maxKept and maxKeptBytes bound the results kept in a session whose owner never says that they have arrived. What
	// falls out is answered as stale: it is not executed again either.
	maxKept      = 16384
	maxKeptBytes = 8 << 20
	// maxClosed is how many closed sessions of a node name are remembered, so that a late copy of their registration
	// does not open them again.
	maxClosed = 16
)

// session is the open session of one node name.
type session struct {
	id     command.SessionID
	member Member
	lowest uint64 // every smaller number has been answered
	kept   []keptResult
	bytes  int // of messages and payloads in kept
	closed []command.SessionID

	touched bool // since the last commit
}

// keptResult is the result of one command, in ascending order of seq.
type keptResult struct {
	seq    uint64
	result command.Result
}

// sessions finds sessions by id; there is one a node name.
type sessions struct {
	byID   map[command.SessionID]*session
	byNode map[string]*session
	// touched are those that the next commit writes, in the order of the first touch.
	touched []*session
}

func loadSessions(v catalogue.View) (sessions, error) {
	all := sessions{byID: map[command.SessionID]*session{}, byNode: map[string]*session{}}
	low, high := catalogue.SessionRange()
	err := v.Scan(low, high, func(_, value []byte) (bool, error) {
		s, err := parseSession(value)
		if err != nil {
			return false, err
		}
		all.byID[s.id], all.byNode[s.member.Node] = s, s
		return true, nil
	})
	return all, err
}

func (all *sessions) touch(s *session) {
	if !s.touched {
		s.touched = true
		all.touched = append(all.touched, s)
	}
}

// flush writes the touched sessions, one record each.
func (all *sessions) flush(tx catalogue.Tx) {
	for _, s := range all.touched {
		s.touched = false
		if all.byID[s.id] == s { // not replaced since
			tx.Put(catalogue.SessionKey(s.member.Node), appendSession(nil, s))
		}
	}
	all.touched = all.touched[:0]
}

// register opens a session and closes the one that the node name had. A repeated registration changes nothing but what
// the node says of itself; one of a closed session is refused.
func (all *sessions) register(c *command.RegisterSession) error {
	if len(c.Session) != len(command.SessionID{}) || c.Node == "" || strings.IndexByte(c.Node, 0) >= 0 {
		return catalogue.Errorf(command.CodeInvalidValue, "a session needs 16 bytes and a node name without zero bytes")
	}
	id := command.SessionID(c.Session)
	if id == (command.SessionID{}) {
		return catalogue.Errorf(command.CodeInvalidValue, "a session of zeros means no session")
	}
	if same := all.byID[id]; same != nil && same.member.Node != c.Node {
		return catalogue.Errorf(command.CodeInvalidValue, "the session belongs to node %s", same.member.Node)
	}
	s := all.byNode[c.Node]
	if s != nil && slices.Contains(s.closed, id) {
		return catalogue.Errorf(command.CodeSessionUnknown, "the session was closed by a later one of node %s", c.Node)
	}
	if s == nil || s.id != id {
		next := &session{id: id}
		if s != nil {
			delete(all.byID, s.id)
			next.closed = append(slices.Clone(s.closed), s.id)
			next.closed = next.closed[max(0, len(next.closed)-maxClosed):]
		}
		s = next
		all.byID[id], all.byNode[c.Node] = s, s
	}
	s.member = Member{Node: c.Node, ServerID: c.ServerId, HTTPAddress: c.HttpAddress, Version: c.Version}
	all.touch(s)
	return nil
}

// find returns the place of a sequence number in kept, and whether it is there.
func (s *session) find(seq uint64) (int, bool) {
	if n := len(s.kept); n == 0 || s.kept[n-1].seq < seq {
		return n, false // numbers mostly ascend
	}
	return slices.BinarySearchFunc(s.kept, seq, func(k keptResult, seq uint64) int {
		switch {
		case k.seq < seq:
			return -1
		case k.seq > seq:
			return 1
		default:
			return 0
		}
	})
}

// keep stores the result of a command that has just been executed.
func (s *session) keep(seq uint64, r command.Result) {
	place, _ := s.find(seq)
	s.kept = slices.Insert(s.kept, place, keptResult{seq, r})
	s.bytes += len(r.Message) + len(r.Payload)
	for len(s.kept) > maxKept || s.bytes > maxKeptBytes && len(s.kept) > 1 {
		s.raise(s.kept[0].seq + 1)
	}
}

// raise notes that every number below lowest has been answered, and forgets those results.
func (s *session) raise(lowest uint64) {
	if lowest <= s.lowest {
		return
	}
	s.lowest = lowest
	gone, _ := s.find(lowest)
	for _, k := range s.kept[:gone] {
		s.bytes -= len(k.result.Message) + len(k.result.Payload)
	}
	s.kept = slices.Delete(s.kept, 0, gone)
}

func appendSession(b []byte, s *session) []byte {
	b = append(b, localFormat)
	b = append(b, s.id[:]...)
	for _, text := range []string{s.member.Node, s.member.ServerID, s.member.HTTPAddress, s.member.Version} {
		b = appendText(b, text)
	}
	b = binary.AppendUvarint(b, s.lowest)
	b = binary.AppendUvarint(b, uint64(len(s.closed)))
	for _, id := range s.closed {
		b = append(b, id[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(s.kept)))
	last := s.lowest
	for _, k := range s.kept {
		b = binary.AppendUvarint(b, k.seq-last)
		b = command.AppendResult(b, k.result)
		last = k.seq
	}
	return b
}

// parseSession decodes a record. Nothing of the result aliases b.
func parseSession(b []byte) (*session, error) {
	r := newReader(bytes.Clone(b))
	s := &session{}
	copy(s.id[:], r.bytes(uint64(len(s.id))))
	s.member = Member{Node: r.text(), ServerID: r.text(), HTTPAddress: r.text(), Version: r.text()}
	s.lowest = r.uvarint()
	for range r.count(len(s.id)) {
		var id command.SessionID
		copy(id[:], r.bytes(uint64(len(id))))
		s.closed = append(s.closed, id)
	}
	last := s.lowest
	for range r.count(6) {
		last += r.uvarint()
		result, rest, err := command.ParseResult(r.b)
		if err != nil {
			r.bad = true
			break
		}
		r.b = rest
		s.kept = append(s.kept, keptResult{last, result})
		s.bytes += len(result.Message) + len(result.Payload)
	}
	return s, r.done("session")
}
