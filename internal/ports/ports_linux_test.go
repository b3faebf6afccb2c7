package ports

import (
	"net"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// ipLocalPortRange is IP_LOCAL_PORT_RANGE: the ports that the system may pick for a socket. Linux has it since 6.3.
const ipLocalPortRange = 51

// A server that names a reserved port can listen on it, again and again.
func TestReservedPortServesWhoNamesIt(t *testing.T) {
	r, err := Reserve()
	require.NoError(t, err)
	_, err = net.Dial("tcp", r.Address)
	require.ErrorIs(t, err, syscall.ECONNREFUSED, "nobody listens yet")
	for range 2 {
		l, listenErr := net.Listen("tcp", r.Address)
		require.NoError(t, listenErr)
		c, dialErr := net.Dial("tcp", r.Address)
		require.NoError(t, dialErr)
		require.NoError(t, c.Close())
		require.NoError(t, l.Close())
	}
	require.NoError(t, r.Release())
}

// The system does not pick a reserved port, even if it is the only one that it may pick.
func TestReservedPortIsNotPicked(t *testing.T) {
	r, err := Reserve()
	require.NoError(t, err)
	_, text, err := net.SplitHostPort(r.Address)
	require.NoError(t, err)
	port, err := strconv.Atoi(text)
	require.NoError(t, err)

	require.ErrorIs(t, bindWithin(t, port), syscall.EADDRINUSE)
	require.NoError(t, r.Release())
	require.NoError(t, bindWithin(t, port), "released")
}

// bindWithin binds a socket to any port, of which there is one.
func bindWithin(t *testing.T, port int) error {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, syscall.Close(fd)) }()
	if syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, ipLocalPortRange, port<<16|port) != nil {
		t.Skip("this kernel has no range of ports per socket")
	}
	return syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
}
