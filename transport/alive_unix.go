//go:build unix

package transport

import (
	"crypto/tls"
	"net"
	"syscall"
	"time"
)

// isOpen reports whether the peer has not closed an idle connection. A request that is written to a closed one counts as sent,
// though nobody gets it, and then its outcome is unknown; so it is worth a look before. Nothing is to be read between two calls
// but a peer's word that it closes.
func isOpen(c net.Conn) bool {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	if tracked, ok := c.(*trackedConn); ok {
		c = tracked.Conn
	}
	socket, ok := c.(*net.TCPConn)
	if !ok {
		return true
	}
	if socket.SetReadDeadline(time.Time{}) != nil { // the last call's, which would end the look itself
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	open := true
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, peekErr := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		open = peekErr == syscall.EAGAIN || peekErr == syscall.EWOULDBLOCK || peekErr == syscall.EINTR
		return true
	})
	return err == nil && open
}
