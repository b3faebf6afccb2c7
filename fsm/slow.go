package fsm

import (
	"log/slog"
	"time"

	"dapple/command"
)

const (
	// slowCommand is how long a command may take at apply before it is logged: all writes wait for it, on every node.
	slowCommand = 100 * time.Millisecond
	// slowPause is how long nothing more is logged after a slow command.
	slowPause = 10 * time.Second
)

// slowLog warns of commands that take long, once in slowPause. Apply alone uses it.
type slowLog struct {
	log     *slog.Logger
	last    time.Time
	unnamed int // slow commands since then
}

// note warns of a command if it was slow.
func (s *slowLog) note(index uint64, c *command.Command, now time.Time, took time.Duration) {
	if took < slowCommand {
		return
	}
	if !s.last.IsZero() && now.Sub(s.last) < slowPause {
		s.unnamed++
		return
	}
	s.log.Warn("a command took long to apply", "command", c.Type.String(), "index", index, "bytes", len(c.Payload),
		"issuer", c.Issuer, "seconds", took.Seconds(), "others", s.unnamed)
	s.last, s.unnamed = now, 0
}
