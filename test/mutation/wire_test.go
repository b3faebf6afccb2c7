package mutation

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// patience is how long an answer may take; what takes longer hangs.
const patience = time.Minute

// wire is a connection that requests are written to byte by byte: a proper client would refuse many.
type wire struct {
	address string
	conn    net.Conn
	reader  *bufio.Reader
}

// reply is an answer that was read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (w *wire) close() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// send writes a request and reads its answer. A connection that the server has closed between two requests is opened again.
func (w *wire) send(m *mutated, token string) (*reply, error) {
	for fresh := false; ; fresh = true {
		if w.conn == nil {
			conn, err := net.DialTimeout("tcp", w.address, patience)
			if err != nil {
				return nil, err
			}
			w.conn, w.reader, fresh = conn, bufio.NewReader(conn), true
		}
		got, err := w.exchange(m, token)
		if err == nil {
			return got, nil
		}
		w.close()
		if fresh {
			return nil, err
		}
	}
}

func (w *wire) exchange(m *mutated, token string) (*reply, error) {
	if err := w.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := w.conn.Write(m.bytes(w.address, token)); err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	response, err := http.ReadResponse(w.reader, &http.Request{Method: m.operation.method})
	for err == nil && response.StatusCode == http.StatusContinue {
		response, err = http.ReadResponse(w.reader, &http.Request{Method: m.operation.method})
	}
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	body, err := io.ReadAll(response.Body)
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	if response.Close {
		w.close()
	}
	return &reply{response.StatusCode, response.Header, body}, nil
}

// bytes is the request as it is written.
func (m *mutated) bytes(host, token string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", m.operation.method, m.target, host)
	if token != "" {
		fmt.Fprintf(&b, "X-Rucio-Auth-Token: %s\r\n", token)
	}
	for _, line := range m.header {
		b.WriteString(line + "\r\n")
	}
	if len(m.body) > 0 || m.operation.body != nil {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(m.body))
	}
	b.WriteString("\r\n")
	b.Write(m.body)
	return b.Bytes()
}

// ofServer reports whether an answer is net/http's own, to what is no HTTP.
func (r *reply) ofServer() bool {
	switch r.status {
	case http.StatusExpectationFailed:
		return len(r.body) == 0
	case http.StatusBadRequest:
		return strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") && bytes.HasPrefix(r.body, []byte("400 Bad Request"))
	}
	return false
}
