package httpapi

import (
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// atOnce runs n requests at the same time and returns how often each status came back.
func atOnce(n int, request func(i int) int) map[int]int {
	var all sync.WaitGroup
	statuses := make([]int, n)
	for i := range n {
		all.Go(func() { statuses[i] = request(i) })
	}
	all.Wait()
	counts := map[int]int{}
	for _, status := range statuses {
		counts[status]++
	}
	return counts
}

func (ts *testServer) login(address, user, secret string) int {
	from := func(r *http.Request) { r.RemoteAddr = address + ":1" }
	return ts.do("GET", "/auth/userpass", "", credentials("", user, secret), from).Code
}

// Guesses that are sent together are counted as those one after the other.
func TestGuessesAtTheSameTime(t *testing.T) {
	ts := newAuthServer(t, func(c *Config) { c.Limits.LoginFailures, c.Limits.Wait = 1, time.Minute })
	got := atOnce(33, func(int) int { return ts.login("1.1.1.1", "ddmlab", "wrong") })
	require.Equal(t, map[int]int{401: 1, 503: 32}, got)
	require.EqualValues(t, 32, counterValue(t, ts.registry, "dapple_http_limit_refusals_total", "limit", "login"))
}

// Good logins at the same time all succeed, however few failures are allowed.
func TestGoodLoginsAtTheSameTime(t *testing.T) {
	ts := newAuthServer(t, func(c *Config) { c.Limits.LoginFailures, c.Limits.Wait = 1, time.Minute })
	require.Equal(t, map[int]int{200: 12}, atOnce(12, func(int) int { return ts.login("1.1.1.1", "ddmlab", "secret") }))
	require.Zero(t, ts.loginLimit.seen.Len(), "nothing is kept of what succeeded")
}

// Once a source has failed too often, each user behind it may fail once per interval, and good logins go on.
func TestGuessesBehindASharedAddress(t *testing.T) {
	ts := newAuthServer(t, func(c *Config) { c.Limits.LoginFailures = 2 })
	now := time.Now()
	ts.loginLimit.now = func() time.Time { return now }
	for i := range 40 {
		require.Equal(t, 401, ts.login("3.3.3.3", "user"+strconv.Itoa(i), "wrong"))
	}
	for range 3 {
		require.Equal(t, 200, ts.login("3.3.3.3", "ddmlab", "secret"))
	}
	require.Equal(t, 401, ts.login("3.3.3.3", "another", "wrong"))
	require.Equal(t, 503, ts.login("3.3.3.3", "another", "wrong"), "of two that it may have elsewhere")
	require.Equal(t, 401, ts.login("4.4.4.4", "another", "wrong"))
	require.Equal(t, 401, ts.login("4.4.4.4", "another", "wrong"))
	require.Equal(t, 503, ts.login("4.4.4.4", "another", "wrong"))
	now = now.Add(6 * time.Second)
	require.Equal(t, 401, ts.login("3.3.3.3", "another", "wrong"))
	require.Equal(t, 503, ts.login("3.3.3.3", "another", "wrong"))
}

// A client that may make no identities has no password hashed, and new passwords never keep anybody from logging in.
func TestNewPasswordsDoNotStopLogins(t *testing.T) {
	ts := newAuthServer(t, func(c *Config) { c.Limits.Wait = 50 * time.Millisecond })
	ts.command(command.TypeAddAccount, &command.AddAccount{Name: "ann", Type: "USER"})
	joe, root := ts.token("joe"), ts.token("root")
	for i := range cap(ts.hashGate.turns) {
		require.NoError(t, ts.hashGate.enter(t.Context(), strconv.Itoa(i)))
	}
	add := func(token string) int {
		return ts.do("PUT", "/identities/ann/userpass", "", bearing(token), header("X-Rucio-Username", "ann"),
			header("X-Rucio-Password", "a long enough one"), header("X-Rucio-Email", "a@b.c")).Code
	}
	index := ts.store.AppliedIndex()
	require.Equal(t, map[int]int{401: 60}, atOnce(60, func(int) int { return add(joe) }), "permission comes first")
	require.Equal(t, index, ts.store.AppliedIndex(), "and writes nothing to the log")
	require.Equal(t, 503, add(root), "there is no turn")
	ts.limits.Wait = time.Minute
	require.Equal(t, 200, ts.login("1.1.1.1", "ddmlab", "secret"))
	ts.hashGate.leave("0")
	require.Equal(t, 201, add(root))
}

// One source takes at most half of the places at the password check.
func TestOneSourceLeavesLoginsToOthers(t *testing.T) {
	ts := newAuthServer(t, func(c *Config) { c.Limits.Logins, c.Limits.Wait = 4, time.Minute })
	most := int(ts.gate.clients.most)
	for range most {
		require.True(t, ts.gate.clients.take("1.1.1.1", 1))
	}
	require.Equal(t, 503, ts.login("1.1.1.1", "ddmlab", "secret"))
	require.Equal(t, 200, ts.login("2.2.2.2", "ddmlab", "secret"))
	require.EqualValues(t, 1, counterValue(t, ts.registry, "dapple_http_limit_refusals_total", "limit", "login_queue"))
}

// A permission that this node has not seen yet counts: a refusal is confirmed on a state that is not old.
func TestRefusalIsConfirmed(t *testing.T) {
	ahead := newAuthServer(t)
	behind := newAuthServer(t, func(c *Config) { c.Limits.Wait = time.Minute })
	joe := behind.token("joe")
	ahead.command(command.TypeSetAccountAttribute, &command.SetAccountAttribute{Account: "joe", Key: "admin", Value: "true"})
	ahead.store.advance(100)
	behind.fresh.index = 100
	done := make(chan answer)
	go func() {
		done <- behind.do("PUT", "/identities/joe/userpass", "", bearing(joe), header("X-Rucio-Username", "new"),
			header("X-Rucio-Password", "a long enough one"), header("X-Rucio-Email", "a@b.c"))
	}()
	behind.store.awaitWaiter(t)
	behind.store.adopt(ahead.store)
	(<-done).want(t, 201, "")
}
