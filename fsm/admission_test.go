package fsm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// TestCheckTakesWhatIsMade checks every command as programs make it: the shape of each fits, so that none is decoded twice.
func TestCheckTakesWhatIsMade(t *testing.T) {
	m := newMachine(t)
	m.level.Store(catalogue.NewestFeatureLevel)
	for _, c := range append(everyCommand(t), moreCommands(t)...) {
		require.NoError(t, m.Check(&c), c.Type.String())
		require.True(t, m.rows[c.Type].shape.fits(c.Payload, 0), c.Type.String())
	}
}

// TestCheckBelowTheFeatureLevel refuses what a member may not know, by itself and carried; once the level has risen it passes.
func TestCheckBelowTheFeatureLevel(t *testing.T) {
	m := mustOpen(t, testConfig(vfs.NewMem()))
	set := command.Command{Type: command.TypeSetSetting, Issuer: "root", Payload: payload(t, &command.SetSetting{Setting: &command.Setting{}})}
	carried := command.Command{Type: command.TypeOnce, Payload: payload(t, &command.Once{Key: []byte("k"), Type: uint32(set.Type), Payload: set.Payload})}
	for _, c := range []*command.Command{&set, &carried} {
		err := m.Check(c)
		require.Equal(t, command.CodeNotReady, catalogue.CodeOf(err), err)
		require.ErrorContains(t, err, "SetSetting needs feature level 1, and the cluster has 0")
	}
	m.Apply(entry(t, 1, command.Command{Type: command.TypeGenesis, Payload: payload(t, &command.Genesis{
		ClusterId: slices.Repeat([]byte{7}, 16), RootIdentity: "r", RootPassword: "h", KeyId: "k", KeySeed: make([]byte, 32), Schema: catalogue.SchemaVersion, Features: 1,
	})}))
	require.NoError(t, m.Err())
	require.NoError(t, m.Check(&set))
	require.NoError(t, m.Check(&carried))
}

// TestCheckRefusesLongIssuers: an entry with such a name cannot be decoded.
func TestCheckRefusesLongIssuers(t *testing.T) {
	c := command.Command{Type: command.TypeTermStart, Issuer: strings.Repeat("x", command.MaxIssuer+1)}
	require.Equal(t, command.CodeInvalidValue, catalogue.CodeOf(newMachine(t).Check(&c)))
	_, err := command.EncodeEntry(command.Entry{Commands: []command.Command{c}})
	require.ErrorIs(t, err, command.ErrEntry)
}

// TestShapeAgreesWithTheDecoder changes and cuts encodings at random: what fits is decoded without an error and without unknown
// fields, and what Check refuses is refused by the decoder or has an unknown field inside.
func TestShapeAgreesWithTheDecoder(t *testing.T) {
	m := newMachine(t)
	m.level.Store(catalogue.NewestFeatureLevel)
	r := rand.New(rand.NewPCG(1, 2))
	commands := append(everyCommand(t), moreCommands(t)...)
	fitting := 0
	for range 30_000 {
		c := commands[r.IntN(len(commands))]
		c.Payload = damaged(r, c.Payload)
		run := m.rows[c.Type]
		message := run.message()
		err := unmarshal(c.Payload, message)
		if run.shape.fits(c.Payload, 0) {
			fitting++
			require.NoError(t, err, "%s %x", c.Type, c.Payload)
			require.False(t, hasUnknown(message.ProtoReflect()), "%s %x", c.Type, c.Payload)
		}
		if c.Type == command.TypeOnce {
			continue
		}
		require.Equal(t, err == nil && !hasUnknown(message.ProtoReflect()), m.Check(&c) == nil, "%s %x", c.Type, c.Payload)
	}
	require.Greater(t, fitting, 1000, "the test changes too much")
}

// damaged returns a changed copy of an encoding.
func damaged(r *rand.Rand, b []byte) []byte {
	b = append([]byte(nil), b...)
	for range 1 + r.IntN(2) {
		if len(b) == 0 {
			return b
		}
		at := r.IntN(len(b))
		switch r.IntN(4) {
		case 0:
			b[at] = byte(r.IntN(256))
		case 1:
			b = b[:at]
		case 2:
			b = append(b[:at:at], append([]byte{byte(r.IntN(256))}, b[at:]...)...)
		case 3:
			b = protowire.AppendVarint(protowire.AppendTag(b, protowire.Number(1+r.IntN(12)), protowire.Type(r.IntN(6))), r.Uint64N(300))
		}
	}
	return b
}

// BenchmarkCheckRegister checks what registers 1,000 files.
func BenchmarkCheckRegister(b *testing.B) {
	m := &Machine{rows: registered(nil)}
	files := make([]*command.NewFile, 1000)
	for i := range files {
		files[i] = &command.NewFile{Scope: "user.someone", Name: fmt.Sprintf("AOD.0123456.%06d.pool.root", i), Bytes: 1 << 30, Adler32: "0cc737eb"}
	}
	encoded, err := proto.Marshal(&command.AddReplicas{Rse: "CERN-PROD_DATADISK", Files: files})
	require.NoError(b, err)
	c := command.Command{Type: command.TypeAddReplicas, Issuer: "root", Payload: encoded}
	b.ResetTimer()
	for range b.N {
		if err := m.Check(&c); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/file")
}
