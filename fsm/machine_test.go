package fsm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// Pebble leaves a goroutine of its scheduler behind where opening a store fails, as tests with broken disks make it.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/cockroachdb/pebble/v2.(*ConcurrencyLimitScheduler).periodicGranter"))
}

// typeScript is a command of the tests: its payload says line by line what it does to keys of its own table.
const typeScript command.Type = 60000

var scriptTable = []byte{0x7f}

func scriptKey(name string) []byte { return append([]byte{scriptTable[0]}, name...) }

// runScript understands: put K V, delete K, append K V (reads its own and earlier writes), sum FROM TO KEY (scans and
// stores a checksum of what it saw), refuse, fail, panic, answer TEXT.
func runScript(m *Machine, _ catalogue.Stamp, c *command.TermStart) ([]byte, error) {
	tx := catalogue.Tx(m.overlay)
	var answer []byte
	for line := range strings.SplitSeq(c.Leader, "\n") {
		word := strings.Fields(line)
		if len(word) == 0 {
			continue
		}
		switch word[0] {
		case "put":
			tx.Put(scriptKey(word[1]), []byte(word[2]))
		case "delete":
			tx.Delete(scriptKey(word[1]))
		case "append":
			old, _, err := tx.Get(scriptKey(word[1]))
			if err != nil {
				return nil, err
			}
			tx.Put(scriptKey(word[1]), []byte(string(old)+word[2]))
		case "sum":
			seen, err := joinScan(tx, scriptKey(word[1]), scriptKey(word[2]))
			if err != nil {
				return nil, err
			}
			sum := sha256.Sum256([]byte(seen)) // what was seen itself would double with every scan
			tx.Put(scriptKey(word[3]), sum[:])
		case "refuse":
			return nil, catalogue.Errorf(command.CodeAccessDenied, "refused as told")
		case "fail":
			return nil, errors.New("failed as told")
		case "panic":
			panic("as told")
		case "answer":
			answer = []byte(word[1])
		default:
			return nil, fmt.Errorf("no such word: %s", word[0])
		}
	}
	return answer, nil
}

func joinScan(v catalogue.View, low, high []byte) (string, error) {
	var b strings.Builder
	err := v.Scan(low, high, func(key, value []byte) (bool, error) {
		fmt.Fprintf(&b, "%s=%s;", key[1:], value)
		return true, nil
	})
	return b.String(), err
}

func testConfig(fs vfs.FS) Config {
	return Config{
		Dir: "/state", MemTableBytes: 1 << 20, CacheBytes: 1 << 20, Strict: true, fs: fs,
		extra: []row{own(typeScript, runScript)},
	}
}

func mustOpen(t *testing.T, cfg Config) *Machine {
	t.Helper()
	m, err := Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func newMachine(t *testing.T) *Machine {
	t.Helper()
	return mustOpen(t, testConfig(vfs.NewMem()))
}

func payload(t testing.TB, c proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
	require.NoError(t, err)
	return b
}

func script(t testing.TB, lines ...string) command.Command {
	t.Helper()
	return command.Command{Type: typeScript, Payload: payload(t, &command.TermStart{Leader: strings.Join(lines, "\n")})}
}

// in puts a command into a session.
func in(id command.SessionID, seq, lowest uint64, c command.Command) command.Command {
	c.Session, c.Seq, c.Lowest = id, seq, lowest
	return c
}

func register(t testing.TB, node string, id command.SessionID) command.Command {
	t.Helper()
	return command.Command{Type: command.TypeRegisterSession, Payload: payload(t, &command.RegisterSession{
		Session: id[:], Node: node, ServerId: node + "-1", HttpAddress: "http://" + node, Version: "1",
	})}
}

func sessionID(b byte) command.SessionID { return command.SessionID{b, 1, 2, 3} }

func entry(t testing.TB, index uint64, commands ...command.Command) *raft.Log {
	t.Helper()
	data, err := command.EncodeEntry(command.Entry{Time: int64(index) * 1000, Commands: commands})
	require.NoError(t, err)
	return &raft.Log{Index: index, Term: 1 + index/10, Type: raft.LogCommand, Data: data}
}

func configuration(index uint64, names ...string) *raft.Log {
	var c raft.Configuration
	for _, name := range names {
		c.Servers = append(c.Servers, raft.Server{ID: raft.ServerID(name), Address: raft.ServerAddress(name + ":1")})
	}
	return &raft.Log{Index: index, Term: 1 + index/10, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(c)}
}

// apply applies entries in one batch and returns the results of their commands in order.
func apply(t testing.TB, m *Machine, entries ...*raft.Log) []command.Result {
	t.Helper()
	var all []command.Result
	for i, answer := range m.ApplyBatch(entries) {
		switch answer := answer.(type) {
		case nil:
			require.Equal(t, raft.LogConfiguration, entries[i].Type)
		case []command.Result:
			all = append(all, answer...)
		default:
			require.Failf(t, "entry was not applied", "index %d: %v", entries[i].Index, answer)
		}
	}
	return all
}

func get(t testing.TB, m *Machine, name string) string {
	t.Helper()
	v, err := m.View()
	require.NoError(t, err)
	defer v.Close()
	value, _, err := v.Get(scriptKey(name))
	require.NoError(t, err)
	return string(value)
}

func stateDigest(t testing.TB, m *Machine) string {
	t.Helper()
	v, err := m.View()
	require.NoError(t, err)
	defer v.Close()
	d, err := Digest(context.Background(), v)
	require.NoError(t, err)
	return d
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestApplyAnswersEachCommand(t *testing.T) {
	m := newMachine(t)
	answers := m.ApplyBatch([]*raft.Log{
		configuration(1, "a"),
		entry(t, 3, script(t, "put x 1"), script(t, "refuse"), script(t, "append x 2", "answer yes")),
		entry(t, 4, script(t, "append x 3")),
	})
	require.Len(t, answers, 3)
	require.Nil(t, answers[0])
	require.Equal(t, []command.Result{
		{Index: 3, Revision: 1},
		{Index: 3, Revision: 2, Code: command.CodeAccessDenied, Message: "refused as told"},
		{Index: 3, Revision: 3, Payload: []byte("yes")},
	}, answers[1])
	require.Equal(t, []command.Result{{Index: 4, Revision: 4}}, answers[2])
	require.Equal(t, "123", get(t, m, "x"))
	require.EqualValues(t, 4, m.AppliedIndex())
}

func TestReopenAfterEachEntry(t *testing.T) {
	fs := vfs.NewMem()
	m := mustOpen(t, testConfig(fs))
	apply(t, m, configuration(1, "a", "b"))
	for i := uint64(2); i < 12; i++ {
		apply(t, m, entry(t, i, script(t, "append x "+fmt.Sprint(i%10))))
		require.NoError(t, m.Close())
		m = mustOpen(t, testConfig(fs))
		require.Equal(t, i, m.AppliedIndex())
		require.Equal(t, ErrReplayed, m.Apply(entry(t, i, script(t, "append x no"))))
	}
	require.Equal(t, "2345678901", get(t, m, "x"))
	require.Equal(t, uint64(10), m.state.revision)
	require.Equal(t, int64(11000), m.state.time)
}
