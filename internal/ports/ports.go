// Package ports reserves TCP ports on the loopback interface for nodes and processes that start later.
//
// A port that is chosen by listening on port 0 and closing the listener is free again, and the next program that asks
// for any port may get it. A Reservation keeps the port taken from the moment it is chosen.
package ports

import "fmt"

// Reservation is a port that the system gives to nobody who asks for any port.
// A program that names the port can listen on it, stop, and listen again.
// Until one does, connections to the port are refused.
type Reservation struct {
	// Address is the reserved host:port.
	Address string
	release func() error
}

// Reserve reserves a free port. It is safe for concurrent use.
func Reserve() (*Reservation, error) {
	address, release, err := reserve()
	if err != nil {
		return nil, fmt.Errorf("reserve a port: %w", err)
	}
	return &Reservation{Address: address, release: release}, nil
}

// Release gives the port back. A listener on it stays open.
func (r *Reservation) Release() error { return r.release() }
