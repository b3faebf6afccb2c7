package cluster

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"dapple/command"
)

func testStore(t *testing.T, dir string) *logStore {
	t.Helper()
	s, err := openLogStore(dir, prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x"}))
	require.NoError(t, err)
	return s
}

// The lowest unanswered number is compared with a naive model, over random answers in any order.
func TestSessionAgainstModel(t *testing.T) {
	s, err := newSession()
	require.NoError(t, err)
	open := map[uint64]bool{}
	next := uint64(1)
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		if len(open) < 50 && r.IntN(2) == 0 {
			require.Equal(t, next, s.begin())
			open[next] = true
			next++
		} else {
			seq := r.Uint64N(next + 2) // also ones that are answered already, and ones never begun
			s.end(seq)
			delete(open, seq)
		}
		want := next
		for seq := range open {
			want = min(want, seq)
		}
		require.Equal(t, want, s.lowestOpen())
	}
	require.Less(t, len(s.ended), maxOpen)
}

func TestSessionIsFull(t *testing.T) {
	s, err := newSession()
	require.NoError(t, err)
	first := s.begin()
	for range maxOpen - 2 {
		s.end(s.begin())
	}
	require.False(t, s.full())
	s.end(s.begin())
	require.True(t, s.full())
	s.end(first)
	require.False(t, s.full())
	require.Empty(t, s.ended)
}

func ownProposal(t *testing.T, q *queue, size int) *proposal {
	t.Helper()
	p := newProposal(t.Context(), command.Command{Type: command.TypeAddScope, Payload: make([]byte, size)})
	require.Nil(t, q.add(p))
	return p
}

func TestProposalOutcomes(t *testing.T) {
	notLeader, full := errorf(command.CodeNotLeader, "no"), errorf(command.CodeQueueFull, "full")
	deadline := errorf(command.CodeDeadline, "late")
	send := func(p *proposal, s *session) { p.prepare(s) }
	cases := map[string]struct {
		do   func(p *proposal, s *session) bool // what the last step returns
		want command.Code                       // of the error, CodeOK for a result; ignored where it goes on
		on   bool                               // it is to be sent again
	}{
		"answered":        {func(p *proposal, s *session) bool { send(p, s); a, _ := p.answered(command.Result{}); return a }, command.CodeOK, false},
		"never sent":      {func(p *proposal, s *session) bool { p.giveUp(deadline, nil); return false }, command.CodeDeadline, false},
		"sent, no answer": {func(p *proposal, s *session) bool { send(p, s); p.giveUp(deadline, nil); return false }, command.CodeUnknownOutcome, false},
		"surely not done, then late": {func(p *proposal, s *session) bool {
			send(p, s)
			p.bounced(true, notLeader)
			p.giveUp(deadline, nil)
			return false
		}, command.CodeDeadline, false},
		"unknown once, sure once": {func(p *proposal, s *session) bool {
			send(p, s)
			p.bounced(false, notLeader)
			send(p, s)
			p.bounced(true, notLeader)
			p.giveUp(deadline, nil)
			return false
		}, command.CodeUnknownOutcome, false},
		"leader's queue is full": {func(p *proposal, s *session) bool { send(p, s); return p.bounced(true, full) }, command.CodeQueueFull, false},
		"full, but sent before": {func(p *proposal, s *session) bool {
			send(p, s)
			p.bounced(false, notLeader)
			send(p, s)
			return p.bounced(true, full)
		}, 0, true},
		"not leader": {func(p *proposal, s *session) bool { send(p, s); return p.bounced(true, notLeader) }, 0, true},
		"session unknown, first copy": {func(p *proposal, s *session) bool {
			send(p, s)
			a, _ := p.answered(command.Result{Code: command.CodeSessionUnknown})
			return a
		}, 0, true},
		"session unknown, sent twice": {func(p *proposal, s *session) bool {
			send(p, s)
			p.bounced(false, notLeader)
			send(p, s)
			a, _ := p.answered(command.Result{Code: command.CodeSessionUnknown})
			return a
		}, command.CodeUnknownOutcome, false},
		"too large": {func(p *proposal, s *session) bool {
			send(p, s)
			return p.bounced(true, errorf(command.CodeTooLarge, "big"))
		}, command.CodeTooLarge, false},
		"forwarded, leadership lost": {func(p *proposal, s *session) bool { send(p, s); return p.bounced(false, notLeader) }, command.CodeUnknownOutcome, false},
		"forwarded, not leader":      {func(p *proposal, s *session) bool { send(p, s); return p.bounced(true, notLeader) }, command.CodeNotLeader, false},
		"forwarded, session unknown": {func(p *proposal, s *session) bool {
			send(p, s)
			a, _ := p.answered(command.Result{Code: command.CodeSessionUnknown})
			return a
		}, command.CodeOK, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			q := newQueue(10, 1<<20)
			s, err := newSession()
			require.NoError(t, err)
			propose := ownProposal
			if strings.HasPrefix(name, "forwarded") {
				propose = func(t *testing.T, q *queue, _ int) *proposal { return forwardedProposal(t, q, 1) }
			}
			p := propose(t, q, 10)
			require.Equal(t, c.on, c.do(p, s))
			require.Equal(t, c.on, !p.over())
			if c.on {
				return
			}
			_, failure := p.outcome()
			if failure == nil {
				failure = &Error{}
			}
			require.Equal(t, c.want, failure.Code, failure.Message)
			require.Equal(t, s.next, s.lowestOpen(), "its number is still open")
			require.Zero(t, q.all.load(), "it still counts")
			require.Zero(t, q.own.load(), "it still counts")
		})
	}
}

// After its session was lost, a command that did nothing is numbered anew; one that may have been done is not.
func TestProposalChangesSession(t *testing.T) {
	q := newQueue(10, 1<<20)
	first, err := newSession()
	require.NoError(t, err)
	second, err := newSession()
	require.NoError(t, err)
	p := ownProposal(t, q, 1)
	c, ok := p.prepare(first)
	require.True(t, ok)
	require.Equal(t, first.id, c.Session)
	again, lost := p.answered(command.Result{Code: command.CodeSessionUnknown})
	require.True(t, again)
	require.Same(t, first, lost)
	c, ok = p.prepare(second)
	require.True(t, ok)
	require.Equal(t, second.id, c.Session)
	p.bounced(false, errorf(command.CodeNotLeader, "lost"))
	c, ok = p.prepare(first)
	require.True(t, ok)
	require.Equal(t, second.id, c.Session, "a copy under the second session may have been done")
}

func TestQueueLimitsAndTurns(t *testing.T) {
	q := newQueue(3, 1000)
	big := ownProposal(t, q, 5000) // alone it is taken in
	late := newProposal(t.Context(), command.Command{Payload: make([]byte, 10)})
	require.Equal(t, command.CodeQueueFull, q.add(late).Code)
	big.giveUp(errorf(command.CodeDeadline, "late"), nil)
	own := []*proposal{ownProposal(t, q, 10), ownProposal(t, q, 10)}
	forwarded := newProposal(t.Context(), command.Command{Payload: make([]byte, 10)})
	forwarded.forwarded = true
	require.Nil(t, q.add(forwarded))
	require.Equal(t, command.CodeQueueFull, q.add(late).Code)

	require.Equal(t, []*proposal{big, forwarded, own[0], own[1]}, q.take(10, 1<<20, true))
	q.again(own)
	require.Empty(t, q.take(10, 1<<20, false), "own ones are not to be taken")
	require.Equal(t, own[:1], q.take(10, own[0].size+1, true), "the second does not fit")
	require.Equal(t, own[1:], q.take(1, 0, true), "one alone always fits")
}

func TestEncodeGroupSplits(t *testing.T) {
	noise := func(n int) []byte {
		b := make([]byte, n)
		r := rand.NewChaCha8([32]byte{})
		_, _ = r.Read(b)
		return b
	}
	command1 := func(payload []byte) command.Command {
		return command.Command{Type: command.TypeAddScope, Payload: payload}
	}
	c := clock{}
	entries := encodeGroup(c.stamp, []command.Command{
		command1([]byte("a")), command1(noise(3 << 20)), command1(noise(1 << 20)), command1(noise(3 << 19)), command1([]byte("b")),
	})
	count, failed := 0, 0
	var last int64
	for _, e := range entries {
		if e.err != nil {
			require.Equal(t, command.CodeTooLarge, e.err.Code)
			require.Equal(t, 1, count, "it is the second")
			failed++
		} else {
			decoded, err := command.DecodeEntry(e.data)
			require.NoError(t, err)
			require.Len(t, decoded.Commands, e.count)
			require.Greater(t, decoded.Time, last)
			last = decoded.Time
		}
		count += e.count
	}
	require.Equal(t, 5, count)
	require.Equal(t, 1, failed)
}

func TestWire(t *testing.T) {
	commands := []command.Command{{Type: 10, Seq: 3, Lowest: 2, Issuer: "root", Payload: []byte("x")}, {Type: 11, Payload: []byte{}}}
	b := encodeCommands(commands)
	decoded, err := decodeCommands(b)
	require.NoError(t, err)
	require.Equal(t, commands, decoded)
	all := []proposed{{result: command.Result{Code: 5, Index: 9, Message: "m", Payload: []byte("p")}}, {err: errorf(command.CodeQueueFull, "full")}}
	a := encodeProposed(all)
	back, err := decodeProposed(a)
	require.NoError(t, err)
	require.Equal(t, all, back)
	for i := range b {
		_, err := decodeCommands(b[:i])
		require.Error(t, err, "%d bytes", i)
	}
	for i := range a {
		_, err := decodeProposed(a[:i])
		require.Error(t, err, "%d bytes", i)
	}
	_, err = decodeCommands(append(b, 0))
	require.ErrorIs(t, err, errWire)
}

func FuzzWire(f *testing.F) {
	f.Add(encodeCommands([]command.Command{{Type: 10, Payload: []byte("x")}}))
	f.Add(encodeProposed([]proposed{{err: errorf(command.CodeQueueFull, "full")}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := decodeCommands(b); err == nil {
			again, err := decodeCommands(encodeCommands(c))
			require.NoError(t, err)
			require.Equal(t, c, again)
		}
		_, _ = decodeProposed(b)
	})
}

func TestClockNeverRepeats(t *testing.T) {
	c := clock{last: time.Now().Add(time.Hour).UnixMicro()}
	a, b := c.stamp(), c.stamp()
	require.Greater(t, b, a)
	require.Greater(t, a, time.Now().UnixMicro())
}

func TestEntriesFor(t *testing.T) {
	require.EqualValues(t, 8192, entriesFor(512<<20, 0))
	require.EqualValues(t, 262144, entriesFor(512<<20, 1024))
	require.EqualValues(t, 1<<20, entriesFor(512<<20, 100))
	require.EqualValues(t, 1024, entriesFor(512<<20, 2<<20))
}

func TestLogStoreMeasures(t *testing.T) {
	s := testStore(t, t.TempDir())
	defer func() { require.NoError(t, s.close()) }()
	for i := range 1500 {
		require.NoError(t, s.StoreLog(&raft.Log{Index: uint64(i + 1), Data: make([]byte, 936)}))
	}
	require.InDelta(t, 1000, s.meanEntry(), 10)
	require.Zero(t, s.stuck())
	term, err := s.term()
	require.NoError(t, err)
	require.Zero(t, term)
}

type listed struct {
	raft.DiscardSnapshotStore
	index uint64
}

func (l *listed) List() ([]*raft.SnapshotMeta, error) {
	if l.index == 0 {
		return nil, nil
	}
	return []*raft.SnapshotMeta{{Index: l.index}}, nil
}

func TestLogMustFollowState(t *testing.T) {
	s := testStore(t, t.TempDir())
	defer func() { require.NoError(t, s.close()) }()
	require.NoError(t, checkLog(s, &listed{}))
	require.NoError(t, s.StoreLog(&raft.Log{Index: 10}))
	require.ErrorContains(t, checkLog(s, &listed{}), "begins at index 10")
	require.ErrorContains(t, checkLog(s, &listed{index: 8}), "ends at 8")
	require.NoError(t, checkLog(s, &listed{index: 9}))
}

func TestMetaRoundTrip(t *testing.T) {
	dir := t.TempDir()
	_, err := loadMeta(dir)
	require.ErrorIs(t, err, errNoMeta)
	m, err := newMeta("a")
	require.NoError(t, err)
	m.Cluster, m.Forming, m.Started = "00112233445566778899aabbccddeeff", 3, true
	require.NoError(t, saveMeta(dir, m))
	got, err := loadMeta(dir)
	require.NoError(t, err)
	require.Equal(t, m, got)
	id := got.clusterID()
	require.Equal(t, m.Cluster, hex.EncodeToString(id[:]))
}

// asTheyAre leaves Raft's messages at their levels.
func asTheyAre(level slog.Level, _ string, _ []any) slog.Level { return level }

func TestRaftLogger(t *testing.T) {
	var out bytes.Buffer
	l := newRaftLogger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo})), asTheyAre).Named("net").With("peer", "b")
	l.Debug("hidden")
	l.Warn("shown", "error", errors.New("broken"), "servers", hclog.Fmt("%+v", []int{1}))
	require.NotContains(t, out.String(), "hidden")
	for _, part := range []string{"level=WARN", "msg=shown", "peer=b", "error=broken", "servers=[1]", "component=raft"} {
		require.Contains(t, out.String(), part)
	}
	require.False(t, l.IsDebug())
	require.Equal(t, hclog.Info, l.GetLevel())
}

func TestMetricsLint(t *testing.T) {
	f := newFleet(t, "a")
	f.startAll()
	f.add("a", "x")
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(f.nodes["a"].Collectors()...)
	families, err := r.Gather()
	require.NoError(t, err)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
	values := map[string]float64{}
	for _, m := range families {
		values[m.GetName()] = m.GetMetric()[0].GetGauge().GetValue() + m.GetMetric()[0].GetCounter().GetValue()
	}
	require.EqualValues(t, 1, values["dapple_raft_is_leader"])
	require.EqualValues(t, 1, values["dapple_cluster_proposals_total"])
	require.Contains(t, values, "dapple_raft_log_store_seconds")
}

func TestCodeOf(t *testing.T) {
	require.Equal(t, command.CodeOK, CodeOf(nil))
	require.Equal(t, command.CodeInternal, CodeOf(context.Canceled))
	wrapped := &Error{Code: command.CodeDeadline, Message: "late", Err: context.DeadlineExceeded}
	require.Equal(t, command.CodeDeadline, CodeOf(errors.Join(errors.New("x"), wrapped)))
	require.ErrorIs(t, wrapped, context.DeadlineExceeded)
}
