package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

// writeServer decodes the body of POST /w for clients with a token.
func writeServer(t *testing.T, limits Limits) *testServer {
	t.Helper()
	ts := newTestServer(t, nil, func(c *Config) { c.Limits = limits })
	var err error
	ts.resolver, err = newResolver([]route{{post, "/w", func(c *gin.Context) {
		if _, ok := ts.decodeObject(c); ok {
			ts.empty(c)
		}
	}, needsToken}})
	require.NoError(t, err)
	return ts
}

const postAsJoe = "POST /w HTTP/1.1\r\nHost: x\r\n" + headerToken + ": as-joe\r\n"

// Bodies that one account announces and sends by half leave memory for the bodies of others.
func TestBodiesOfOneClientLeaveRoom(t *testing.T) {
	const size = 2 << 20
	ts := writeServer(t, Limits{Body: size, BodiesInFlight: 4 * size, Stall: time.Hour, BodyTime: time.Hour})
	url := ts.serve()
	answers := make(chan int, 6)
	for range cap(answers) {
		conn := rawRequest(t, url, fmt.Sprintf(postAsJoe+"Content-Length: %d\r\n\r\n", size))
		_, err := io.WriteString(conn, `{"a":"`+strings.Repeat("x", size*33/64))
		require.NoError(t, err)
		go func() {
			if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
				answer.Body.Close()
				answers <- answer.StatusCode
			}
		}()
	}
	for range cap(answers) - 2 {
		require.Equal(t, 503, <-answers)
	}
	large := `{"a":"` + strings.Repeat("x", size/2) + `"}`
	ts.do("POST", "/w", large, as("root")).want(t, 200, "")
	ts.do("POST", "/w", large, as("joe")).want(t, 503, "ResourceTemporaryUnavailable")
	ts.do("POST", "/w", `{}`, as("joe")).want(t, 200, "")
	require.EqualValues(t, cap(answers)-1, counterValue(t, ts.registry, "dapple_http_limit_refusals_total", "limit", "bodies_share"))
}

// What a body is charged is close to what has come and far from what is announced.
func TestBodyIsChargedAsItGrows(t *testing.T) {
	const size = 64 << 20
	ts := writeServer(t, Limits{Stall: time.Hour, BodyTime: time.Hour})
	come := size * 33 / 64
	var charged int64
	ts.do("POST", "/w", "", func(r *http.Request) {
		r.ContentLength = size
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat(" ", come)), readFunc(func([]byte) (int, error) {
			charged = ts.bodies.used.Load()
			return 0, io.ErrUnexpectedEOF
		})))
	})
	require.GreaterOrEqual(t, charged, int64(come))
	require.Less(t, charged, int64(come)*3/2)
	require.Zero(t, ts.bodies.used.Load())
	require.Empty(t, ts.bodyShares.held)
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// A body that comes by drops is cut off, by the least rate or by the time for all of it.
func TestBodyThatDrips(t *testing.T) {
	for name, limits := range map[string]Limits{
		"rate":  {Stall: 2 * time.Second, BodyTime: time.Hour},
		"whole": {Stall: time.Hour, BodyTime: 300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ts := writeServer(t, limits)
			conn := rawRequest(t, ts.serve(), postAsJoe+"Content-Length: 1000000\r\n\r\n{")
			done := make(chan struct{})
			dripping := make(chan struct{})
			go func() {
				defer close(dripping)
				tick := time.NewTicker(20 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-done:
						return
					case <-tick.C:
						if _, err := io.WriteString(conn, " "); err != nil {
							return
						}
					}
				}
			}()
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			close(done)
			<-dripping
			require.NoError(t, err)
			answer.Body.Close()
			require.Equal(t, 503, answer.StatusCode)
			require.True(t, answer.Close)
			require.EqualValues(t, 1, counterValue(t, ts.registry, "dapple_http_limit_refusals_total", "limit", "slow_body"))
		})
	}
}

// A body without an end is read for a while from a client without a token, and not for all that a body may have.
func TestEndlessBodyOfAStranger(t *testing.T) {
	ts := writeServer(t, Limits{})
	conn := rawRequest(t, ts.serve(), "POST /w HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := "10000\r\n" + strings.Repeat(" ", 1<<16) + "\r\n"
	sent := 0
	for ; sent < 1000; sent++ {
		if _, err := io.WriteString(conn, chunk); err != nil {
			break
		}
	}
	require.Less(t, sent<<16, 48<<20, "4 MiB, and what the buffers of two sockets hold")
}

// One account leaves places at the change feed to others.
func TestReadersOfOneAccountLeavePlaces(t *testing.T) {
	ts := newReplicaServer(t, func(c *Config) { c.Limits.FeedReaders = 12 })
	base := ts.serve()
	for range 3 {
		follow(t, base, "").next()
	}
	got := ts.do("GET", "/changes", "").want(t, 503, "ResourceTemporaryUnavailable")
	require.Equal(t, "10", got.Header().Get("Retry-After"))
	ts.do("GET", "/changes?follow=false&since=0", "", as("joe")).want(t, 200, "")
	require.EqualValues(t, 1, counterValue(t, ts.registry, "dapple_http_limit_refusals_total", "limit", "changes_share"))
}
