package fsm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// manyItems is the largest number of items that a request may name, changedItems that of items that count for three, and
// detachedItems that of those that count for a quarter more (command.Items).
const (
	manyItems     = 10_000
	changedItems  = manyItems / 3
	detachedItems = manyItems * 4 / 5
)

// worstStore is a machine whose commands are counted: how many keys each reads below the overlay, and how many it writes.
type worstStore struct {
	t     testing.TB
	m     *Machine
	index uint64
	count *countingView
}

// countingView counts the keys that are read through it.
type countingView struct {
	catalogue.View
	reads int
}

func (c *countingView) Get(key []byte) ([]byte, bool, error) {
	c.reads++
	return c.View.Get(key)
}

func (c *countingView) Scan(low, high []byte, visit func(key, value []byte) (bool, error)) error {
	c.reads++
	return c.View.Scan(low, high, func(key, value []byte) (bool, error) {
		c.reads++
		return visit(key, value)
	})
}

func (c *countingView) Memo() *catalogue.Memo { return catalogue.MemoOf(c.View) }

func newWorstStore(t *testing.T) *worstStore {
	t.Helper()
	if testing.Short() {
		t.Skip("commands of 10,000 items take minutes with the race detector")
	}
	s := fillWorstStore(t, newMachine(t))
	s.count = &countingView{View: s.m.overlay.base}
	s.m.overlay.base = s.count
	return s
}

// fillWorstStore gives a new machine what each of the commands needs.
func fillWorstStore(t testing.TB, m *Machine) *worstStore {
	t.Helper()
	s := &worstStore{t: t, m: m}
	apply(t, s.m, configuration(1, "a"))
	s.index = 1
	s.as("", command.TypeGenesis, &command.Genesis{
		ClusterId: []byte("0123456789abcdef"), RootIdentity: "ddmlab", RootPassword: "$hash", KeyId: "k", KeySeed: make([]byte, 32),
		Schema: catalogue.SchemaVersion, Features: catalogue.NewestFeatureLevel,
	})
	s.do(command.TypeAddScope, &command.AddScope{Name: "s", Account: "root"})
	for i, rse := range []string{"ONE", "TWO"} {
		s.do(command.TypeAddRSE, &command.AddRSE{Name: rse, Uuid: append(make([]byte, 15), byte(i+1)), Settings: &command.RSESettings{}})
	}
	return s
}

// as applies one command as an entry of its own.
func (s *worstStore) as(issuer string, number command.Type, c proto.Message) command.Result {
	s.t.Helper()
	s.index++
	return apply(s.t, s.m, entry(s.t, s.index, command.Command{Type: number, Issuer: issuer, Payload: payload(s.t, c)}))[0]
}

func (s *worstStore) do(number command.Type, c proto.Message) {
	s.t.Helper()
	result := s.as("root", number, c)
	require.Equal(s.t, command.CodeOK, result.Code, "%s: %s", number, result.Message)
}

// worst applies a command and returns how many keys it has read and written.
func (s *worstStore) worst(number command.Type, issuer string, c proto.Message) (work int, result command.Result) {
	s.t.Helper()
	reads, writes, started := s.count.reads, s.m.overlay.writes, time.Now()
	result = s.as(issuer, number, c)
	work = s.count.reads - reads + s.m.overlay.writes - writes
	s.t.Logf("%-24s %8d keys %10s %3d %.100s", number, work, time.Since(started).Round(time.Millisecond), result.Code, result.Message)
	return work, result
}

// numbered returns names with numbers.
func numbered(prefix string, from, to int) (names []string) {
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprintf("%s%06d", prefix, i))
	}
	return names
}

// inParts calls do for parts of names that one command may name.
func inParts(names []string, do func(part []string)) {
	for ; len(names) > 0; names = names[min(len(names), manyItems):] {
		do(names[:min(len(names), manyItems)])
	}
}

func (s *worstStore) collections(kind catalogue.DIDType, names ...string) {
	s.t.Helper()
	inParts(names, func(part []string) {
		add := &command.AddDIDs{Bulk: true}
		for _, name := range part {
			add.Dids = append(add.Dids, &command.NewCollection{Scope: "s", Name: name, Type: uint32(kind)})
		}
		s.do(command.TypeAddDIDs, add)
	})
}

func (s *worstStore) files(rse string, names ...string) {
	s.t.Helper()
	inParts(names, func(part []string) { s.do(command.TypeAddReplicas, registration(rse, part...)) })
}

func registration(rse string, names ...string) *command.AddReplicas {
	add := &command.AddReplicas{Rse: rse}
	for _, name := range names {
		add.Files = append(add.Files, &command.NewFile{Scope: "s", Name: name, Bytes: 5})
	}
	return add
}

// filesWith registers files with metadata.
func (s *worstStore) filesWith(meta map[string]string, names ...string) {
	s.t.Helper()
	add := registration("ONE", names...)
	for _, f := range add.Files {
		f.Meta = meta
	}
	s.do(command.TypeAddReplicas, add)
}

// atPaths makes an RSE whose files have paths of their own, and a registration there.
func (s *worstStore) atPaths(rse string, pfns []string) *command.AddReplicas {
	s.t.Helper()
	s.do(command.TypeAddRSE, &command.AddRSE{Name: rse, Uuid: []byte("the odd RSE's id"), Settings: &command.RSESettings{Deterministic: new(bool)}})
	s.protocol(rse)
	add := &command.AddReplicas{Rse: rse}
	for i, pfn := range pfns {
		add.Files = append(add.Files, &command.NewFile{Scope: "s", Name: fmt.Sprintf("f%06d", i), Bytes: 5, Pfn: pfn})
	}
	return add
}

func (s *worstStore) bad(names ...string) {
	s.t.Helper()
	s.do(command.TypeDeclareBad, badOf(names...))
}

func badOf(names ...string) *command.DeclareBad {
	c := &command.DeclareBad{Reason: "lost"}
	for _, name := range names {
		c.Replicas = append(c.Replicas, &command.ReplicaAt{Scope: "s", Name: name, Rse: "ONE"})
	}
	return c
}

// shuffled returns names in an order that has nothing to do with them, always the same.
func shuffled(names []string) []string {
	names = slices.Clone(names)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names
}

// attachment puts children into a parent.
func attachment(parent string, children ...string) *command.Attachment {
	a := &command.Attachment{Scope: "s", Name: parent}
	for _, child := range children {
		a.Children = append(a.Children, &command.Child{File: &command.NewFile{Scope: "s", Name: child, Bytes: 5}, HasBytes: true})
	}
	return a
}

// chain attaches each name to the one before.
func chain(names ...string) *command.AttachDIDs {
	c := &command.AttachDIDs{Bulk: true}
	for i := 1; i < len(names); i++ {
		c.Attachments = append(c.Attachments, attachment(names[i-1], names[i]))
	}
	return c
}

// into attaches one DID to each parent.
func (s *worstStore) into(child string, parents ...string) {
	s.t.Helper()
	inParts(parents, func(part []string) {
		c := &command.AttachDIDs{Bulk: true}
		for _, parent := range part {
			c.Attachments = append(c.Attachments, attachment(parent, child))
		}
		s.do(command.TypeAttachDIDs, c)
	})
}

// fill attaches children to a parent.
func (s *worstStore) fill(parent string, children ...string) {
	s.t.Helper()
	inParts(children, func(part []string) {
		s.do(command.TypeAttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{attachment(parent, part...)}})
	})
}

func didNames(names ...string) (all []*command.DIDName) {
	for _, name := range names {
		all = append(all, &command.DIDName{Scope: "s", Name: name})
	}
	return all
}

func settingOf(name string, set map[string]string) *command.DIDMetadata {
	return &command.DIDMetadata{Scope: "s", Name: name, Set: set}
}

// inVeryMany puts a file into very many datasets.
func (s *worstStore) inVeryMany(file string) {
	s.t.Helper()
	names := numbered("d", 0, many)
	s.files("ONE", file)
	s.collections(catalogue.TypeDataset, names...)
	s.into(file, names...)
}

// inBatches applies commands, many in an entry.
func (s *worstStore) inBatches(n int, commandOf func(i int) command.Command) {
	s.t.Helper()
	for i := 0; i < n; {
		var all []command.Command
		for range 500 {
			all = append(all, commandOf(i))
			i++
		}
		s.index++
		apply(s.t, s.m, entry(s.t, s.index, all...))
	}
}

func (s *worstStore) protocol(rse string) {
	s.t.Helper()
	one := new(int32(1))
	s.do(command.TypeAddProtocol, &command.AddProtocol{Rse: rse, Protocol: &command.ProtocolSettings{
		Scheme: new("davs"), Hostname: new("one.example"), Port: new(int32(443)), Prefix: new("/x"), Impl: new("rucio.rse.protocols.gfal.Default"),
		Wan: &command.ProtocolPriorities{Read: one, Write: one, Delete: one}, Lan: &command.ProtocolPriorities{Read: one, Write: one, Delete: one},
	}})
}
