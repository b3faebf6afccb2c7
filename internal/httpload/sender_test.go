package httpload

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
)

// answering starts a server and returns a sender to it, and how many connections there were.
func answering(t *testing.T, handle http.HandlerFunc) (*sender, *atomic.Int64) {
	t.Helper()
	connections := &atomic.Int64{}
	server := httptest.NewUnstartedServer(handle)
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		connections.Add(1)
		return ctx
	}
	server.Start()
	t.Cleanup(server.Close)
	return senderTo(t, server.URL), connections
}

func senderTo(t *testing.T, url string) *sender {
	t.Helper()
	s, err := newSender(Client{Target: url})
	require.NoError(t, err)
	t.Cleanup(s.close)
	return s
}

var twoLines = &Request{Method: http.MethodGet, Path: []byte("/replicas"), Items: 2, Lines: 2}

// An answer is whole or it is not, however its end is told.
func TestEndsOfAnswers(t *testing.T) {
	abort := func(w http.ResponseWriter) {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			open, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(open, text)
				_ = open.Close()
			}
		}
	}
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		want   string
	}{
		"length":         {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}\n{}\n") }, ""},
		"chunks":         {func(w http.ResponseWriter, _ *http.Request) { stream(w, 2) }, ""},
		"close":          {raw("HTTP/1.0 200 OK\r\n\r\n{}\n{}\n"), ""},
		"short":          {func(w http.ResponseWriter, _ *http.Request) { stream(w, 3) }, "wrong number of lines"},
		"no body":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "wrong number of lines"},
		"chunks cut":     {func(w http.ResponseWriter, _ *http.Request) { stream(w, 2); abort(w) }, "answer cut off"},
		"length cut":     {raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}\n{}\n"), "answer cut off"},
		"in a chunk":     {raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{}\n{}\n"), "answer cut off"},
		"no answer":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "no answer"},
		"in the header":  {raw("HTTP/1.1 200 OK\r\nContent-Le"), "no answer"},
		"server's error": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "500"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := answering(t, c.handle)
			for range 2 { // what follows a broken answer is no worse
				o := s.send(t.Context(), twoLines)
				if c.want == "" {
					require.True(t, o.ok(), o.describe())
				} else {
					require.False(t, o.ok())
					require.Equal(t, c.want, o.kind(), o.describe())
				}
			}
		})
	}
}

func stream(w http.ResponseWriter, lines int) {
	for range lines {
		_, _ = io.WriteString(w, "{}\n")
		_ = http.NewResponseController(w).Flush()
	}
}

// One connection serves a client, and another only where the server closed it.
func TestConnectionsAreKept(t *testing.T) {
	for closing, want := range map[bool]int64{false: 1, true: 3} {
		s, connections := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			if closing {
				w.Header().Set("Connection", "close")
			}
			stream(w, 2)
		})
		for range 3 {
			o := s.send(t.Context(), twoLines)
			require.True(t, o.ok(), o.describe())
		}
		require.Equal(t, want, connections.Load())
	}
}

// Nothing of a request is left in the next one.
func TestRequestsDiffer(t *testing.T) {
	s, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, strings.Repeat("\n", len(body)))
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, "\n")
		}
	})
	for range 2 {
		o := s.send(t.Context(), &Request{Method: http.MethodPost, Path: []byte("/a"), Body: []byte("12345"), Lines: 5})
		require.True(t, o.ok(), o.describe())
		o = s.send(t.Context(), &Request{Method: http.MethodGet, Path: []byte("/b"), Lines: 1})
		require.True(t, o.ok(), o.describe())
	}
}

// A success that is none by what it says is told apart.
func TestCheck(t *testing.T) {
	s, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) { stream(w, 2) })
	s.client.Check = func(head []byte) error { return fmt.Errorf("got %q", head) }
	o := s.send(t.Context(), twoLines)
	require.Equal(t, "wrong answer", o.kind())
	require.ErrorContains(t, o.err, `got "{}\n{}\n"`)
}

// A server that refuses a large body before it has read it is heard.
func TestEarlyRefusal(t *testing.T) {
	s, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	o := s.send(t.Context(), &Request{Method: http.MethodPost, Path: []byte("/replicas"), Body: make([]byte, 1<<20)})
	require.True(t, o.rejected(), o.describe())
	require.Equal(t, 3*time.Second, o.retryAfter)
}

func TestContextEndsRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	hold := make(chan struct{})
	s, _ := answering(t, func(http.ResponseWriter, *http.Request) {
		cancel()
		<-hold
	})
	o := s.send(ctx, twoLines)
	close(hold)
	require.ErrorIs(t, o.err, context.Canceled)
}

func TestPathBelowBase(t *testing.T) {
	s, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Token"))
	})
	below := senderTo(t, "http://"+s.connection.address+"/rucio")
	below.client.Prepare = func(_ context.Context, header *fasthttp.RequestHeader) error {
		header.Set("X-Token", "token")
		return nil
	}
	o := below.send(t.Context(), &Request{Method: http.MethodPut, Path: []byte("/replicas"), Lines: 1})
	require.Equal(t, "wrong number of lines", o.kind())
	require.Equal(t, "PUT /rucio/replicas token", string(below.buffer[:len("PUT /rucio/replicas token")]))
}

func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { stream(w, 2) }))
	t.Cleanup(server.Close)
	s := senderTo(t, server.URL)
	o := s.send(t.Context(), twoLines)
	require.ErrorContains(t, o.err, "certificate", "it is checked")
	s.connection.trust = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	for range 2 {
		o = s.send(t.Context(), twoLines)
		require.True(t, o.ok(), o.describe())
	}
}

// A request costs no memory worth speaking of.
func TestSendingReusesItsMemory(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() { // a server that costs nothing itself
		open, err := listener.Accept()
		if err != nil {
			return
		}
		defer open.Close()
		buffer := make([]byte, 4096)
		answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/x-json-stream\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{}\n{}\n\r\n0\r\n\r\n")
		for {
			if _, err := open.Read(buffer); err != nil {
				return
			}
			_, _ = open.Write(answer)
		}
	}()
	s := senderTo(t, "http://"+listener.Addr().String())
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		if o := s.send(t.Context(), twoLines); !o.ok() {
			t.Error(o.describe())
		}
	}), 1.0)
	require.True(t, strings.HasPrefix(string(s.buffer), "{}\n"))
}
