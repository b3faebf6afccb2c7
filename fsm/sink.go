package fsm

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/raft"
)

const receivedPrefix = "received-"

// sink is where raft puts a snapshot: its own, which is only a mark (Persist), or one that another node sends (Write).
// Raft uses a sink from one goroutine.
type sink struct {
	m       *Machine
	at      position
	members membership
	id      string

	mu     sync.Mutex // against Machine.Close
	local  bool
	unpack *unpacker // nil before the first byte
	name   string    // of the folder that is written to
	ended  bool
}

// Create implements raft.SnapshotStore.
func (s *snapshots) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, _ raft.Transport,
) (raft.SnapshotSink, error) {
	if version != raft.SnapshotVersionMax {
		return nil, fmt.Errorf("unsupported snapshot version %d", version)
	}
	if err := s.m.usable(); err != nil {
		return nil, err
	}
	k := &sink{
		m: s.m, at: position{index, term}, id: liveID,
		members: membership{configurationIndex, slices.Clone(configuration.Servers)},
	}
	return k, s.m.streams.add(k)
}

// ID implements raft.SnapshotSink. It is to be asked for after Close, when it is known which kind of snapshot it was.
func (s *sink) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// markLocal says that the snapshot is the store itself.
func (s *sink) markLocal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.unpack != nil {
		return errors.New("snapshot sink is in use")
	}
	s.local = true
	return nil
}

// Write implements io.Writer: it takes the stream of another node's snapshot.
func (s *sink) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.local {
		return 0, errors.New("write to a snapshot sink that takes nothing")
	}
	if s.unpack == nil {
		s.name = s.m.folder.next(storePrefix)
		unpack, err := newUnpacker(s.m.folder.fs, s.m.folder.path(s.name))
		if err != nil {
			return 0, err
		}
		s.unpack = unpack
	}
	return s.unpack.Write(b)
}

// Close implements raft.SnapshotSink. A local snapshot is on disk after it; a received one is complete, checked, and can
// be opened. Further calls do nothing.
func (s *sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	s.ended = true
	defer s.m.streams.drop(s)
	switch {
	case s.local:
		return s.m.settle(s.at, s.members)
	case s.unpack == nil:
		return fmt.Errorf("%w: it is empty", errStream)
	}
	if err := s.receive(); err != nil {
		return errors.Join(err, s.m.folder.remove(s.name))
	}
	return nil
}

// receive checks a stream that has come to its end and offers it for Open.
func (s *sink) receive() error {
	if err := s.unpack.finish(); err != nil {
		return err
	}
	if err := syncDir(s.m.folder.fs, s.m.folder.dir); err != nil {
		return err
	}
	at, members, err := s.m.inspect(s.name)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errStream, err)
	case at != s.at || !members.equal(s.members):
		return fmt.Errorf("%w: state at index %d of term %d with membership of %d, announced as %d, %d and %d", errStream,
			at.index, at.term, members.index, s.at.index, s.at.term, s.members.index)
	}
	s.id = receivedPrefix + strings.TrimPrefix(s.name, storePrefix)
	return s.m.streams.offer(&received{m: s.m, id: s.id, name: s.name, at: at, members: members})
}

// Cancel implements raft.SnapshotSink: it removes what has come. After Close it does nothing.
func (s *sink) Cancel() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	s.ended = true
	s.m.streams.drop(s)
	if s.unpack == nil {
		return nil
	}
	return errors.Join(s.unpack.abandon(), s.m.folder.remove(s.name))
}

// received is a snapshot that has come in and is not live yet. As a stream it is empty: Restore takes the folder.
type received struct {
	m       *Machine
	id      string
	name    string
	at      position
	members membership
}

// Read implements io.Reader.
func (r *received) Read([]byte) (int, error) { return 0, io.EOF }

// Close implements io.Closer.
func (r *received) Close() error { return nil }

// streams are the snapshots on their way in and out, so that Machine.Close ends them.
type streams struct {
	mu     sync.Mutex
	closed bool
	open   []any     // *sink and *checkpoint
	latest *received // at most one waits for Restore
}

func (s *streams) add(stream any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.open = append(s.open, stream)
	return nil
}

func (s *streams) drop(stream any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = slices.DeleteFunc(s.open, func(other any) bool { return other == stream })
}

// offer makes a received snapshot the one that can be opened; one that was never restored is removed.
func (s *streams) offer(r *received) error {
	s.mu.Lock()
	previous := s.latest
	s.latest = r
	s.mu.Unlock()
	if previous != nil {
		return r.m.folder.remove(previous.name)
	}
	return nil
}

// find opens a received snapshot.
func (s *streams) find(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest == nil || s.latest.id != id {
		return nil, nil, fmt.Errorf("there is no snapshot %s", id)
	}
	return meta(id, s.latest.at, s.latest.members, 0), s.latest, nil
}

// take returns the folder of a received snapshot and makes it the caller's.
func (s *streams) take(r *received) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest != r {
		return "", fmt.Errorf("snapshot %s is no longer there", r.id)
	}
	s.latest = nil
	return r.name, nil
}

// close ends all streams.
func (s *streams) close() {
	s.mu.Lock()
	s.closed = true
	open := s.open
	s.open = nil
	s.mu.Unlock()
	for _, stream := range open {
		switch stream := stream.(type) {
		case *sink:
			_ = stream.Cancel() // what it leaves is removed at the next start
		case *checkpoint:
			_ = stream.Close()
		}
	}
}
