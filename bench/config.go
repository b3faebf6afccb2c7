// Package bench drives a server of Rucio's REST API with a workload and reports how fast it answered. It knows the API alone, so
// that it measures Dapple and Rucio alike, and it is frugal: often it shares its processors with the servers.
package bench

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config says what to run against whom. Targets, User, Password and Workload are required, and one of Duration and Requests.
type Config struct {
	// Targets are base URLs, http://host:port; the clients spread over them in turn.
	Targets []string
	// User and Password log in for Account.
	User, Password, Account string
	// Workload is one of Workloads.
	Workload string
	// Clients is how many connections there are, each with one request at a time: 8.
	Clients int
	// Batch is the number of items in a request of a bulk workload; Files how many files setup registers. 0 is the workload's own.
	Batch, Files int
	// RSEs is the number of storage elements that the files are spread over: 10.
	RSEs int
	// Warmup runs before Duration and is not reported.
	Duration, Warmup time.Duration
	// Requests ends the run after so many, those of the warm-up among them. 0 is no such bound, and then Duration is the bound.
	Requests int64
	// Rate is how many requests a second are started, by all clients together. 0 is a closed loop: each client sends its next
	// request when it has the answer to the last.
	Rate float64
	// Lateness is how late a request of a fixed rate may begin: one that no client was free for by then is never sent, so that latency
	// does not grow with the run where the servers cannot keep up. 0 is no bound.
	Lateness time.Duration
	// Progress, where it is set, is told now and then how much of a stage is done, from 0 to 1. It is never called twice at a time.
	Progress func(stage string, part float64)
}

// maxDuration bounds a run that is bounded by a number of requests.
const maxDuration = time.Hour

// withDefaults returns the configuration with all that was left out, or says what is wrong with it.
func (c Config) withDefaults() (Config, workload, error) {
	w, ok := workloads[c.Workload]
	if !ok {
		return c, w, fmt.Errorf("no workload %q: there are %s", c.Workload, strings.Join(Workloads(), ", "))
	}
	c.Targets = slices.Clone(c.Targets)
	for i, target := range c.Targets {
		u, err := url.Parse(target)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return c, w, fmt.Errorf("target %q is no base URL", target)
		}
		c.Targets[i] = strings.TrimRight(target, "/")
	}
	if c.Duration == 0 && c.Requests > 0 {
		c.Duration = maxDuration
	}
	c.Account = cmp.Or(c.Account, "root")
	c.Clients, c.RSEs = cmp.Or(c.Clients, 8), cmp.Or(c.RSEs, 10)
	c.Batch, c.Files = cmp.Or(c.Batch, w.batch), cmp.Or(c.Files, w.files)
	if w.batch <= 1 {
		c.Batch = w.batch
	}
	if w.files == 0 {
		c.Files = 0
	}
	return c, w, c.check(w)
}

func (c Config) check(w workload) error {
	switch {
	case len(c.Targets) == 0:
		return fmt.Errorf("no target")
	case c.Clients < 1 || c.Clients > 10000:
		return fmt.Errorf("clients must be 1 to 10000, not %d", c.Clients)
	case c.Duration <= 0 || c.Warmup < 0 || c.Requests < 0 || c.Rate < 0 || c.Lateness < 0:
		return fmt.Errorf("duration must be positive, or a number of requests given; warm-up, rate and lateness must not be negative")
	case c.RSEs < w.replicas || c.RSEs > 9999:
		return fmt.Errorf("RSEs must be %d to 9999, not %d", w.replicas, c.RSEs)
	case c.Batch < 0 || c.Files < 0 || c.Files > 100_000_000:
		return fmt.Errorf("batch and files must not be negative, and files at most 100 million")
	case w.files > 0 && c.Files < max(w.least, w.inOrder(c.Batch)):
		return fmt.Errorf("%s needs at least %d files, not %d", c.Workload, max(w.least, w.inOrder(c.Batch)), c.Files)
	}
	return nil
}
