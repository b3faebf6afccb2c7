package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newNode is a node that answers as told and counts what it is asked.
func newNode(t *testing.T, answer http.HandlerFunc) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

func newClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// refuse answers with an error of the API.
func refuse(status int, class string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ExceptionClass", class)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"ExceptionClass": class, "ExceptionMessage": "because"})
	}
}

func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// blocked answers for an RSE that is switched off.
func blocked(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Dapple-Node", "n1")
	refuse(503, "ResourceTemporaryUnavailable")(w, r)
}

// cutWithin breaks off in the middle of an answer.
func cutWithin(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte(`["s`))
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// TestRepeats: what is repeated at another node, and what is not.
func TestRepeats(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for name, c := range map[string]struct {
		first  http.HandlerFunc // nil for a node that is down
		write  bool
		repeat bool
		is     error
	}{
		"read, node down":      {nil, false, true, nil},
		"write, node down":     {nil, true, true, nil},
		"read, cut off":        {cut, false, true, nil},
		"write, cut off":       {cut, true, false, nil},
		"read, cut within":     {cutWithin, false, true, nil},
		"write, cut within":    {cutWithin, true, false, nil},
		"read, busy":           {refuse(503, "ResourceTemporaryUnavailable"), false, true, nil},
		"write, busy":          {refuse(503, "ResourceTemporaryUnavailable"), true, true, nil},
		"write, blocked":       {blocked, true, false, ErrBlocked},
		"read, timeout":        {refuse(504, "ServiceUnavailable"), false, true, nil},
		"write, unknown":       {refuse(504, "ServiceUnavailable"), true, false, ErrUnknownOutcome},
		"read, not found":      {refuse(404, "RSENotFound"), false, false, ErrNotFound},
		"write, conflict":      {refuse(409, "Duplicate"), true, false, ErrConflict},
		"write, denied":        {refuse(401, "AccessDenied"), true, false, ErrDenied},
		"read, no valid token": {refuse(401, "CannotAuthenticate"), false, false, ErrUnauthenticated},
		"write, invalid":       {refuse(400, "ValueError"), true, false, ErrInvalid},
		"write, broken server": {refuse(500, "RucioException"), true, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			first := closed.URL
			if c.first != nil {
				first, _ = newNode(t, c.first)
			}
			ids := map[string]bool{}
			second, asked := newNode(t, func(w http.ResponseWriter, r *http.Request) {
				ids[r.Header.Get("Idempotency-Key")] = true
				require.Equal(t, c.write, r.Header.Get("Idempotency-Key") != "")
				_, _ = w.Write([]byte(`["s"]`))
			})
			client := newClient(t, Config{URLs: []string{first, second}, Token: "t"})
			var err error
			if c.write {
				err = client.AddScope(t.Context(), "root", "s")
			} else {
				_, err = client.Scopes(t.Context())
			}
			if c.repeat {
				require.NoError(t, err)
				require.EqualValues(t, 1, asked.Load())
				require.Len(t, ids, 1)
				return
			}
			require.Error(t, err)
			require.Zero(t, asked.Load(), "it was sent again")
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
				var answered *Error
				require.ErrorAs(t, err, &answered)
				require.Equal(t, "because", answered.Message)
			}
		})
	}
}

// TestRepeatsWithKey: once a server is known to keep keys, a write whose outcome is unknown is sent again, with the same key.
func TestRepeatsWithKey(t *testing.T) {
	for name, failure := range map[string]http.HandlerFunc{
		"unknown": refuse(504, "ServiceUnavailable"), "cut off": cut, "cut within": cutWithin,
	} {
		t.Run(name, func(t *testing.T) {
			var keys []string
			url, _ := newNode(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Dapple-Node", "n1")
				if r.Method == http.MethodGet {
					_, _ = w.Write([]byte(`["s"]`))
					return
				}
				if keys = append(keys, r.Header.Get("Idempotency-Key")); len(keys) < 3 {
					failure(w, r)
				}
			})
			client := newClient(t, Config{URLs: []string{url}, Token: "t"})
			_, err := client.Scopes(t.Context())
			require.NoError(t, err)
			require.NoError(t, client.AddScope(t.Context(), "root", "s"))
			require.Len(t, keys, 3)
			require.NotEmpty(t, keys[0])
			require.Equal(t, []string{keys[0], keys[0], keys[0]}, keys)
			require.NoError(t, client.AddScope(t.Context(), "root", "s"))
			require.NotEqual(t, keys[0], keys[3], "another request has another key")
		})
	}
}

func TestItGivesUp(t *testing.T) {
	url, asked := newNode(t, refuse(503, "ResourceTemporaryUnavailable"))
	c := newClient(t, Config{URLs: []string{url}, Token: "t", Attempts: 3})
	_, err := c.Scopes(t.Context())
	require.ErrorIs(t, err, ErrBusy)
	require.EqualValues(t, 3, asked.Load())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Scopes(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestTokens(t *testing.T) {
	var logins atomic.Int64
	url, _ := newNode(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/auth/userpass" && r.Header.Get("X-Rucio-Password") == "secret":
			w.Header().Set(headerToken, []string{"old", "new"}[min(logins.Add(1)-1, 1)])
			w.Header().Set("X-Rucio-Auth-Token-Expires", time.Now().UTC().Add(time.Hour).Format(timeLayout))
		case r.Header.Get(headerToken) == "new":
			http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: "c:7"})
			_, _ = w.Write([]byte(`["s"]`))
		default:
			refuse(401, "CannotAuthenticate")(w, r)
		}
	})
	c := newClient(t, Config{URLs: []string{url}, User: "u", Password: "secret"})
	for range 3 { // the first token is refused, the second lasts
		_, err := c.Scopes(t.Context())
		require.NoError(t, err)
	}
	require.EqualValues(t, 2, logins.Load())
	require.Equal(t, "dapple-session=c:7", c.currentSession())
	c.tokens.ends = time.Now() // it ends: another, without asking in vain
	_, err := c.Scopes(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, logins.Load())

	wrong := newClient(t, Config{URLs: []string{url}, User: "u", Password: "guess"})
	_, err = wrong.Scopes(t.Context())
	require.ErrorIs(t, err, ErrUnauthenticated)
	_, err = newClient(t, Config{URLs: []string{url}}).Scopes(t.Context())
	require.ErrorIs(t, err, ErrUnauthenticated)
}

func TestStreams(t *testing.T) {
	url, _ := newNode(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("{\"name\":\"a\"}\n{\"name\":\"b\"}\n"))
		_ = http.NewResponseController(w).Flush()
		if r.URL.Path == "/dids/broken/d/files" {
			panic(http.ErrAbortHandler)
		}
	})
	c := newClient(t, Config{URLs: []string{url}, Token: "t"})
	list := func(scope string, most int) (names []string, err error) {
		for f, err := range c.ListFiles(t.Context(), DIDName{scope, "d"}) {
			if err != nil {
				return names, err
			}
			if names = append(names, f.Name); len(names) == most {
				break
			}
		}
		return names, nil
	}
	names, err := list("whole", 9)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, names)
	names, err = list("whole", 1)
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, names)
	names, err = list("broken", 9)
	require.ErrorContains(t, err, "broke off")
	require.Equal(t, []string{"a", "b"}, names)
}

func TestBadConfiguration(t *testing.T) {
	for _, urls := range [][]string{nil, {"localhost:8080"}, {"ftp://x"}, {"http://"}} {
		_, err := New(Config{URLs: urls})
		require.Error(t, err, urls)
	}
}

// An identity of several accounts is told which, at its login and with a token of its own.
func TestSeveralAccounts(t *testing.T) {
	url, asked := newNode(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Rucio-Account") == "" && r.Header.Get("X-Rucio-Auth-Token") != "own" {
			w.Header().Set("X-Rucio-Auth-Accounts", "eve,joe")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write([]byte(`["eve", "joe"]`))
			return
		}
		w.Header().Set("X-Rucio-Auth-Token", "own")
		_, _ = w.Write([]byte(`{"account": "joe"}`))
	})
	for name, cfg := range map[string]Config{
		"login": {URLs: []string{url}, User: "u", Password: "p"},
		"token": {URLs: []string{url}, Token: "t"},
	} {
		asked.Store(0)
		_, err := newClient(t, cfg).Whoami(t.Context())
		var refusal *Error
		require.ErrorAs(t, err, &refusal, name)
		require.Equal(t, []string{"eve", "joe"}, refusal.Accounts)
		require.ErrorContains(t, err, "set Account to one of eve, joe")
		require.EqualValues(t, 1, asked.Load(), "asking again does not help")
		cfg.Account = "joe"
		me, err := newClient(t, cfg).Whoami(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, "joe", me.Account)
	}
}
