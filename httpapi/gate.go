package httpapi

import (
	"context"
	"runtime"
	"sync/atomic"
)

// gate lets few passwords be checked or hashed at one time, for each costs tens of milliseconds of a core and 19 MiB. A few more
// wait for their turn, at most half of the places for one client.
type gate struct {
	name    limit
	turns   chan struct{}
	waiting atomic.Int64
	places  int64 // that may wait
	clients *shares
}

// hashPlaces is how many new passwords may wait to be hashed: administrators alone make them, one by one.
const hashPlaces = 8

// newGate makes a gate with one turn for every two cores.
func newGate(name limit, places int) *gate {
	turns := max(1, runtime.GOMAXPROCS(0)/2)
	return &gate{
		name: name, turns: make(chan struct{}, turns), places: int64(places), clients: newShares(int64(max(1, (turns+places)/2))),
	}
}

// enter waits for a turn; leave ends it. If too many wait already, of all clients or of this one, or if the context ends, it
// returns a limitError.
func (g *gate) enter(ctx context.Context, client string) error {
	if !g.clients.take(client, 1) {
		return overLimit(g.name, 0, "too many passwords of one client to check at one time; try again later")
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) <= g.places {
		select {
		case g.turns <- struct{}{}:
			return nil
		case <-ctx.Done():
		}
	}
	g.clients.release(client, 1)
	return overLimit(g.name, 0, "too many passwords to check at one time; try again later")
}

// leave ends the turn of a client.
func (g *gate) leave(client string) {
	<-g.turns
	g.clients.release(client, 1)
}
