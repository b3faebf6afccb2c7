package cluster

import (
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	// repeatInterval is how often a message that comes again and again is logged at its own level.
	repeatInterval = time.Minute
	// maxRepeats bounds the messages that are remembered.
	maxRepeats = 1024
)

// repeats finds messages that come again and again. The zero value is ready to use.
type repeats struct {
	mu   sync.Mutex
	last map[string]time.Time // when a message was logged at its own level
}

// forget makes the next message that ends so count as the first.
func (r *repeats) forget(end string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for message := range r.last {
		if strings.HasSuffix(message, end) {
			delete(r.last, message)
		}
	}
}

// level returns a message's own level for the first time and once per interval, otherwise that of debugging.
func (r *repeats) level(own slog.Level, message string) slog.Level {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if at, known := r.last[message]; known && now.Sub(at) < repeatInterval {
		return min(own, slog.LevelDebug)
	}
	if r.last == nil || len(r.last) >= maxRepeats {
		r.last = map[string]time.Time{}
	}
	r.last[message] = now
	return own
}
