package fsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
)

// A snapshot travels as a header and the files of a checkpoint, one after the other:
//
//	"DAPPLESN", version (4 bytes), length of the list (4), the list, CRC-32C of the list (4)
//	for each file: its bytes, their CRC-32C (4)
//
// The list is the number of files and, for each, name and size. All numbers of fixed size are big-endian, the others
// unsigned varints. The list comes first so that the size of the whole is known before anything is sent.
const (
	streamMagic   = "DAPPLESN"
	streamVersion = 1
	streamHead    = len(streamMagic) + 4 + 4
	checksumBytes = 4
	// What is taken from another node is bounded before anything is allocated or written.
	maxStreamList = 16 << 20
	maxFileName   = 128
	maxFileBytes  = 1 << 40
	streamBuffer  = 256 << 10
)

// errStream is wrapped by every way in which a received snapshot can be wrong.
var errStream = errors.New("malformed snapshot stream")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// streamFile is one file of a snapshot.
type streamFile struct {
	name string
	size int64
}

func appendStreamHead(b []byte, files []streamFile) []byte {
	list := binary.AppendUvarint(nil, uint64(len(files)))
	for _, f := range files {
		list = appendText(list, f.name)
		list = binary.AppendUvarint(list, uint64(f.size))
	}
	b = append(b, streamMagic...)
	b = binary.BigEndian.AppendUint32(b, streamVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
	b = append(b, list...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(list, castagnoli))
}

// parseStreamList checks everything that the list says: names make files of the one folder, none comes twice.
func parseStreamList(list []byte) ([]streamFile, error) {
	r := &reader{b: list}
	count := r.count(2)
	files := make([]streamFile, 0, count)
	seen := make(map[string]bool, count)
	for range count {
		f := streamFile{name: r.text(), size: int64(min(r.uvarint(), maxFileBytes+1))}
		if r.bad || !plainName(f.name) || seen[f.name] || f.size > maxFileBytes {
			return nil, fmt.Errorf("%w: file %d of %d in the list", errStream, len(files), count)
		}
		seen[f.name] = true
		files = append(files, f)
	}
	if r.bad || len(r.b) != 0 {
		return nil, fmt.Errorf("%w: list of files", errStream)
	}
	return files, nil
}

// plainName reports whether a name can only be a file in the folder it is joined to, and not the store's lock.
func plainName(name string) bool {
	if name == "" || len(name) > maxFileName || name[0] == '.' || name == lockFile {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// packer reads a folder as a stream.
type packer struct {
	fs    vfs.FS
	dir   string
	files []streamFile // not yet begun
	size  int64        // of the whole stream
	next  []byte       // header or checksum, to be read first
	file  vfs.File
	left  int64
	sum   hash.Hash32
	sent  prometheus.Counter // bytes of files; nil where nobody counts
}

// newPacker lists a folder that does not change any more.
func newPacker(fs vfs.FS, dir string) (*packer, error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	p := &packer{fs: fs, dir: dir}
	for _, name := range names {
		if name == lockFile {
			continue
		}
		info, err := fs.Stat(fs.PathJoin(dir, name))
		if err != nil {
			return nil, err
		}
		p.files = append(p.files, streamFile{name, info.Size()})
		p.size += info.Size() + checksumBytes
	}
	p.next = appendStreamHead(nil, p.files)
	p.size += int64(len(p.next))
	return p, nil
}

// Read implements io.Reader.
func (p *packer) Read(b []byte) (int, error) {
	for {
		switch {
		case len(p.next) > 0:
			n := copy(b, p.next)
			p.next = p.next[n:]
			return n, nil
		case p.file == nil && len(p.files) == 0:
			return 0, io.EOF
		case p.file == nil:
			file, err := p.fs.Open(p.fs.PathJoin(p.dir, p.files[0].name), vfs.SequentialReadsOption)
			if err != nil {
				return 0, err
			}
			p.file, p.left, p.sum = file, p.files[0].size, crc32.New(castagnoli)
			p.files = p.files[1:]
		case p.left == 0:
			p.next = p.sum.Sum(nil)
			if err := p.close(); err != nil {
				return 0, err
			}
		case len(b) == 0:
			return 0, nil
		default:
			n, err := p.file.Read(b[:min(int64(len(b)), p.left)])
			p.sum.Write(b[:n])
			p.left -= int64(n)
			if p.sent != nil {
				p.sent.Add(float64(n))
			}
			if n == 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // the file is shorter than it was
			}
			if n > 0 && errors.Is(err, io.EOF) {
				err = nil
			}
			return n, err
		}
	}
}

func (p *packer) close() error {
	if p.file == nil {
		return nil
	}
	file := p.file
	p.file = nil
	return file.Close()
}

// unpacker writes a stream into a folder, as the bytes come.
type unpacker struct {
	fs    vfs.FS
	dir   string
	head  []byte // what has come of the header, or of a checksum
	list  int    // length of the list; -1 before it is known
	files []streamFile
	known bool // files has been read

	buffer []byte
	file   vfs.File
	left   int64
	sum    hash.Hash32
	err    error
}

func newUnpacker(fs vfs.FS, dir string) (*unpacker, error) {
	if err := fs.MkdirAll(dir, privateFolder); err != nil {
		return nil, err
	}
	return &unpacker{fs: fs, dir: dir, list: -1}, nil
}

// Write implements io.Writer. After an error it returns the same error for ever.
func (u *unpacker) Write(b []byte) (int, error) {
	total := len(b)
	for len(b) > 0 && u.err == nil {
		b = u.take(b)
	}
	return total - len(b), u.err
}

// take consumes a part of b and returns the rest.
func (u *unpacker) take(b []byte) []byte {
	switch {
	case u.list < 0:
		b = u.fill(b, streamHead)
		if len(u.head) == streamHead {
			u.begin()
		}
	case !u.known:
		b = u.fill(b, u.list+checksumBytes)
		if len(u.head) == u.list+checksumBytes {
			u.readList()
		}
	case u.file == nil:
		u.err = fmt.Errorf("%w: bytes after the end", errStream)
	case u.left > 0:
		part := b[:min(int64(len(b)), u.left, streamBuffer)]
		u.sum.Write(part)
		u.buffer = append(u.buffer[:0], part...) // a vfs.File may change what it is given, an io.Writer may not
		n, err := u.file.Write(u.buffer)
		u.left -= int64(n)
		b, u.err = b[n:], err
	default:
		b = u.fill(b, checksumBytes)
		if len(u.head) == checksumBytes {
			u.finishFile()
		}
	}
	return b
}

// fill collects n bytes in head.
func (u *unpacker) fill(b []byte, n int) []byte {
	part := min(len(b), n-len(u.head))
	u.head = append(u.head, b[:part]...)
	return b[part:]
}

func (u *unpacker) begin() {
	rest := u.head[len(streamMagic):]
	length := binary.BigEndian.Uint32(rest[4:])
	switch {
	case string(u.head[:len(streamMagic)]) != streamMagic:
		u.err = fmt.Errorf("%w: it is something else", errStream)
	case binary.BigEndian.Uint32(rest) != streamVersion:
		u.err = fmt.Errorf("%w: version %d, this program reads %d", errStream, binary.BigEndian.Uint32(rest), streamVersion)
	case length > maxStreamList:
		u.err = fmt.Errorf("%w: list of %d bytes", errStream, length)
	default:
		u.list, u.head = int(length), nil
	}
}

func (u *unpacker) readList() {
	list, sum := u.head[:u.list], u.head[u.list:]
	if crc32.Checksum(list, castagnoli) != binary.BigEndian.Uint32(sum) {
		u.err = fmt.Errorf("%w: checksum of the list", errStream)
		return
	}
	if u.files, u.err = parseStreamList(list); u.err != nil {
		return
	}
	u.known, u.head = true, nil
	if u.err = u.checkSpace(); u.err == nil {
		u.openFile()
	}
}

// checkSpace refuses what cannot fit, before the disk is full. File systems that do not tell are not asked again.
func (u *unpacker) checkSpace() error {
	var total uint64
	for _, f := range u.files {
		total += uint64(f.size)
	}
	usage, err := u.fs.GetDiskUsage(u.dir)
	switch {
	case errors.Is(err, vfs.ErrUnsupported):
		return nil
	case err != nil:
		return err
	case total > usage.AvailBytes:
		return fmt.Errorf("snapshot of %d bytes, the disk has %d left", total, usage.AvailBytes)
	}
	return nil
}

// openFile begins the next file, if there is one.
func (u *unpacker) openFile() {
	u.file = nil
	if len(u.files) == 0 {
		return
	}
	u.left, u.sum, u.head = u.files[0].size, crc32.New(castagnoli), u.head[:0]
	u.file, u.err = u.fs.Create(u.fs.PathJoin(u.dir, u.files[0].name), vfs.WriteCategoryUnspecified)
}

func (u *unpacker) finishFile() {
	name := u.files[0].name
	if binary.BigEndian.Uint32(u.head) != u.sum.Sum32() {
		u.err = fmt.Errorf("%w: checksum of %s", errStream, name)
		return
	}
	file := u.file
	u.file = nil
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		u.err = err
		return
	}
	u.files = u.files[1:]
	u.openFile()
}

// finish makes the folder durable; it returns an error where the stream was not complete.
func (u *unpacker) finish() error {
	if u.err == nil && (!u.known || u.file != nil) {
		u.err = fmt.Errorf("%w: it ends early", errStream)
	}
	if u.err != nil {
		return errors.Join(u.err, u.abandon())
	}
	return syncDir(u.fs, u.dir)
}

// abandon closes the file that was being written.
func (u *unpacker) abandon() error {
	if u.file == nil {
		return nil
	}
	file := u.file
	u.file = nil
	return file.Close()
}
