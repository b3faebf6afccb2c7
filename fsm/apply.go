package fsm

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"

	"dapple/catalogue"
	"dapple/command"
)

// commitBytes is the size of the overlay at which a batch is committed before all its entries are applied, so that a
// batch of large entries cannot exhaust memory.
const commitBytes = 16 << 20

// errDirty is the failure of a command that was refused after it had written, where Config.Strict is set.
var errDirty = errors.New("command was refused after it had written")

// Apply implements raft.FSM. Raft itself uses ApplyBatch; RecoverCluster calls this.
func (m *Machine) Apply(entry *raft.Log) any { return m.ApplyBatch([]*raft.Log{entry})[0] }

// ApplyBatch implements raft.BatchingFSM. For each entry it answers with a []command.Result (one for each command, in
// order), with nil for a configuration, or with an error: ErrReplayed, ErrClosed or the failure, after which the entry
// and all that follow have not been applied.
func (m *Machine) ApplyBatch(entries []*raft.Log) []any {
	m.mu.Lock()
	defer m.mu.Unlock()
	started := time.Now() // for the metrics alone: nothing of the state comes from it
	answers := make([]any, len(entries))
	committed := 0 // entries before this one are in the store
	for i, entry := range entries {
		answer, err := m.applyEntry(entry)
		if err == nil && (i == len(entries)-1 || m.digestDue || m.trimDue || m.overlay.size() > commitBytes) {
			if err = m.commit(); err == nil {
				committed = i + 1
			}
		}
		if err != nil {
			m.refuseAll(answers[committed:], entry, err)
			return answers
		}
		answers[i] = answer
	}
	m.stats.batch(entries, time.Since(started))
	return answers
}

// refuseAll latches the failure and answers the entries that will not be in the state. What they have written stays in
// the overlay, which is never committed.
func (m *Machine) refuseAll(answers []any, entry *raft.Log, err error) {
	if !errors.Is(err, ErrFailed) && !errors.Is(err, ErrClosed) {
		m.fail(fmt.Errorf("entry %d of term %d: %w", entry.Index, entry.Term, err))
		err = m.Err()
	}
	for i := range answers {
		answers[i] = err
	}
}

// applyEntry applies one entry to the overlay and the state in memory. An error must stop the machine.
func (m *Machine) applyEntry(entry *raft.Log) (any, error) {
	if err := m.usable(); err != nil {
		return nil, err
	}
	if entry.Index <= m.state.applied.index {
		if p := (position{entry.Index, entry.Term}); m.state.terms.contradicts(p) {
			return nil, errDiverged(p.index, m.state.terms.term(p.index), p.term)
		}
		return ErrReplayed, nil
	}
	var answer any
	switch entry.Type {
	case raft.LogCommand:
		results, err := m.applyCommands(entry)
		if err != nil {
			return nil, err
		}
		answer = results
	case raft.LogConfiguration:
		members, err := decodeConfiguration(entry.Index, entry.Data)
		if err != nil {
			return nil, err
		}
		m.state.members, m.state.membersChanged = members, true
	}
	m.state.move(position{entry.Index, entry.Term})
	return answer, m.Err() // a read that Pebble itself found wrong must not be committed
}

func (m *Machine) usable() error {
	if m.stores.closing.Load() {
		return ErrClosed
	}
	return m.Err()
}

func (m *Machine) applyCommands(entry *raft.Log) ([]command.Result, error) {
	decoded, err := command.DecodeEntry(entry.Data)
	if err != nil {
		return nil, err
	}
	m.state.time = max(decoded.Time, m.state.time+1)
	results := make([]command.Result, len(decoded.Commands))
	for i := range decoded.Commands {
		c := &decoded.Commands[i]
		if results[i], err = m.applyCommand(entry.Index, c); err != nil {
			return nil, fmt.Errorf("command %d, %s: %w", i, c.Type, err)
		}
	}
	return results, nil
}

// applyCommand executes a command unless its session says that this has been done or must not be done any more.
func (m *Machine) applyCommand(index uint64, c *command.Command) (command.Result, error) {
	run, known := m.rows[c.Type]
	if !known {
		return command.Result{}, errors.New("unknown command")
	}
	if c.Session == (command.SessionID{}) {
		return m.execute(index, run, c)
	}
	s := m.state.sessions.byID[c.Session]
	if s == nil {
		m.stats.command(c.Type, outcomeVoid)
		return command.Result{Code: command.CodeSessionUnknown, Index: index, Message: "the session is not open"}, nil
	}
	if c.Lowest > s.lowest {
		s.raise(c.Lowest)
		m.state.sessions.touch(s)
	}
	if c.Seq < s.lowest {
		m.stats.command(c.Type, outcomeVoid)
		return command.Result{Code: command.CodeStaleSequence, Index: index, Message: "the command was answered before"}, nil
	}
	if place, found := s.find(c.Seq); found {
		m.stats.command(c.Type, outcomeRepeated)
		return s.kept[place].result, nil
	}
	result, err := m.execute(index, run, c)
	if err == nil {
		s.keep(c.Seq, result)
		m.state.sessions.touch(s)
	}
	return result, err
}

// execute runs a command and makes its result. Refusals are results; an error must stop the machine.
func (m *Machine) execute(index uint64, run *row, c *command.Command) (command.Result, error) {
	if c.Type == command.TypeOnce {
		return m.once(index, c)
	}
	m.overlay.begin()
	at := catalogue.Stamp{Revision: m.state.revision + 1, Time: m.state.time, Issuer: c.Issuer}
	started := time.Now() // for the metrics alone
	payload, err := guarded(run, m, at, c.Payload)
	took := time.Since(started)
	m.stats.applied(c.Type, took)
	m.slow.note(index, c, started.Add(took), took)
	result := command.Result{Index: index}
	var refusal *catalogue.Error
	switch {
	case err == nil:
		result.Payload = bytes.Clone(payload) // it may alias what is only valid for the command
		m.stats.command(c.Type, outcomeDone)
	case errors.As(err, &refusal):
		if m.overlay.wrote() && m.cfg.Strict {
			return command.Result{}, fmt.Errorf("%w: %w", errDirty, err)
		}
		m.overlay.rollback()
		result.Code, result.Message, result.Payload = refusal.Code, refusal.Message, refusal.Details
		m.stats.command(c.Type, outcomeRefused)
	default:
		return command.Result{}, err
	}
	if err := m.keepChanges(at, index); err != nil {
		return command.Result{}, err
	}
	result.Revision = m.state.revision
	return result, nil
}

// guarded turns a panic of a command into a failure: the node stops in order and says at which entry.
func guarded(run *row, m *Machine, at catalogue.Stamp, payload []byte) (answer []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return run.run(m, at, payload)
}

// commit writes the overlay and the state's own records in one batch, and shows them to readers.
func (m *Machine) commit() error {
	s, err := m.stores.acquire()
	if err != nil {
		return err
	}
	defer s.release()
	st, tx := m.state, m.overlay
	st.sessions.flush(tx)
	catalogue.PutClock(tx, st.revision, st.time)
	if st.feedChanged {
		catalogue.PutFeed(tx, st.feed)
	}
	tx.Put(catalogue.LocalKey(localApplied), appendPosition(nil, st.applied))
	if st.membersChanged {
		tx.Put(catalogue.LocalKey(localMembers), appendMembership(nil, st.members))
	}
	if st.termsChanged {
		tx.Put(catalogue.LocalKey(localTerms), appendTimeline(nil, st.terms))
	}
	batch := s.db.NewBatchWithSize(tx.size() + tx.size()/4)
	defer batch.Close()
	keys, err := tx.writeTo(batch, m.noteWrite)
	if err == nil {
		err = m.trim(batch)
	}
	if err != nil {
		return err
	}
	if tx.settled {
		m.generations.end()
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	if err := m.Err(); err != nil { // Pebble logs some failures instead of returning them
		return err
	}
	if tx.settled {
		m.generations.begin()
	}
	st.membersChanged, st.feedChanged, st.termsChanged = false, false, false
	m.stats.committed(keys)
	tx.reset()
	return errors.Join(m.reader.done(), m.reader.unflushed.turn(), m.shots.outdate(), m.committed(s))
}

// noteWrite takes note of a change that is about to be committed.
func (m *Machine) noteWrite(c *change) {
	m.reader.unflushed.add(c.key)
	m.counters.note(c)
}

// committed makes the state that has just been committed known.
func (m *Machine) committed(s *store) error {
	if m.state.clusterID == nil {
		id, found, err := catalogue.ClusterID(m.overlay)
		if err != nil {
			return err
		}
		if found {
			m.state.clusterID = &id
			m.clusterID.Store(&id)
		}
	}
	if m.digestDue {
		m.digestDue = false
		m.digests.start(m.state.applied.index, s, m.digestGently)
	}
	m.publish()
	return nil
}
