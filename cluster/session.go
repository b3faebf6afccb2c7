package cluster

import (
	"crypto/rand"
	"sync"

	"dapple/command"
)

// maxOpen bounds how far numbers may run ahead of the oldest unanswered command, since the state machine keeps the
// results in between.
const maxOpen = 1 << 16

// session numbers the commands of this node, and knows which of them are unanswered.
type session struct {
	id command.SessionID

	mu     sync.Mutex
	next   uint64          // the number of the next command
	lowest uint64          // the smallest number that is unanswered, or next
	ended  map[uint64]bool // numbers above lowest that are answered
}

func newSession() (*session, error) {
	s := &session{next: 1, lowest: 1, ended: map[uint64]bool{}}
	_, err := rand.Read(s.id[:])
	return s, err
}

// begin numbers a command; the number is unanswered until end.
func (s *session) begin() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	seq := s.next
	s.next++
	return seq
}

// end declares a command answered, or given up: the state machine may forget its result and refuses later copies.
func (s *session) end(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq < s.lowest || seq >= s.next {
		return
	}
	s.ended[seq] = true
	for s.ended[s.lowest] {
		delete(s.ended, s.lowest)
		s.lowest++
	}
}

func (s *session) lowestOpen() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lowest
}

func (s *session) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next-s.lowest >= maxOpen
}
