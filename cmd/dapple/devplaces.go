package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

// clusterPortOffset is what separates a development node's cluster port from its HTTP port.
const clusterPortOffset = 10000

// place is where a development node is reached. The listeners are nil if the node is to listen by itself.
type place struct {
	http, cluster                 string // host:port
	httpListener, clusterListener net.Listener
}

// choosePlaces decides where the nodes listen: at --http-port and the ports after it, or at any free ports if that is 0.
func (d *devCmd) choosePlaces() error {
	if d.HTTPPort == 0 {
		return d.listenAnywhere()
	}
	for i := range d.Nodes {
		at := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i)) }
		d.places = append(d.places, place{http: at(d.HTTPPort), cluster: at(d.HTTPPort + clusterPortOffset)})
	}
	return nil
}

// listenAnywhere listens for all nodes before the first of them starts: a port that was only chosen could be taken meanwhile.
func (d *devCmd) listenAnywhere() error {
	for i := range d.Nodes {
		clients, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("no free port for node %d: %w", i+1, err)
		}
		nodes, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			_ = clients.Close()
			return fmt.Errorf("no free port for node %d: %w", i+1, err)
		}
		d.places = append(d.places, place{clients.Addr().String(), nodes.Addr().String(), clients, nodes})
	}
	return nil
}

// closePlaces closes the listeners, also those that no node has closed because none was started with them.
func (d *devCmd) closePlaces() {
	for _, p := range d.places {
		for _, l := range []net.Listener{p.httpListener, p.clusterListener} {
			if l != nil {
				_ = l.Close() // its node has closed it, if it had one
			}
		}
	}
}

// checkPorts refuses port numbers that do not exist.
func (d *devCmd) checkPorts() error {
	highest := 65535 - clusterPortOffset - d.Nodes + 1
	if d.Nodes < 1 || d.HTTPPort < 0 || d.HTTPPort > highest {
		return &exitError{exitUsage, errors.New("--nodes must be at least 1 and --http-port 0 or from 1 to " + strconv.Itoa(highest))}
	}
	return nil
}
