package system

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// dialNarrow connects with a receive buffer of a few kilobytes.
func dialNarrow(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		controlErr := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 8<<10) })
		return errors.Join(controlErr, err)
	}}
	return dialer.DialContext(ctx, network, address)
}

// TestNodeKilledWhileItLists kills a node in the middle of a long list, plain and compressed, in both formats: the client sees a
// broken transfer, never a short list that looks whole.
func TestNodeKilledWhileItLists(t *testing.T) {
	t.Parallel()
	const files = 60_000 // far more than the buffers of a connection hold
	c := newCluster(t, 1)
	c.start()
	p := c.nodes[0]
	root := login(t, p)
	root.prepare(t, "big", "SITE1")
	root.registerDataset(t, "big", "many-files", files, 1)
	body, err := json.Marshal(map[string]any{"dids": []map[string]string{{"scope": "big", "name": "many-files"}}})
	require.NoError(t, err)
	for _, how := range []struct{ accept, encoding string }{
		{"application/x-json-stream", "identity"}, {"application/metalink4+xml", "identity"}, {"application/x-json-stream", "gzip"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url()+"/replicas/list", bytes.NewReader(body))
		require.NoError(t, err)
		request.Header = http.Header{"X-Rucio-Auth-Token": {root.token}, "Accept": {how.accept}, "Accept-Encoding": {how.encoding}}
		// Small buffers, or a compressed list would be on its way as a whole before the node is killed.
		transport := &http.Transport{ReadBufferSize: 4 << 10, DialContext: dialNarrow}
		response, err := transport.RoundTrip(request)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode)
		_, err = io.ReadFull(response.Body, make([]byte, 1000))
		require.NoError(t, err)
		p.kill()
		_, err = io.Copy(io.Discard, response.Body)
		require.Error(t, err, "%s as %s", how.accept, how.encoding)
		require.NoError(t, response.Body.Close())
		transport.CloseIdleConnections()
		p.start()
		c.waitReady(p)
	}
}
