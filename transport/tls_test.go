package transport

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
	"dapple/transport/transporttest"
)

// authority signs certificates of a test.
type authority struct{ *transporttest.Authority }

func newAuthority(t *testing.T) *authority {
	t.Helper()
	return &authority{transporttest.NewAuthority(t)}
}

// files writes a certificate of the authority, and which authority its holder trusts.
func (a *authority) files(t *testing.T, trusted *authority, ip net.IP) *TLSFiles {
	t.Helper()
	f := a.Issue(t, trusted.Authority, ip.String())
	return &TLSFiles{Cert: f.Cert, Key: f.Key, CA: f.CA}
}

func TestMutualTLS(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	local := net.IPv4(127, 0, 0, 1)
	server := open(t, Config{TLS: ours.files(t, ours, local)}, clusterA)
	cases := []struct {
		name string
		tls  *TLSFiles
		ok   bool
	}{
		{"ours", ours.files(t, ours, local), true},
		{"plain", nil, false},
		{"certificate of another authority", theirs.files(t, ours, local), false},
		{"server of another authority", ours.files(t, theirs, local), false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			client := open(t, Config{TLS: c.tls}, clusterA)
			code, _, err := client.Call(callTime(t), server.Addr().String(), echo, []byte("x"))
			if c.ok {
				require.NoError(t, err)
				require.Equal(t, command.CodeOK, code)
				return
			}
			require.False(t, sent(t, err), "%v", err)
		})
	}
	elsewhere := open(t, Config{TLS: ours.files(t, ours, net.IPv4(10, 0, 0, 1))}, clusterA)
	client := open(t, Config{TLS: ours.files(t, ours, local)}, clusterA)
	_, _, err := client.Call(callTime(t), elsewhere.Addr().String(), echo, nil)
	require.False(t, sent(t, err), "the certificate is for another address: %v", err)
}

// Certificates are judged by their names in both roles: those of the hosts that are dialled, or of the patterns.
func TestCertificateNames(t *testing.T) {
	ours, local := newAuthority(t), net.IPv4(127, 0, 0, 1)
	elsewhere := net.IPv4(10, 1, 2, 3)
	named := func(ip net.IP, names ...string) *TLSFiles {
		f := ours.files(t, ours, ip)
		f.Names = names
		return f
	}
	for name, c := range map[string]struct {
		server net.IP
		names  []string
		ok     bool
	}{
		"its host": {local, nil, true}, "another host": {elsewhere, nil, false},
		"pattern": {elsewhere, []string{"n*.example.org", "10.1.2.*"}, true}, "a star is one part": {elsewhere, []string{"10.*"}, false},
		"pattern or host": {local, []string{"10.1.2.*"}, true}, "neither": {elsewhere, []string{"10.1.3.*"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := open(t, Config{TLS: named(c.server)}, clusterA)
			client := open(t, Config{TLS: named(local, c.names...)}, clusterA)
			_, _, err := client.Call(callTime(t), server.Addr().String(), echo, nil)
			if c.ok {
				require.NoError(t, err)
				return
			}
			require.False(t, sent(t, err), "%v", err)
		})
	}

	// The server is told whose certificate the client has.
	peers := make(chan Peer, 1)
	methods := testMethods()
	methods[echo] = Method{Name: "echo", Forming: true, Handle: func(ctx context.Context, _ []byte) (command.Code, []byte) {
		peers <- PeerOf(ctx)
		return command.CodeOK, nil
	}}
	server := open(t, Config{TLS: named(local, "{node}.2.3.*"), Methods: methods}, clusterA)
	client := open(t, Config{TLS: named(net.IPv4(1, 2, 3, 4)), Name: "1@a"}, clusterA)
	_, _, err := client.Call(callTime(t), server.Addr().String(), echo, nil)
	require.NoError(t, err)
	peer := <-peers
	require.True(t, peer.Is("1@a"))
	require.True(t, peer.Covers("1.2.3.4:7080", "n"), "its host")
	require.False(t, peer.Covers("1.2.3.5:7080", "n"), "another host")
	require.True(t, peer.Covers("1.2.3.5:7080", "1"), "the name of node 1")
}

func TestTLSFilesAreChecked(t *testing.T) {
	_, err := New(Config{Listen: "127.0.0.1:0", TLS: &TLSFiles{Cert: "/nowhere"}})
	require.ErrorContains(t, err, "/nowhere")
}
