// Package boltcheck verifies the file of a bbolt database before bbolt opens it.
//
// bbolt trusts its pages. It panics at one that is torn or corrupt, on a goroutine of its own while it opens the file, which
// no caller can recover. It also falls back in silence to the transaction before the last if one of the two meta pages is
// corrupt. Verify reads the file without mapping it and returns an error in all of these cases.
package boltcheck

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// ErrDamaged is in the chain of what Verify returns for a file that is torn or corrupt. Other errors are those of reading it.
var ErrDamaged = errors.New("damaged database file")

// The format of bbolt's files, version 2. Numbers have the byte order of the machine; the file is not meant to be moved to
// one of another order.
const (
	headerBytes  = 16
	elementBytes = 16
	bucketBytes  = 16
	metaBytes    = 64
	sumOffset    = metaBytes - 8
	metaMagic    = 0xED0CDAED
	metaVersion  = 2
	noFreelist   = ^uint64(0)

	branchPage   = 0x01
	leafPage     = 0x02
	metaPage     = 0x04
	freelistPage = 0x10
	bucketEntry  = 0x01

	minPageSize, maxPageSize = 1 << 10, 16 << 20
)

var order = binary.NativeEndian

// Verify reads every page that the database refers to and checks its place, type, bounds and the order of its keys. It does
// not look at values. The file must not be written to meanwhile.
func Verify(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := verify(f, info.Size()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
}

// file is a database that is being verified.
type file struct {
	r        io.ReaderAt
	pageSize int64
	pages    uint64 // all pages in use are below this one
	seen     []bool // by page
}

// meta is what the newer one of the two meta pages says.
type meta struct {
	pageSize                       uint32
	root, freelist, pages, version uint64 // version is the number of the transaction
}

func verify(r io.ReaderAt, size int64) error {
	first, err := readMeta(r, 0, 0, size)
	if err != nil {
		return err
	}
	second, err := readMeta(r, 1, int64(first.pageSize), size)
	if err != nil {
		return err
	}
	newest := first
	if second.version > first.version {
		newest = second
	}
	f := &file{r: r, pageSize: int64(first.pageSize), pages: newest.pages}
	if second.pageSize != first.pageSize || newest.pages > uint64(size/f.pageSize) {
		return damaged("%d pages of %d bytes are in use, the file has %d bytes", newest.pages, f.pageSize, size)
	}
	f.seen = make([]bool, newest.pages)
	if newest.freelist != noFreelist {
		if err := f.freelist(newest.freelist); err != nil {
			return err
		}
	}
	return f.tree(newest.root, nil, nil)
}

func readMeta(r io.ReaderAt, id uint64, offset, size int64) (meta, error) {
	var b [headerBytes + metaBytes]byte
	if offset+int64(len(b)) > size {
		return meta{}, damaged("meta page %d is beyond the end of the file, which has %d bytes", id, size)
	}
	if _, err := r.ReadAt(b[:], offset); err != nil {
		return meta{}, err
	}
	m := b[headerBytes:]
	sum := fnv.New64a()
	_, _ = sum.Write(m[:sumOffset])
	read := meta{
		pageSize: order.Uint32(m[8:]), root: order.Uint64(m[16:]), freelist: order.Uint64(m[32:]),
		pages: order.Uint64(m[40:]), version: order.Uint64(m[48:]),
	}
	switch {
	case order.Uint64(b[:]) != id || order.Uint16(b[8:]) != metaPage:
		return meta{}, damaged("page %d is no meta page", id)
	case order.Uint32(m) != metaMagic || order.Uint32(m[4:]) != metaVersion || order.Uint64(m[sumOffset:]) != sum.Sum64():
		return meta{}, damaged("checksum of meta page %d", id)
	case read.pageSize < minPageSize || read.pageSize > maxPageSize || read.pageSize&(read.pageSize-1) != 0:
		return meta{}, damaged("meta page %d names a page size of %d", id, read.pageSize)
	}
	return read, nil
}

// page reads a page with its overflow, which must be of one of the types and must not have been read before.
func (f *file) page(id uint64, types uint16) (content []byte, kind uint16, count int, err error) {
	if id < 2 || id >= f.pages {
		return nil, 0, 0, damaged("page %d is out of bounds", id)
	}
	var header [headerBytes]byte
	if _, err := f.r.ReadAt(header[:], int64(id)*f.pageSize); err != nil {
		return nil, 0, 0, err
	}
	kind, count = order.Uint16(header[8:]), int(order.Uint16(header[10:]))
	overflow := uint64(order.Uint32(header[12:]))
	switch {
	case order.Uint64(header[:]) != id:
		return nil, 0, 0, damaged("page %d says that it is page %d", id, order.Uint64(header[:]))
	case kind&types == 0 || kind&(kind-1) != 0:
		return nil, 0, 0, damaged("page %d has the type %#x", id, kind)
	case overflow >= f.pages-id:
		return nil, 0, 0, damaged("page %d ends out of bounds", id)
	}
	for i := id; i <= id+overflow; i++ {
		if f.seen[i] {
			return nil, 0, 0, damaged("page %d is referred to twice", i)
		}
		f.seen[i] = true
	}
	content = make([]byte, int64(overflow+1)*f.pageSize)
	_, err = f.r.ReadAt(content, int64(id)*f.pageSize)
	return content, kind, count, err
}

// tree verifies the pages below one. Its keys must be at least low and below high; nil is no bound.
func (f *file) tree(id uint64, low, high []byte) error {
	content, kind, count, err := f.page(id, branchPage|leafPage)
	if err != nil {
		return err
	}
	return f.elements(id, content, kind, count, low, high)
}

func (f *file) elements(id uint64, content []byte, kind uint16, count int, low, high []byte) error {
	if kind == branchPage && count == 0 {
		return damaged("page %d has no branches", id)
	}
	keys, values := make([][]byte, count), make([][]byte, count)
	for i := range count {
		var ok bool
		if keys[i], values[i], ok = element(content, kind, i); !ok {
			return damaged("element %d of page %d is out of bounds", i, id)
		}
		if i > 0 && bytes.Compare(keys[i-1], keys[i]) >= 0 {
			return damaged("key %d of page %d is out of order", i, id)
		}
	}
	if count > 0 && (low != nil && bytes.Compare(keys[0], low) < 0 || high != nil && bytes.Compare(keys[count-1], high) >= 0) {
		return damaged("the keys of page %d do not belong there", id)
	}
	for i := range count {
		at := headerBytes + i*elementBytes
		var err error
		if kind == branchPage {
			next := high
			if i+1 < count {
				next = keys[i+1]
			}
			err = f.tree(order.Uint64(content[at+8:]), keys[i], next)
		} else if order.Uint32(content[at:])&bucketEntry != 0 {
			err = f.bucket(id, values[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// element returns the key and the value of an element of a page, and false if they are not within the page. A branch has no value.
func element(content []byte, kind uint16, i int) (key, value []byte, ok bool) {
	at := headerBytes + i*elementBytes
	if at+elementBytes > len(content) {
		return nil, nil, false
	}
	b := content[at:]
	var position, keySize, valueSize uint64
	if kind == branchPage {
		position, keySize = uint64(order.Uint32(b)), uint64(order.Uint32(b[4:]))
	} else {
		position, keySize, valueSize = uint64(order.Uint32(b[4:])), uint64(order.Uint32(b[8:])), uint64(order.Uint32(b[12:]))
	}
	if position < elementBytes || position+keySize+valueSize > uint64(len(b)) {
		return nil, nil, false
	}
	return b[position : position+keySize], b[position+keySize : position+keySize+valueSize], true
}

// bucket verifies a bucket within another one. A small one is a page in the value.
func (f *file) bucket(id uint64, value []byte) error {
	if len(value) < bucketBytes {
		return damaged("a bucket in page %d is cut off", id)
	}
	if root := order.Uint64(value); root != 0 {
		return f.tree(root, nil, nil)
	}
	inline := value[bucketBytes:]
	if len(inline) < headerBytes || order.Uint16(inline[8:]) != leafPage {
		return damaged("a bucket in page %d is no page", id)
	}
	return f.elements(id, inline, leafPage, int(order.Uint16(inline[10:])), nil, nil)
}

// freelist verifies the list of free pages. A count that does not fit comes before the list.
func (f *file) freelist(id uint64) error {
	content, _, count, err := f.page(id, freelistPage)
	if err != nil {
		return err
	}
	list, n := content[headerBytes:], uint64(count)
	if n == 0xFFFF {
		n, list = order.Uint64(list), list[8:]
	}
	if n > uint64(len(list)/8) {
		return damaged("the list of free pages is cut off")
	}
	for i := range n {
		if free := order.Uint64(list[8*i:]); free < 2 || free >= f.pages {
			return damaged("free page %d is out of bounds", free)
		}
	}
	return nil
}
