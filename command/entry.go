package command

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// SessionID names a session: 16 random bytes of one node incarnation. The zero value is no session: such a command is
// executed however often it arrives, which is right for TermStart, RegisterSession, Genesis and Digest alone.
type SessionID [16]byte

// Command is one numbered command with its envelope.
type Command struct {
	Type Type
	// Session and Seq name the command once and for all; see package fsm for how repeats are answered.
	Session SessionID
	Seq     uint64
	// Lowest is the smallest sequence number of the session that was still unanswered when the command was sent.
	Lowest uint64
	// Issuer is the account on whose behalf the command is; empty for the cluster itself.
	Issuer string
	// Payload is the protobuf encoding of the message of that Type.
	Payload []byte
}

// Entry is one entry of the log: commands that were proposed together, in order, and the time they are to be stamped with.
type Entry struct {
	// Time is the leader's clock in microseconds since 1970-01-01 UTC. The state machine raises it where it would not
	// be later than the entry before.
	Time     int64
	Commands []Command
}

// Sizes of entries. Above CompressAbove an entry is compressed; MaxEntry bounds what is stored, MaxDecoded what a
// stored entry may grow to, so that a damaged or hostile one cannot exhaust memory.
const (
	CompressAbove = 16 << 10
	MaxEntry      = 2 << 20
	MaxDecoded    = 80 << 20
)

// MaxIssuer is the longest name of an issuer in bytes.
const MaxIssuer = 1 << 10

// Errors of the framing. ErrEntry wraps every way in which stored bytes can be wrong.
var (
	ErrEntry         = errors.New("malformed log entry")
	ErrEntryTooLarge = errors.New("log entry too large")
)

const (
	entryVersion  = 1
	flagZstd      = 1 << 0
	minCommandLen = 1 + 16 + 1 + 1 + 1 + 1
)

// EncodeEntry frames an entry: a version byte, a flag byte, and the body, compressed where it is large.
// It returns ErrEntryTooLarge where the result would be above MaxEntry or the body above MaxDecoded.
func EncodeEntry(e Entry) ([]byte, error) {
	size := 16
	for i := range e.Commands {
		if len(e.Commands[i].Issuer) > MaxIssuer {
			return nil, fmt.Errorf("%w: issuer of %d bytes", ErrEntry, len(e.Commands[i].Issuer))
		}
		size += SizeOf(&e.Commands[i])
	}
	if size > MaxDecoded {
		return nil, fmt.Errorf("%w: %d bytes before compression, limit %d", ErrEntryTooLarge, size, MaxDecoded)
	}
	b := make([]byte, 2, size+2)
	b[0] = entryVersion
	b = binary.AppendVarint(b, e.Time)
	b = binary.AppendUvarint(b, uint64(len(e.Commands)))
	for i := range e.Commands {
		b = AppendCommand(b, &e.Commands[i])
	}
	if len(b) > CompressAbove {
		packed := encoder().EncodeAll(b[2:], append(make([]byte, 0, len(b)/2), entryVersion, flagZstd))
		if len(packed) < len(b) {
			b = packed
		}
	}
	if len(b) > MaxEntry {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrEntryTooLarge, len(b), MaxEntry)
	}
	return b, nil
}

// DecodeEntry reads a framed entry. Payloads alias b where b is not compressed.
func DecodeEntry(b []byte) (Entry, error) {
	if len(b) < 2 || b[0] != entryVersion || b[1]&^flagZstd != 0 {
		return Entry{}, fmt.Errorf("%w: unknown version or flags", ErrEntry)
	}
	body := b[2:]
	if b[1]&flagZstd != 0 {
		raw, err := decoder().DecodeAll(body, nil)
		if err != nil {
			return Entry{}, fmt.Errorf("%w: %w", ErrEntry, err)
		}
		body = raw
	}
	d := frameReader{b: body}
	e := Entry{Time: d.varint()}
	count := d.uvarint()
	if d.bad || count > uint64(len(d.b)/minCommandLen) {
		return Entry{}, fmt.Errorf("%w: bad command count", ErrEntry)
	}
	e.Commands = make([]Command, 0, count)
	for range count {
		c := d.command()
		if d.bad {
			return Entry{}, fmt.Errorf("%w: bad command %d of %d", ErrEntry, len(e.Commands), count)
		}
		e.Commands = append(e.Commands, c)
	}
	if len(d.b) != 0 {
		return Entry{}, fmt.Errorf("%w: %d bytes too many", ErrEntry, len(d.b))
	}
	return e, nil
}

// AppendCommand appends the encoding of c, as it stands in an entry and as it travels between nodes.
func AppendCommand(b []byte, c *Command) []byte {
	b = binary.AppendUvarint(b, uint64(c.Type))
	b = append(b, c.Session[:]...)
	b = binary.AppendUvarint(b, c.Seq)
	b = binary.AppendUvarint(b, c.Lowest)
	b = binary.AppendUvarint(b, uint64(len(c.Issuer)))
	b = append(b, c.Issuer...)
	b = binary.AppendUvarint(b, uint64(len(c.Payload)))
	return append(b, c.Payload...)
}

// ParseCommand reads one command and returns the bytes after it. The payload aliases b.
func ParseCommand(b []byte) (Command, []byte, error) {
	d := frameReader{b: b}
	c := d.command()
	if d.bad {
		return Command{}, nil, fmt.Errorf("%w: bad command", ErrEntry)
	}
	return c, d.b, nil
}

// SizeOf returns an upper bound of what AppendCommand appends, in bytes.
func SizeOf(c *Command) int {
	return 16 + 6*binary.MaxVarintLen64 + len(c.Issuer) + len(c.Payload)
}

// encoder and decoder are shared: both are safe for concurrent EncodeAll and DecodeAll, and costly to make.
var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2))
		if err != nil {
			panic(err) // the options above are constants
		}
		return e
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxDecoded), zstd.WithDecoderConcurrency(2))
		if err != nil {
			panic(err) // the options above are constants
		}
		return d
	})
)

// frameReader reads varints and length-prefixed bytes; after the first failure it stays bad and yields zeros.
type frameReader struct {
	b   []byte
	bad bool
}

func (d *frameReader) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *frameReader) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *frameReader) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *frameReader) bytes() []byte { return d.take(d.uvarint()) }

func (d *frameReader) command() Command {
	var c Command
	number := d.uvarint()
	copy(c.Session[:], d.take(uint64(len(c.Session))))
	c.Seq, c.Lowest = d.uvarint(), d.uvarint()
	issuer := d.bytes()
	c.Payload = d.bytes()
	if number > uint64(^Type(0)) || len(issuer) > MaxIssuer {
		d.bad = true
	}
	c.Type, c.Issuer = Type(number), string(issuer)
	return c
}
