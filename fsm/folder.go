package fsm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
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

// openFolder locks the folder, finds the live store and removes everything else.
func openFolder(fs vfs.FS, dir string) (*folder, error) {
	if err := fs.MkdirAll(dir, privateFolder); err != nil {
		return nil, err
	}
	if err := syncDir(fs, fs.PathDir(dir)); err != nil { // or a crash may take the whole folder away
		return nil, err
	}
	lock, err := fs.Lock(fs.PathJoin(dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("in use by another process: %w", err)
	}
	f := &folder{fs: fs, dir: dir, lock: lock}
	if err := f.settle(); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
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
				return fmt.Errorf("%s exists and the file %s does not", name, currentFile)
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
		return fmt.Errorf("%s names no store: %q", currentFile, f.current)
	}
	f.last = number
	if _, err := f.fs.Stat(f.path(f.current)); err != nil && f.current != firstStore {
		return fmt.Errorf("live store: %w", err)
	}
	return f.clean(names)
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
