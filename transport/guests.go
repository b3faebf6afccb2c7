package transport

import "net"

const (
	// maxGuests and maxGuestsPerSource bound the connections whose peers have not shown that they are members. Beyond
	// them the oldest is closed, so that silent connections cannot keep a member out.
	maxGuests          = 256
	maxGuestsPerSource = 64
)

// guests are accepted connections of peers that are not known to be members, oldest first. The owner locks.
type guests struct {
	all []*trackedConn
}

// add lets a connection in and returns the one that has to go for it, nil for none.
func (g *guests) add(c *trackedConn) *trackedConn {
	crowd := map[string][]*trackedConn{}
	for _, other := range append(g.all, c) {
		crowd[other.source] = append(crowd[other.source], other)
	}
	g.all = append(g.all, c)
	largest := crowd[c.source]
	if len(largest) <= maxGuestsPerSource {
		if len(g.all) <= maxGuests {
			return nil
		}
		for _, others := range crowd {
			if len(others) > len(largest) {
				largest = others
			}
		}
	}
	g.remove(largest[0])
	return largest[0]
}

// remove forgets a connection and reports whether it was there.
func (g *guests) remove(c *trackedConn) bool {
	for i, other := range g.all {
		if other == c {
			g.all = append(g.all[:i], g.all[i+1:]...)
			return true
		}
	}
	return false
}

// sourceOf returns the address of a connection's peer without its port.
func sourceOf(c net.Conn) string {
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.IP.String()
	}
	return ""
}
