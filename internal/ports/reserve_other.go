//go:build !linux

package ports

import "net"

// reserve only finds a port that is free now. Other systems refuse a second socket on a bound port.
func reserve() (address string, release func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	return l.Addr().String(), func() error { return nil }, l.Close()
}
