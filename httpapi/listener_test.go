package httpapi

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

const ping = "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"

// dialFrom opens a connection from an address of the loopback network.
func dialFrom(t *testing.T, source, address string) net.Conn {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	return conn
}

// ask sends a request and returns the status.
func ask(t *testing.T, conn net.Conn, request string) int {
	t.Helper()
	_, err := io.WriteString(conn, request)
	require.NoError(t, err)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, answer.Body)
	require.NoError(t, err)
	answer.Body.Close()
	return answer.StatusCode
}

// connectionServer serves with few connections, and beside them a port of administration. GET /slow says on began that it has come, and
// ends when something comes on end.
type connectionServer struct {
	*testServer
	address, admin string
	began, end     chan struct{}
	idle           chan string // addresses of clients whose connections the server takes for idle
}

// pinged sends a request and waits until the server takes the connection for idle, which is after the client has its answer.
func (s *connectionServer) pinged(t *testing.T, conn net.Conn) {
	t.Helper()
	require.Equal(t, 200, ask(t, conn, ping))
	for end := time.After(time.Minute); ; {
		select {
		case address := <-s.idle:
			if address == conn.LocalAddr().String() {
				return
			}
		case <-end:
			require.Fail(t, "the connection is not idle")
		}
	}
}

func newConnectionServer(t *testing.T, configure func(*Config)) *connectionServer {
	t.Helper()
	s := &connectionServer{began: make(chan struct{}, 64), end: make(chan struct{}, 64), idle: make(chan string, 256)}
	s.testServer = newTestServer(t, nil, func(c *Config) { c.Limits.ReadHeader, c.Limits.Idle = time.Hour, time.Hour }, configure)
	var err error
	s.resolver, err = newResolver([]route{
		{get, "/ping", s.ping, public},
		{get, "/slow", func(c *gin.Context) {
			s.began <- struct{}{}
			<-s.end
			s.empty(c)
		}, public},
	})
	require.NoError(t, err)
	s.http.ConnState = func(c net.Conn, state http.ConnState) {
		noteState(c, state)
		if state == http.StateIdle {
			s.idle <- c.RemoteAddr().String()
		}
	}
	address, served := s.listening()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	servedAdmin := make(chan error, 1)
	go func() { servedAdmin <- s.ServeAdmin(listener) }()
	s.address, s.admin = address, listener.Addr().String()
	t.Cleanup(func() {
		close(s.end)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
		require.NoError(t, <-served)
		require.NoError(t, <-servedAdmin)
	})
	return s
}

// awaitClosed waits until the server has closed a connection.
func awaitClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the connection is still open")
}

// Silent connections of one source take its share of the port and no more.
func TestConnectionsOfOneSource(t *testing.T) {
	s := newConnectionServer(t, func(c *Config) { c.Limits.Connections = 64 })
	var all []net.Conn
	for range 100 {
		all = append(all, dialFrom(t, "127.0.0.1", s.address))
	}
	for _, conn := range all[16:] {
		awaitClosed(t, conn)
	}
	require.Equal(t, 200, ask(t, all[0], ping))
	require.Equal(t, 200, ask(t, dialFrom(t, "127.0.0.2", s.address), ping))
	require.EqualValues(t, 84, counterValue(t, s.registry, "dapple_http_limit_refusals_total", "limit", "connections_share"))
}

// A trusted proxy has no share: it brings many clients.
func TestConnectionsOfAProxy(t *testing.T) {
	s := newConnectionServer(t, func(c *Config) {
		c.Limits.Connections, c.TrustedProxies = 64, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	for range 40 {
		require.Equal(t, 200, ask(t, dialFrom(t, "127.0.0.1", s.address), ping))
	}
}

// A full port closes connections that are silent, the longest first, and none on which a request is under way.
func TestAFullPortMakesRoom(t *testing.T) {
	s := newConnectionServer(t, func(c *Config) { c.Limits.Connections, c.Limits.ConnectionsPerSource = 4, 4 })
	busy := dialFrom(t, "127.0.0.3", s.address)
	_, err := io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	<-s.began
	single := dialFrom(t, "127.0.0.4", s.address)
	s.pinged(t, single)
	first, second := dialFrom(t, "127.0.0.1", s.address), dialFrom(t, "127.0.0.1", s.address)
	s.pinged(t, first)
	s.pinged(t, second)

	require.Equal(t, 200, ask(t, dialFrom(t, "127.0.0.2", s.address), ping))
	awaitClosed(t, first)
	require.Equal(t, 200, ask(t, second, ping))
	require.Equal(t, 200, ask(t, single, ping))
	s.end <- struct{}{}
	answer, err := http.ReadResponse(bufio.NewReader(busy), nil)
	require.NoError(t, err)
	answer.Body.Close()
}

// If requests are under way on all connections, another waits until one ends or gets silent, and the port of administration answers.
func TestABusyPort(t *testing.T) {
	s := newConnectionServer(t, func(c *Config) { c.Limits.Connections, c.Limits.ConnectionsPerSource = 2, 2 })
	for range 2 {
		_, err := io.WriteString(dialFrom(t, "127.0.0.1", s.address), "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		<-s.began
	}
	waiting := dialFrom(t, "127.0.0.2", s.address)
	_, err := io.WriteString(waiting, ping)
	require.NoError(t, err)

	require.Equal(t, 200, ask(t, dialFrom(t, "127.0.0.1", s.admin), ping))
	require.NoError(t, waiting.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = waiting.Read(make([]byte, 1))
	require.Error(t, err, "there is no room yet")
	s.end <- struct{}{}
	require.NoError(t, waiting.SetReadDeadline(time.Now().Add(time.Minute)))
	answer, err := http.ReadResponse(bufio.NewReader(waiting), nil)
	require.NoError(t, err)
	answer.Body.Close()
}
