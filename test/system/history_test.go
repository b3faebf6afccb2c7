package system

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// checkTime bounds the search for an order of a history; a search that takes longer fails the test.
const checkTime = time.Minute

// registerInput is a write of a value to a register, or a read where the value is 0. The output of a read is an int64.
type registerInput struct {
	register string
	value    int64
}

// registers are independent of each other, and 0 at the beginning.
var registers = porcupine.Model{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		place := map[string]int{}
		for _, o := range history {
			name := o.Input.(registerInput).register
			if _, known := place[name]; !known {
				place[name], parts = len(parts), append(parts, nil)
			}
			parts[place[name]] = append(parts[place[name]], o)
		}
		return parts
	},
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		if value := input.(registerInput).value; value != 0 {
			return true, value
		}
		return output == state, state
	},
}

// history gathers operations with the times between which they took effect.
type history struct {
	mu    sync.Mutex
	start time.Time
	all   []porcupine.Operation
	// gaveUp counts requests whose client did not wait for an answer any longer.
	gaveUp atomic.Int64
}

func (h *history) now() int64 { return int64(time.Since(h.start)) }

func (h *history) add(client int, input registerInput, output any, call, back int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, porcupine.Operation{ClientId: client, Input: input, Output: output, Call: call, Return: back})
}

// operationsBetween is how many operations end between two cuts, at least.
const operationsBetween = 60

// awaitMore waits until so many more operations have ended.
func (h *history) awaitMore(t *testing.T, more int) {
	t.Helper()
	count := func() int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.all)
	}
	want := count() + more
	require.Eventually(t, func() bool { return count() >= want }, patience, 5*time.Millisecond, "the operations stand still")
}

// TestHistoryIsLinearizable writes and reads a few registers on all nodes while nodes are cut off, and looks for an order of all that
// each client was told. A write of unknown outcome may take effect at any time after it was sent, or never.
func TestHistoryIsLinearizable(t *testing.T) {
	t.Parallel()
	c := newCutCluster(t)
	l := &readLoad{t: t, nodes: c.nodes, rounds: 1}
	c.nodes[0].must(t, http.MethodPost, "/accounts/root/scopes/"+loadScope, nil, 201)
	var all []*register
	for range 4 {
		all = append(all, l.newRegister())
	}
	cuts := 6
	if testing.Short() {
		cuts = 2
	}
	h := &history{start: time.Now()}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for id := range 12 {
		clients.Go(func() {
			for i := 1; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				r := all[rand.IntN(len(all))]
				if rand.IntN(2) == 0 {
					h.write(l, id, r, int64(id*1_000_000+i))
				} else {
					h.read(l, id, r)
				}
			}
		})
	}
	for i := range cuts {
		leader, follower := c.leader()
		if i%3 == 2 {
			leader = follower
		}
		before := h.gaveUp.Load()
		c.isolate(leader, func() {
			if i%2 == 0 {
				require.Eventually(t, func() bool { return h.gaveUp.Load() > before }, patience, 5*time.Millisecond, "no client gives up")
			}
		})
		h.awaitMore(t, operationsBetween)
	}
	close(stop)
	clients.Wait()
	open := 0
	for _, o := range h.all {
		if o.Return == math.MaxInt64 {
			open++
		}
	}
	t.Logf("%d operations, %d of unknown outcome", len(h.all), open)
	require.GreaterOrEqual(t, len(h.all), cuts*operationsBetween)
	require.Equal(t, porcupine.Ok, porcupine.CheckOperationsTimeout(registers, h.all, checkTime))
}

func (h *history) write(l *readLoad, id int, r *register, value int64) {
	call := h.now()
	got, err := l.ask(l.node(), http.MethodPost, r.path()+"/project", fmt.Sprintf(`{"value": "%d"}`, value), nil)
	if err != nil {
		h.gaveUp.Add(1)
	}
	switch {
	case err != nil || got.status == http.StatusGatewayTimeout:
		h.add(id, registerInput{r.name, value}, nil, call, math.MaxInt64)
	case got.status == http.StatusCreated:
		h.add(id, registerInput{r.name, value}, nil, call, h.now())
	case got.status != http.StatusServiceUnavailable: // which says that nothing was done
		l.t.Errorf("write: %d %s", got.status, got.body)
	}
}

func (h *history) read(l *readLoad, id int, r *register) {
	call := h.now()
	got, err := l.ask(l.node(), http.MethodGet, r.path(), "", http.Header{"X-Dapple-Consistency": {"linearizable"}})
	switch {
	case err != nil:
		h.gaveUp.Add(1)
	case got.status == http.StatusOK:
		h.add(id, registerInput{r.name, 0}, got.value, call, h.now())
	case got.status != http.StatusServiceUnavailable:
		l.t.Errorf("read: %d %s", got.status, got.body)
	}
}

// What the check is for: it finds a read that is too old, and lets an unknown write come late.
func TestTheCheckOfHistories(t *testing.T) {
	var h history
	write, read := registerInput{"r", 7}, registerInput{"r", 0}
	h.add(1, write, nil, 10, math.MaxInt64)
	h.add(2, read, int64(0), 20, 30)
	h.add(2, read, int64(7), 40, 50)
	require.Equal(t, porcupine.Ok, porcupine.CheckOperationsTimeout(registers, h.all, checkTime))
	h.add(3, read, int64(0), 60, 70)
	require.Equal(t, porcupine.Illegal, porcupine.CheckOperationsTimeout(registers, h.all, checkTime))
}
