package fsm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"dapple/internal/halt"
)

// The state folder holds stores (Pebble databases) and checkpoints as numbered folders, a pointer that names the live
// store, and a lock. Replacing the pointer by rename is what makes another store live; whatever it does not name is
// rubbish after a crash.
const (
	currentFile      = "CURRENT"
	currentTemporary = "CURRENT.tmp"
	lockFile         = "LOCK"
	storePrefix      = "store-"
	checkpointPrefix = "checkpoint-"
	firstStore       = storePrefix + "1"
	maxPointerBytes  = 64
)

// folder is the locked state folder.
type folder struct {
	fs      vfs.FS
	dir     string
	lock    io.Closer
	current string // name of the live store's folder

	mu   sync.Mutex
	last int // highest number given to a store or checkpoint
}

// openFolder locks the folder, finds the live store and removes everything else. It returns halt.ErrInUse if somebody has it
// open, halt.ErrStoreDamaged if the pointer names no store.
func openFolder(fs vfs.FS, dir string) (*folder, error) {
	if err := fs.MkdirAll(dir, privateFolder); err != nil {
		return nil, err
	}
	if err := syncDir(fs, fs.PathDir(dir)); err != nil { // or a crash may take the whole folder away
		return nil, err
	}
	lock, err := fs.Lock(fs.PathJoin(dir, lockFile))
	if err != nil {
		return nil, lockError(err)
	}
	f := &folder{fs: fs, dir: dir, lock: lock}
	if err := f.settle(); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// lockError returns the error of taking the lock with its cause. If somebody else holds it, the operating system says so with
// one of two numbers, and Pebble, of this process, without any.
func lockError(err error) error {
	var file *os.PathError
	var number syscall.Errno
	switch {
	case errors.As(err, &file): // the file of the lock cannot be opened
		return halt.Classify(err)
	case errors.As(err, &number) && number != syscall.EAGAIN && number != syscall.EACCES:
		return halt.Classify(fmt.Errorf("lock: %w", err))
	}
	return fmt.Errorf("%w: %w", halt.ErrInUse, err)
}

// settle reads the pointer, or writes it for a folder that is new, and cleans up.
func (f *folder) settle() error {
	names, err := f.fs.List(f.dir)
	if err != nil {
		return err
	}
	pointer, err := readSmallFile(f.fs, f.path(currentFile))
	switch {
	case err == nil:
		f.current = strings.TrimSuffix(pointer, "\n")
	case errors.Is(err, os.ErrNotExist):
		// The pointer comes before the first store, so a store without it means that the pointer was lost.
		for _, name := range names {
			if strings.HasPrefix(name, storePrefix) {
				return fmt.Errorf("%w: %s exists and the file %s does not", halt.ErrStoreDamaged, name, currentFile)
			}
		}
		if err := f.point(firstStore); err != nil {
			return err
		}
	default:
		return err
	}
	number, err := strconv.Atoi(strings.TrimPrefix(f.current, storePrefix))
	if err != nil || !strings.HasPrefix(f.current, storePrefix) || number < 1 {
		return fmt.Errorf("%w: %s names no store: %q", halt.ErrStoreDamaged, currentFile, f.current)
	}
	f.last = number
	if err := f.checkLive(names); err != nil {
		return err
	}
	return f.clean(names)
}

// checkLive returns an error if the live store is not there: the pointer names a store only once it is whole. The first one is made
// after the pointer, when there is no other store.
func (f *folder) checkLive(names []string) error {
	if slices.Contains(names, f.current) {
		return nil
	}
	for _, name := range names {
		if strings.HasPrefix(name, storePrefix) || f.current != firstStore {
			return fmt.Errorf("%w: %s names %s, which does not exist", halt.ErrStoreDamaged, currentFile, f.current)
		}
	}
	return nil
}

func (f *folder) clean(names []string) error {
	for _, name := range names {
		rubbish := name == currentTemporary || strings.HasPrefix(name, checkpointPrefix) ||
			strings.HasPrefix(name, storePrefix) && name != f.current
		if !rubbish {
			continue
		}
		if err := f.fs.RemoveAll(f.path(name)); err != nil {
			return err
		}
	}
	return syncDir(f.fs, f.dir)
}

func (f *folder) path(name string) string { return f.fs.PathJoin(f.dir, name) }

// next returns an unused name.
func (f *folder) next(prefix string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	return prefix + strconv.Itoa(f.last)
}

// point makes name the live store: after a crash at any moment the pointer names the old or the new one.
func (f *folder) point(name string) error {
	temporary := f.path(currentTemporary)
	if err := writeFile(f.fs, temporary, []byte(name+"\n")); err != nil {
		return err
	}
	if err := f.fs.Rename(temporary, f.path(currentFile)); err != nil {
		return err
	}
	f.current = name
	return syncDir(f.fs, f.dir)
}

// hasTables reports whether there are files with data in the folder of a store. If so, a store without a manifest has lost it, and
// Pebble must not begin an empty one.
func (f *folder) hasTables(name string) (bool, error) {
	files, err := f.fs.List(f.path(name))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return slices.ContainsFunc(files, func(file string) bool { return strings.HasSuffix(file, ".sst") }), err
}

func (f *folder) remove(name string) error { return f.fs.RemoveAll(f.path(name)) }

func (f *folder) close() error { return f.lock.Close() }

// writeFile writes a file and its content to the disk.
func writeFile(fs vfs.FS, path string, content []byte) error {
	file, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func readSmallFile(fs vfs.FS, path string) (string, error) {
	file, err := fs.Open(path)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(file, maxPointerBytes))
	return string(b), errors.Join(err, file.Close())
}

// syncDir makes the names in a folder durable.
func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
