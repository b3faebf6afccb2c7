package bench

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// fakeServer is a server that takes everything but what a test decides.
type fakeServer struct {
	*httptest.Server
	logins atomic.Int64
}

// newFakeServer starts a server whose answers are 200 or what the handler writes; logins are answered.
func newFakeServer(t *testing.T, handle http.HandlerFunc) *fakeServer {
	t.Helper()
	f := &fakeServer{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth/userpass" {
			f.logins.Add(1)
			w.Header().Set(headerToken, "token")
			w.Header().Set("X-Rucio-Auth-Token-Expires", time.Now().Add(time.Hour).UTC().Format("Mon, 02 Jan 2006 15:04:05 UTC"))
			return
		}
		if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/dids/") {
			_, _ = w.Write([]byte("{}"))
			return
		}
		handle(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeServer) config(workload string) Config {
	return Config{Targets: []string{f.URL}, User: "u", Password: "p", Workload: workload, Clients: 1, Batch: 2, Files: 200, RSEs: 2, Requests: 3}
}
