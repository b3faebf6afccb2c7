package transport

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"dapple/command"
)

// An internal call is one request frame and one answer frame on a connection, each preceded by its length in 4 bytes.
const (
	frameHead   = 4
	requestHead = 1 + 4 // method, deadline in milliseconds
	replyHead   = 2     // code
)

type request struct {
	method  byte
	timeout time.Duration
	body    []byte
}

func writeRequest(w io.Writer, q request) error {
	ms := min(max(q.timeout.Milliseconds(), 1), int64(^uint32(0)))
	b := make([]byte, 0, frameHead+requestHead+len(q.body))
	b = binary.BigEndian.AppendUint32(b, uint32(requestHead+len(q.body)))
	b = append(b, q.method)
	b = binary.BigEndian.AppendUint32(b, uint32(ms))
	_, err := w.Write(append(b, q.body...))
	return err
}

// readRequest asks for the limit when a request comes, which may be long after the call.
func readRequest(r io.Reader, limit func() int) (request, error) {
	b, err := readFrame(r, requestHead, limit)
	if err != nil {
		return request{}, err
	}
	ms := binary.BigEndian.Uint32(b[1:])
	return request{method: b[0], timeout: time.Duration(ms) * time.Millisecond, body: b[requestHead:]}, nil
}

func writeReply(w io.Writer, code command.Code, body []byte) error {
	b := make([]byte, 0, frameHead+replyHead+len(body))
	b = binary.BigEndian.AppendUint32(b, uint32(replyHead+len(body)))
	b = binary.BigEndian.AppendUint16(b, uint16(code))
	_, err := w.Write(append(b, body...))
	return err
}

func readReply(r io.Reader, limit int) (command.Code, []byte, error) {
	b, err := readFrame(r, replyHead, func() int { return limit })
	if err != nil {
		return 0, nil, err
	}
	return command.Code(binary.BigEndian.Uint16(b)), b[replyHead:], nil
}

// readFrame reads one frame of at least least and at most limit() bytes. Memory is taken as bytes arrive, so that a
// length alone cannot make this node allocate.
func readFrame(r io.Reader, least int, limit func() int) ([]byte, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if most := limit(); n < uint32(least) || uint64(n) > uint64(most) {
		return nil, fmt.Errorf("frame of %d bytes, allowed are %d to %d", n, least, most)
	}
	const step = 64 << 10
	b := make([]byte, 0, min(int(n), step))
	for len(b) < int(n) {
		if len(b) == cap(b) {
			b = append(make([]byte, 0, min(int(n), 2*cap(b))), b...)
		}
		part := b[len(b):cap(b)]
		if _, err := io.ReadFull(r, part); err != nil {
			return nil, err
		}
		b = b[:cap(b)]
	}
	return b, nil
}
