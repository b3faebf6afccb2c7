package system

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
)

// write is a request that changes something, or is refused.
type write struct {
	method, path string
	body         any
	refused      bool
}

// writes are requests of every kind, in an order in which each can be done once and is refused, or counts, when it is done again.
func writes() []write {
	name := func(n string) []any { return []any{map[string]any{"scope": "once", "name": n}} }
	all := map[string]int{"read": 1, "write": 1, "delete": 1}
	files := func(rse, n string) map[string]any { return map[string]any{"rse": rse, "files": name(n)} }
	done := func(method, path string, body any) write { return write{method, path, body, false} }
	return []write{
		done("POST", "/accounts/alice", map[string]any{"type": "USER", "email": "a@example.org"}),
		done("PUT", "/accounts/alice", map[string]any{"email": "b@example.org"}),
		done("POST", "/accounts/alice/attr/country", map[string]any{"value": "xy"}),
		done("DELETE", "/accounts/alice/attr/country", nil),
		done("POST", "/accounts/alice/identities", map[string]any{"identity": "alice", "authtype": "USERPASS", "email": "a@example.org", "password": "pw"}),
		done("DELETE", "/accounts/alice/identities", map[string]any{"identity": "alice", "authtype": "USERPASS"}),
		done("POST", "/accounts/root/scopes/once", nil),
		done("POST", "/rses/ONE", map[string]any{"deterministic": true}),
		done("POST", "/rses/TWO", map[string]any{"deterministic": true}),
		done("POST", "/rses/ONE/attr/tier", map[string]any{"value": "1"}),
		done("DELETE", "/rses/ONE/attr/tier", nil),
		done("POST", "/rses/ONE/protocols/davs", map[string]any{
			"scheme": "davs", "hostname": "s.example", "port": 443, "prefix": "/d", "impl": "x", "domains": map[string]any{"lan": all, "wan": all},
		}),
		done("POST", "/rses/ONE/distances/TWO", map[string]any{"distance": 3}),
		done("DELETE", "/rses/ONE/distances/TWO", nil),
		done("PUT", "/rses/ONE/usage", map[string]any{"source": "storage", "used": 1, "free": 2}),
		done("PUT", "/rses/ONE/limits", map[string]any{"name": "MinFreeSpace", "value": 7}),
		done("DELETE", "/rses/ONE/limits", map[string]any{"name": "MinFreeSpace"}),
		done("POST", "/replicas", registration("ONE", "once", "a", "b", "c")),
		done("POST", "/replicas?on_error=report", map[string]any{"rse": "ONE", "files": []any{
			map[string]any{"scope": "once", "name": "a", "bytes": 11}, map[string]any{"scope": "once", "name": "d", "bytes": 10},
		}}),
		done("PUT", "/replicas", map[string]any{"rse": "ONE", "files": []any{map[string]any{"scope": "once", "name": "a", "state": "U"}}}),
		done("POST", "/dids/once/set", map[string]any{"type": "DATASET"}),
		done("POST", "/dids/once/set/dids", map[string]any{"dids": name("a")}),
		done("POST", "/dids/once/set/meta", map[string]any{"meta": map[string]any{"project": "p"}}),
		done("DELETE", "/dids/once/set/dids", map[string]any{"dids": name("a")}),
		done("PUT", "/dids/once/set/status", map[string]any{"open": false}),
		done("POST", "/replicas/suspicious", map[string]any{"pfns": []string{"davs://unknown.example/x"}, "reason": "r"}),
		done("POST", "/replicas/bad", map[string]any{"replicas": []any{map[string]any{"scope": "once", "name": "b", "rse": "ONE"}}, "reason": "r"}),
		done("POST", "/replicas/tombstone", map[string]any{"replicas": []any{map[string]any{"scope": "once", "name": "c", "rse": "ONE"}}}),
		done("DELETE", "/replicas", files("ONE", "c")),
		{"DELETE", "/replicas", files("ONE", "c"), true}, // gone already
		done("DELETE", "/rses/TWO", nil),
		done("DELETE", "/accounts/alice", nil),
	}
}

// TestEveryWriteIsRepeated sends each write three times with one key, each time to another node.
func TestEveryWriteIsRepeated(t *testing.T) {
	t.Parallel()
	c := testcluster.Start(t, 3, withPassword)
	nodes := clientsOf(t, c)
	for i, w := range writes() {
		key := fmt.Sprint("key-", i)
		status, body, err := nodes[i%3].once(key).do(t.Context(), w.method, w.path, w.body)
		require.NoError(t, err)
		if w.refused {
			require.Equal(t, http.StatusNotFound, status, "%s %s: %s", w.method, w.path, body)
		} else {
			require.Less(t, status, 300, "%s %s: %s", w.method, w.path, body)
		}
		for n := 1; n < 3; n++ {
			again, same, err := nodes[(i+n)%3].once(key).do(t.Context(), w.method, w.path, w.body)
			require.NoError(t, err)
			require.Equal(t, status, again, "%s %s: %s, then %s", w.method, w.path, body, same)
			require.Equal(t, string(body), string(same), "%s %s", w.method, w.path)
		}
		status, body, err = nodes[i%3].once(key).do(t.Context(), http.MethodPost, "/accounts/root/scopes/other", nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusUnprocessableEntity, status, "the key is another request's: %s", body)
	}
	// What is no write of the catalogue does not become one by a key.
	status, _, err := nodes[0].once("digest").do(t.Context(), http.MethodHead, "/cluster/digest", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	for _, bad := range []string{"with space", "\x7f", string(make([]byte, 300))} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, nodes[0].base+"/accounts/root/scopes/other", nil)
		require.NoError(t, err)
		request.Header["Idempotency-Key"] = []string{bad}
		request.Header.Set("X-Rucio-Auth-Token", nodes[0].token)
		if response, err := nodes[0].http.Do(request); err == nil { // Go's client refuses some of them itself
			require.Equal(t, http.StatusBadRequest, response.StatusCode)
			require.NoError(t, response.Body.Close())
		}
	}
}

// clientsOf logs root in and returns a client for each node.
func clientsOf(t *testing.T, c *testcluster.Cluster) []*client {
	t.Helper()
	var all []*client
	for _, url := range c.URLs() {
		first := newClient(url, "")
		if len(all) > 0 {
			first.token = all[0].token
		} else {
			first.logIn(t)
		}
		all = append(all, first)
	}
	return all
}

const (
	repeats     = 1000
	repeatKills = 4
)

// TestOneKeyOneEffect sends one write a thousand times with one key through all nodes while their leader is killed again and again:
// it takes effect once, and whoever gets an answer gets the same. A declaration of a suspicious replica counts each time that it
// is done; the report that comes with it would show a second registration.
func TestOneKeyOneEffect(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	root := login(t, c.nodes[0])
	root.prepare(t, loadScope, loadRSE)
	root.must(t, http.MethodPost, "/replicas", registration(loadRSE, loadScope, "file"), 201)
	declare := map[string]any{"pfns": []string{loadPFN("file")}, "reason": "once"}

	s := &repeated{answers: map[string]int{}}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var senders sync.WaitGroup
	for i, p := range c.nodes {
		for range 2 {
			node := root.at(p).once("the-key")
			senders.Go(func() { s.send(ctx, node, declare, i) })
		}
	}
	for kill := range repeatKills {
		require.Eventually(t, func() bool { return s.sent.Load() >= int64((kill+1)*repeats/(repeatKills+2)) }, time.Minute, 5*time.Millisecond)
		leader := c.leader(root, c.nodes...)
		leader.kill()
		leader.start()
		c.waitReady(leader)
	}
	senders.Wait()
	t.Logf("%d requests, %d without an answer that tells, answers: %v", s.sent.Load(), s.untold.Load(), s.answers)
	require.Len(t, s.answers, 1, "all answers are the same")
	for answer := range s.answers {
		require.Contains(t, answer, "201")
	}
	for _, p := range c.nodes {
		rows := root.at(p).suspicious(t)
		require.Equal(t, []suspicious{{"file", 1}}, rows, "on %s", p.name)
	}
	c.requireEqualDigests(root)
}

// repeated gathers what one write was answered.
type repeated struct {
	sent, untold atomic.Int64
	mu           sync.Mutex
	answers      map[string]int
}

// send sends the write until all together have been sent often enough and the last one is answered.
func (s *repeated) send(ctx context.Context, c *client, body any, seed int) {
	pause := time.NewTicker(time.Duration(10+seed) * time.Millisecond)
	defer pause.Stop()
	for told := false; ctx.Err() == nil && (!told || s.sent.Load() < repeats); <-pause.C {
		s.sent.Add(1)
		status, answer, err := c.do(ctx, http.MethodPost, "/replicas/suspicious", body)
		told = err == nil && status != http.StatusServiceUnavailable && status != http.StatusGatewayTimeout
		if !told {
			s.untold.Add(1)
			continue
		}
		s.mu.Lock()
		s.answers[fmt.Sprintf("%d %s", status, answer)]++
		s.mu.Unlock()
	}
}
