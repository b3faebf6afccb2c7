package cluster

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"dapple/command"
	"dapple/transport/transporttest"
)

// A caller that comes while a round runs gets the outcome of the next one, which all such callers share.
func TestRoundsAreSharedByThoseWhoCameBefore(t *testing.T) {
	r := newRounds()
	began, finish := make(chan struct{}), make(chan uint64)
	var callers []int
	var runner sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	runner.Go(func() {
		r.run(ctx, func() (uint64, *Error) {
			began <- struct{}{}
			return <-finish, nil
		}, func(b *round) { callers = append(callers, b.callers) })
	})
	defer runner.Wait()
	defer cancel()
	join := func(b *round) func() uint64 { return func() uint64 { <-b.done; return b.index } }
	first := join(r.enter())
	<-began
	second, third := join(r.enter()), join(r.enter()) // the running round is not for them
	finish <- 1
	require.EqualValues(t, 1, first())
	<-began
	late := join(r.enter())
	finish <- 2
	require.EqualValues(t, 2, second())
	require.EqualValues(t, 2, third())
	<-began
	finish <- 3
	require.EqualValues(t, 3, late())
	cancel()
	runner.Wait()
	require.Equal(t, []int{1, 2, 1}, callers)
}

func TestJoiningEndsWithEitherContext(t *testing.T) {
	r := newRounds() // nobody runs it
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.join(over, t.Context())
	require.Equal(t, command.CodeDeadline, err.Code)
	_, err = r.join(t.Context(), over)
	require.Equal(t, command.CodeNotReady, err.Code)
}

func TestCountingTerms(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		terms        []uint64
		need, voters int
		ok           bool
	}{
		"one of two":                  {[]uint64{7}, 1, 2, true},
		"the other failed":            {[]uint64{0, 7}, 1, 2, true},
		"two of four":                 {[]uint64{7, 0, 7}, 2, 4, true},
		"none":                        {[]uint64{0, 0}, 1, 2, false},
		"too few left":                {[]uint64{7, 0, 0, 0}, 2, 4, false},
		"not in the term yet":         {[]uint64{6, 6}, 1, 2, false},
		"a later term":                {[]uint64{8, 7}, 1, 2, false},
		"a later term after one vote": {[]uint64{7, 8, 7}, 2, 4, false},
		"no voter answers":            {nil, 1, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			terms := make(chan uint64, len(test.terms))
			for _, term := range test.terms {
				terms <- term
			}
			ctx := t.Context()
			if len(test.terms) == 0 {
				ctx = over
			}
			err := count(ctx, terms, 7, test.need, test.voters)
			require.Equal(t, test.ok, err == nil, "%v", err)
		})
	}
}

func readIndexFor(m *member, d time.Duration) (uint64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return m.ReadIndex(ctx)
}

// What was written on one node is in the state of every other at the read index; one node alone needs nobody.
func TestReadIndex(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{{"a"}, {"a", "b", "c"}} {
		f := newFleet(t, names...)
		f.startAll()
		f.voters(len(names))
		for i := range 5 * len(names) {
			wrote := f.add(names[i%len(names)], "x")
			for _, name := range names {
				index, err := f.nodes[name].ReadIndex(deadline(t))
				require.NoError(t, err)
				require.GreaterOrEqual(t, index, wrote.Index)
				require.NoError(t, f.nodes[name].machine.WaitApplied(deadline(t), index))
				require.Equal(t, i+1, f.nodes[name].machine.counter("x"))
			}
		}
	}
}

// Changes of the membership are entries too: the index that follows one is reached by every state machine.
func TestReadIndexAfterChangesOfTheMembership(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	leader, follower := f.leader(), f.followers()[0]
	c := f.nodes[leader].consensus.Load()
	other := raft.ServerID(f.nodes[f.followers()[1]].serverID())
	require.NoError(t, c.raft.DemoteVoter(other, 0, patience).Error())
	for _, name := range []string{leader, follower} {
		index, err := f.nodes[name].ReadIndex(deadline(t))
		require.NoError(t, err)
		require.NoError(t, f.nodes[name].machine.WaitApplied(deadline(t), index))
	}
}

// A leader that reaches a learner and no other voter confirms nothing, though the learner is in its term; the others go on.
func TestALearnerDoesNotConfirm(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.tweak = func(c *Config) { c.Heartbeat, c.Election, c.Lease = time.Second, time.Second, time.Second }
	f.startAll()
	f.voters(3)
	old := f.leader()
	before := f.add(old, "x")
	demoted := f.nodes[f.followers()[0]]
	c := f.nodes[old].consensus.Load()
	// The state machine is held, so that the leader does not make a voter of it again.
	gate := make(chan struct{})
	demoted.machine.mu.Lock()
	demoted.machine.gate = gate
	demoted.machine.mu.Unlock()
	t.Cleanup(func() { close(gate) })
	f.add(old, "x")
	eventually(t, func() bool { return !f.nodes[old].polled(demoted.serverID()).caughtUp }, "it does not fall behind")
	require.NoError(t, c.raft.DemoteVoter(raft.ServerID(demoted.serverID()), 0, patience).Error())
	_, err := f.nodes[old].ReadIndex(deadline(t))
	require.NoError(t, err)

	voter := f.names[0]
	for _, name := range f.names {
		if name != old && f.nodes[name] != demoted {
			voter = name
		}
	}
	f.net.Cut(old, voter)
	term, ok := f.nodes[old].callConfirm(deadline(t), raft.Server{
		ID: raft.ServerID(demoted.serverID()), Address: raft.ServerAddress(f.addrs[demoted.cfg.NodeID]),
	})
	require.True(t, ok)
	require.Equal(t, c.raft.CurrentTerm(), term)
	_, err = readIndexFor(f.nodes[old], 300*time.Millisecond)
	require.Error(t, err)
	_, err = f.nodes[old].HeardWithin(deadline(t), time.Nanosecond)
	require.Error(t, err)
	f.net.Heal(old, voter)
	index, err := f.nodes[voter].ReadIndex(deadline(t))
	require.NoError(t, err)
	require.GreaterOrEqual(t, index, before.Index)
}

// A leader that is cut off answers no linearizable read, before and after it notices; the others answer from what they write
// meanwhile, and so does it once it is back.
func TestCutLeaderAnswersNoReadIndex(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	old, follower := f.leader(), f.followers()[0]
	f.add(old, "x")
	_, err := f.nodes[follower].ReadIndex(deadline(t))
	require.NoError(t, err)
	f.net.Isolate(old)
	_, err = readIndexFor(f.nodes[old], 20*time.Millisecond)
	require.Error(t, err)
	wrote := f.add(follower, "x") // under another leader
	index, err := f.nodes[follower].ReadIndex(deadline(t))
	require.NoError(t, err)
	require.GreaterOrEqual(t, index, wrote.Index)
	_, err = readIndexFor(f.nodes[old], 300*time.Millisecond)
	require.Error(t, err)
	_, err = f.nodes[old].HeardWithin(t.Context(), 100*time.Millisecond)
	require.Equal(t, command.CodeNotReady, CodeOf(err), "%v", err)
	_, err = f.nodes[old].HeardWithin(t.Context(), time.Hour)
	require.NoError(t, err)
	f.net.Rejoin(old)
	eventually(t, func() bool { // once it has noticed that it reaches a majority again
		index, err = f.nodes[old].ReadIndex(deadline(t))
		return err == nil
	}, "no answer from the node that is back")
	require.GreaterOrEqual(t, index, wrote.Index)
}

// A voter that swallows calls does not hold up the answer.
func TestASilentVoterDoesNotHoldTheAnswer(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	leader, silent := f.leader(), f.followers()[0]
	f.net.Set(leader, silent, transporttest.Fault{Drop: true})
	for range 200 {
		_, err := f.nodes[leader].ReadIndex(deadline(t))
		require.NoError(t, err)
	}
	f.net.Heal(leader, silent)
}

func TestLeaderContact(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	alone := f.start("a")
	_, known := alone.LeaderContact()
	require.False(t, known, "it has met nobody")
	_, err := alone.HeardWithin(t.Context(), time.Hour)
	require.Equal(t, command.CodeNotReady, CodeOf(err))
	_, err = readIndexFor(alone, time.Second)
	require.Equal(t, command.CodeNotReady, CodeOf(err))
	f.start("b")
	f.start("c")
	for _, name := range f.names {
		f.ready(name)
	}
	f.voters(3)
	for _, name := range f.names {
		eventually(t, func() bool {
			age, known := f.nodes[name].LeaderContact()
			return known && age < 10*time.Second
		}, "%s has heard from nobody", name)
		_, err = f.nodes[name].HeardWithin(deadline(t), time.Minute)
		require.NoError(t, err)
	}
	index, err := f.nodes[f.leader()].HeardWithin(deadline(t), 0)
	require.NoError(t, err)
	require.NotZero(t, index)
}

// No read at a read index is older than what was read or acknowledged anywhere before it was asked for, whatever the network does.
func TestReadIndexUnderFaults(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a", "b", "c")
	f.startAll()
	f.voters(3)
	var high atomic.Int64
	reads := newTallies(f.names)
	raise := func(seen int) {
		for now := high.Load(); int64(seen) > now && !high.CompareAndSwap(now, int64(seen)); now = high.Load() {
		}
	}
	stop := make(chan struct{})
	running := func() bool {
		select {
		case <-stop:
			return false
		default:
			return true
		}
	}
	var workers sync.WaitGroup
	for _, name := range f.names {
		m := f.nodes[name]
		workers.Go(func() {
			for running() {
				_, _ = proposeFor(m, 200*time.Millisecond, "x")
			}
		})
		for range 4 {
			workers.Go(func() {
				for running() {
					floor := high.Load()
					index, err := readIndexFor(m, 200*time.Millisecond)
					if err != nil {
						reads[name].failed.Add(1)
						continue
					}
					ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
					err = m.machine.WaitApplied(ctx, index)
					cancel()
					if err != nil {
						reads[name].failed.Add(1)
						continue
					}
					seen := m.machine.counter("x")
					if int64(seen) < floor {
						t.Errorf("%s read %d after %d was seen", m.cfg.NodeID, seen, floor)
						return
					}
					raise(seen)
					reads[name].done.Add(1)
				}
			})
		}
	}
	for range 6 {
		name := f.leader()
		if rand.IntN(2) == 0 {
			name = f.names[rand.IntN(3)]
		}
		f.net.Isolate(name)
		reads.awaitFailure(t, name)
		reads.awaitDone(t, 100)
		f.net.Rejoin(name)
		reads.awaitDoneAt(t, name)
	}
	close(stop)
	workers.Wait()
	t.Logf("%s, counter at %d", reads, high.Load())
}
